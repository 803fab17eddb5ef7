// SPDX-License-Identifier: Apache-2.0
//! The patterns: what stands in each word, as a function of where the word is.
//!
//! Every word's value follows from its index, so nothing is stored beside the memory under test. Loops are over plain
//! `u64` without a branch, so that the compiler makes vectors of them; a block that differs is read a second time, word by
//! word, and only then is anything said.

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

/// What stands in the word with this index.
#[inline(always)]
fn value(pattern: Pattern, index: u64, seed: u64) -> u64 {
    match pattern {
        Pattern::OwnAddress => index << 3,
        Pattern::Checkerboard => ALTERNATING,
        Pattern::CheckerboardInverse => !ALTERNATING,
        Pattern::WalkingOnes => 1u64.rotate_left(low(index.wrapping_add(seed))),
        Pattern::WalkingZeros => !1u64.rotate_left(low(index.wrapping_add(seed))),
        Pattern::Random | Pattern::MovingInversions => mix(index, seed),
    }
}

#[inline(always)]
fn low(index: u64) -> u32 {
    // Under 64, so nothing is cut off.
    u32::from((index & 63) as u8)
}

/// Spreads index and seed over all bits; good enough to make neighbours differ in half their bits.
#[inline(always)]
fn mix(index: u64, seed: u64) -> u64 {
    let mut word = (index ^ seed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    word ^= word >> 32;
    word = word.wrapping_mul(0xd6e8_feb8_6659_fd93);
    word ^ (word >> 29)
}

/// Calls `body` with the pattern as a constant, so that each gets loops of its own.
macro_rules! each {
    ($pattern:expr, $body:expr) => {
        match $pattern {
            Pattern::OwnAddress => $body(Pattern::OwnAddress),
            Pattern::Checkerboard => $body(Pattern::Checkerboard),
            Pattern::CheckerboardInverse => $body(Pattern::CheckerboardInverse),
            Pattern::WalkingOnes => $body(Pattern::WalkingOnes),
            Pattern::WalkingZeros => $body(Pattern::WalkingZeros),
            Pattern::Random => $body(Pattern::Random),
            Pattern::MovingInversions => $body(Pattern::MovingInversions),
        }
    };
}

/// Which words a loop is about: the pattern, the index of the first, the seed, and a mask over every value.
#[derive(Clone, Copy)]
pub(super) struct Fill {
    pub(super) pattern: Pattern,
    pub(super) first: u64,
    pub(super) seed: u64,
    /// All ones for the inverse.
    pub(super) invert: u64,
}

impl Fill {
    /// What should stand in the word at `index` of the block.
    pub(super) fn expected(self, index: u64) -> u64 {
        value(self.pattern, self.first + index, self.seed) ^ self.invert
    }

    pub(super) fn write(self, words: &mut [u64]) {
        // The optimiser may not carry what is written here over to the check.
        let words = black_box(words);
        each!(self.pattern, |pattern| {
            for (index, word) in (self.first..).zip(words.iter_mut()) {
                *word = value(pattern, index, self.seed) ^ self.invert;
            }
        });
    }

    /// Whether every word is as it should be.
    pub(super) fn holds(self, words: &[u64]) -> bool {
        let words = black_box(words);
        let mut differ = 0u64;
        each!(self.pattern, |pattern| {
            for (index, word) in (self.first..).zip(words) {
                differ |= *word ^ value(pattern, index, self.seed) ^ self.invert;
            }
        });
        differ == 0
    }

    /// The words that differ: index in the block, what should stand there, and what does.
    pub(super) fn wrong(self, words: &[u64]) -> impl Iterator<Item = (u64, u64, u64)> {
        let words = black_box(words);
        (0u64..)
            .zip(words)
            .map(move |(index, word)| (index, self.expected(index), *word))
            .filter(|(_, expected, got)| expected != got)
    }
}
