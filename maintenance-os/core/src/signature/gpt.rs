// SPDX-License-Identifier: Apache-2.0
//! Reads a GUID Partition Table from either end (UEFI 2.10, section 5.3). A table counts only with right checksums.

use super::window::{Window, array, label_utf16, le32, le64};
use crate::guid::Guid;
use alloc::string::String;
use alloc::vec::Vec;

/// The header's fixed part.
const HEADER_LEN: usize = 92;
/// The most entries that are read: the table of a disk that we plan has 128.
const ENTRIES_MAX: u32 = 1_024;

/// A partition as the table lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GptPartition {
    /// Its number, from 1.
    pub number: u32,
    /// Its type.
    pub type_guid: Guid,
    /// Its own GUID.
    pub guid: Guid,
    /// First byte.
    pub start: u64,
    /// Length in bytes.
    pub length: u64,
    /// Its name.
    pub name: String,
}

/// A partition table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GptTable {
    /// The disk's GUID.
    pub disk_guid: Guid,
    /// The used entries by number.
    pub partitions: Vec<GptPartition>,
}

struct Header {
    disk_guid: Guid,
    entries_at: u64,
    entries: u32,
    entry_len: u32,
    entries_crc: u32,
}

/// The disk's table: the primary where it is right, else the backup.
///
/// # Errors
/// What the window's reader fails with.
pub fn read_gpt<E>(window: &mut Window<'_, E>) -> Result<Option<GptTable>, E> {
    let (size, sector) = (window.size(), u64::from(window.sector()));
    for at in [Some(sector), size.checked_sub(sector)]
        .into_iter()
        .flatten()
    {
        if let Some(table) = read_at(window, at, sector)? {
            return Ok(Some(table));
        }
    }
    Ok(None)
}

/// The disk's GUID by the header at byte `at`, where a right header stands there; of its entries nothing is asked.
///
/// # Errors
/// What the window's reader fails with.
pub fn read_gpt_header<E>(window: &mut Window<'_, E>, at: u64) -> Result<Option<Guid>, E> {
    let sector = u64::from(window.sector());
    let bytes = window.at(at, HEADER_LEN)?;
    let header = bytes.and_then(|bytes| header(&bytes, at, sector));
    Ok(header.map(|header| header.disk_guid))
}

fn read_at<E>(window: &mut Window<'_, E>, at: u64, sector: u64) -> Result<Option<GptTable>, E> {
    let Some(bytes) = window.at(at, HEADER_LEN)? else {
        return Ok(None);
    };
    let Some(header) = header(&bytes, at, sector) else {
        return Ok(None);
    };
    let length = usize::try_from(header.entries * header.entry_len).unwrap_or(usize::MAX);
    let Some(entries) = window.at(header.entries_at, length)? else {
        return Ok(None);
    };
    if crc32fast::hash(&entries) != header.entries_crc {
        return Ok(None);
    }
    let entry_len = usize::try_from(header.entry_len).unwrap_or(usize::MAX);
    let partitions = entries
        .chunks_exact(entry_len)
        .zip(1u32..)
        .filter_map(|(entry, number)| partition(entry, number, sector))
        .collect();
    Ok(Some(GptTable {
        disk_guid: header.disk_guid,
        partitions,
    }))
}

fn header(bytes: &[u8], at: u64, sector: u64) -> Option<Header> {
    if bytes.get(..8)? != b"EFI PART" || le32(bytes, 12)? != 92 {
        return None;
    }
    let mut summed = bytes.to_vec();
    summed.get_mut(16..20)?.fill(0);
    if crc32fast::hash(&summed) != le32(bytes, 16)? || le64(bytes, 24)?.checked_mul(sector)? != at {
        return None;
    }
    let (entries, entry_len) = (le32(bytes, 80)?, le32(bytes, 84)?);
    if entries == 0 || entries > ENTRIES_MAX || !matches!(entry_len, 128 | 256 | 512) {
        return None;
    }
    Some(Header {
        disk_guid: Guid::from_gpt(array(bytes, 56)?),
        entries_at: le64(bytes, 72)?.checked_mul(sector)?,
        entries,
        entry_len,
        entries_crc: le32(bytes, 88)?,
    })
}

fn partition(entry: &[u8], number: u32, sector: u64) -> Option<GptPartition> {
    let type_guid = Guid::from_gpt(array(entry, 0)?);
    if type_guid.0 == [0; 16] {
        return None;
    }
    let (first, last) = (le64(entry, 32)?, le64(entry, 40)?);
    let sectors = last.checked_sub(first)?.checked_add(1)?;
    Some(GptPartition {
        number,
        type_guid,
        guid: Guid::from_gpt(array(entry, 16)?),
        start: first.checked_mul(sector)?,
        length: sectors.checked_mul(sector)?,
        name: label_utf16(entry.get(56..128)?).unwrap_or_default(),
    })
}
