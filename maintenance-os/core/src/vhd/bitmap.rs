// SPDX-License-Identifier: Apache-2.0
//! The bitmap before each block: which of its sectors are in this file. The first sector is a byte's highest bit.

use super::SECTOR;
use super::error::VhdError;
use crate::random_access::{ReadAt, WriteAt};
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec;

/// The most that is kept of bitmaps; 16 MiB are those of 64 GiB in which no block is full.
const KEPT_MAX: usize = 16 << 20;
/// What one kept bitmap costs beside its bytes.
const ENTRY_COST: usize = 64;

/// The bits of one block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Bits {
    /// All set; it costs no memory to know.
    Full,
    /// These.
    Some(Box<[u8]>),
}

impl Bits {
    fn of(bytes: Box<[u8]>) -> Self {
        if bytes.iter().all(|byte| *byte == 0xff) {
            Self::Full
        } else {
            Self::Some(bytes)
        }
    }

    /// Whether `sector` is set, and how many sectors from it on are the same, at most `most`.
    pub(super) fn run(&self, sector: u32, most: u32) -> (bool, u32) {
        let Self::Some(bytes) = self else {
            return (true, most);
        };
        let set = bit(bytes, sector);
        let whole = if set { 0xff } else { 0 };
        let mut run = 1;
        while run < most {
            let next = sector + run;
            if next.is_multiple_of(8) && bytes.get(next as usize / 8) == Some(&whole) {
                run += 8;
            } else if bit(bytes, next) == set {
                run += 1;
            } else {
                break;
            }
        }
        (set, run.min(most))
    }

    fn cost(&self) -> usize {
        match self {
            Self::Full => ENTRY_COST,
            Self::Some(bytes) => bytes.len() + ENTRY_COST,
        }
    }
}

fn bit(bytes: &[u8], sector: u32) -> bool {
    bytes
        .get(sector as usize / 8)
        .is_some_and(|byte| byte & (0x80 >> (sector % 8)) != 0)
}

/// The bitmaps of one file, as many as fit in memory.
#[derive(Debug)]
pub(super) struct Bitmaps {
    /// Bytes with bits in them.
    bytes: usize,
    /// Bytes in the file: whole sectors.
    length: u64,
    kept: BTreeMap<u32, Bits>,
    cost: usize,
    /// Blocks whose bits are here and not yet in the file, with the bitmap's place.
    unwritten: BTreeMap<u32, u64>,
}

impl Bitmaps {
    pub(super) fn new(block_size: u64) -> Self {
        let sectors = block_size / SECTOR;
        Self {
            bytes: usize::try_from(sectors.div_ceil(8)).unwrap_or(usize::MAX),
            length: length(block_size),
            kept: BTreeMap::new(),
            cost: 0,
            unwritten: BTreeMap::new(),
        }
    }

    /// The bits of `block`, whose bitmap lies at `at`.
    pub(super) fn bits<S: ReadAt>(
        &mut self,
        source: &mut S,
        block: u32,
        at: u64,
    ) -> Result<&Bits, VhdError<S::Error>> {
        if !self.kept.contains_key(&block) {
            let mut bytes = vec![0u8; self.bytes].into_boxed_slice();
            source.read_at(at, &mut bytes).map_err(VhdError::Io)?;
            self.keep(block, Bits::of(bytes));
        }
        Ok(self.kept.entry(block).or_insert(Bits::Full))
    }

    fn keep(&mut self, block: u32, bits: Bits) {
        if self.cost >= KEPT_MAX {
            let unwritten = &self.unwritten;
            self.kept.retain(|block, _| unwritten.contains_key(block));
            self.cost = self.kept.values().map(Bits::cost).sum();
        }
        self.cost += bits.cost();
        self.kept.insert(block, bits);
    }

    /// A new block: its bits are not read but begin as all set or none.
    pub(super) fn begin(&mut self, block: u32, full: bool) {
        let bits = if full {
            Bits::Full
        } else {
            Bits::Some(vec![0; self.bytes].into_boxed_slice())
        };
        self.keep(block, bits);
    }

    /// Sets `count` bits from `sector` on, here; [`Bitmaps::write`] brings them to the file.
    pub(super) fn set(&mut self, block: u32, at: u64, sector: u32, count: u32) {
        let Some(Bits::Some(bytes)) = self.kept.get_mut(&block) else {
            return;
        };
        let mut changed = false;
        for sector in sector..sector + count {
            if let Some(byte) = bytes.get_mut(sector as usize / 8) {
                let mask = 0x80 >> (sector % 8);
                changed |= *byte & mask == 0;
                *byte |= mask;
            }
        }
        if changed {
            self.unwritten.insert(block, at);
        }
    }

    /// How many bytes wait to be written.
    pub(super) fn unwritten(&self) -> usize {
        self.unwritten.len() * (self.bytes + ENTRY_COST)
    }

    /// Writes what was set.
    pub(super) fn write<S: WriteAt>(&mut self, source: &mut S) -> Result<(), VhdError<S::Error>> {
        let blocks: BTreeSet<u32> = self.unwritten.keys().copied().collect();
        for block in blocks {
            let place = self.unwritten.get(&block).copied();
            if let (Some(at), Some(Bits::Some(bytes))) = (place, self.kept.get(&block)) {
                source.write_at(at, bytes).map_err(VhdError::Io)?;
                let full = bytes.iter().all(|byte| *byte == 0xff);
                if full {
                    self.kept.insert(block, Bits::Full);
                }
            }
            self.unwritten.remove(&block);
        }
        self.cost = self.kept.values().map(Bits::cost).sum();
        Ok(())
    }

    pub(super) fn length(&self) -> u64 {
        self.length
    }
}

/// Bytes of a bitmap in the file.
pub(super) const fn length(block_size: u64) -> u64 {
    (block_size / SECTOR).div_ceil(8).next_multiple_of(SECTOR)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn runs_are_those_of_single_bits(bytes in prop::collection::vec(prop_oneof![Just(0u8), Just(0xff), any::<u8>()], 1..40), sector in 0u32..320) {
            let sectors = u32::try_from(bytes.len()).unwrap() * 8;
            prop_assume!(sector < sectors);
            let expected = (sector..sectors).take_while(|s| bit(&bytes, *s) == bit(&bytes, sector)).count();
            let bits = Bits::of(bytes.clone().into_boxed_slice());
            let (set, run) = bits.run(sector, sectors - sector);
            prop_assert_eq!((set, run as usize), (bit(&bytes, sector), expected));
        }
    }

    #[test]
    fn a_bitmap_fills_whole_sectors() {
        for (block_size, expected) in [
            (512, 512),
            (512 << 10, 512),
            (2 << 20, 512),
            (4 << 20, 1_024),
        ] {
            assert_eq!(length(block_size), expected);
        }
        assert!(bit(&[0x80, 0x01], 0) && bit(&[0x80, 0x01], 15) && !bit(&[0x80, 0x01], 1));
    }
}
