// SPDX-License-Identifier: Apache-2.0
//! Each disk as a bar with its partitions, volumes and virtual disks, and its health.

use super::{Found, Mark, thousandths};
use groundstate_api::Bytes;
use groundstate_api::health::{DeviceKind, DeviceReport};
use groundstate_api::inventory::{Disk, FoundLayout};
use groundstate_api::plan::{
    DiskAction, DiskPlan, PartitionContents, PartitionPlan, Role, TablePlan,
};
use groundstate_api::view::NodeReport;

pub(super) struct DiskCard {
    pub(super) slot: String,
    pub(super) serial: String,
    pub(super) model: String,
    pub(super) size: String,
    pub(super) mark: Mark,
    pub(super) figures: String,
    pub(super) role: &'static str,
    pub(super) action: String,
    pub(super) because: String,
    /// What the bar shows: what is planned, or what was found.
    pub(super) shows: &'static str,
    pub(super) parts: Vec<Part>,
    pub(super) holds: Vec<String>,
    pub(super) findings: Vec<Found>,
}

/// A partition, as a part of its disk's bar.
pub(super) struct Part {
    pub(super) name: String,
    pub(super) class: &'static str,
    pub(super) from: u64,
    pub(super) width: u64,
    pub(super) holds: String,
    pub(super) vhds: Vec<Vhd>,
    pub(super) vhds_words: String,
}

/// A virtual disk within its partition.
pub(super) struct Vhd {
    pub(super) name: String,
    pub(super) from: u64,
    pub(super) width: u64,
}

/// The disks that were seen, then those that should be there and are not.
pub(super) fn disks(report: &NodeReport) -> Vec<DiskCard> {
    let seen = report.inventory.as_ref().map(|i| i.disks.as_slice());
    let seen = seen.unwrap_or_default();
    let judged: Vec<&DeviceReport> = report
        .hardware
        .iter()
        .filter(|r| r.kind == DeviceKind::Disk)
        .collect();
    let planned = report.plan.iter().flat_map(|plan| &plan.disks);
    let planned: Vec<&DiskPlan> = planned.collect();
    let of = |serial: &str| {
        let mine = |r: &&&DeviceReport| r.place.serial == serial;
        judged.iter().find(mine).copied()
    };
    let mut cards: Vec<DiskCard> = seen
        .iter()
        .map(|disk| {
            let plan = planned.iter().find(|plan| plan.serial == disk.serial);
            card(disk, plan.copied(), of(&disk.serial))
        })
        .collect();
    let is_seen = |serial: &str| seen.iter().any(|disk| disk.serial == serial);
    let gone = judged.iter().filter(|r| !is_seen(&r.place.serial));
    cards.extend(gone.map(|r| missing(r)));
    cards
}

fn card(disk: &Disk, plan: Option<&DiskPlan>, judged: Option<&DeviceReport>) -> DiskCard {
    let (parts, shows) = match (plan.and_then(table), &disk.layout) {
        (Some(table), _) => (
            of_table(table, disk.size),
            "The bar shows the layout of its plan.",
        ),
        (None, Some(layout)) => (
            of_layout(layout, disk.size),
            "The bar shows the layout that was found.",
        ),
        (None, None) => (Vec::new(), ""),
    };
    let holds = disk.contents.iter().map(|signature| {
        let label = signature.label.as_deref().filter(|label| !label.is_empty());
        let label = label.map(|label| format!(" “{label}”")).unwrap_or_default();
        format!("{}: {}{label}", signature.at, signature.what)
    });
    DiskCard {
        slot: disk.slot.clone(),
        serial: disk.serial.clone(),
        model: disk.model.clone(),
        size: disk.size.to_string(),
        mark: Mark::of(judged.map_or(disk.health.verdict, |r| r.verdict)),
        figures: figures(disk),
        role: plan.map_or("", role),
        action: plan.map(action).unwrap_or_default(),
        because: plan.map(|p| p.because.clone()).unwrap_or_default(),
        holds: if parts.is_empty() {
            holds.collect()
        } else {
            Vec::new()
        },
        shows,
        parts,
        findings: judged.map(Found::all).unwrap_or_default(),
    }
}

/// A disk that should be there.
fn missing(report: &DeviceReport) -> DiskCard {
    DiskCard {
        slot: report.place.slot.clone(),
        serial: report.place.serial.clone(),
        model: report.place.model.clone(),
        size: report.place.size.map(|s| s.to_string()).unwrap_or_default(),
        mark: Mark {
            says: "missing",
            class: "fail",
        },
        figures: String::new(),
        role: "",
        action: String::new(),
        because: String::new(),
        shows: "",
        parts: Vec::new(),
        holds: Vec::new(),
        findings: Found::all(report),
    }
}

