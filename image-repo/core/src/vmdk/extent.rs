// SPDX-License-Identifier: Apache-2.0
//! Where a stretch of the disk lies.

use super::SECTOR;
use super::error::VmdkError;
use super::limits::{DATA_A_STRETCH, TABLES_A_STRETCH};
use super::open::Sparse;
use crate::disk_file::DiskFile;

/// Where a stretch of the disk lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Nowhere: it reads as zero.
    Zero,
    /// In the file, from this byte on.
    Data {
        /// Offset in the file.
        at: u64,
    },
    /// In a compressed grain, whose first byte is `guest` of the disk.
    Packed {
        /// Where the grain begins on the disk.
        guest: u64,
        /// Where its marker begins in the file; 12 bytes later, a zlib stream of [`Sparse::packed_len`] bytes.
        at: u64,
    },
}

/// A stretch of the disk that lies in one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Length in bytes, at least 1.
    pub length: u64,
    /// Where.
    pub place: Place,
}

impl Sparse {
    /// Where the bytes from `at` on lie, and how many of them lie there on end; the next stretch may lie in the same place.
    ///
    /// # Errors
    /// `at` is beyond the extent's end, or a table cannot be read.
    pub fn extent(&mut self, file: &mut dyn DiskFile, at: u64) -> Result<Extent, VmdkError> {
        let size = self.header().size();
        if at >= size {
            return Err(VmdkError::BeyondEnd { at, size });
        }
        let mut found = self.piece(file, at)?;
        let mut pieces = 1;
        loop {
            let next = at + found.length;
            let enough = found.place != Place::Zero && found.length >= DATA_A_STRETCH;
            if next >= size || pieces >= TABLES_A_STRETCH || enough {
                return Ok(found);
            }
            pieces += 1;
            let more = self.piece(file, next)?;
            let goes_on = match (found.place, more.place) {
                (Place::Zero, Place::Zero) => true,
                (Place::Data { at }, Place::Data { at: next }) => at + found.length == next,
                (Place::Zero | Place::Data { .. } | Place::Packed { .. }, _) => false,
            };
            if !goes_on {
                return Ok(found);
            }
            found.length += more.length;
        }
    }

    /// The same up to the end of a grain, or of what has no table.
    fn piece(&mut self, file: &mut dyn DiskFile, at: u64) -> Result<Extent, VmdkError> {
        let header = *self.header();
        let (grain, covers) = (header.grain_len(), header.table_covers());
        let entry = at / covers;
        if !self.has_table(entry) {
            let end = ((entry + 1) * covers).min(header.size());
            return Ok(Extent {
                length: end - at,
                place: Place::Zero,
            });
        }
        let guest = at - at % grain;
        let length = grain.min(header.size() - guest) - (at - guest);
        let place = match self.grain(file, entry, at % covers / grain)? {
            None => Place::Zero,
            Some(sector) if header.compressed => Place::Packed {
                guest,
                at: u64::from(sector) * SECTOR,
            },
            Some(sector) => Place::Data {
                at: u64::from(sector) * SECTOR + (at - guest),
            },
        };
        Ok(Extent { length, place })
    }
}
