// SPDX-License-Identifier: Apache-2.0
//! One node's report.

use super::Why;
use super::nodes::Row;
use crate::clock::words;
use askama::Template;
use groundstate_api::boot::Firmware;
use groundstate_api::health;
use groundstate_api::inventory::{Inventory, Verdict};
use groundstate_api::plan::{DiskAction, DiskPlan, HandOver, PartitionContents, Plan, TablePlan};
use groundstate_api::view::NodeReport;

#[derive(Template)]
#[template(path = "node.html")]
pub(super) struct NodePage {
    site: String,
    row: Row,
    run: Option<String>,
    facts: Vec<(&'static str, String)>,
    disks: Vec<DiskRow>,
    dimms: Vec<DimmRow>,
    findings: Vec<Why>,
    timings: Vec<TimingRow>,
    steps: Vec<(&'static str, Vec<String>)>,
    alarms: Vec<Why>,
    changes: Vec<(String, String, String)>,
    could_not_look: Vec<String>,
    hardware: String,
}

struct DiskRow {
    slot: String,
    serial: String,
    model: String,
    size: String,
    verdict: &'static str,
    evidence: String,
    role: &'static str,
    because: String,
    action: String,
    bars: Vec<Bar>,
}

/// One partition, as a part of its disk's bar.
struct Bar {
    name: String,
    percent: u64,
    holds: String,
}

struct DimmRow {
    slot: String,
    size: String,
    kind: String,
    serial: String,
}

struct TimingRow {
    what: String,
    took: String,
    percent: u64,
}

impl NodePage {
    pub(super) fn of(site: &str, report: &NodeReport) -> Self {
        let inventory = report.inventory.as_ref();
        Self {
            site: site.to_owned(),
            row: Row::of(&report.view),
            run: report.view.run.as_ref().map(ToString::to_string),
            facts: facts(report),
            disks: disks(inventory, report.plan.as_ref()),
            dimms: inventory.map(dimms).unwrap_or_default(),
            findings: report
                .findings
                .iter()
                .map(|f| Why::from(&f.reason))
                .collect(),
            timings: timings(report),
            steps: report
                .facts
                .iter()
                .map(|(step, lines)| (step.says(), lines.clone()))
                .collect(),
            alarms: report.alarms.iter().rev().map(Why::from).collect(),
            changes: report
                .host
                .iter()
                .flat_map(|host| &host.changes)
                .map(|c| (c.what.clone(), c.before.clone(), c.after.clone()))
                .collect(),
            could_not_look: inventory
                .map(|i| i.could_not_look.clone())
                .unwrap_or_default(),
            hardware: match report.hardware.as_slice() {
                [] => String::new(),
                reports => health::page(reports).join("\n"),
            },
        }
    }
}

fn facts(report: &NodeReport) -> Vec<(&'static str, String)> {
    let mut facts = Vec::new();
    let mut add = |name: &'static str, value: Option<String>| {
        if let Some(value) = value {
            facts.push((name, value));
        }
    };
    add(
        "firmware",
        report.firmware.map(|f| Firmware::as_str(f).to_owned()),
    );
    add(
        "hand-over",
        report.hand_over.map(|h| match h {
            HandOver::Kexec => "kexec".to_owned(),
            HandOver::Reboot => "reboot".to_owned(),
        }),
    );
    if let Some(i) = &report.inventory {
        add(
            "machine",
            Some(format!(
                "{} {}, serial {}",
                i.system.manufacturer, i.system.product, i.system.serial
            )),
        );
        add(
            "processors",
            Some(format!("{} × {}", i.system.cpus, i.system.cpu_model)),
        );
        add(
            "memory",
            Some(format!(
                "{} usable of {}",
                i.memory.available, i.memory.configured
            )),
        );
    }
    if let Some(plan) = &report.plan {
        add("plan", Some(plan.id.to_string()));
        add(
            "image",
            Some(format!(
                "{} {}, manifest {}",
                plan.image.name, plan.image.version, plan.image.manifest
            )),
        );
    }
    add(
        "peak memory of PID 1",
        report.peak_memory.map(|m| m.to_string()),
    );
    if let Some(host) = &report.host {
        add("host", Some(host.os.clone()));
        add("host's plan", Some(host.plan.to_string()));
    }
    add("last heard", report.view.last_heard.map(words));
    facts
}

fn disks(inventory: Option<&Inventory>, plan: Option<&Plan>) -> Vec<DiskRow> {
    let seen = inventory.map(|i| i.disks.as_slice()).unwrap_or_default();
    seen.iter()
        .map(|disk| {
            let planned = plan.and_then(|p| p.disks.iter().find(|d| d.serial == disk.serial));
            DiskRow {
                slot: disk.slot.clone(),
                serial: disk.serial.clone(),
                model: disk.model.clone(),
                size: disk.size.to_string(),
                verdict: match disk.health.verdict {
                    Verdict::Ok => "ok",
                    Verdict::Unknown => "unknown",
                    Verdict::Warn => "warning",
                    Verdict::Fail => "failing",
                },
                evidence: disk.health.evidence.join("; "),
                role: planned.map_or("", role),
                because: planned.map(|p| p.because.clone()).unwrap_or_default(),
                action: planned.map(action).unwrap_or_default(),
                bars: planned.map(bars).unwrap_or_default(),
            }
        })
        .collect()
}

fn role(disk: &DiskPlan) -> &'static str {
    match disk.role {
        groundstate_api::plan::Role::Os => "OS",
        role => role.as_str(),
    }
}

