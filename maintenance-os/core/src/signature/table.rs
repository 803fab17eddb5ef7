// SPDX-License-Identifier: Apache-2.0
//! Names the partition tables that we do not read: of other systems, and ours where it is damaged.

use super::Recognised;
use super::window::{Window, be16, be32};
use alloc::vec::Vec;

/// A whole GPT of another sector size, or the remains of one.
pub const DAMAGED_GPT: &str = "damaged gpt";
/// A DOS table's first entry, and how long each of the four is.
const MBR_ENTRIES: core::ops::Range<usize> = 446..510;
const MBR_ENTRY: usize = 16;

/// Everything but a whole GPT, which is recognised before. `has_boot_sector` is whether the first sector is that of
/// a file system, which looks like a DOS table.
pub(super) fn recognise<E>(
    window: &mut Window<'_, E>,
    has_boot_sector: bool,
    found: &mut Vec<Recognised>,
) -> Result<(), E> {
    let has_gpt = found.iter().any(|one| one.what == "gpt");
    let before = found.len();
    if !has_gpt && has_gpt_header(window)? {
        found.push(Recognised::named(DAMAGED_GPT));
    }
    let Some(first) = window.at(0, 512)? else {
        return Ok(());
    };
    for (what, is_there) in [
        ("aix", first.starts_with(b"\xc9\xc2\xd4\xc1")),
        ("sgi", first.starts_with(b"\x0b\xe5\xa9\x41")),
        ("sun", is_sun(&first)),
        ("mbr", !has_gpt && !has_boot_sector && is_mbr(&first)),
        ("mac", is_mac(window, &first)?),
        ("bsd", is_bsd(window)?),
        ("amiga", is_amiga(window)?),
        ("ultrix", is_ultrix(window)?),
        ("unixware", is_unixware(window)?),
        ("solaris_x86", window.has(512 + 12, &VTOC)?),
    ] {
        if is_there {
            found.push(Recognised::named(what));
        }
    }
    // Atari's table has no magic at all: it is believed only where there is no other.
    if !has_gpt && found.len() == before && is_atari(&first, window.size() / 512) {
        found.push(Recognised::named("atari"));
    }
    Ok(())
}

/// The sanity word of System V's volume table of contents.
const VTOC: [u8; 4] = 0x600d_deee_u32.to_le_bytes();

/// A header at either end, for sectors of either size, whatever its checksums say.
fn has_gpt_header<E>(window: &mut Window<'_, E>) -> Result<bool, E> {
    let size = window.size();
    for sector in [512, 4_096] {
        let last = (size / sector).checked_sub(1).map(|count| count * sector);
        for at in [Some(sector), last].into_iter().flatten() {
            if window.has(at, b"EFI PART")? {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// A table whose entries are all empty is one too.
fn is_mbr(first: &[u8]) -> bool {
    let entries = first.get(MBR_ENTRIES).unwrap_or_default();
    first.get(510..512) == Some(&[0x55, 0xaa])
        && !first.starts_with(b"\xc9\xc2\xd4\xc1")
        && entries
            .chunks_exact(MBR_ENTRY)
            .all(|entry| matches!(entry.first(), Some(0 | 0x80)))
}

/// The words of the label and their checksum add up to nothing by exclusive or.
fn is_sun(first: &[u8]) -> bool {
    let words = first.chunks_exact(2).filter_map(|word| be16(word, 0));
    first.get(508..510) == Some(&[0xda, 0xbe]) && words.fold(0, |sum, word| sum ^ word) == 0
}

/// Block 0 gives the size of a block, block 1 begins the map; a map without block 0 is found on CDs.
fn is_mac<E>(window: &mut Window<'_, E>, first: &[u8]) -> Result<bool, E> {
    let block = be16(first, 2).filter(|_| first.starts_with(b"ER"));
    if let Some(block) = block {
        for magic in [b"PM", b"TS"] {
            if window.has(u64::from(block), magic)? {
                return Ok(true);
            }
        }
    }
    window.has(512, b"PM\0\0")
}

/// The rigid disk block stands in one of the first sixteen sectors.
fn is_amiga<E>(window: &mut Window<'_, E>) -> Result<bool, E> {
    for sector in 0..16 {
        if window.has(sector * 512, b"RDSK")? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn is_bsd<E>(window: &mut Window<'_, E>) -> Result<bool, E> {
    for at in [512, 64, 128] {
        if window.has(at, b"\x57\x45\x56\x82")? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The table ends the first 16 KiB: magic, valid, and eight partitions of eight bytes.
fn is_ultrix<E>(window: &mut Window<'_, E>) -> Result<bool, E> {
    window.has(16 * 1_024 - 72, b"\x57\x29\x03\0\x01\0\0\0")
}

fn is_unixware<E>(window: &mut Window<'_, E>) -> Result<bool, E> {
    const LABEL: u64 = 29 * 512;
    // The kernel writes the magic one way, util-linux another; nobody has asked a UnixWare.
    Ok(window.has(LABEL + 4, b"\x0d\x60\x5e\xca")?
        || window.has(LABEL + 4, b"\x0d\x60\xe5\xca")?
        || window.has(LABEL + 156, &VTOC)?)
}

/// One of four entries is active, has a name of three letters or digits, and lies on the disk.
fn is_atari(first: &[u8], sectors: u64) -> bool {
    const ENTRIES: core::ops::Range<usize> = 454..502;
    let entries = first.get(ENTRIES).unwrap_or_default();
    entries.chunks_exact(12).any(|entry| {
        let is_letter = |byte: &u8| {
            byte.is_ascii_alphanumeric() || (*byte >= 0xc0 && !matches!(byte, 0xd7 | 0xf7))
        };
        let name = entry.get(1..4).unwrap_or_default();
        let (start, length) = (be32(entry, 4).unwrap_or(0), be32(entry, 8).unwrap_or(0));
        entry.first().is_some_and(|flags| flags & 1 == 1)
            && name.iter().all(is_letter)
            && u64::from(start) <= sectors
            && u64::from(start.wrapping_add(length)) <= sectors
    })
}
