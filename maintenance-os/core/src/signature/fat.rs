// SPDX-License-Identifier: Apache-2.0
//! Recognises FAT12, FAT16 and FAT32 by the sense of their boot sector (Microsoft, "FAT: General Overview", 1.03).

use super::Recognised;
use super::window::{Window, array, label, le16, le32, volume_id};
use alloc::string::String;

/// How much of the root directory is searched for the label.
const ROOT_SEARCHED: usize = 32 * 512;

struct Boot {
    id: Option<u32>,
    label: Option<String>,
    root_at: u64,
}

pub(super) fn recognise<E>(window: &mut Window<'_, E>) -> Result<Option<Recognised>, E> {
    let Some(boot) = window.at(0, 512)?.and_then(|bytes| boot(&bytes)) else {
        return Ok(None);
    };
    let length = usize::try_from(window.size().saturating_sub(boot.root_at))
        .unwrap_or(ROOT_SEARCHED)
        .min(ROOT_SEARCHED);
    let root = window.at(boot.root_at, length)?;
    let label = root.and_then(|root| root_label(&root)).or(boot.label);
    let id = boot.id.map(volume_id);
    Ok(Some(Recognised::file_system("vfat", label, id)))
}

fn boot(bytes: &[u8]) -> Option<Boot> {
    let sector = le16(bytes, 11)?;
    let [per_cluster] = array::<1>(bytes, 13)?;
    let reserved = le16(bytes, 14)?;
    let [fats] = array::<1>(bytes, 16)?;
    let [media] = array::<1>(bytes, 21)?;
    let names_fat = bytes.get(54..57)? == b"FAT"
        || bytes.get(54..59)? == b"MSDOS"
        || bytes.get(82..90)? == b"FAT32   "
        || bytes.get(82..87)? == b"MSWIN";
    // OS/2 puts a boot sector like that of FAT before other file systems.
    let is_other = matches!(bytes.get(54..62)?, b"JFS     " | b"HPFS    ");
    let sane = matches!(sector, 512 | 1024 | 2048 | 4096)
        && per_cluster.is_power_of_two()
        && reserved > 0
        && fats > 0
        && (media == 0xf0 || media >= 0xf8)
        && (names_fat || (bytes.get(510..512)? == [0x55, 0xaa] && !is_other))
        && bytes.get(3..8)? != b"NTFS "
        && bytes.get(3..8)? != b"EXFAT";
    if !sane {
        return None;
    }
    let small = u32::from(le16(bytes, 22)?);
    let is_fat32 = small == 0;
    let per_fat = if is_fat32 { le32(bytes, 36)? } else { small };
    let (id_at, label_at) = if is_fat32 { (67, 71) } else { (39, 43) };
    let has_id = matches!(bytes.get(id_at - 1)?, 0x28 | 0x29);
    let data = u64::from(reserved) + u64::from(fats) * u64::from(per_fat);
    let cluster = if is_fat32 {
        u64::from(le32(bytes, 44)?.saturating_sub(2))
    } else {
        0
    };
    let root_at = (data + cluster * u64::from(per_cluster)) * u64::from(sector);
    let label =
        label(bytes.get(label_at..label_at + 11)?).filter(|text| text != "NO NAME" && has_id);
    Some(Boot {
        id: le32(bytes, id_at).filter(|_| has_id),
        label,
        root_at,
    })
}

/// The volume label entry: attribute 0x08 alone, and neither deleted nor part of a long name.
fn root_label(root: &[u8]) -> Option<String> {
    let used = root
        .chunks_exact(32)
        .take_while(|entry| entry.first() != Some(&0));
    let entry = used
        .filter(|entry| entry.first() != Some(&0xe5))
        .find(|entry| {
            entry
                .get(11)
                .is_some_and(|attributes| attributes & 0x18 == 0x08 && *attributes != 0x0f)
        })?;
    label(entry.get(..11)?)
}
