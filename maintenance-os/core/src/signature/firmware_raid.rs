// SPDX-License-Identifier: Apache-2.0
//! RAID that a controller or the firmware does: its configuration stands in the last sectors of the whole disk.
//!
//! It is not looked for at the end of a partition: what stands there is the partition's own data.

use super::Recognised;
use super::window::{Window, be32, le16, le32};
use alloc::vec::Vec;

/// A magic in the sector that stands so many before the end.
struct FromEnd {
    what: &'static str,
    sectors: &'static [u64],
    magics: &'static [&'static [u8]],
}

const fn last(
    what: &'static str,
    sectors: &'static [u64],
    magics: &'static [&'static [u8]],
) -> FromEnd {
    FromEnd {
        what,
        sectors,
        magics,
    }
}

/// Where Promise's FastTrak controllers put their configuration, by model and geometry.
const PROMISE: &[u64] = &[
    63, 255, 256, 16, 399, 591, 675, 735, 911, 974, 991, 951, 3087,
];

/// The places are those of SNIA's DDF 2.0 and of the tools that assemble the others (dmraid, mdadm).
const ENDS: &[FromEnd] = &[
    last(
        "ddf_raid_member",
        &[1, 257],
        &[b"\xde\x11\xde\x11", b"\x11\xde\x11\xde"],
    ),
    last("isw_raid_member", &[2], &[b"Intel Raid ISM Cfg Sig. "]),
    last("lsi_mega_raid_member", &[1], &[b"$XIDE$"]),
    last("nvidia_raid_member", &[2], &[b"NVIDIA"]),
    last("jmicron_raid_member", &[1], &[b"JM"]),
    last(
        "adaptec_raid_member",
        &[1],
        &[b"\x37\xfc\x4d\x1e", b"\x90\x07\x65\xc4"],
    ),
    last(
        "hpt45x_raid_member",
        &[11],
        &[b"\xf3\x16\x78\x5a", b"\xfd\x16\x78\x5a"],
    ),
    last(
        "promise_fasttrack_raid_member",
        PROMISE,
        &[b"Promise Technology, Inc."],
    ),
];

/// HighPoint's 37x stand at the start: 32 bytes into the tenth sector.
const HPT37X_AT: u64 = 9 * 512 + 32;

pub(super) fn recognise<E>(
    window: &mut Window<'_, E>,
    found: &mut Vec<Recognised>,
) -> Result<(), E> {
    for one in ENDS {
        if stands(window, one)? {
            found.push(Recognised::named(one.what));
        }
    }
    for magic in [b"\xf0\x16\x78\x5a", b"\xfd\x16\x78\x5a"] {
        if window.has(HPT37X_AT, magic)? {
            found.push(Recognised::named("hpt37x_raid_member"));
        }
    }
    via(window, found)?;
    silicon(window, found)
}

fn stands<E>(window: &mut Window<'_, E>, one: &FromEnd) -> Result<bool, E> {
    for count in one.sectors {
        for at in window.before_end(*count) {
            for magic in one.magics {
                if window.has(at, magic)? {
                    return Ok(true);
                }
            }
        }
    }
    Ok(false)
}

fn last_sector<E>(window: &mut Window<'_, E>) -> Result<Vec<u8>, E> {
    let at = (window.size() / 512).checked_sub(1);
    Ok(match at {
        Some(sector) => window.at(sector * 512, 512)?.unwrap_or_default(),
        None => Vec::new(),
    })
}

/// VIA's magic is two bytes; its checksum (the sum of the first 50) makes it believable.
fn via<E>(window: &mut Window<'_, E>, found: &mut Vec<Recognised>) -> Result<(), E> {
    let bytes = last_sector(window)?;
    let sum = bytes
        .iter()
        .take(50)
        .fold(0u8, |sum, byte| sum.wrapping_add(*byte));
    let version = bytes.get(2).copied().unwrap_or(u8::MAX);
    if le16(&bytes, 0) == Some(0xaa55) && version <= 2 && bytes.get(50) == Some(&sum) {
        found.push(Recognised::named("via_raid_member"));
    }
    Ok(())
}

/// Silicon Image's Medley: a magic, and a checksum over the words before it.
fn silicon<E>(window: &mut Window<'_, E>, found: &mut Vec<Recognised>) -> Result<(), E> {
    const MAGIC: u32 = 0x2f00_0000;
    const CHECKSUM_AT: usize = 0x13e;
    let bytes = last_sector(window)?;
    let sum = bytes
        .get(..CHECKSUM_AT)
        .unwrap_or_default()
        .chunks_exact(2)
        .filter_map(|word| le16(word, 0))
        .fold(0u16, u16::wrapping_sub);
    let has_magic = le32(&bytes, 0x60) == Some(MAGIC) || be32(&bytes, 0x60) == Some(MAGIC);
    if has_magic && le16(&bytes, CHECKSUM_AT) == Some(sum) {
        found.push(Recognised::named("silicon_medley_raid_member"));
    }
    Ok(())
}
