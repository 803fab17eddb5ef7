// SPDX-License-Identifier: Apache-2.0
//! An inventory as reports on its devices: what every screen shows, beside the findings that rule a run.

use crate::disk::{EarlierFigures, growth};
use alloc::string::String;
use alloc::vec::Vec;
use groundstate_api::health::DeviceReport;
use groundstate_api::inventory::{Disk, Inventory};
use groundstate_api::site::Hardware;

/// An inventory that was taken before.
#[derive(Clone, Debug)]
pub struct Earlier<'a> {
    /// When, in milliseconds since 1970.
    pub at: u64,
    /// When in words, for example `2026-05-12`.
    pub label: String,
    /// What was seen then.
    pub inventory: &'a Inventory,
}

/// The reports on memory, disks and everything else in an inventory. The newest earlier one names DIMMs that are gone;
/// all of them tell what a disk gained since then.
#[must_use]
pub fn reports(
    seen: &Inventory,
    expected: Option<&Hardware>,
    earlier: &[Earlier<'_>],
) -> Vec<DeviceReport> {
    let last = earlier.iter().max_by_key(|earlier| earlier.at);
    let last = last.map(|earlier| &earlier.inventory.memory);
    let mut reports = crate::memory::reports(&seen.memory, expected, last, None);
    reports.extend(seen.disks.iter().map(|disk| disk_report(disk, earlier)));
    reports.extend(seen.devices.iter().cloned());
    reports
}

/// A disk's report with what it gained since earlier inventories.
fn disk_report(disk: &Disk, earlier: &[Earlier<'_>]) -> DeviceReport {
    let mut report = disk.report();
    let then = |earlier: &Earlier<'_>| {
        let mut disks = earlier.inventory.disks.iter();
        let before =
            disks.find(|before| before.serial == disk.serial && !disk.serial.is_empty())?;
        Some(EarlierFigures {
            at: earlier.at,
            label: earlier.label.clone(),
            figures: before.health.figures.clone(),
        })
    };
    let then: Vec<EarlierFigures> = earlier.iter().filter_map(then).collect();
    report.add(growth(&disk.health.figures, &then));
    report
}
