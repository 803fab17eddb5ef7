// SPDX-License-Identifier: Apache-2.0
//! A node's hardware as reports: its last inventory, what its disks gained since earlier ones, and which volumes and
//! virtual disks each disk carries; and as trouble, where a disk loses ground.

use groundstate_api::Millis;
use groundstate_api::healing::{Trouble, TroubleKind};
use groundstate_api::health::{Advice, DeviceKind, DeviceReport, HealthFinding};
use groundstate_api::inventory::Inventory;
use groundstate_api::plan::{DiskAction, DiskPlan, PartitionContents};
use groundstate_api::view::NodeReport;
use hw_core::Then;
use hw_core::disk::growth;
use prov_core::health::BY_HARDWARE;
use prov_core::{DiskFigures, KeptInventory, Node};

/// The reports on the inventory that `report` shows.
pub(crate) fn of(node: &Node, report: &NodeReport) -> Vec<DeviceReport> {
    let Some(seen) = &report.inventory else {
        return Vec::new();
    };
    let now = hw_core::figures(seen);
    let mut then = node.figures.get();
    // The newest figures are this inventory's own.
    if then.last().is_some_and(|newest| newest.disks == now) {
        then.pop();
    }
    let then: Vec<Then> = then.into_iter().map(earlier).collect();
    let last_good = node.last_good.as_ref().map(KeptInventory::get);
    let expected = node.site.hardware.as_ref();
    let mut reports = hw_core::reports(seen, expected, last_good.as_deref(), &then);
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

/// Disks that lose ground, as trouble: what a disk gained since the node's earlier inventories, where it is a reason to replace
/// it. It is told when it has grown since the last inventory, and as long as it was told before and has not gone; so a later
/// inventory of the same run does not end it, and a disk that a person looked at and left in is told of only when it goes on.
pub(crate) fn troubles(node: &Node, seen: &Inventory) -> Vec<Trouble> {
    let then: Vec<Then> = node.figures.get().into_iter().map(earlier).collect();
    let Some((last, before)) = then.split_last() else {
        return Vec::new();
    };
    let told = node.troubles.get(BY_HARDWARE);
    let mut troubles = Vec::new();
    for disk in seen.disks.iter().filter(|disk| !disk.serial.is_empty()) {
        let replace = |finding: &HealthFinding| finding.advice == Advice::Replace;
        let grown = growth(&disk.health.figures, &hw_core::earlier(&disk.serial, &then));
        let grown: Vec<HealthFinding> = grown.into_iter().filter(replace).collect();
        let was = last.disks.get(&disk.serial).map(|figures| {
            let before = hw_core::earlier(&disk.serial, before);
            growth(figures, &before)
        });
        let of_disk = format!("disk {}: ", disk.serial);
        let was_told = told.is_some_and(|said| {
            let of_disk = |trouble: &Trouble| trouble.what.starts_with(&of_disk);
            said.troubles.iter().any(of_disk)
        });
        let was: Vec<String> = was.into_iter().flatten().map(|found| found.what).collect();
        let is_news = grown.iter().any(|finding| !was.contains(&finding.what));
        let Some(first) = grown.first().filter(|_| is_news || was_told) else {
            continue;
        };
        let mut evidence = vec![format!("{} in {}", disk.model, disk.slot)];
        evidence.extend(grown.iter().flat_map(|finding| finding.evidence.clone()));
        troubles.push(Trouble {
            kind: TroubleKind::Disk,
            what: format!("{of_disk}{}", first.what),
            evidence,
        });
    }
    troubles
}

fn earlier(figures: DiskFigures) -> Then {
    Then {
        at: figures.at.0,
        label: day(figures.at),
        disks: figures.disks,
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
            PartitionContents::WholeDisk { .. } => carries.push("the host's disk image".to_owned()),
            PartitionContents::Ext4 { .. } | PartitionContents::Xfs { .. } => {}
        }
        if let Some(volume) = partition.holds.volume() {
            carries.push(format!("volume {} ({})", volume.label, volume.mount_point));
            carries.extend(volume.vhds.iter().map(|vhd| format!("VHD {}", vhd.file)));
        }
    }
    carries
}
