// SPDX-License-Identifier: Apache-2.0
//! What a SCSI or SAS disk is read for.

use super::facts::{DiskFacts, ScsiFacts};
use super::measure::{Measure, Reading};
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

/// Additional sense code 5Dh: failure prediction threshold exceeded.
const FAILURE_PREDICTED: u8 = 0x5d;
/// Additional sense code 0Bh: warning.
const WARNING: u8 = 0x0b;

/// Whether any counter came through that could bear out the disk's own word.
pub(super) fn has_counters(scsi: &ScsiFacts) -> bool {
    scsi.grown_defects.is_some()
        || scsi.read.is_some()
        || scsi.write.is_some()
        || scsi.verify.is_some()
        || scsi.non_medium_errors.is_some()
        || scsi.pending_defects.is_some()
        || scsi.background_scan.is_some()
}

/// Whether it is an NVMe drive behind a SCSI translation: vendors' firmware then puts `NVMe` where the vendor stands
/// (SCSI-NVMe translation, 6.1.1).
fn translated(facts: &DiskFacts) -> bool {
    facts.identity.vendor.trim().eq_ignore_ascii_case("nvme")
}

/// The exception that the disk reports, if it is one.
pub(super) fn exception(scsi: &ScsiFacts) -> Option<Reading> {
    let (code, qualifier) = scsi.exception.filter(|(code, _)| *code != 0)?;
    let text = scsi.exception_text.as_ref().map(|text| format!("{text}, "));
    let detail = format!(
        "{}sense code {code:02x}/{qualifier:02x}",
        text.unwrap_or_default()
    );
    let measure = match code {
        FAILURE_PREDICTED => Measure::PredictsFailure,
        WARNING => Measure::ScsiWarning,
        _ => Measure::ScsiException,
    };
    let line = format!("informational exception: {detail}");
    Some(Reading::detailed(measure, 1, detail, vec![line]))
}

/// The counters.
pub(super) fn readings(facts: &DiskFacts, scsi: &ScsiFacts) -> Vec<Reading> {
    let mut out = Vec::new();
    if translated(facts) && !has_counters(scsi) {
        let line = format!(
            "vendor {}, product {}, health status without counters",
            facts.identity.vendor, facts.identity.model
        );
        out.push(Reading::new(Measure::TranslatedNvme, 1, vec![line]));
    }
    if scsi.exceptions_disabled == Some(true) {
        let line = "informational exceptions: disabled".into();
        out.push(Reading::new(Measure::PredictionOff, 1, vec![line]));
    }
    out.extend(uncorrected(scsi));
    let mut push = |measure, value: Option<u64>, what: &str| {
        if let Some(value) = value {
            let line: String = format!("{what}: {value}");
            out.push(Reading::new(measure, value, vec![line]));
        }
    };
    let endurance = scsi.endurance_used_percent.map(u64::from);
    push(Measure::WearPercent, endurance, "endurance used in percent");
    push(
        Measure::PendingDefects,
        scsi.pending_defects,
        "pending defects",
    );
    push(
        Measure::GrownDefects,
        scsi.grown_defects,
        "grown defect list",
    );
    push(
        Measure::NonMedium,
        scsi.non_medium_errors,
        "non-medium errors",
    );
    if let Some(scan) = &scsi.background_scan {
        push(
            Measure::NotReassigned,
            scan.not_reassigned,
            "background scan entries not reassigned",
        );
        push(
            Measure::ScanMediumErrors,
            scan.medium_errors,
            "background scan entries with a medium error",
        );
        if scan.status.to_ascii_lowercase().contains("fatal") {
            let line = format!("background scan: {}", scan.status);
            out.push(Reading::detailed(
                Measure::ScanStopped,
                1,
                scan.status.clone(),
                vec![line],
            ));
        }
    }
    out
}

fn uncorrected(scsi: &ScsiFacts) -> Option<Reading> {
    let directions = [
        ("read", scsi.read),
        ("write", scsi.write),
        ("verify", scsi.verify),
    ];
    let mut sum = 0u64;
    let mut lines = Vec::new();
    for (name, counters) in directions {
        let Some(count) = counters.and_then(|one| one.uncorrected) else {
            continue;
        };
        sum = sum.saturating_add(count);
        if count > 0 {
            lines.push(format!("uncorrected {name} errors: {count}"));
        }
    }
    (sum > 0).then(|| Reading::new(Measure::Uncorrected, sum, lines))
}

/// Uncorrected errors of all directions, where any is known.
pub(super) fn uncorrected_sum(scsi: &ScsiFacts) -> Option<u64> {
    [scsi.read, scsi.write, scsi.verify]
        .into_iter()
        .flatten()
        .filter_map(|one| one.uncorrected)
        .reduce(u64::saturating_add)
}
