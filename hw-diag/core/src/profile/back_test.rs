// SPDX-License-Identifier: Apache-2.0
//! What would this profile have said of earlier reports, before it is switched on.

use super::Profile;
use super::judge::breaches;
use alloc::string::String;
use alloc::vec::Vec;
use groundstate_api::health::Verdict;
use groundstate_api::inventory::Inventory;
use serde::Serialize;

/// What a profile would have done to earlier reports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BackTest {
    /// How many reports were tried.
    pub reports: usize,
    /// How many it would have passed without a word.
    pub passed: usize,
    /// How many it would have failed.
    pub failed: usize,
    /// The rules that would have spoken, the busiest first.
    pub rules: Vec<RuleRecord>,
}

/// What one rule would have done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RuleRecord {
    /// Its place in the file: `disk[0].count`.
    pub rule: String,
    /// How grave its word is.
    pub verdict: Verdict,
    /// The reports that it would have spoken on, with its word on each.
    pub spoke_on: Vec<(String, String)>,
}

/// Tries the profile on named reports.
#[must_use]
pub fn back_test<'a>(
    profile: &Profile,
    reports: impl IntoIterator<Item = (&'a str, &'a Inventory)>,
) -> BackTest {
    let mut test = BackTest {
        reports: 0,
        passed: 0,
        failed: 0,
        rules: Vec::new(),
    };
    for (name, inventory) in reports {
        let found = breaches(profile, inventory);
        test.reports += 1;
        test.passed += usize::from(found.is_empty());
        test.failed += usize::from(found.iter().any(|b| b.finding.verdict == Verdict::Fail));
        for breach in found {
            let word = (String::from(name), breach.finding.what);
            let known = test.rules.iter_mut().find(|r| r.rule == breach.rule);
            if let Some(record) = known {
                record.verdict = record.verdict.max(breach.finding.verdict);
                record.spoke_on.push(word);
            } else {
                test.rules.push(RuleRecord {
                    rule: breach.rule,
                    verdict: breach.finding.verdict,
                    spoke_on: Vec::from([word]),
                });
            }
        }
    }
    test.rules
        .sort_by(|a, b| (b.spoke_on.len(), &a.rule).cmp(&(a.spoke_on.len(), &b.rule)));
    test
}
