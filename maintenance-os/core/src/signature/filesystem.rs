// SPDX-License-Identifier: Apache-2.0
//! File systems and swap that take more than a magic to tell.

use super::Recognised;
use super::window::{Window, array, be16, be32, label, le16, le32, le64, uuid, volume_id};
use alloc::format;
use alloc::vec::Vec;

/// The sizes of a memory page, at whose end swap has its magic.
const PAGES: [u64; 5] = [4_096, 8_192, 16_384, 32_768, 65_536];

/// ext2, ext3 and ext4 share a magic; their feature words tell them apart (kernel, `fs/ext4/ext4.h`).
pub(super) fn ext<E>(window: &mut Window<'_, E>) -> Result<Option<Recognised>, E> {
    Ok(window
        .at(1_024, 512)?
        .and_then(|bytes| ext_superblock(&bytes)))
}

fn ext_superblock(bytes: &[u8]) -> Option<Recognised> {
    const HAS_JOURNAL: u32 = 0x4;
    const JOURNAL_DEVICE: u32 = 0x8;
    // What ext3 knows: file types, recovery, meta block groups; sparse super, large file, b-tree directories.
    const EXT3_INCOMPAT: u32 = 0x2 | 0x4 | 0x10;
    const EXT3_RO_COMPAT: u32 = 0x1 | 0x2 | 0x4;
    const TEST_FILE_SYSTEM: u32 = 0x4;
    if le16(bytes, 56)? != 0xef53 {
        return None;
    }
    let (compat, incompat, ro_compat) = (le32(bytes, 92)?, le32(bytes, 96)?, le32(bytes, 100)?);
    let what = if incompat & JOURNAL_DEVICE != 0 {
        "ext journal"
    } else if le32(bytes, 352)? & TEST_FILE_SYSTEM != 0 {
        "ext4dev"
    } else if incompat & !EXT3_INCOMPAT != 0 || ro_compat & !EXT3_RO_COMPAT != 0 {
        "ext4"
    } else if compat & HAS_JOURNAL != 0 {
        "ext3"
    } else {
        "ext2"
    };
    let (label, uuid) = (label(bytes.get(120..136)?), uuid(bytes.get(104..120)?));
    Some(Recognised::file_system(what, label, uuid))
}

pub(super) fn recognise<E>(
    window: &mut Window<'_, E>,
    found: &mut Vec<Recognised>,
) -> Result<(), E> {
    windows(window, found)?;
    udf(window, found)?;
    swap(window, found)?;
    hibernation(window, found)?;
    squashfs(window, found)?;
    nilfs2(window, found)?;
    gfs(window, found)?;
    ufs(window, found)?;
    sysv(window, found)?;
    xfs_log(window, found)?;
    // Two bytes are little: in the superblock of an ext they stand by accident.
    if !found.iter().any(|one| one.what.starts_with("ext")) {
        minix(window, found)?;
        apple(window, found)?;
    }
    Ok(())
}

fn windows<E>(window: &mut Window<'_, E>, found: &mut Vec<Recognised>) -> Result<(), E> {
    let Some(boot) = window.at(0, 512)? else {
        return Ok(());
    };
    match boot.get(3..11) {
        Some(b"NTFS    ") => {
            let id = le64(&boot, 72).map(|id| format!("{id:016X}"));
            found.push(Recognised::file_system("ntfs", None, id));
        }
        Some(b"EXFAT   ") => {
            let id = le32(&boot, 100).map(volume_id);
            found.push(Recognised::file_system("exfat", None, id));
        }
        Some(_) | None => {}
    }
    Ok(())
}

/// ECMA-167's volume recognition sequence begins at 32 KiB, in steps of 2048 bytes or of one block.
fn udf<E>(window: &mut Window<'_, E>, found: &mut Vec<Recognised>) -> Result<(), E> {
    const STEPS: u64 = 128;
    for step in 0..STEPS {
        let Some(id) = window.at(32_769 + step * 2_048, 5)? else {
            return Ok(());
        };
        if matches!(id.as_slice(), b"NSR02" | b"NSR03") {
            found.push(Recognised::file_system("udf", None, None));
            return Ok(());
        }
    }
    Ok(())
}

