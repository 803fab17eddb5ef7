// SPDX-License-Identifier: Apache-2.0
//! Lays out a new VHDX: which bytes go where, and how long the file is.
//!
//! Nothing here writes or is random. The caller makes a file of [`Layout::file_len`] zeros (allocating them where the
//! kind asks for it), writes the [body](Layout::body), makes it durable, writes the [seal](Layout::seal) and makes that
//! durable. Until the seal is there the file is no VHDX; when power goes, nobody takes half of one for a disk.

use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Range;

use groundstate_api::Bytes;

use crate::guid::Guid;

use super::error::VhdxError;
use super::header::{self, HEADERS_AT, Header};
use super::limits::{BLOCK_MAX, BLOCK_MIN, SECTION, TABLE_MAX, WINDOW};
use super::locator::ParentLocator;
use super::metadata::Metadata;
use super::region::{self, Regions};
use super::shape::{Shape, sector_size};
use super::table::Entry;

/// Bytes: what Hyper-V gives its disks, and the largest block that is chosen for a new one of at most 64 TiB.
const BLOCK_USUAL: u64 = 32 << 20;

/// How a new disk lies in its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NewKind {
    /// Every block in the file and to stay there: for a file whose every byte is allocated.
    Fixed,
    /// No block in the file.
    Dynamic,
    /// A dynamic disk with every block in the file from the start, one after the other.
    DynamicFull,
    /// No block in the file; what is not written is the parent's.
    Differencing(ParentLocator),
}

/// The identities of a new disk; the format stores them and derives nothing from them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewIds {
    /// Of the file as it is written now.
    pub file_write: Guid,
    /// Of the content as it is now; children will name their parent by it.
    pub data_write: Guid,
    /// Of the disk, as a virtual machine sees it.
    pub disk: Guid,
}

/// A disk to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewDisk {
    /// What a virtual machine sees: a multiple of the logical sector, up to 64 TiB.
    pub size: Bytes,
    /// Bytes of a block, a power of two from 1 MiB to 256 MiB; [`usual_block`] where there is none.
    pub block_size: Option<Bytes>,
    /// 512 or 4096.
    pub logical_sector: u32,
    /// 512 or 4096.
    pub physical_sector: u32,
    /// How it lies in its file.
    pub kind: NewKind,
    /// Its identities.
    pub ids: NewIds,
    /// Who makes it, for people: at most 256 characters.
    pub creator: String,
}

/// Bytes to write at an offset of the file: at most [`WINDOW`], but for the metadata of at most 1 MiB.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// Offset in the file.
    pub at: u64,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// Where everything of a new disk goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Bytes of the file.
    pub file_len: u64,
    /// Where the blocks are: all of them where the kind has them from the start, otherwise the empty end of the file.
    pub payload: Range<u64>,
    /// Bytes of a block.
    pub block_size: Bytes,
    pub(super) shape: Shape,
    pub(super) table: Range<u64>,
    full: bool,
    metadata: Vec<u8>,
    metadata_range: Range<u64>,
    identifier: Vec<u8>,
    headers: [Header; 2],
}

/// The block size that a new disk of `size` gets: 32 MiB, as Hyper-V gives it. Where all blocks are in the file from the
/// start, the largest one up to that which divides the size, so that nothing is allocated beyond the disk's end;
/// unless the block table grew beyond 16 MiB by it.
#[must_use]
pub fn usual_block(size: Bytes, kind: &NewKind) -> Bytes {
    match kind {
        NewKind::Dynamic | NewKind::Differencing(_) => return Bytes(BLOCK_USUAL),
        NewKind::Fixed | NewKind::DynamicFull => {}
    }
    let least = size.0.div_ceil(TABLE_MAX / 8).next_power_of_two();
    let whole = 1u64 << size.0.trailing_zeros().min(63);
    Bytes(whole.max(least).clamp(BLOCK_MIN, BLOCK_USUAL))
}

impl Layout {
    /// Lays out `disk`.
    ///
    /// # Errors
    /// [`VhdxError`] for a size, block or sector that a VHDX cannot have, a creator or a parent locator too long.
    pub fn new(disk: &NewDisk) -> Result<Self, VhdxError> {
        let block = disk
            .block_size
            .unwrap_or_else(|| usual_block(disk.size, &disk.kind));
        sector_size(disk.physical_sector)?;
        let (parent, full) = match &disk.kind {
            NewKind::Fixed | NewKind::DynamicFull => (None, true),
            NewKind::Dynamic => (None, false),
            NewKind::Differencing(parent) => (Some(parent.clone()), false),
        };
        let shape = Shape::new(disk.size.0, block.0, disk.logical_sector, parent.is_some())?;
        let metadata = Metadata {
            shape,
            leave_allocated: disk.kind == NewKind::Fixed,
            physical_sector: disk.physical_sector,
            disk_id: disk.ids.disk,
            parent,
        };
        // 1 MiB each: headers, log, metadata. Then the table.
        let metadata_range = 2 * SECTION..3 * SECTION;
        let table_len = (shape.entries() * 8).next_multiple_of(SECTION);
        let table = metadata_range.end..metadata_range.end + table_len;
        let blocks = if full {
            shape.blocks() * shape.block
        } else {
            0
        };
        let payload = table.end..table.end + blocks;
        let header = |sequence| Header::new(disk.ids.file_write, disk.ids.data_write, sequence);
        Ok(Self {
            file_len: payload.end,
            payload,
            block_size: block,
            shape,
            table,
            full,
            metadata: metadata.encode()?,
            metadata_range,
            identifier: header::identifier(&disk.creator)?,
            headers: [header(1), header(2)],
        })
    }

