// SPDX-License-Identifier: Apache-2.0
//! The two region tables ([MS-VHDX] 2.2.3): where the block table and the metadata are.

use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;

use crate::guid::Guid;

use super::crc32c::Crc32c;
use super::error::{CopyFault, VhdxError};
use super::field::{guid_at, put, u32_at, u64_at};
use super::limits::{REGIONS_MAX, SECTION};

/// Where the two region tables are.
pub(super) const TABLES_AT: [u64; 2] = [192 * 1024, 256 * 1024];
/// Bytes of a table.
pub(super) const TABLE_LEN: usize = 64 * 1024;

const SIGNATURE: &[u8; 4] = b"regi";
const CHECKSUM_AT: usize = 4;
const ENTRY_LEN: usize = 32;
const REQUIRED: u32 = 1;
/// 2dc27766-f623-4200-9d64-115e9bfd4a08.
const TABLE_ID: Guid = Guid([
    0x2d, 0xc2, 0x77, 0x66, 0xf6, 0x23, 0x42, 0x00, 0x9d, 0x64, 0x11, 0x5e, 0x9b, 0xfd, 0x4a, 0x08,
]);
/// 8b7ca206-4790-4b9a-b8fe-575f050f886e.
const METADATA_ID: Guid = Guid([
    0x8b, 0x7c, 0xa2, 0x06, 0x47, 0x90, 0x4b, 0x9a, 0xb8, 0xfe, 0x57, 0x5f, 0x05, 0x0f, 0x88, 0x6e,
]);

/// Where everything is that is not a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Regions {
    pub(super) table: Range<u64>,
    pub(super) metadata: Range<u64>,
    /// The header section, the log and every region, in order and without overlap.
    pub(super) taken: Vec<Range<u64>>,
}

struct Entry {
    id: Guid,
    at: u64,
    len: u64,
    required: bool,
}

/// Whether a copy counts.
pub(super) fn sound(table: &[u8]) -> Result<(), CopyFault> {
    if !table.starts_with(SIGNATURE) {
        return Err(CopyFault::Signature);
    }
    let (said, sum) = (
        u32_at(table, CHECKSUM_AT),
        Crc32c::without_field(table, CHECKSUM_AT),
    );
    if said != sum {
        return Err(CopyFault::Checksum { said, sum });
    }
    Ok(())
}

impl Regions {
    /// Reads a sound table of a file of `file_len` bytes whose log is at `log`.
    pub(super) fn decode(table: &[u8], log: Range<u64>, file_len: u64) -> Result<Self, VhdxError> {
        let entries = entries(table)?;
        let mut ids: Vec<Guid> = entries.iter().map(|entry| entry.id).collect();
        ids.sort_unstable();
        if let Some(id) = ids.windows(2).find_map(|pair| match pair {
            [one, other] if one == other => Some(*one),
            _ => None,
        }) {
            return Err(VhdxError::RegionTwice { id });
        }
        let (mut blocks, mut metadata) = (None, None);
        let mut taken = Vec::from([0..SECTION, log]);
        taken.retain(|range| !range.is_empty());
        for entry in entries {
            let range = entry.place(file_len)?;
            match entry.id {
                TABLE_ID => blocks = Some(range.clone()),
                METADATA_ID => metadata = Some(range.clone()),
                id if entry.required => return Err(VhdxError::RegionUnknown { id }),
                _ => {}
            }
            taken.push(range);
        }
        taken.sort_unstable_by_key(|range| range.start);
        for pair in taken.windows(2) {
            if let [one, other] = pair
                && one.end > other.start
            {
                return Err(VhdxError::RegionsOverlap { at: other.start });
            }
        }
        Ok(Self {
            table: blocks.ok_or(VhdxError::RegionMissing {
                what: "block table",
            })?,
            metadata: metadata.ok_or(VhdxError::RegionMissing { what: "metadata" })?,
            taken,
        })
    }

    /// Whether `range` touches the headers, the log or a region.
    pub(super) fn hit(&self, range: &Range<u64>) -> bool {
        let after = self.taken.partition_point(|taken| taken.end <= range.start);
        self.taken
            .get(after)
            .is_some_and(|taken| taken.start < range.end)
    }

    /// A table that says where the block table and the metadata are.
    pub(super) fn encode(table: &Range<u64>, metadata: &Range<u64>) -> Vec<u8> {
        let mut out = vec![0; TABLE_LEN];
        put(&mut out, 0, SIGNATURE);
        put(&mut out, 8, &2u32.to_le_bytes());
        for (index, (id, range)) in [(TABLE_ID, table), (METADATA_ID, metadata)]
            .iter()
            .enumerate()
        {
            let at = 16 + index * ENTRY_LEN;
            let len = u32::try_from(range.end - range.start).unwrap_or(u32::MAX);
            put(&mut out, at, &id.to_gpt());
            put(&mut out, at + 16, &range.start.to_le_bytes());
            put(&mut out, at + 24, &len.to_le_bytes());
            put(&mut out, at + 28, &REQUIRED.to_le_bytes());
        }
        let sum = Crc32c::without_field(&out, CHECKSUM_AT);
        put(&mut out, CHECKSUM_AT, &sum.to_le_bytes());
        out
    }
}

impl Entry {
    fn place(&self, file_len: u64) -> Result<Range<u64>, VhdxError> {
        let end = self.at.checked_add(self.len).filter(|end| *end <= file_len);
        let stepped = self.at.is_multiple_of(SECTION) && self.len.is_multiple_of(SECTION);
        match end {
            Some(end) if stepped && self.at >= SECTION && self.len > 0 => Ok(self.at..end),
            Some(_) | None => Err(VhdxError::RegionPlace {
                id: self.id,
                at: self.at,
                len: self.len,
            }),
        }
    }
}

fn entries(table: &[u8]) -> Result<Vec<Entry>, VhdxError> {
    let count = u32_at(table, 8);
    if count > REGIONS_MAX {
        return Err(VhdxError::RegionCount { count });
    }
    let (_, rest) = table.split_at(16.min(table.len()));
    let (entries, _) = rest.as_chunks::<ENTRY_LEN>();
    let entries = entries.iter().zip(0..count).map(|(entry, _)| Entry {
        id: guid_at(entry, 0),
        at: u64_at(entry, 16),
        len: u64::from(u32_at(entry, 24)),
        required: u32_at(entry, 28) & REQUIRED != 0,
    });
    Ok(entries.collect())
}