fn swap<E>(window: &mut Window<'_, E>, found: &mut Vec<Recognised>) -> Result<(), E> {
    for page in PAGES {
        let magic = window.at(page - 10, 10)?;
        if matches!(magic.as_deref(), Some(b"SWAPSPACE2" | b"SWAP-SPACE")) {
            let head = window.at(1_024, 44)?.unwrap_or_default();
            found.push(Recognised {
                label: head.get(28..44).and_then(label),
                uuid: head.get(12..28).and_then(uuid),
                ..Recognised::named("swap")
            });
            return Ok(());
        }
    }
    Ok(())
}

/// A memory image in a swap area, which then has no magic of swap.
fn hibernation<E>(window: &mut Window<'_, E>, found: &mut Vec<Recognised>) -> Result<(), E> {
    let mut is_there = window.has(0, b"\xed\xc3\x02\xe9\x98\x56\xe5\x0c")?;
    for page in PAGES {
        let magic = window.at(page - 10, 10)?.unwrap_or_default();
        is_there |= [&b"S1SUSPEND"[..], b"S2SUSPEND", b"ULSUSPEND", b"LINHIB0001"]
            .iter()
            .any(|one| magic.starts_with(one));
    }
    if is_there {
        found.push(Recognised::named("swsuspend"));
    }
    Ok(())
}

fn squashfs<E>(window: &mut Window<'_, E>, found: &mut Vec<Recognised>) -> Result<(), E> {
    let Some(bytes) = window.at(0, 32)? else {
        return Ok(());
    };
    let what = match bytes.get(..4) {
        Some(b"hsqs") if le16(&bytes, 28) >= Some(4) => "squashfs",
        Some(b"hsqs" | b"sqsh") => "squashfs3",
        Some(_) | None => return Ok(()),
    };
    found.push(Recognised::file_system(what, None, None));
    Ok(())
}

/// The magic of two bytes counts with the superblock's checksum; a copy stands 4 KiB before the end.
fn nilfs2<E>(window: &mut Window<'_, E>, found: &mut Vec<Recognised>) -> Result<(), E> {
    let copy = (window.size() / 512)
        .checked_sub(8)
        .map(|count| count * 512);
    for at in [Some(1_024), copy].into_iter().flatten() {
        let block = window.at(at, 1_024)?.and_then(nilfs2_superblock);
        if let Some(block) = block {
            let (label, uuid) = (
                block.get(168..248).and_then(label),
                block.get(152..168).and_then(uuid),
            );
            found.push(Recognised::file_system("nilfs2", label, uuid));
            return Ok(());
        }
    }
    Ok(())
}

fn nilfs2_superblock(mut block: Vec<u8>) -> Option<Vec<u8>> {
    const SUM: core::ops::Range<usize> = 16..20;
    if le16(&block, 6)? != 0x3434 {
        return None;
    }
    let (length, seed, sum) = (
        le16(&block, 8)?,
        le32(&block, 12)?,
        le32(&block, SUM.start)?,
    );
    block.get_mut(SUM)?.fill(0);
    // The kernel's CRC-32 is the usual one without the complements at both ends.
    let mut hasher = crc32fast::Hasher::new_with_initial(!seed);
    hasher.update(block.get(..usize::from(length))?);
    (!hasher.finalize() == sum).then_some(block)
}

/// GFS and GFS2 share a magic; the format number tells them apart.
fn gfs<E>(window: &mut Window<'_, E>, found: &mut Vec<Recognised>) -> Result<(), E> {
    const GFS_FORMAT: u32 = 1_309;
    let Some(bytes) = window.at(65_536, 288)? else {
        return Ok(());
    };
    if bytes.starts_with(b"\x01\x16\x19\x70") {
        let what = if be32(&bytes, 24) == Some(GFS_FORMAT) {
            "gfs"
        } else {
            "gfs2"
        };
        let (label, uuid) = (
            bytes.get(160..224).and_then(label),
            bytes.get(256..272).and_then(uuid),
        );
        found.push(Recognised::file_system(what, label, uuid));
    }
    Ok(())
}