    /// What is written first: region tables, metadata and, where blocks are in the file, the block table in windows.
    /// What is not written is zero. One window is in memory at a time.
    pub fn body(&self) -> impl Iterator<Item = Write> + '_ {
        let table = if self.full { self.table_windows() } else { 0 };
        self.frame()
            .chain((0..table).map(|window| self.window(window)))
    }

    /// What makes the file a VHDX: both headers, then the file identifier.
    #[must_use]
    pub fn seal(&self) -> [Write; 3] {
        let [first, second] = HEADERS_AT;
        let [one, other] = self.headers.map(|header| header.encode());
        let identifier = self.identifier.clone();
        [(first, one), (second, other), (0, identifier)].map(|(at, bytes)| Write { at, bytes })
    }

    /// Region tables and metadata.
    pub(super) fn frame(&self) -> impl Iterator<Item = Write> + '_ {
        let regions = Regions::encode(&self.table, &self.metadata_range);
        let metadata = Write {
            at: self.metadata_range.start,
            bytes: self.metadata.clone(),
        };
        let tables = region::TABLES_AT.map(|at| Write {
            at,
            bytes: regions.clone(),
        });
        tables.into_iter().chain([metadata])
    }

    fn table_windows(&self) -> u64 {
        (self.shape.entries() * 8).div_ceil(WINDOW)
    }

    /// A window of the table of a disk all of whose blocks are in the file, in order.
    fn window(&self, window: u64) -> Write {
        let per_window = WINDOW / 8;
        let first = window * per_window;
        let end = (first + per_window).min(self.shape.entries());
        let bytes = (first..end).flat_map(|entry| {
            let entry = match self.shape.block_of(entry) {
                Some(block) => Entry::full(self.payload.start + block * self.shape.block),
                None => Entry(0),
            };
            entry.0.to_le_bytes()
        });
        let at = self.table.start + first * 8;
        Write {
            at,
            bytes: bytes.collect(),
        }
    }

    /// Whether all blocks are in the file from the start.
    pub(super) const fn is_full(&self) -> bool {
        self.full
    }
}

/// The largest write that a layout asks for: its metadata, of which the table is the most.
pub const WRITE_MAX: u64 = SECTION;

const _: () = assert!(WINDOW <= WRITE_MAX && BLOCK_USUAL <= BLOCK_MAX);

#[cfg(test)]
mod tests {
    use super::super::field::offset;
    use super::*;

    #[test]
    fn the_usual_block_wastes_nothing_and_keeps_the_table_short() {
        let usual = |bytes, kind: &NewKind| usual_block(Bytes(bytes), kind).0 >> 20;
        for (bytes, fixed) in [
            (512, 1),
            (1 << 20, 1),
            (100 << 20, 4),
            (64 << 30, 32),
            ((64 << 30) + 512, 1),
            ((10 << 40) + (1 << 20), 8),
            (64 << 40, 32),
        ] {
            assert_eq!(usual(bytes, &NewKind::Fixed), fixed, "{bytes}");
            assert_eq!(usual(bytes, &NewKind::DynamicFull), fixed, "{bytes}");
            assert_eq!(usual(bytes, &NewKind::Dynamic), 32, "{bytes}");
        }
    }

    #[test]
    fn the_largest_disk_is_laid_out_in_small_pieces() {
        let id = Guid([1; 16]);
        let disk = NewDisk {
            size: Bytes(64 << 40),
            block_size: None,
            logical_sector: 512,
            physical_sector: 4096,
            kind: NewKind::Fixed,
            ids: NewIds {
                file_write: id,
                data_write: id,
                disk: id,
            },
            creator: "Groundstate".into(),
        };
        let layout = Layout::new(&disk).unwrap();
        assert_eq!(layout.payload.end - layout.payload.start, 64 << 40);
        assert_eq!(layout.table.end - layout.table.start, 17 << 20);
        let mut end = 0;
        for write in layout.body() {
            assert!(offset(write.bytes.len()) <= WRITE_MAX);
            end = write.at + offset(write.bytes.len());
        }
        assert!(end <= layout.table.end && end > layout.table.end - SECTION);
    }
}
