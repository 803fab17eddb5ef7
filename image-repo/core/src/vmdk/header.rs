// SPDX-License-Identifier: Apache-2.0
//! The header of a sparse extent, and its copy at the end of a stream.

use super::SECTOR;
use super::error::VmdkError;
use super::field::{index, u16_at, u32_at, u64_at};
use super::limits::{DIRECTORY_MAX, GRAIN_MAX, GRAIN_MIN, TABLE_ENTRIES_MAX};
use crate::disk_file::DiskFile;

/// What every sparse extent begins with.
pub const MAGIC: [u8; 4] = *b"KDMV";
/// What a descriptor begins with.
pub const DESCRIPTOR_MARK: &[u8] = b"# Disk DescriptorFile";
/// Bytes of a header.
pub(super) const HEADER_LEN: usize = 512;

const LINE_ENDS_TEST: u32 = 1 << 0;
const REDUNDANT: u32 = 1 << 1;
const ZERO_GRAINS: u32 = 1 << 2;
const COMPRESSED: u32 = 1 << 16;
const MARKERS: u32 = 1 << 17;
/// The directory's place is in the footer.
const AT_END: u64 = u64::MAX;
/// Type of the marker before the footer.
const FOOTER_MARKER: u32 = 3;
/// Footer marker, footer, end marker.
const TAIL_LEN: u64 = 3 * SECTOR;

/// What the header says and is believed. Offsets and sizes are in sectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// 1 to 3.
    pub version: u32,
    /// Sectors of the disk in this file.
    pub capacity: u64,
    /// Sectors of a grain.
    pub grain: u64,
    /// Where the embedded descriptor begins; 0: there is none.
    pub descriptor_at: u64,
    /// How many sectors it has.
    pub descriptor_len: u64,
    /// Entries of a grain table.
    pub table_entries: u32,
    /// Where the grain directory begins.
    pub directory_at: u64,
    /// Whether grains are compressed and have a marker each.
    pub compressed: bool,
    /// Whether an entry of 1 is a grain of zeros.
    pub zero_grains: bool,
    /// Whether the program that wrote it did not close it.
    pub unclean: bool,
}

impl Header {
    /// Bytes of a grain.
    #[must_use]
    pub const fn grain_len(&self) -> u64 {
        self.grain * SECTOR
    }

    /// Bytes of the disk in this file.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.capacity * SECTOR
    }

    /// Bytes of the disk that a grain table is for.
    pub(super) const fn table_covers(&self) -> u64 {
        self.grain_len() * self.table_entries as u64
    }

    /// Entries of the directory.
    pub(super) fn directory_entries(&self) -> u64 {
        self.size().div_ceil(self.table_covers())
    }

    /// Reads the header; where it points to the footer, that one.
    pub(super) fn read(file: &mut dyn DiskFile) -> Result<Self, VmdkError> {
        let len = file.size();
        let first = sector(file, 0)?;
        let (header, directory_at) = Self::decode(&first)?;
        if directory_at != AT_END {
            return Ok(header);
        }
        let at = len.saturating_sub(TAIL_LEN);
        if !len.is_multiple_of(SECTOR) || len < TAIL_LEN + SECTOR {
            return Err(VmdkError::NoFooter { at });
        }
        let (marker, end) = (sector(file, at)?, sector(file, at + 2 * SECTOR)?);
        let is_footer = u32_at(&marker, 8) == 0 && u32_at(&marker, 12) == FOOTER_MARKER;
        if !is_footer || end.iter().any(|byte| *byte != 0) {
            return Err(VmdkError::NoFooter { at });
        }
        let footer = sector(file, at + SECTOR)?;
        if !footer.starts_with(&MAGIC) {
            return Err(VmdkError::NoFooter { at });
        }
        let (footer, directory_at) = Self::decode(&footer)?;
        if directory_at == AT_END {
            return Err(VmdkError::NoFooter { at });
        }
        let differs = |what| Err(VmdkError::FooterDiffers { what });
        match () {
            () if header.capacity != footer.capacity => differs("capacity (byte 12)"),
            () if header.grain != footer.grain => differs("grain size (byte 20)"),
            () if header.table_entries != footer.table_entries => differs("table size (byte 44)"),
            () if header.compressed != footer.compressed => differs("flags (byte 8)"),
            () if header.zero_grains != footer.zero_grains => differs("flags (byte 8)"),
            () => Ok(Self {
                descriptor_at: header.descriptor_at,
                descriptor_len: header.descriptor_len,
                ..footer
            }),
        }
    }

    fn decode(bytes: &[u8; HEADER_LEN]) -> Result<(Self, u64), VmdkError> {
        if !bytes.starts_with(&MAGIC) {
            return Err(match bytes {
                [b'C', b'O', b'W', b'D', ..] => VmdkError::Esx { mark: "COWD" },
                // The magic of SEsparse, least significant byte first.
                [0xbe, 0xba, 0xfe, 0xca, ..] => VmdkError::Esx { mark: "SEsparse" },
                _ => VmdkError::NotVmdk,
            });
        }
        let version = u32_at(bytes, 4);
        if !(1..=3).contains(&version) {
            return Err(VmdkError::Version { version });
        }
        let flags = u32_at(bytes, 8);
        let unknown = flags & !(LINE_ENDS_TEST | REDUNDANT | ZERO_GRAINS | COMPRESSED | MARKERS);
        if unknown != 0 {
            return Err(VmdkError::Flags { flags, unknown });
        }
        let ends = u32_at(bytes, 73).to_le_bytes();
        if flags & LINE_ENDS_TEST != 0 && ends != *b"\n \r\n" {
            return Err(VmdkError::LineEnds { found: ends });
        }
        let found = u16_at(bytes, 77);
        let compressed = flags & COMPRESSED != 0;
        if found != u16::from(compressed) || (flags & MARKERS != 0) != compressed {
            return Err(VmdkError::Compression { found, flags });
        }
        let (capacity, sectors) = (u64_at(bytes, 12), u64_at(bytes, 20));
        if !sectors.is_power_of_two() || !(GRAIN_MIN..=GRAIN_MAX).contains(&sectors) {
            return Err(VmdkError::Grain { sectors });
        }
        let entries = u32_at(bytes, 44);
        if !(1..=TABLE_ENTRIES_MAX).contains(&entries) {
            return Err(VmdkError::TableEntries { entries });
        }
        if capacity.div_ceil(sectors * u64::from(entries)) > DIRECTORY_MAX {
            return Err(VmdkError::TooLarge { sectors: capacity });
        }
        let directory_at = u64_at(bytes, 56);
        let header = Self {
            version,
            capacity,
            grain: sectors,
            descriptor_at: u64_at(bytes, 28),
            descriptor_len: u64_at(bytes, 36),
            table_entries: entries,
            directory_at,
            compressed,
            zero_grains: flags & ZERO_GRAINS != 0,
            unclean: bytes.get(72).is_some_and(|byte| *byte != 0),
        };
        Ok((header, directory_at))
    }
}

fn sector(file: &mut dyn DiskFile, at: u64) -> Result<[u8; HEADER_LEN], VmdkError> {
    let mut bytes = [0; HEADER_LEN];
    let len = file.size();
    let there = index(len.saturating_sub(at)).min(HEADER_LEN);
    if let Some(part) = bytes.get_mut(..there) {
        file.read_at(at, part)?;
    }
    if there < HEADER_LEN && bytes.starts_with(&MAGIC) {
        return Err(VmdkError::ShortHeader { len });
    }
    Ok(bytes)
}
