// SPDX-License-Identifier: Apache-2.0
//! An inventory as reports on its devices: what every screen shows, beside the findings that rule a run.

use crate::disk::{EarlierFigures, growth};
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use groundstate_api::health::{
    Advice, DeviceKind, DeviceReport, HealthFinding, Place, Sureness, Verdict,
};
use groundstate_api::inventory::{Disk, Finding, Gravity, Inventory};
use groundstate_api::reason::{Part, ReasonCode};
use groundstate_api::site::Hardware;

/// The source of a report on what is not there: nothing but the expectation knows of it.
pub const EXPECTATION: &str = "expectation";

/// What the disks of a machine counted at an earlier time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Then {
    /// When, in milliseconds since 1970.
    pub at: u64,
    /// When in words, for example `2026-05-12`.
    pub label: String,
    /// The figures of each disk by its serial number.
    pub disks: BTreeMap<String, BTreeMap<String, i64>>,
}

impl Then {
    /// What an inventory's disks counted.
    #[must_use]
    pub fn of(at: u64, label: impl Into<String>, inventory: &Inventory) -> Self {
        Self {
            at,
            label: label.into(),
            disks: figures(inventory),
        }
    }
}

/// The figures of each disk that has a serial number.
#[must_use]
pub fn figures(inventory: &Inventory) -> BTreeMap<String, BTreeMap<String, i64>> {
    let named = inventory
        .disks
        .iter()
        .filter(|disk| !disk.serial.is_empty());
    named
        .map(|disk| (disk.serial.clone(), disk.health.figures.clone()))
        .collect()
}

/// The reports on memory, disks and everything else in an inventory. `last_good` names DIMMs and disks that are gone; `then` tells
/// what a disk gained since.
#[must_use]
pub fn reports(
    seen: &Inventory,
    expected: Option<&Hardware>,
    last_good: Option<&Inventory>,
    then: &[Then],
) -> Vec<DeviceReport> {
    let memory = last_good.map(|good| &good.memory);
    let mut reports = crate::memory::reports(&seen.memory, expected, memory, None);
    reports.extend(
        crate::judge(expected, last_good, seen)
            .iter()
            .filter_map(gone),
    );
    reports.extend(seen.disks.iter().map(|disk| of_disk(disk, then)));
    reports.extend(seen.devices.iter().cloned());
    reports
}

/// A disk that should be there and is not, or is another.
fn gone(finding: &Finding) -> Option<DeviceReport> {
    let reason = &finding.reason;
    let is_gone = matches!(reason.code, ReasonCode::DiskMissing | ReasonCode::WrongDisk);
    let Some(Part::Disk {
        slot,
        serial,
        model,
        ..
    }) = reason.part.as_ref().filter(|_| is_gone)
    else {
        return None;
    };
    let verdict = match finding.gravity {
        Gravity::Stop => Verdict::Fail,
        Gravity::Warn => Verdict::Warn,
    };
    let found = HealthFinding {
        code: reason.code.as_str().into(),
        verdict,
        what: reason.what.clone(),
        evidence: reason.evidence.clone(),
        sureness: Sureness::Certain,
        advice: Advice::Look,
        next_step: reason.next_step.clone(),
    };
    let name = if slot.is_empty() { serial } else { slot };
    let mut report = DeviceReport::new(name, DeviceKind::Disk, EXPECTATION, Vec::from([found]));
    report.place = Place {
        slot: slot.clone(),
        serial: serial.clone(),
        model: model.clone().unwrap_or_default(),
        ..Place::default()
    };
    Some(report)
}

/// A disk's report with what it gained since earlier reports.
fn of_disk(disk: &Disk, then: &[Then]) -> DeviceReport {
    let mut report = disk.report();
    report.add(growth(&disk.health.figures, &earlier(&disk.serial, then)));
    report
}

/// One disk's figures at earlier times.
#[must_use]
pub fn earlier(serial: &str, then: &[Then]) -> Vec<EarlierFigures> {
    let of = |then: &Then| {
        Some(EarlierFigures {
            at: then.at,
            label: then.label.clone(),
            figures: then.disks.get(serial)?.clone(),
        })
    };
    then.iter().filter_map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_that_gained_pending_sectors_says_since_when() {
        let json = include_str!("../../tests/golden/qemu-q35.json");
        let mut seen: Inventory = serde_json::from_str(json).unwrap();
        seen.disks.retain(|disk| disk.model == "GSATA");
        let count = |seen: &mut Inventory, sectors| {
            let figures = &mut seen.disks[0].health.figures;
            figures.insert("pending_sectors".into(), sectors);
        };
        count(&mut seen, 2);
        let then = [Then::of(1_000, "2026-05-12", &seen)];
        count(&mut seen, 42);
        let reports = reports(&seen, None, None, &then);
        let disk = reports
            .iter()
            .find(|report| report.place.model == "GSATA")
            .unwrap();
        assert_ne!(disk.verdict, Verdict::Ok);
        let words: Vec<&str> = disk.findings.iter().map(|f| f.what.as_str()).collect();
        assert!(
            words
                .iter()
                .any(|what| what.contains("gained 40 pending sectors since 2026-05-12")),
            "{words:?}"
        );
    }
}
