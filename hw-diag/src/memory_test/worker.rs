// SPDX-License-Identifier: Apache-2.0
//! One thread's part of a memory test: every pattern over its own words, until the passes are done, the time is up or
//! the test is called off.

use super::patterns::{Fill, PATTERNS, Pattern, ROW, Table};
use super::{MISMATCHES_MAX, Mismatch, Shared};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// Words between two looks at clock and flag: a MiB, a whole number of rows.
const BLOCK: usize = 256 * ROW;

/// A part of the region.
pub(super) struct Chunk<'a> {
    /// Its first row in the region.
    pub(super) row: u64,
    pub(super) words: &'a mut [u64],
}

/// What to do.
pub(super) struct Order {
    /// How many passes; `None` until the time is up.
    pub(super) passes: Option<u32>,
    pub(super) until: Option<Instant>,
    pub(super) seed: u64,
}

/// What was done and found.
#[derive(Default)]
pub(super) struct Outcome {
    pub(super) passes: u32,
    pub(super) patterns: u32,
    pub(super) moved: u64,
    pub(super) wrong: u64,
    /// Blocks that differed when they were read and no longer when their words were looked at.
    pub(super) passing: u64,
    pub(super) mismatches: Vec<Mismatch>,
}

impl Outcome {
    /// A pass is done when every thread has done it.
    pub(super) fn of_all(outcomes: Vec<Self>) -> Self {
        let mut all = Self {
            passes: outcomes.iter().map(|o| o.passes).min().unwrap_or(0),
            patterns: outcomes.iter().map(|o| o.patterns).min().unwrap_or(0),
            ..Self::default()
        };
        for outcome in outcomes {
            all.moved = all.moved.saturating_add(outcome.moved);
            all.wrong = all.wrong.saturating_add(outcome.wrong);
            all.passing = all.passing.saturating_add(outcome.passing);
            all.mismatches.extend(outcome.mismatches);
        }
        all.mismatches.sort_by_key(|mismatch| mismatch.offset);
        all.mismatches.truncate(MISMATCHES_MAX);
        all
    }
}

/// Where a test's own test disturbs the memory: between a write and the check of it.
type Disturb<'a> = &'a (dyn Fn(Pattern, &mut [u64]) + Sync);

struct Work<'a> {
    chunk: Chunk<'a>,
    order: &'a Order,
    shared: &'a Shared,
    cancel: &'a AtomicBool,
    disturb: Disturb<'a>,
    outcome: Outcome,
    pass: u32,
}

/// The test was called off or its time is up.
struct Stopped;

pub(super) fn run(
    chunk: Chunk<'_>,
    order: &Order,
    shared: &Shared,
    cancel: &AtomicBool,
    disturb: Disturb<'_>,
) -> Outcome {
    let mut work = Work {
        chunk,
        order,
        shared,
        cancel,
        disturb,
        outcome: Outcome::default(),
        pass: 0,
    };
    // A stop shows in the passes and patterns that are missing.
    let _ = work.passes();
    work.outcome
}

impl Work<'_> {
    fn passes(&mut self) -> Result<(), Stopped> {
        while self.order.passes.is_none_or(|passes| self.pass < passes) {
            self.pass += 1;
            for (number, pattern) in (0u32..).zip(PATTERNS) {
                self.shared.pass.fetch_max(self.pass, Ordering::Relaxed);
                self.shared.pattern.store(number, Ordering::Relaxed);
                self.pattern(pattern)?;
                self.outcome.patterns = self.outcome.patterns.saturating_add(1);
            }
            self.outcome.passes = self.pass;
        }
        Ok(())
    }

    fn pattern(&mut self, pattern: Pattern) -> Result<(), Stopped> {
        let seed = self.order.seed.wrapping_add(u64::from(self.pass));
        let table = Table::new(pattern, seed);
        let plain = Fill {
            table: &table,
            row: self.chunk.row,
            invert: 0,
        };
        let inverse = Fill {
            invert: u64::MAX,
            ..plain
        };
        self.each_block(false, |work, block, at| work.write(plain.at(at), block))?;
        (self.disturb)(pattern, self.chunk.words);
        if pattern == Pattern::MovingInversions {
            self.each_block(false, |work, block, at| {
                work.check(plain.at(at), block);
                work.write(inverse.at(at), block);
            })?;
            (self.disturb)(pattern, self.chunk.words);
            self.each_block(true, |work, block, at| {
                work.check(inverse.at(at), block);
                work.write(plain.at(at), block);
            })?;
            (self.disturb)(pattern, self.chunk.words);
        }
        self.each_block(true, |work, block, at| work.check(plain.at(at), block))
    }

    /// Goes over the words block by block, upwards or downwards: what was written last is checked last or first.
    fn each_block(
        &mut self,
        downwards: bool,
        mut step: impl FnMut(&mut Self, &mut [u64], u64),
    ) -> Result<(), Stopped> {
        let words = std::mem::take(&mut self.chunk.words);
        let count = words.len().div_ceil(BLOCK);
        let mut result = Ok(());
        for number in 0..count {
            let number = if downwards {
                count - 1 - number
            } else {
                number
            };
            let start = number * BLOCK;
            let end = (start + BLOCK).min(words.len());
            if self.stop() {
                result = Err(Stopped);
                break;
            }
            let row = u64::try_from(start / ROW).unwrap_or(u64::MAX);
            step(self, &mut words[start..end], row);
        }
        self.chunk.words = words;
        result
    }

    fn stop(&self) -> bool {
        self.cancel.load(Ordering::Relaxed)
            || self
                .order
                .until
                .is_some_and(|until| Instant::now() >= until)
    }

    fn write(&mut self, fill: Fill<'_>, block: &mut [u64]) {
        fill.write(block);
        self.moved(block);
    }

    fn check(&mut self, fill: Fill<'_>, block: &[u64]) {
        self.moved(block);
        if fill.holds(block) {
            return;
        }
        let mut wrong = 0u64;
        for (index, expected, got) in fill.wrong(block) {
            wrong += 1;
            if self.outcome.mismatches.len() < MISMATCHES_MAX {
                let again = block.get(index);
                let inside = u64::try_from(index).unwrap_or(u64::MAX);
                self.outcome.mismatches.push(Mismatch {
                    offset: (fill.row << 12) + (inside << 3),
                    physical: None,
                    expected,
                    got,
                    again: std::hint::black_box(again.copied().unwrap_or(got)),
                    pattern: fill.table.pattern.name(),
                    pass: self.pass,
                });
            }
        }
        // A block that differed and is right when read again still was wrong once.
        self.outcome.passing += u64::from(wrong == 0);
        self.outcome.wrong = self.outcome.wrong.saturating_add(wrong.max(1));
        self.shared.wrong.fetch_add(wrong.max(1), Ordering::Relaxed);
    }

    fn moved(&mut self, block: &[u64]) {
        let bytes = u64::try_from(size_of_val(block)).unwrap_or(u64::MAX);
        self.outcome.moved = self.outcome.moved.saturating_add(bytes);
        self.shared.moved.fetch_add(bytes, Ordering::Relaxed);
    }
}

impl Fill<'_> {
    /// The same for a block that begins so many rows later.
    fn at(self, rows: u64) -> Self {
        Self {
            row: self.row + rows,
            ..self
        }
    }
}
