// SPDX-License-Identifier: Apache-2.0
//! Which addresses of the pools nobody has: one bit each, and a bit for each 64 of them, three times over, so that the
//! next free one is found in a handful of steps however full the pools are.

use alloc::vec::Vec;
use core::ops::Range;

/// Bits of a word.
const WORD: u32 = 64;
/// Levels: 64^4 is sixteen times the largest pool.
const LEVELS: usize = 4;

/// A set of numbers.
#[derive(Clone, Debug)]
pub(super) struct Free {
    /// Level 0 has a bit for each number; each further level a bit for each word of the one below that is not empty.
    levels: [Vec<u64>; LEVELS],
}

impl Free {
    /// The set of no number below `size`.
    pub(super) fn new(size: u32) -> Self {
        let mut bits = size;
        let levels = core::array::from_fn(|_| {
            bits = bits.div_ceil(WORD).max(1);
            alloc::vec![0; usize::try_from(bits).unwrap_or(0)]
        });
        Self { levels }
    }

    pub(super) fn insert(&mut self, number: u32) {
        let mut at = number;
        for level in &mut self.levels {
            let Some(word) = level.get_mut(place(at)) else {
                return;
            };
            *word |= 1 << (at % WORD);
            at /= WORD;
        }
    }

    pub(super) fn remove(&mut self, number: u32) {
        let mut at = number;
        for level in &mut self.levels {
            let Some(word) = level.get_mut(place(at)) else {
                return;
            };
            *word &= !(1 << (at % WORD));
            if *word != 0 {
                return;
            }
            at /= WORD;
        }
    }

    pub(super) fn contains(&self, number: u32) -> bool {
        let [bits, ..] = &self.levels;
        bits.get(place(number))
            .is_some_and(|word| word >> (number % WORD) & 1 == 1)
    }

    /// The first number of `range` from `start` on, which lies in it, and around to the one before it.
    pub(super) fn next_around(&self, range: Range<u32>, start: u32) -> Option<u32> {
        self.next(start)
            .filter(|found| range.contains(found))
            .or_else(|| {
                self.next(range.start)
                    .filter(|found| (range.start..start).contains(found))
            })
    }

    /// The smallest number that is not below `from`.
    fn next(&self, from: u32) -> Option<u32> {
        let mut at = from;
        for (height, level) in self.levels.iter().enumerate() {
            let word = level.get(place(at))? & (u64::MAX << (at % WORD));
            if word != 0 {
                let found = at / WORD * WORD + word.trailing_zeros();
                return self.descend(found, height);
            }
            // What is left lies in a later word.
            at = at / WORD + 1;
        }
        None
    }

    fn descend(&self, mut at: u32, height: usize) -> Option<u32> {
        for level in self.levels.iter().take(height).rev() {
            // A bit of one level stands for a word of the level below.
            let word = level.get(usize::try_from(at).ok()?)?;
            at = at * WORD + word.trailing_zeros();
        }
        Some(at)
    }
}

fn place(number: u32) -> usize {
    usize::try_from(number / WORD).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn an_empty_set_and_its_ends() {
        for size in [1, 63, 64, 65, 4_096, 4_097, 1 << 20] {
            let mut free = Free::new(size);
            assert_eq!(free.next_around(0..size, size / 2), None);
            for number in [0, size - 1] {
                free.insert(number);
                assert!(free.contains(number));
                assert_eq!(free.next_around(0..size, size / 2), Some(number));
                free.remove(number);
            }
            assert_eq!(free.next(0), None);
        }
    }

    proptest::proptest! {
        #[test]
        fn it_is_the_set_that_it_says(
            size in 1u32..300_000,
            steps in proptest::collection::vec((0u32.., 0u8..3, 0u32.., 0u32..), 1..200),
        ) {
            let mut model = BTreeSet::new();
            let mut free = Free::new(size);
            for (number, what, from, to) in steps {
                let number = number % size;
                if what == 0 {
                    free.remove(number);
                    model.remove(&number);
                } else {
                    free.insert(number);
                    model.insert(number);
                }
                let (from, to) = (from % size, to % size);
                let range = from.min(to)..from.max(to) + 1;
                let start = range.start + number % (range.end - range.start);
                let expected = model.range(start..range.end).next();
                let expected = expected.or(model.range(range.start..start).next()).copied();
                proptest::prop_assert_eq!(free.next_around(range, start), expected);
                proptest::prop_assert_eq!(free.contains(from), model.contains(&from));
            }
        }
    }
}