/// Four places, six magics, two byte orders.
fn ufs<E>(window: &mut Window<'_, E>, found: &mut Vec<Recognised>) -> Result<(), E> {
    const MAGICS: [u32; 6] = [
        0x1954_0119,
        0x0001_1954,
        0x0019_5612,
        0x0009_5014,
        0x0061_2195,
        0x0523_1994,
    ];
    for at in [0, 8_192, 65_536, 262_144] {
        let magic = window.at(at + 1_372, 4)?;
        let words = magic.map(|bytes| [le32(&bytes, 0), be32(&bytes, 0)]);
        let is_ufs = |word: &Option<u32>| word.is_some_and(|word| MAGICS.contains(&word));
        if words.is_some_and(|words| words.iter().any(is_ufs)) {
            found.push(Recognised::file_system("ufs", None, None));
            return Ok(());
        }
    }
    Ok(())
}

fn sysv<E>(window: &mut Window<'_, E>, found: &mut Vec<Recognised>) -> Result<(), E> {
    const MAGIC: u32 = 0xfd18_7e20;
    for block in [0, 9, 15, 18] {
        let magic = window.at(block * 1_024 + 512 + 504, 4)?;
        let word = magic.and_then(|bytes| array::<4>(&bytes, 0));
        if word.is_some_and(|word| {
            [word, [word[3], word[2], word[1], word[0]]].contains(&MAGIC.to_le_bytes())
        }) {
            found.push(Recognised::file_system("sysv", None, None));
            return Ok(());
        }
    }
    Ok(())
}

/// A log on a disk of its own begins with a record within the first 256 KiB; it has no superblock.
fn xfs_log<E>(window: &mut Window<'_, E>, found: &mut Vec<Recognised>) -> Result<(), E> {
    const SEARCHED: usize = 256 * 1_024;
    let Some(bytes) = window.at(0, SEARCHED)? else {
        return Ok(());
    };
    let is_record = |sector: &[u8]| {
        be32(sector, 0) == Some(0xfeed_babe)
            && matches!(be32(sector, 8), Some(1..=3))
            && be32(sector, 12)
                .is_some_and(|length| length > 0 && length <= i32::MAX.unsigned_abs())
            && matches!(be32(sector, 300), Some(1..=3))
    };
    if !bytes.starts_with(b"XFSB") && bytes.chunks_exact(512).any(is_record) {
        found.push(Recognised::named("xfs_external_log"));
    }
    Ok(())
}

/// Three versions in two byte orders; the block maps must be there, because the magic is two bytes.
fn minix<E>(window: &mut Window<'_, E>, found: &mut Vec<Recognised>) -> Result<(), E> {
    let Some(bytes) = window.at(1_024, 32)? else {
        return Ok(());
    };
    let any_order = |at: usize, magics: &[u16]| {
        [le16(&bytes, at), be16(&bytes, at)]
            .into_iter()
            .flatten()
            .any(|word| magics.contains(&word))
    };
    let used = |at: usize| le16(&bytes, at).is_some_and(|blocks| blocks != 0);
    let is_1_or_2 = any_order(16, &[0x137f, 0x138f, 0x2468, 0x2478]) && used(4) && used(6);
    let is_3 = any_order(24, &[0x4d5a]) && used(6) && used(8);
    if is_1_or_2 || is_3 {
        found.push(Recognised::file_system("minix", None, None));
    }
    Ok(())
}

/// HFS, HFS+, and HFS+ within HFS.
fn apple<E>(window: &mut Window<'_, E>, found: &mut Vec<Recognised>) -> Result<(), E> {
    let Some(bytes) = window.at(1_024, 130)? else {
        return Ok(());
    };
    let holds_plus = matches!(bytes.get(124..126), Some(b"H+" | b"HX"));
    let name_length = usize::from(bytes.get(36).copied().unwrap_or(0)).min(27);
    let name = bytes.get(37..37 + name_length).and_then(label);
    let (what, name) = match bytes.get(..2) {
        Some(b"H+" | b"HX") => ("hfsplus", None),
        Some(b"BD") if holds_plus => ("hfsplus", name),
        Some(b"BD") => ("hfs", name),
        Some(_) | None => return Ok(()),
    };
    found.push(Recognised::file_system(what, name, None));
    Ok(())
}
