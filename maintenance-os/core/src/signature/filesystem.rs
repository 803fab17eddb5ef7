// SPDX-License-Identifier: Apache-2.0
//! File systems and swap that take more than a magic to tell.

use super::Recognised;
use super::window::{Window, label, le16, le32, le64, uuid, volume_id};
use alloc::format;
use alloc::vec::Vec;

/// ext2, ext3 and ext4 share a magic; their feature words tell them apart (kernel, `fs/ext4/ext4.h`).
pub(super) fn ext<E>(window: &mut Window<'_, E>) -> Result<Option<Recognised>, E> {
    Ok(window
        .at(1_024, 256)?
        .and_then(|bytes| ext_superblock(&bytes)))
}

fn ext_superblock(bytes: &[u8]) -> Option<Recognised> {
    const HAS_JOURNAL: u32 = 0x4;
    const JOURNAL_DEVICE: u32 = 0x8;
    // What ext3 knows: file types, recovery, meta block groups; sparse super, large file, b-tree directories.
    const EXT3_INCOMPAT: u32 = 0x2 | 0x4 | 0x10;
    const EXT3_RO_COMPAT: u32 = 0x1 | 0x2 | 0x4;
    if le16(bytes, 56)? != 0xef53 {
        return None;
    }
    let (compat, incompat, ro_compat) = (le32(bytes, 92)?, le32(bytes, 96)?, le32(bytes, 100)?);
    let what = if incompat & JOURNAL_DEVICE != 0 {
        "ext journal"
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
    if window.at(1_024, 8)?.and_then(|bytes| le16(&bytes, 6)) == Some(0x3434) {
        found.push(Recognised::file_system("nilfs2", None, None));
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
    const STEPS: u64 = 64;
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
    for page in [4_096u64, 8_192, 16_384, 65_536] {
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
