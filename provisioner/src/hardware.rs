// SPDX-License-Identifier: Apache-2.0
//! A node's hardware as reports: its last inventory, what its disks gained since earlier ones, and which volumes and
//! virtual disks each disk carries.

use groundstate_api::Millis;
use groundstate_api::health::{DeviceKind, DeviceReport};
use groundstate_api::plan::{DiskAction, DiskPlan, PartitionContents};
use groundstate_api::view::NodeReport;
use hw_core::Then;
use prov_core::{DiskFigures, Node};

/// The reports on the inventory that `report` shows.
pub(crate) fn of(node: &Node, report: &NodeReport) -> Vec<DeviceReport> {
    let Some(seen) = &report.inventory else {
        return Vec::new();
    };
    let now = hw_core::figures(seen);
    let mut then: Vec<&DiskFigures> = node.figures.iter().collect();
    // The newest figures are this inventory's own.
    if then.last().is_some_and(|newest| newest.disks == now) {
        then.pop();
    }
    let then: Vec<Then> = then.into_iter().map(earlier).collect();
    let last_good = node.last_good.as_deref();
    let mut reports = hw_core::reports(seen, node.site.hardware.as_ref(), last_good, &then);
    for plan in report.plan.iter().flat_map(|plan| &plan.disks) {
        let carries = carries(plan);
        let is_it = |report: &&mut DeviceReport| {
            report.kind == DeviceKind::Disk && report.place.serial == plan.serial
        };
        if let Some(report) = reports.iter_mut().find(is_it) {
            report.affects = carries;
        }
    }
    reports
}

fn earlier(figures: &DiskFigures) -> Then {
    Then {
        at: figures.at.0,
        label: day(figures.at),
        disks: figures.disks.clone(),
    }
}

/// The day of a moment: `2026-05-12`.
fn day(at: Millis) -> String {
    let words = crate::clock::words(at);
    words.split(' ').next().unwrap_or_default().to_owned()
}

/// What lies on a disk, in words: `the host's root`, `volume gs-data-1 (/data/S1)`, `VHD vm-0.vhd`.
fn carries(disk: &DiskPlan) -> Vec<String> {
    let table = match &disk.action {
        DiskAction::Wipe { table, .. }
        | DiskAction::Renew { table, .. }
        | DiskAction::Keep { table, .. } => table,
        DiskAction::Erase { .. } | DiskAction::LeaveAlone => return Vec::new(),
    };
    let mut carries = Vec::new();
    for partition in &table.partitions {
        match &partition.holds {
            PartitionContents::Esp { .. } => carries.push("the host's boot partition".to_owned()),
            PartitionContents::Root => carries.push("the host's root".to_owned()),
            PartitionContents::Ext4 { .. } | PartitionContents::Xfs { .. } => {}
        }
        if let Some(volume) = partition.holds.volume() {
            carries.push(format!("volume {} ({})", volume.label, volume.mount_point));
            carries.extend(volume.vhds.iter().map(|vhd| format!("VHD {}", vhd.file)));
        }
    }
    carries
}
