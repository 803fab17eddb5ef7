// SPDX-License-Identifier: Apache-2.0
//! What grew since the node's earlier reports on the same disk.
//!
//! Growth says more than any figure: a drive with 40 reallocated sectors since it was new is well, one that gained 40
//! since May is going. Refuses to see growth where a figure fell since: then the counter was reset or the drive is another.

use super::rules::counted;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use groundstate_api::health::{Advice, HealthFinding, Sureness, Verdict};

/// The figures of an earlier report on the same disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EarlierFigures {
    /// When it was made, in milliseconds since 1970.
    pub at: u64,
    /// When that was in words, for example `2026-05-12`.
    pub label: String,
    /// The report's figures.
    pub figures: BTreeMap<String, i64>,
}

/// A figure whose growth is a finding.
struct Growth {
    code: &'static str,
    /// The figure, as `figures` names it.
    figure: &'static str,
    /// What it counts, one of it.
    unit: &'static str,
    /// Growth from which it is told.
    from: i64,
    verdict: Verdict,
    advice: Advice,
    next_step: &'static str,
}

const SURFACE: &str = "Copy what is needed off it and plan to replace it: the surface is going";

const GROWTHS: &[Growth] = &[
    Growth {
        code: "disk-gains-pending-sectors",
        figure: "pending_sectors",
        unit: "pending sector",
        from: 1,
        verdict: Verdict::Warn,
        advice: Advice::Replace,
        next_step: SURFACE,
    },
    Growth {
        code: "disk-gains-offline-uncorrectable",
        figure: "offline_uncorrectable_sectors",
        unit: "uncorrectable sector",
        from: 1,
        verdict: Verdict::Warn,
        advice: Advice::Replace,
        next_step: SURFACE,
    },
    Growth {
        code: "disk-gains-uncorrectable-errors",
        figure: "reported_uncorrectable_errors",
        unit: "uncorrectable error",
        from: 1,
        verdict: Verdict::Warn,
        advice: Advice::Replace,
        next_step: "Run a long self-test, and plan to replace it",
    },
    // One or two are an old defect that was written over; eight are one bad physical sector of 4 KiB.
    Growth {
        code: "disk-gains-reallocated-sectors",
        figure: "reallocated_sectors",
        unit: "reallocated sector",
        from: 8,
        verdict: Verdict::Warn,
        advice: Advice::Replace,
        next_step: SURFACE,
    },
    Growth {
        code: "disk-gains-grown-defects",
        figure: "grown_defects",
        unit: "grown defect",
        from: 8,
        verdict: Verdict::Warn,
        advice: Advice::Replace,
        next_step: SURFACE,
    },
    Growth {
        code: "disk-gains-uncorrected-errors",
        figure: "uncorrected_errors",
        unit: "uncorrected error",
        from: 1,
        verdict: Verdict::Warn,
        advice: Advice::Replace,
        next_step: "Run a long self-test, and plan to replace it",
    },
    Growth {
        code: "disk-gains-media-errors",
        figure: "media_errors",
        unit: "media error",
        from: 1,
        verdict: Verdict::Warn,
        advice: Advice::Replace,
        next_step: "Scrub what is on it, and plan to replace it",
    },
    // A hot swap makes one or two.
    Growth {
        code: "disk-gains-crc-errors",
        figure: "crc_errors",
        unit: "CRC error",
        from: 10,
        verdict: Verdict::Warn,
        advice: Advice::Reseat,
        next_step: "Reseat the disk and its cable; change the cable or the bay if it goes on. The disk is not at fault",
    },
    Growth {
        code: "disk-gains-spin-retries",
        figure: "spin_retries",
        unit: "retried spin-up",
        from: 1,
        verdict: Verdict::Warn,
        advice: Advice::Look,
        next_step: "Look at the power supply and its cables; replace the disk if only this one does it",
    },
];

/// The codes of all growth findings.
pub(super) fn codes() -> impl Iterator<Item = &'static str> {
    GROWTHS.iter().map(|growth| growth.code)
}

/// The growth since the earlier reports that is worth a finding.
#[must_use]
pub fn findings(now: &BTreeMap<String, i64>, earlier: &[EarlierFigures]) -> Vec<HealthFinding> {
    let mut earlier: Vec<&EarlierFigures> = earlier.iter().collect();
    earlier.sort_by_key(|report| report.at);
    GROWTHS
        .iter()
        .filter_map(|growth| growth.finding(*now.get(growth.figure)?, &earlier))
        .collect()
}

impl Growth {
    /// The growth since the oldest report after which the figure never fell.
    fn finding(&self, now: i64, earlier: &[&EarlierFigures]) -> Option<HealthFinding> {
        let mut since: Option<(&EarlierFigures, i64)> = None;
        let mut above = now;
        for report in earlier.iter().rev() {
            let Some(value) = report.figures.get(self.figure) else {
                continue;
            };
            if *value > above {
                break;
            }
            above = *value;
            since = Some((report, *value));
        }
        let (first, value) = since?;
        let gained = now.saturating_sub(value);
        if gained < self.from {
            return None;
        }
        let count = u64::try_from(gained).unwrap_or(u64::MAX);
        let (words, label) = (counted(count, self.unit), &first.label);
        let figure = self.figure;
        Some(HealthFinding {
            code: self.code.into(),
            verdict: self.verdict,
            what: format!("This drive gained {words} since {label}"),
            evidence: vec![format!("{figure}: {value} on {label}, {now} now")],
            sureness: Sureness::Certain,
            advice: self.advice,
            next_step: self.next_step.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(at: u64, label: &str, figure: &str, value: i64) -> EarlierFigures {
        EarlierFigures {
            at,
            label: label.into(),
            figures: [(figure.into(), value)].into(),
        }
    }

    fn check(figure: &str, now: i64, earlier: &[(u64, &str, i64)]) -> Vec<String> {
        let earlier: Vec<_> = earlier
            .iter()
            .map(|(at, label, value)| report(*at, label, figure, *value))
            .collect();
        let found = findings(&[(figure.into(), now)].into(), &earlier);
        found.into_iter().map(|finding| finding.what).collect()
    }

    #[test]
    fn growth_is_told_since_the_first_report_after_which_nothing_fell() {
        let may = (1, "2026-05-12", 8);
        let june = (2, "2026-06-01", 20);
        let said = ["This drive gained 40 pending sectors since 2026-05-12"];
        assert_eq!(check("pending_sectors", 48, &[june, may]), said);
        let reset = (3, "2026-07-01", 2);
        let said = ["This drive gained 1 pending sector since 2026-07-01"];
        assert_eq!(check("pending_sectors", 3, &[may, june, reset]), said);
        assert!(check("pending_sectors", 8, &[may]).is_empty());
        assert!(check("pending_sectors", 0, &[may]).is_empty());
        assert!(check("pending_sectors", 9, &[]).is_empty());
    }

    #[test]
    fn a_little_growth_of_what_grows_on_healthy_drives_is_none() {
        let may = (1, "May", 0);
        assert!(check("reallocated_sectors", 7, &[may]).is_empty());
        assert_eq!(check("reallocated_sectors", 8, &[may]).len(), 1);
        assert!(check("crc_errors", 9, &[may]).is_empty());
        assert_eq!(check("crc_errors", 10, &[may]).len(), 1);
        assert!(check("unsafe_shutdowns", 900, &[may]).is_empty());
        assert!(check("pending_sectors", i64::MAX, &[(1, "May", i64::MIN)]).len() == 1);
    }
}
