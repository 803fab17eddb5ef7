// SPDX-License-Identifier: Apache-2.0
//! The patterns: what stands in each word, as a function of where the word is.
//!
//! The memory is seen as rows of 4 KiB. A word's value is that of its column, from a table that stays in the processor's
//! first cache, XOR the row's key; so nothing else than the memory under test moves. Loops are over plain `u64` without a
//! branch, so that the compiler makes vectors of them; a block that differs is read a second time, word by word, and only
//! then is anything said.

use std::hint::black_box;

/// A pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pattern {
    /// Each word holds its own offset: wrong address lines show.
    OwnAddress,
    /// Alternating bits: shorts between neighbours.
    Checkerboard,
    /// The other half of them.
    CheckerboardInverse,
    /// One bit set, the next bit in the next word: each bit alone, all 64 within a cache line's eight neighbours.
    WalkingOnes,
    /// One bit clear.
    WalkingZeros,
    /// Pseudo-random words from the run's seed.
    Random,
    /// Write, check and invert upwards, check and invert downwards: cells that disturb a neighbour when they change.
    MovingInversions,
}

/// In the order of a pass.
pub(super) const PATTERNS: [Pattern; 7] = [
    Pattern::OwnAddress,
    Pattern::Checkerboard,
    Pattern::CheckerboardInverse,
    Pattern::WalkingOnes,
    Pattern::WalkingZeros,
    Pattern::Random,
    Pattern::MovingInversions,
];

/// Words of a row.
pub(super) const ROW: usize = 512;
const ALTERNATING: u64 = 0xaaaa_aaaa_aaaa_aaaa;

impl Pattern {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::OwnAddress => "own address",
            Self::Checkerboard => "checkerboard",
            Self::CheckerboardInverse => "inverse checkerboard",
            Self::WalkingOnes => "walking ones",
            Self::WalkingZeros => "walking zeros",
            Self::Random => "random",
            Self::MovingInversions => "moving inversions",
        }
    }
}

/// Spreads a number over all bits; good enough to make neighbours differ in half their bits.
fn mix(number: u64) -> u64 {
    let mut word = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    word ^= word >> 32;
    word = word.wrapping_mul(0xd6e8_feb8_6659_fd93);
    word ^ (word >> 29)
}

/// The values of a pattern.
pub(super) struct Table {
    pub(super) pattern: Pattern,
    seed: u64,
    columns: [u64; ROW],
}

impl Table {
    pub(super) fn new(pattern: Pattern, seed: u64) -> Self {
        let mut columns = [0u64; ROW];
        for (number, column) in (0u32..).zip(columns.iter_mut()) {
            let index = u64::from(number);
            // The seed is another in each pass, so that each cell gets each bit of the walk in 64 passes.
            let bit = 1u64
                .rotate_left(number)
                .rotate_left(u32::from(seed.to_le_bytes()[0]));
            *column = match pattern {
                Pattern::OwnAddress => index << 3,
                Pattern::Checkerboard => ALTERNATING,
                Pattern::CheckerboardInverse => !ALTERNATING,
                Pattern::WalkingOnes => bit,
                Pattern::WalkingZeros => !bit,
                Pattern::Random | Pattern::MovingInversions => mix(index ^ seed),
            };
        }
        Self {
            pattern,
            seed,
            columns,
        }
    }

    /// What every word of a row is XORed with.
    fn key(&self, row: u64) -> u64 {
        match self.pattern {
            // The column holds the low twelve bits of the offset.
            Pattern::OwnAddress => row << 12,
            Pattern::Checkerboard
            | Pattern::CheckerboardInverse
            | Pattern::WalkingOnes
            | Pattern::WalkingZeros => 0,
            Pattern::Random | Pattern::MovingInversions => mix(!row ^ self.seed),
        }
    }
}

/// What stands in a block: the pattern's values from a row on, or their inverse.
#[derive(Clone, Copy)]
pub(super) struct Fill<'a> {
    pub(super) table: &'a Table,
    /// The block's first row.
    pub(super) row: u64,
    /// All ones for the inverse.
    pub(super) invert: u64,
}

impl Fill<'_> {
    /// The rows of a block with their keys.
    fn key(self, number: u64) -> u64 {
        self.table.key(self.row + number) ^ self.invert
    }

    pub(super) fn write(self, words: &mut [u64]) {
        // The optimiser may not carry what is written here over to the check.
        let words = black_box(words);
        for (number, row) in (0u64..).zip(words.chunks_mut(ROW)) {
            let key = self.key(number);
            for (word, column) in row.iter_mut().zip(&self.table.columns) {
                *word = column ^ key;
            }
        }
    }

    /// Whether every word is as it should be.
    pub(super) fn holds(self, words: &[u64]) -> bool {
        let words = black_box(words);
        let mut differ = 0u64;
        for (number, row) in (0u64..).zip(words.chunks(ROW)) {
            let key = self.key(number);
            for (word, column) in row.iter().zip(&self.table.columns) {
                differ |= word ^ column ^ key;
            }
        }
        differ == 0
    }

    /// The words that differ: index in the block, what should stand there, and what does.
    pub(super) fn wrong(self, words: &[u64]) -> impl Iterator<Item = (usize, u64, u64)> {
        let rows = (0u64..).zip(black_box(words).chunks(ROW));
        let all = rows.flat_map(move |(number, row)| {
            let key = self.key(number);
            let pairs = row.iter().zip(&self.table.columns);
            pairs.map(move |(word, column)| (column ^ key, *word))
        });
        all.enumerate()
            .filter(|(_, (expected, got))| expected != got)
            .map(|(index, (expected, got))| (index, expected, got))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_of_a_pattern_is_what_its_name_says() {
        let words = |pattern| {
            let table = Table::new(pattern, 0);
            let fill = Fill {
                table: &table,
                row: 3,
                invert: 0,
            };
            let mut words = vec![0; 2 * ROW + 8];
            fill.write(&mut words);
            assert!(fill.holds(&words));
            assert_eq!(fill.wrong(&words).next(), None);
            let inverse = Fill {
                invert: u64::MAX,
                ..fill
            };
            assert_eq!(inverse.wrong(&words).count(), words.len());
            words
        };
        let own = words(Pattern::OwnAddress);
        assert!(
            (0u64..)
                .zip(&own)
                .all(|(i, word)| *word == (3 * 512 + i) * 8)
        );
        for (pattern, ones) in [(Pattern::WalkingOnes, 1), (Pattern::WalkingZeros, 63)] {
            let walk = words(pattern);
            assert!(walk.iter().all(|word| word.count_ones() == ones));
            let mut bits: Vec<u64> = walk[..64].to_vec();
            bits.sort_unstable();
            bits.dedup();
            assert_eq!(bits.len(), 64);
        }
        for pattern in [Pattern::Random, Pattern::MovingInversions] {
            let mut random = words(pattern);
            let ones: u32 = random.iter().map(|word| word.count_ones()).sum();
            let half = u32::try_from(random.len()).unwrap() * 32;
            assert!(ones.abs_diff(half) < half / 20);
            random.sort_unstable();
            random.dedup();
            assert_eq!(random.len(), 2 * ROW + 8);
        }
    }
}
