// SPDX-License-Identifier: Apache-2.0
//! Documents as text.

use groundstate_api::Millis;
use groundstate_api::inventory::{Inventory, Verdict};
use groundstate_api::plan::{DiskAction, DiskPlan, PartitionContents, Plan, Role};
use groundstate_api::run::StepState;
use groundstate_api::view::{NodeReport, NodeView};

/// A moment, by the UTC clock.
pub(crate) fn moment(at: Millis) -> String {
    i64::try_from(at.0)
        .ok()
        .and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok())
        .map_or_else(
            || at.0.to_string(),
            |stamp| stamp.strftime("%Y-%m-%d %H:%M:%SZ").to_string(),
        )
}

/// A node in a line.
pub(crate) fn view_line(view: &NodeView) -> String {
    let what = match (&view.step, &view.reason) {
        (Some((step, StepState::Running { done, total })), _) => {
            format!("{}: {done} of {total}", step.says())
        }
        (_, Some(reason)) => format!("{} [{}]", reason.what, reason.code),
        (Some((step, _)), None) => step.says().to_owned(),
        (None, None) => String::new(),
    };
    format!(
        "{:<16} {:<12} {}  {what}",
        view.node,
        view.phase.as_str(),
        moment(view.since)
    )
}

/// A node in full.
pub(crate) fn report(report: &NodeReport) -> String {
    let mut lines = vec![view_line(&report.view)];
    let mut add = |name: &str, value: String| lines.push(format!("  {name:<14} {value}"));
    add("MAC", report.view.mac.to_string());
    if let Some(run) = &report.view.run {
        add("run", run.to_string());
    }
    if let Some(firmware) = report.firmware {
        add("firmware", firmware.as_str().to_owned());
    }
    if let Some(inventory) = &report.inventory {
        parts(inventory, &mut add);
    }
    if let Some(plan) = &report.plan {
        add("plan", plan.id.to_string());
        add(
            "image",
            format!(
                "{} {} {}",
                plan.image.name, plan.image.version, plan.image.manifest
            ),
        );
    }
    for timing in &report.timings {
        let took = timing
            .took
            .map_or_else(|| "goes on".to_owned(), |took| took.to_string());
        add("time", format!("{:<26} {took:>12}", timing.what));
    }
    if let Some(peak) = report.peak_memory {
        add("peak memory", format!("{peak} (PID 1)"));
    }
    if let Some(host) = &report.host {
        add("host", host.os.clone());
        if host.adopted.is_some() {
            add(
                "image",
                "unknown: the host was adopted as it ran".to_owned(),
            );
        }
        for change in &host.changes {
            add(
                "first boot",
                format!("{}: {} -> {}", change.what, change.before, change.after),
            );
        }
    }
    for finding in &report.findings {
        add("finding", finding.reason.lines().join("\n    "));
    }
    for alarm in &report.alarms {
        add("ALARM", alarm.lines().join("\n    "));
    }
    lines.join("\n")
}

fn parts(inventory: &Inventory, add: &mut impl FnMut(&str, String)) {
    let system = &inventory.system;
    add(
        "machine",
        format!(
            "{} {}, serial {}",
            system.manufacturer, system.product, system.serial
        ),
    );
    for dimm in inventory.memory.dimms.iter().filter(|dimm| dimm.populated) {
        let size = dimm
            .size
            .map_or_else(|| "size unknown".to_owned(), |size| size.to_string());
        add(
            "DIMM",
            format!("{}: {size} {} serial {}", dimm.slot, dimm.kind, dimm.serial),
        );
    }
    for disk in &inventory.disks {
        let verdict = match disk.health.verdict {
            Verdict::Ok => "ok",
            Verdict::Unknown => "health unknown",
            Verdict::Warn => "WARNING",
            Verdict::Fail => "FAILING",
        };
        add(
            "disk",
            format!(
                "{}: serial {}, {}, {}, {verdict}",
                disk.slot, disk.serial, disk.size, disk.model
            ),
        );
    }
}

/// A plan as a person reads it before it runs.
pub(crate) fn plan(plan: &Plan) -> String {
    let mut lines = vec![
        format!("plan {}", plan.id),
        format!(
            "  run {}, image {} {}",
            plan.run, plan.image.name, plan.image.version
        ),
    ];
    for disk in &plan.disks {
        lines.push(format!("  {}", disk_line(disk)));
        let table = match &disk.action {
            DiskAction::Wipe { goes, table } => {
                lines.push(format!(
                    "      WIPE: {} goes",
                    if goes.is_empty() {
                        "nothing".to_owned()
                    } else {
                        goes.join(", ")
                    }
                ));
                Some(table)
            }
            DiskAction::Keep { table } => {
                lines.push("      KEEP: nothing is written".to_owned());
                Some(table)
            }
            DiskAction::Renew { goes, table } => {
                lines.push(format!(
                    "      RENEW: {} goes; the table and the data volume stay",
                    goes.join(", ")
                ));
                Some(table)
            }
            DiskAction::Erase { goes, level } => {
                lines.push(format!("      ERASE ({level}): {} goes", goes.join(", ")));
                None
            }
            DiskAction::LeaveAlone => {
                lines.push("      LEFT ALONE".to_owned());
                None
            }
        };
        for part in table.iter().flat_map(|table| &table.partitions) {
            let holds = match &part.holds {
                PartitionContents::Esp { .. } => "boot files".to_owned(),
                PartitionContents::Root => "the host".to_owned(),
                PartitionContents::WholeDisk { .. } => "the whole-disk image".to_owned(),
                PartitionContents::Ext4 {
                    mount_point, vhds, ..
                }
                | PartitionContents::Xfs {
                    mount_point, vhds, ..
                } => format!("{mount_point}, {} VHDs", vhds.len()),
            };
            lines.push(format!(
                "      {:<10} {:>10}  {holds}",
                part.name, part.length
            ));
        }
    }
    lines.join("\n")
}

/// A planned disk in a line.
pub(crate) fn disk_line(disk: &DiskPlan) -> String {
    let role = match disk.role {
        Role::Os => "OS",
        role => role.as_str(),
    };
    format!(
        "{role:<5} serial {}, {}, {}, {}: {}",
        disk.serial, disk.slot, disk.size, disk.model, disk.because
    )
}
