// SPDX-License-Identifier: Apache-2.0
//! Members of something larger: RAID, LVM, LUKS, ZFS, DRBD.

use super::Recognised;
use super::window::{Window, array, be32, label, le16, le32, le64, uuid};
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
    bitlocker_to_go(window, found)?;
    core_storage(window, found)
}

/// The label stands in one of the first four sectors of 512 bytes. LVM1 has two bytes and a version at the start.
fn lvm<E>(window: &mut Window<'_, E>, found: &mut Vec<Recognised>) -> Result<(), E> {
    for version in [b"HM\x01\0", b"HM\x02\0"] {
        if window.has(0, version)? {
            found.push(Recognised::named("LVM1_member"));
        }
    }
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
    let size = window.size();
    let ends = [size.checked_sub(4_096), (size & !4_095).checked_sub(4_096)];
    for at in ends.into_iter().flatten() {
        let magic = window.at(at + 60, 4)?.and_then(|bytes| be32(&bytes, 0));
        if matches!(magic, Some(0x8374_026b..=0x8374_026d)) {
            found.push(Recognised::named("drbd"));
            return Ok(());
        }
    }
    Ok(())
}

/// On removable media BitLocker hides behind a boot sector of FAT, which says where its own header is.
fn bitlocker_to_go<E>(window: &mut Window<'_, E>, found: &mut Vec<Recognised>) -> Result<(), E> {
    let Some(boot) = window.at(0, 512)? else {
        return Ok(());
    };
    let header = le64(&boot, 440).filter(|_| boot.get(3..11) == Some(b"MSWIN4.1"));
    if let Some(at) = header
        && window.has(at, b"-FVE-FS-")?
        && !found.iter().any(|one| one.what == "BitLocker")
    {
        found.push(Recognised::named("BitLocker"));
    }
    Ok(())
}

/// Apple's Core Storage, which carries FileVault 2: a magic of two bytes with version and kind of checksum.
fn core_storage<E>(window: &mut Window<'_, E>, found: &mut Vec<Recognised>) -> Result<(), E> {
    let bytes = window.at(0, 512)?.unwrap_or_default();
    if bytes.get(88..90) == Some(b"CS") && le16(&bytes, 8) == Some(1) && le32(&bytes, 90) == Some(1)
    {
        found.push(Recognised::named("cs_fvault2"));
    }
    Ok(())
}
