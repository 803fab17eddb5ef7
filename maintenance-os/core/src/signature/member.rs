// SPDX-License-Identifier: Apache-2.0
//! Members of something larger: RAID, LVM, LUKS, ZFS, DRBD, and the RAID of controllers and firmware.

use super::Recognised;
use super::window::{Window, array, label, le16, le32, uuid};
use alloc::string::String;
use alloc::vec::Vec;

pub(super) fn recognise<E>(
    window: &mut Window<'_, E>,
    found: &mut Vec<Recognised>,
) -> Result<(), E> {
    lvm(window, found)?;
    luks(window, found)?;
    linux_raid(window, found)?;
    zfs(window, found)?;
    drbd(window, found)?;
    firmware_raid(window, found)
}

/// The label stands in one of the first four sectors of 512 bytes.
fn lvm<E>(window: &mut Window<'_, E>, found: &mut Vec<Recognised>) -> Result<(), E> {
    for sector in 0..4u64 {
        let Some(bytes) = window.at(sector * 512, 64)? else {
            return Ok(());
        };
        if bytes.get(..8) == Some(b"LABELONE") && bytes.get(24..32) == Some(b"LVM2 001") {
            found.push(Recognised {
                uuid: bytes.get(32..64).and_then(label),
                ..Recognised::named("LVM2 PV")
            });
            return Ok(());
        }
    }
    Ok(())
}

/// LUKS2 has a second header with its magic reversed, at one of the offsets that its header sizes allow.
fn luks<E>(window: &mut Window<'_, E>, found: &mut Vec<Recognised>) -> Result<(), E> {
    let mut at: Vec<u64> = (14..=22).map(|shift| 1u64 << shift).collect();
    at.insert(0, 0);
    for at in at {
        let magic: &[u8] = if at == 0 {
            b"LUKS\xba\xbe"
        } else {
            b"SKUL\xba\xbe"
        };
        if !window.has(at, magic)? {
            continue;
        }
        let bytes = window.at(at, 208)?.unwrap_or_default();
        let version = array::<2>(&bytes, 6).map(u16::from_be_bytes);
        found.push(Recognised {
            uuid: bytes.get(168..208).and_then(label),
            label: bytes
                .get(24..72)
                .filter(|_| version == Some(2))
                .and_then(label),
            ..Recognised::named(if version == Some(1) { "LUKS1" } else { "LUKS2" })
        });
        return Ok(());
    }
    Ok(())
}

/// Version 1.1 stands at the start, 1.2 at 4 KiB, 1.0 near the end on 4 KiB, 0.90 near the end on 64 KiB.
fn linux_raid<E>(window: &mut Window<'_, E>, found: &mut Vec<Recognised>) -> Result<(), E> {
    const MAGIC: u32 = 0xa92b_4efc;
    let size = window.size();
    let version_1_0 = (size / 512)
        .checked_sub(16)
        .map(|sector| (sector & !7) * 512);
    let version_0_90 = (size & !0xffff).checked_sub(0x1_0000);
    for at in [Some(0), Some(4_096), version_1_0, version_0_90]
        .into_iter()
        .flatten()
    {
        let Some(bytes) = window.at(at, 256)? else {
            continue;
        };
        if le32(&bytes, 0) != Some(MAGIC) && array(&bytes, 0).map(u32::from_be_bytes) != Some(MAGIC)
        {
            continue;
        }
        let is_1 = le32(&bytes, 4) == Some(1);
        found.push(Recognised {
            uuid: bytes.get(16..32).filter(|_| is_1).and_then(uuid),
            label: bytes.get(32..64).filter(|_| is_1).and_then(label),
            ..Recognised::named("linux_raid")
        });
        return Ok(());
    }
    Ok(())
}

/// ZFS keeps four labels of 256 KiB, two at each end; the second half of each is a ring of uberblocks.
fn zfs<E>(window: &mut Window<'_, E>, found: &mut Vec<Recognised>) -> Result<(), E> {
    const LABEL: u64 = 256 * 1_024;
    const UBERBLOCK: u64 = 0x00ba_b10c;
    let size = window.size() & !(LABEL - 1);
    let ends = [
        Some(0),
        Some(LABEL),
        size.checked_sub(2 * LABEL),
        size.checked_sub(LABEL),
    ];
    for at in ends.into_iter().flatten() {
        let Some(ring) = window.at(at + LABEL / 2, 128 * 1_024)? else {
            continue;
        };
        let is_zfs = ring
            .chunks_exact(1_024)
            .filter_map(|block| array::<8>(block, 0))
            .any(|word| {
                u64::from_le_bytes(word) == UBERBLOCK || u64::from_be_bytes(word) == UBERBLOCK
            });
        if is_zfs {
            found.push(Recognised::named("zfs"));
            return Ok(());
        }
    }
    Ok(())
}

/// DRBD's internal meta data ends with the device: its block is the last of 4 KiB.
fn drbd<E>(window: &mut Window<'_, E>, found: &mut Vec<Recognised>) -> Result<(), E> {
    let Some(at) = (window.size() & !4_095).checked_sub(4_096) else {
        return Ok(());
    };
    let magic = window.at(at + 60, 4)?.and_then(|bytes| array(&bytes, 0));
    if matches!(
        magic.map(u32::from_be_bytes),
        Some(0x8374_026b..=0x8374_026d)
    ) {
        found.push(Recognised::named("drbd"));
    }
    Ok(())
}

/// RAID that a controller or the firmware does: its configuration stands in the last sectors.
fn firmware_raid<E>(window: &mut Window<'_, E>, found: &mut Vec<Recognised>) -> Result<(), E> {
    const ENDS: &[(&str, u64, &[u8])] = &[
        ("DDF RAID", 512, b"\xde\x11\xde\x11"),
        ("DDF RAID", 131_072, b"\xde\x11\xde\x11"),
        ("Intel RAID", 1_024, b"Intel Raid ISM Cfg Sig. "),
        ("NVIDIA RAID", 1_024, b"NVIDIA  "),
        ("LSI RAID", 512, b"$XIDE$"),
        ("Adaptec RAID", 512, b"\x90\x07\x65\xc4"),
    ];
    for (what, from_end, magic) in ENDS {
        let Some(at) = window.size().checked_sub(*from_end) else {
            continue;
        };
        if window.has(at, magic)? && !found.iter().any(|one| one.what == *what) {
            found.push(Recognised::named(what));
        }
    }
    via(window, found)
}

/// VIA's magic is two bytes; its checksum (the sum of the first 50) makes it believable.
fn via<E>(window: &mut Window<'_, E>, found: &mut Vec<Recognised>) -> Result<(), E> {
    let Some(at) = (window.size() / 512)
        .checked_sub(1)
        .map(|sector| sector * 512)
    else {
        return Ok(());
    };
    let Some(bytes) = window.at(at, 512)? else {
        return Ok(());
    };
    let sum = bytes
        .iter()
        .take(50)
        .fold(0u8, |sum, byte| sum.wrapping_add(*byte));
    let version = bytes.get(2).copied().unwrap_or(u8::MAX);
    if le16(&bytes, 0) == Some(0xaa55) && version <= 2 && bytes.get(50) == Some(&sum) {
        found.push(Recognised {
            what: String::from("VIA RAID"),
            ..Recognised::named("VIA RAID")
        });
    }
    Ok(())
}