fn figures(disk: &Disk) -> String {
    let mut words = Vec::new();
    words.push(
        if disk.rotational {
            "rotating"
        } else {
            "solid state"
        }
        .to_owned(),
    );
    words.extend(disk.health.temperature_c.map(|c| format!("{c} °C")));
    let hours = disk.health.power_on_hours;
    words.extend(hours.map(|hours| format!("{hours} h powered on")));
    words.push(format!("/dev/{}", disk.kernel_name));
    words.join(", ")
}

fn role(disk: &DiskPlan) -> &'static str {
    match disk.role {
        Role::Os => "OS",
        role @ (Role::Data | Role::Spare | Role::Vhd | Role::Keep | Role::Refuse) => role.as_str(),
    }
}

fn action(disk: &DiskPlan) -> String {
    let goes = |goes: &[String]| match goes {
        [] => "nothing goes".to_owned(),
        goes => format!("{} goes", goes.join(", ")),
    };
    match &disk.action {
        DiskAction::Wipe { goes: all, .. } => format!("wipe: {}", goes(all)),
        DiskAction::Keep { .. } => "keep: nothing is written".to_owned(),
        DiskAction::Renew { goes: all, .. } => format!("OS anew, data kept: {}", goes(all)),
        DiskAction::Erase { goes: all, level } => format!("erase ({level}): {}", goes(all)),
        DiskAction::LeaveAlone => "left alone".to_owned(),
    }
}

fn table(disk: &DiskPlan) -> Option<&TablePlan> {
    match &disk.action {
        DiskAction::Wipe { table, .. }
        | DiskAction::Renew { table, .. }
        | DiskAction::Keep { table } => Some(table),
        DiskAction::Erase { .. } | DiskAction::LeaveAlone => None,
    }
}

/// Where a piece lies on a bar; what is there can be seen.
fn span(start: u64, length: u64, whole: u64) -> (u64, u64) {
    let from = thousandths(start, whole).min(994);
    let width = thousandths(length, whole).clamp(6, 1_000 - from);
    (from, width)
}

fn of_table(table: &TablePlan, size: Bytes) -> Vec<Part> {
    let part = |part: &PartitionPlan| {
        let (from, width) = span(part.start.0, part.length.0, size.0);
        let (class, holds) = match &part.holds {
            PartitionContents::Esp { .. } => ("esp", format!("boot files, {}", part.length)),
            PartitionContents::Root => ("root", format!("the host, {}", part.length)),
            PartitionContents::WholeDisk { .. } => {
                ("root", format!("the whole-disk image, {}", part.length))
            }
            PartitionContents::Ext4 { mount_point, .. } => {
                ("data", format!("{mount_point}, ext4, {}", part.length))
            }
            PartitionContents::Xfs { mount_point, .. } => {
                ("data", format!("{mount_point}, XFS, {}", part.length))
            }
        };
        let (vhds, vhds_words) = vhds(part, from, width);
        Part {
            name: part.name.clone(),
            class,
            from,
            width,
            holds,
            vhds,
            vhds_words,
        }
    };
    table.partitions.iter().map(part).collect()
}

/// The virtual disks of a partition that lies there on the bar.
fn vhds(part: &PartitionPlan, at: u64, wide: u64) -> (Vec<Vhd>, String) {
    let vhds = part.holds.volume().map(|volume| volume.vhds);
    let vhds = vhds.unwrap_or_default();
    let mut before = 0_u64;
    let mut shown = Vec::new();
    for vhd in vhds {
        let from = thousandths(before, part.length.0) * wide / 1_000;
        before = before.saturating_add(vhd.size.0);
        let to = thousandths(before, part.length.0) * wide / 1_000;
        shown.push(Vhd {
            name: format!("{}, {}", vhd.file, vhd.size),
            from: at + from,
            width: to.saturating_sub(from).max(1),
        });
    }
    let words = match vhds {
        [] => String::new(),
        [one] => format!("{}, {}", one.file, one.size),
        [first, .., last] => {
            let all = vhds.iter().map(|vhd| vhd.size.0).sum::<u64>();
            let count = vhds.len();
            format!(
                "{} to {}: {count} VHDs, {} together",
                first.file,
                last.file,
                Bytes(all)
            )
        }
    };
    (shown, words)
}

fn of_layout(layout: &FoundLayout, size: Bytes) -> Vec<Part> {
    let part = |part: &groundstate_api::inventory::FoundPartition| {
        let (from, width) = span(part.start.0, part.length.0, size.0);
        let what = part.file_system.as_ref().map_or("", |fs| fs.what.as_str());
        let class = match part.name.as_str() {
            "gs-esp" => "esp",
            "gs-root" => "root",
            _ => "data",
        };
        Part {
            name: part.name.clone(),
            class,
            from,
            width,
            holds: [what, &part.length.to_string()]
                .into_iter()
                .filter(|text| !text.is_empty())
                .collect::<Vec<_>>()
                .join(", "),
            vhds: Vec::new(),
            vhds_words: String::new(),
        }
    };
    layout.partitions.iter().map(part).collect()
}
