// SPDX-License-Identifier: Apache-2.0
//! How many blocks, chunks and table entries a disk has, and where each entry stands ([MS-VHDX] 2.5).

use groundstate_api::Bytes;

use super::error::VhdxError;
use super::limits::{BLOCK_MAX, BLOCK_MIN, SIZE_MAX};

/// Sectors that one sector bitmap block of 1 MiB describes.
const SECTORS_PER_CHUNK: u64 = 1 << 23;

/// The numbers that fix the block table. Made only by [`Shape::new`], so each is within its limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    /// Virtual bytes.
    pub(super) size: u64,
    /// Bytes of a payload block.
    pub(super) block: u64,
    /// Bytes of a logical sector.
    pub(super) sector: u64,
    /// Whether there is a parent, and so a sector bitmap for each chunk.
    pub(super) parent: bool,
}

impl Shape {
    pub(super) fn new(size: u64, block: u64, sector: u32, parent: bool) -> Result<Self, VhdxError> {
        if !block.is_power_of_two() || !(BLOCK_MIN..=BLOCK_MAX).contains(&block) {
            return Err(VhdxError::BlockSize { bytes: block });
        }
        sector_size(sector)?;
        let sector = u64::from(sector);
        if size == 0 || size > SIZE_MAX || !size.is_multiple_of(sector) {
            let size = Bytes(size);
            return Err(VhdxError::DiskSize { size, sector });
        }
        Ok(Self {
            size,
            block,
            sector,
            parent,
        })
    }

    /// Payload blocks.
    pub(super) const fn blocks(&self) -> u64 {
        self.size.div_ceil(self.block)
    }

    /// Payload blocks for each sector bitmap block.
    pub(super) const fn ratio(&self) -> u64 {
        SECTORS_PER_CHUNK * self.sector / self.block
    }

    /// Sector bitmap blocks, whether or not the table has entries for the last of them.
    pub(super) const fn chunks(&self) -> u64 {
        self.blocks().div_ceil(self.ratio())
    }

    /// Entries of the table.
    pub(super) const fn entries(&self) -> u64 {
        if self.parent {
            self.chunks() * (self.ratio() + 1)
        } else {
            self.blocks() + (self.blocks() - 1) / self.ratio()
        }
    }

    /// The entry of payload block `block`.
    pub(super) const fn block_entry(&self, block: u64) -> u64 {
        block + block / self.ratio()
    }

    /// The payload block whose entry `entry` is, unless it is that of a sector bitmap.
    pub(super) const fn block_of(&self, entry: u64) -> Option<u64> {
        let (chunk, number) = (entry / (self.ratio() + 1), entry % (self.ratio() + 1));
        if number < self.ratio() {
            Some(chunk * self.ratio() + number)
        } else {
            None
        }
    }

    /// The entry of the sector bitmap of `chunk`.
    pub(super) const fn chunk_entry(&self, chunk: u64) -> u64 {
        chunk * (self.ratio() + 1) + self.ratio()
    }

    /// Virtual bytes in payload block `block`: all of it but for the last.
    pub(super) fn used(&self, block: u64) -> u64 {
        self.size.saturating_sub(block * self.block).min(self.block)
    }
}

/// Refuses a sector size that the format does not know.
pub(super) const fn sector_size(bytes: u32) -> Result<(), VhdxError> {
    match bytes {
        512 | 4096 => Ok(()),
        bytes => Err(VhdxError::SectorSize { bytes }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn bitmaps_stand_between_payload_blocks() {
        let shape = Shape::new(10 << 30, 1 << 20, 512, false).unwrap();
        assert_eq!((shape.ratio(), shape.blocks()), (4096, 10_240));
        assert_eq!((shape.chunks(), shape.entries()), (3, 10_242));
        assert_eq!(shape.block_entry(4095), 4095);
        assert_eq!(
            (shape.chunk_entry(0), shape.block_entry(4096)),
            (4096, 4097)
        );
        let shape = Shape {
            parent: true,
            ..shape
        };
        assert_eq!(shape.entries(), 3 * 4097);
        let shape = Shape::new(SIZE_MAX, 32 << 20, 512, false).unwrap();
        assert_eq!(shape.entries() * 8, 16_908_280);
    }

    proptest! {
        #[test]
        fn every_entry_is_one_block_or_one_bitmap(
            sectors in 1u64..5_000_000, shift in 0u32..9, large: bool, parent: bool,
        ) {
            let sector = if large { 4096 } else { 512 };
            let size = sectors * u64::from(sector);
            let shape = Shape::new(size, 1 << (20 + shift), sector, parent).unwrap();
            let last = shape.blocks() - 1;
            prop_assert!(shape.block_entry(last) < shape.entries());
            prop_assert_eq!((0..=last).map(|b| shape.used(b)).sum::<u64>(), size);
            if parent {
                prop_assert_eq!(shape.chunk_entry(shape.chunks() - 1) + 1, shape.entries());
            }
            for block in [0, last / 2, last] {
                prop_assert_eq!(shape.block_of(shape.block_entry(block)), Some(block));
            }
            for chunk in 0..shape.chunks() - 1 {
                prop_assert_eq!(shape.block_of(shape.chunk_entry(chunk)), None);
                let entry = shape.chunk_entry(chunk);
                prop_assert_eq!(shape.block_entry((chunk + 1) * shape.ratio()), entry + 1);
                prop_assert_eq!(shape.block_entry((chunk + 1) * shape.ratio() - 1), entry - 1);
            }
        }
    }
}
