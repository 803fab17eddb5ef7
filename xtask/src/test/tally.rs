// SPDX-License-Identifier: Apache-2.0
//! Counts tests from the closing lines of cargo test and cargo nextest.

use std::fmt;

/// How many tests passed, failed and were left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// Passed.
    pub(super) passed: u64,
    /// Failed.
    pub(super) failed: u64,
    /// Not run.
    pub(super) skipped: u64,
    /// Of the passed: only at the second try.
    pub(super) flaky: u64,
}

impl Tally {
    /// A check that passed.
    pub(super) const fn one_passed() -> Self {
        Self {
            passed: 1,
            failed: 0,
            skipped: 0,
            flaky: 0,
        }
    }

    /// A check that failed once and then passed.
    pub(super) const fn one_flaky() -> Self {
        Self {
            flaky: 1,
            ..Self::one_passed()
        }
    }

    /// A check that failed.
    pub(super) const fn one_failed() -> Self {
        Self {
            passed: 0,
            failed: 1,
            skipped: 0,
            flaky: 0,
        }
    }

    /// A check that was not run.
    pub(super) const fn one_skipped() -> Self {
        Self {
            passed: 0,
            failed: 0,
            skipped: 1,
            flaky: 0,
        }
    }

    /// The same with one more failure: the runner failed although no test did.
    pub(super) const fn with_a_failure(mut self) -> Self {
        self.failed += 1;
        self
    }

    /// Adds another count.
    pub(super) const fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
        self.flaky += other.flaky;
    }

    /// How many ran.
    pub(super) const fn total(self) -> u64 {
        self.passed + self.failed
    }
}

impl fmt::Display for Tally {
    /// The closing line: `N passed, N failed`, and what was skipped or needed a second try where something was or did.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)?;
        match self.skipped {
            0 => {}
            skipped => write!(f, ", {skipped} skipped")?,
        }
        match self.flaky {
            0 => Ok(()),
            flaky => write!(f, ", {flaky} only at the second try"),
        }
    }
}

/// What one line of a runner's output adds. Only closing lines add something:
/// `test result: ok. 12 passed; 0 failed; 1 ignored; …` and `Summary [1.2s] 13 tests run: 12 passed, 1 skipped`.
pub(super) fn count(line: &str) -> Tally {
    let line = line.trim_end();
    // nextest shows what a failed test printed with an indent, cargo's own closing line among it: that one is not ours.
    let closing = line.strip_prefix("test result: ").or_else(|| {
        line.trim_start()
            .strip_prefix("Summary [")?
            .split_once("run: ")
            .map(|(_, rest)| rest)
    });
    let Some(closing) = closing else {
        return Tally::default();
    };
    let words: Vec<&str> = closing
        .split([' ', ';', ',', '.', '(', ')'])
        .filter(|word| !word.is_empty())
        .collect();
    let mut tally = Tally::default();
    for pair in words.windows(2) {
        if let [number, word] = pair
            && let Ok(number) = number.parse::<u64>()
        {
            match *word {
                "passed" => tally.passed += number,
                "failed" | "timed" | "exec" => tally.failed += number,
                "ignored" | "skipped" => tally.skipped += number,
                "flaky" => tally.flaky += number,
                _ => {}
            }
        }
    }
    tally
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closing_lines_of_both_runners_are_counted() {
        for (line, text) in [
            (
                "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 3 filtered out; finished in 0.52s\n",
                "12 passed, 0 failed, 1 skipped",
            ),
            (
                "test result: FAILED. 2 passed; 3 failed; 0 ignored;",
                "2 passed, 3 failed",
            ),
            (
                "     Summary [   1.204s] 14 tests run: 11 passed (1 slow), 2 failed, 1 timed out, 5 skipped\n",
                "11 passed, 3 failed, 5 skipped",
            ),
            (
                "     Summary [   9.204s] 14 tests run: 14 passed (2 slow, 1 flaky), 5 skipped\n",
                "14 passed, 0 failed, 5 skipped, 1 only at the second try",
            ),
            ("test wire::offers_10_passed ... ok", "0 passed, 0 failed"),
            ("12 passed, 0 failed", "0 passed, 0 failed"),
            (
                "    test result: FAILED. 0 passed; 1 failed; 0 ignored;",
                "0 passed, 0 failed",
            ),
        ] {
            assert_eq!(count(line).to_string(), text, "{line}");
        }
    }
}
