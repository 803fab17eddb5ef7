// SPDX-License-Identifier: Apache-2.0
//! From how many counted memory errors on a DIMM is judged, as data, each line with its reason.

use groundstate_api::health::{Advice, MemoryErrors, Sureness, Verdict};
use groundstate_api::units::Millis;

/// Which counter a rule looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// Errors that could not be corrected, since boot.
    Uncorrected,
    /// Corrected errors in 24 hours.
    CorrectedPerDay,
}

/// One rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The finding's code.
    pub code: &'static str,
    /// What is counted.
    pub count: Count,
    /// From how many on it holds.
    pub at_least: u64,
    /// How grave it is.
    pub verdict: Verdict,
    /// How sure it is that the module is bad.
    pub sureness: Sureness,
    /// What to do.
    pub advice: Advice,
    /// Why from there on.
    pub because: &'static str,
}

/// The rules, gravest first; of each counter the first that holds is told.
pub const RULES: &[Rule] = &[
    Rule {
        code: "dimm-uncorrected-errors",
        count: Count::Uncorrected,
        at_least: 1,
        verdict: Verdict::Fail,
        sureness: Sureness::Certain,
        advice: Advice::Replace,
        because: "one error that could not be corrected is data that was lost, and the next one may stop the machine",
    },
    Rule {
        code: "dimm-corrected-errors",
        count: Count::CorrectedPerDay,
        at_least: 1_000,
        verdict: Verdict::Warn,
        sureness: Sureness::Certain,
        advice: Advice::Replace,
        because: "cosmic rays give a module a few a year: 1000 in 24 hours are one cell, row or pin that is broken, and a second broken bit in the same word cannot be corrected",
    },
    Rule {
        code: "dimm-corrected-errors",
        count: Count::CorrectedPerDay,
        at_least: 10,
        verdict: Verdict::Warn,
        sureness: Sureness::Likely,
        advice: Advice::Watch,
        because: "10 in 24 hours is where mcelog sounds the alarm too; in the large field study of Schroeder, Pinheiro and Weber (2009) most modules had none in a year, and those that had some were far more likely to lose data later",
    },
    Rule {
        code: "dimm-few-corrected-errors",
        count: Count::CorrectedPerDay,
        at_least: 1,
        verdict: Verdict::Ok,
        sureness: Sureness::Hint,
        advice: Advice::Watch,
        because: "single corrected errors happen to good modules",
    },
];

/// A day, over which corrected errors are counted.
const DAY: Millis = Millis::secs(24 * 3_600);

/// Corrected errors in 24 hours: what was counted, on the average of the days that the counter ran. A counter that runs
/// for less than a day is not projected: three in the first minute are three, not thousands.
#[must_use]
pub fn corrected_per_day(errors: MemoryErrors, since: Option<Millis>) -> u64 {
    let ran = since.unwrap_or(DAY).0.max(DAY.0);
    let per_day = u128::from(errors.corrected) * u128::from(DAY.0) / u128::from(ran);
    let per_day = u64::try_from(per_day).unwrap_or(u64::MAX);
    // One in ten days is still one that is told.
    per_day.max(u64::from(errors.corrected > 0))
}

/// The rules that hold, at most one of each counter.
#[must_use]
pub fn holding(errors: MemoryErrors, since: Option<Millis>) -> [Option<&'static Rule>; 2] {
    let first = |count: Count, seen: u64| {
        RULES
            .iter()
            .find(|rule| rule.count == count && seen >= rule.at_least)
    };
    [
        first(Count::Uncorrected, errors.uncorrected),
        first(Count::CorrectedPerDay, corrected_per_day(errors, since)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_judged_over_a_day() {
        let told = |corrected, uncorrected, hours: u64| {
            let errors = MemoryErrors {
                corrected,
                uncorrected,
                since: None,
            };
            let rules = holding(errors, Some(Millis::secs(hours * 3_600)));
            rules.map(|rule| rule.map_or(0, |rule| rule.at_least))
        };
        assert_eq!(told(0, 0, 1), [0, 0]);
        assert_eq!(told(9, 0, 1), [0, 1]);
        assert_eq!(told(10, 0, 1), [0, 10]);
        assert_eq!(told(10, 0, 48), [0, 1]);
        assert_eq!(told(1, 0, 24 * 300), [0, 1]);
        assert_eq!(told(1_000, 2, 24), [1, 1_000]);
        assert_eq!(told(u64::MAX, 0, 0), [0, 1_000]);
        assert_eq!(corrected_per_day(MemoryErrors::default(), None), 0);
    }
}
