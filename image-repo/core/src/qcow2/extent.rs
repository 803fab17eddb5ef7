// SPDX-License-Identifier: Apache-2.0
//! Where a stretch of the disk lies.

use super::error::Qcow2Error;
use super::header::Header;
use super::limits::{DATA_A_STRETCH, TABLES_A_STRETCH};
use super::open::Qcow2;
use crate::disk_file::DiskFile;

/// Bits of a second-level entry that are the cluster's place.
const PLACE: u64 = 0x00ff_ffff_ffff_fe00;
const COPIED: u64 = 1 << 63;
const PACKED: u64 = 1 << 62;
const ZERO: u64 = 1;
/// Parts of a cluster that an extended entry has a bit for.
const PARTS: u64 = 32;

/// Where a stretch of the disk lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Nowhere: it reads as zero.
    Zero,
    /// In the file, from this byte on. Bytes beyond the file's end, of which there are fewer than 512, are zero.
    Data {
        /// Offset in the file.
        at: u64,
    },
    /// In a compressed cluster, whose first byte is `guest` of the disk.
    Packed {
        /// Where the cluster begins on the disk.
        guest: u64,
        /// Offset in the file.
        at: u64,
        /// How many bytes may be read there; the stream may end earlier.
        length: u64,
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

/// An entry of a second-level table as it stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Raw {
    pub(super) value: u64,
    pub(super) bitmap: u64,
}

/// What an entry claims of the file.
pub(super) enum Entry {
    Absent,
    Data { at: u64 },
    Packed { at: u64, length: u64 },
}

impl Raw {
    /// What the entry of the cluster at byte `guest` of the disk claims of a file of `len` bytes.
    pub(super) fn check(self, header: &Header, guest: u64, len: u64) -> Result<Entry, Qcow2Error> {
        let Self { value, bitmap } = self;
        if value & PACKED != 0 {
            if bitmap != 0 {
                return Err(Qcow2Error::Subclusters { guest, bitmap });
            }
            return self.packed(header, guest, len);
        }
        let zero = if header.version >= 3 && !header.extended_l2 {
            ZERO
        } else {
            0
        };
        if value & !(PLACE | COPIED | zero) != 0 {
            return Err(Qcow2Error::L2Reserved { guest, value });
        }
        let (allocated, zeros) = (bitmap & 0xffff_ffff, bitmap >> 32);
        let at = value & PLACE;
        if allocated & zeros != 0 || (at == 0 && allocated != 0) {
            return Err(Qcow2Error::Subclusters { guest, bitmap });
        }
        if at == 0 {
            return Ok(Entry::Absent);
        }
        let cluster = header.cluster();
        if !at.is_multiple_of(cluster) {
            let what = "cluster";
            return Err(Qcow2Error::Unaligned { what, at, cluster });
        }
        // The last one may end with the disk or with the last part that was written, and the file within a sector.
        let part = if header.extended_l2 {
            u64::from(64 - allocated.leading_zeros()) * (cluster / PARTS)
        } else {
            cluster
        };
        let used = part.min(header.size - guest);
        let there = len.next_multiple_of(512);
        if at.checked_add(used).is_none_or(|end| end > there) {
            return Err(Qcow2Error::ClusterOutside { guest, at, len });
        }
        Ok(Entry::Data { at })
    }

    fn packed(self, header: &Header, guest: u64, len: u64) -> Result<Entry, Qcow2Error> {
        let value = self.value;
        if value & COPIED != 0 {
            return Err(Qcow2Error::L2Reserved { guest, value });
        }
        let split = 62 - (header.cluster_bits - 8);
        let at = value & ((1 << split) - 1);
        let sectors = (value & (PACKED - 1)) >> split;
        let length = (sectors + 1) * 512 - at % 512;
        let outside = Qcow2Error::PackedOutside {
            guest,
            at,
            length,
            len,
        };
        // Sectors are counted as wholes, and the file may end within the last one.
        let end = at.checked_add(length);
        if at == 0 || at >= len || end.is_none_or(|end| end > len.next_multiple_of(512)) {
            return Err(outside);
        }
        Ok(Entry::Packed {
            at,
            length: length.min(len - at),
        })
    }
}

impl Qcow2 {
    /// Where the bytes from `at` on lie, and how many of them lie there on end; the next stretch may lie in the same place.
    ///
    /// # Errors
    /// `at` is beyond the disk's end, or a table cannot be read.
    pub fn extent(&mut self, file: &mut dyn DiskFile, at: u64) -> Result<Extent, Qcow2Error> {
        let header = *self.header();
        let size = header.size;
        if at >= size {
            return Err(Qcow2Error::BeyondEnd { at, size });
        }
        let mut found = self.piece(file, at)?;
        let mut tables = 1;
        loop {
            let next = at + found.length;
            let enough = found.place != Place::Zero && found.length >= DATA_A_STRETCH;
            if next >= size || tables >= TABLES_A_STRETCH || enough {
                return Ok(found);
            }
            // A table that is there is only read for its own stretch.
            let table = next / header.l2_covers();
            if next.is_multiple_of(header.l2_covers()) {
                tables += 1;
                if found.place != Place::Zero || self.table_at(table)?.is_some() {
                    return Ok(found);
                }
            }
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

    /// The same up to the end of a cluster, or of what has no table.
    fn piece(&mut self, file: &mut dyn DiskFile, at: u64) -> Result<Extent, Qcow2Error> {
        let header = *self.header();
        let (cluster, covers) = (header.cluster(), header.l2_covers());
        let table = at / covers;
        if self.table_at(table)?.is_none() {
            let end = ((table + 1) * covers).min(header.size);
            return Ok(Extent {
                length: end - at,
                place: Place::Zero,
            });
        }
        let raw = self.entry(file, table, at % covers / cluster)?;
        let guest = at - at % cluster;
        let skip = at - guest;
        let rest = cluster.min(header.size - guest) - skip;
        let is_zero = !header.extended_l2 && raw.value & ZERO != 0;
        let whole = |place| Extent {
            length: rest,
            place,
        };
        Ok(match raw.check(&header, guest, self.len())? {
            Entry::Absent => whole(Place::Zero),
            Entry::Packed { at, length } => whole(Place::Packed { guest, at, length }),
            Entry::Data { .. } if is_zero => whole(Place::Zero),
            Entry::Data { at } if header.extended_l2 => part(cluster, raw.bitmap, at, skip, rest),
            Entry::Data { at } => whole(Place::Data { at: at + skip }),
        })
    }
}

/// A run of parts of a cluster that are all there or all not.
fn part(cluster: u64, bitmap: u64, at: u64, skip: u64, rest: u64) -> Extent {
    let each = cluster / PARTS;
    let first = skip / each;
    let there = bitmap >> first & 1 == 1;
    let alike = (first..PARTS)
        .take_while(|bit| (bitmap >> bit & 1 == 1) == there)
        .count() as u64;
    let length = ((first + alike) * each - skip).min(rest);
    let place = if there {
        Place::Data { at: at + skip }
    } else {
        Place::Zero
    };
    Extent { length, place }
}
