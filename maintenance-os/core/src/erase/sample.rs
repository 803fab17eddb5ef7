// SPDX-License-Identifier: Apache-2.0
//! What is read before and after an erase, and what a block is taken for.

use alloc::vec::Vec;

/// A disk up to this is read whole.
pub const WHOLE_MAX: u64 = 2 << 30;
/// Of a larger one, this much is read at each end: tables, boot areas, and what controllers keep.
pub const END: u64 = 1 << 30;
/// And this many blocks between, spread over its length by chance.
pub const RANDOM_BLOCKS: u64 = 10_000;
/// What is read by chance, and compared at once unless single sectors are.
pub const BLOCK: u64 = 4_096;

/// A range of bytes, its start and end multiples of the sector size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// First byte.
    pub start: u64,
    /// Length in bytes.
    pub length: u64,
}

/// The ranges to read of a disk of `size` bytes, in rising order and without overlaps. The middle is cut into as many strips
/// as blocks are read there, and chance chooses one block in each: no stretch longer than two strips escapes.
#[must_use]
pub fn plan(size: u64, seed: u64) -> Vec<Range> {
    let middle = size.saturating_sub(2 * END) / BLOCK;
    if size <= WHOLE_MAX || middle <= RANDOM_BLOCKS {
        return Vec::from([Range {
            start: 0,
            length: size,
        }]);
    }
    let mut ranges = Vec::from([Range {
        start: 0,
        length: END,
    }]);
    let mut chance = Chance(seed);
    for strip in 0..RANDOM_BLOCKS {
        let (from, to) = (
            between(middle, strip),
            between(middle, strip + 1).max(between(middle, strip) + 1),
        );
        let block = from + chance.next() % (to - from);
        ranges.push(Range {
            start: END + block * BLOCK,
            length: BLOCK,
        });
    }
    ranges.push(Range {
        start: size - END,
        length: END,
    });
    ranges
}

/// Where a strip begins, in blocks of the middle.
fn between(middle: u64, strip: u64) -> u64 {
    let at = u128::from(middle) * u128::from(strip) / u128::from(RANDOM_BLOCKS);
    u64::try_from(at).unwrap_or(middle)
}

/// `SplitMix64`: numbers that follow from a seed, and that no drive foresees.
#[derive(Clone, Debug)]
pub struct Chance(pub u64);

impl Chance {
    /// The next number.
    #[allow(clippy::should_implement_trait)] // It never ends, and nothing iterates over it.
    pub const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

/// What a block holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// Zeros.
    Zeros,
    /// One other byte, repeated.
    Uniform,
    /// Something, with its fingerprint.
    Data(u64),
    /// It could not be read.
    Unreadable,
}

/// One block that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Print {
    /// First byte of the block.
    pub at: u64,
    /// Its length in bytes.
    pub length: u32,
    /// What it holds.
    pub content: Content,
}

impl Content {
    /// What these bytes are. Fingerprints of the same bytes with another seed are others: no drive can answer with a block
    /// that was made to look changed.
    #[must_use]
    pub fn of(bytes: &[u8], seed: u64) -> Self {
        let Some(first) = bytes.first().copied() else {
            return Self::Zeros;
        };
        if bytes.iter().all(|byte| *byte == first) {
            return if first == 0 {
                Self::Zeros
            } else {
                Self::Uniform
            };
        }
        let (mut a, mut b) = (seed ^ 0xa076_1d64_78bd_642f, seed.rotate_left(32));
        for piece in bytes.chunks(16) {
            let mut words = [0u8; 16];
            for (to, from) in words.iter_mut().zip(piece) {
                *to = *from;
            }
            let both = u128::from_le_bytes(words);
            let (low, high) = (halves(both).0, halves(both).1);
            a = fold(a ^ low, high ^ 0xe703_7ed1_a0b4_28db);
            b = fold(b ^ high, low ^ 0x8ebc_6af0_9c88_c6e3).wrapping_add(a);
        }
        Self::Data(fold(a ^ 0x5899_65cc_7537_4cc3, b ^ bytes.len() as u64))
    }

    /// Whether it is one repeated byte.
    #[must_use]
    pub const fn is_blank(self) -> bool {
        matches!(self, Self::Zeros | Self::Uniform)
    }
}

fn halves(both: u128) -> (u64, u64) {
    let low = u64::try_from(both & u128::from(u64::MAX)).unwrap_or_default();
    let high = u64::try_from(both >> 64).unwrap_or_default();
    (low, high)
}

fn fold(a: u64, b: u64) -> u64 {
    let (low, high) = halves(u128::from(a) * u128::from(b));
    low ^ high
}

/// A block of bytes that only we write: what is planted where a disk holds too little to witness its erase.
#[must_use]
pub fn witness(seed: u64, at: u64, length: usize) -> Vec<u8> {
    let mut chance = Chance(seed ^ at.rotate_left(17));
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        bytes.extend_from_slice(&chance.next().to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}