fn action(disk: &DiskPlan) -> String {
    match &disk.action {
        DiskAction::Wipe { goes, .. } => format!("wipe: {} goes", goes.join(", ")),
        DiskAction::Keep { .. } => "keep".to_owned(),
        DiskAction::Renew { goes, .. } => {
            format!("OS anew, data kept: {} goes", goes.join(", "))
        }
        DiskAction::Erase { goes, level } => format!("erase ({level}): {} goes", goes.join(", ")),
        DiskAction::LeaveAlone => "left alone".to_owned(),
    }
}

fn bars(disk: &DiskPlan) -> Vec<Bar> {
    let table: Option<&TablePlan> = match &disk.action {
        DiskAction::Wipe { table, .. }
        | DiskAction::Renew { table, .. }
        | DiskAction::Keep { table } => Some(table),
        DiskAction::Erase { .. } | DiskAction::LeaveAlone => None,
    };
    let parts = table.map(|t| t.partitions.as_slice()).unwrap_or_default();
    parts
        .iter()
        .map(|part| Bar {
            name: part.name.clone(),
            percent: percent(part.length.0, disk.size.0),
            holds: match &part.holds {
                PartitionContents::Esp { .. } => format!("boot files, {}", part.length),
                PartitionContents::Root => format!("host, {}", part.length),
                PartitionContents::Ext4 {
                    mount_point, vhds, ..
                }
                | PartitionContents::Xfs {
                    mount_point, vhds, ..
                } => {
                    format!("{mount_point}, {}, {} VHDs", part.length, vhds.len())
                }
            },
        })
        .collect()
}

/// At least one in a hundred, so that it can be seen.
fn percent(part: u64, whole: u64) -> u64 {
    let hundredths = u128::from(part) * 100 / u128::from(whole.max(1));
    u64::try_from(hundredths).unwrap_or(100).clamp(1, 100)
}

fn dimms(inventory: &Inventory) -> Vec<DimmRow> {
    inventory
        .memory
        .dimms
        .iter()
        .map(|dimm| DimmRow {
            slot: dimm.slot.clone(),
            size: match (dimm.populated, dimm.size) {
                (false, _) => "empty".to_owned(),
                (true, Some(size)) => size.to_string(),
                (true, None) => "size unknown".to_owned(),
            },
            kind: format!("{} {} MT/s", dimm.kind, dimm.speed),
            serial: dimm.serial.clone(),
        })
        .collect()
}

fn timings(report: &NodeReport) -> Vec<TimingRow> {
    let longest = report
        .timings
        .iter()
        .filter_map(|t| t.took)
        .max()
        .unwrap_or_default();
    report
        .timings
        .iter()
        .map(|t| TimingRow {
            what: t.what.clone(),
            took: t
                .took
                .map_or_else(|| "goes on".to_owned(), |took| took.to_string()),
            percent: t.took.map_or(0, |took| percent(took.0, longest.0)),
        })
        .collect()
}
