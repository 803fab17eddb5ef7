// SPDX-License-Identifier: Apache-2.0
//! The report at the end: times, parts, what each disk now holds, and where to look further.

use anyhow::Result;
use groundstate_api::plan::{DiskAction, DiskPlan, PartitionContents};
use groundstate_api::view::{NodeReport, Timing};
use groundstate_api::{Bytes, Millis};
use groundstate_tests::stage::{Outcome, Stage};
use std::fmt::Write as _;

/// Cells of the longest bar.
const BAR_CELLS: u64 = 40;

/// Prints the report of every node.
pub(crate) fn print(stage: &mut Stage, outcomes: &[Outcome]) -> Result<()> {
    for (node, outcome) in stage.nodes.iter_mut().zip(outcomes) {
        println!("\n{}", text(&outcome.report));
        if node.is_on() {
            let picture = node.screendump(&node.folder().join("screen.png"))?;
            println!("  the node's screen   {}", picture.display());
        }
        let working = node.folder().join(super::WORKING_PICTURE);
        if working.exists() {
            println!("  and while it worked {}", working.display());
        }
        println!(
            "  serial log          {}",
            node.serial_log().path().display()
        );
    }
    if let Some(capture) = stage.net().capture() {
        println!("  packet capture      {}", capture.display());
    }
    println!("  servers' log        {}\n", stage.servers.log().display());
    Ok(())
}

fn text(report: &NodeReport) -> String {
    let mut out = String::new();
    let view = &report.view;
    line(
        &mut out,
        &format!("{} is {}", view.node, view.phase.as_str().to_uppercase()),
    );
    if let Some(reason) = &view.reason {
        for each in reason.lines() {
            line(&mut out, &format!("  {each}"));
        }
    }
    line(&mut out, "\n  time per phase");
    out.push_str(&timings(&report.timings));
    inventory(&mut out, report);
    if let Some(plan) = &report.plan {
        line(&mut out, &format!("\n  plan {}", plan.id.as_str()));
        for disk in &plan.disks {
            holds(&mut out, disk);
        }
        line(
            &mut out,
            &format!(
                "\n  image               {} {} {}",
                plan.image.name, plan.image.version, plan.image.manifest
            ),
        );
    }
    if let Some(memory) = report.peak_memory {
        line(&mut out, &format!("  PID 1's peak memory {memory}"));
    }
    if let Some(host) = &report.host {
        line(
            &mut out,
            &format!("  host                {}, boot {}", host.os, host.boot_id),
        );
        for change in &host.changes {
            line(
                &mut out,
                &format!(
                    "    {:20} {} -> {}",
                    change.what, change.before, change.after
                ),
            );
        }
    }
    out
}

fn inventory(out: &mut String, report: &NodeReport) {
    let Some(inventory) = &report.inventory else {
        return;
    };
    let memory = &inventory.memory;
    line(
        out,
        &format!(
            "\n  memory {} of {} configured; inventory complete {} after the kernel's start",
            memory.available, memory.configured, inventory.complete_after
        ),
    );
    for dimm in &memory.dimms {
        let size = dimm
            .size
            .map_or_else(|| "empty".to_owned(), |size| size.to_string());
        line(
            out,
            &format!(
                "    DIMM {:10} {size:10} {} {}",
                dimm.slot, dimm.part_number, dimm.serial
            ),
        );
    }
    line(out, "\n  disks");
    for disk in &inventory.disks {
        let verdict = format!("{:?}", disk.health.verdict).to_lowercase();
        line(
            out,
            &format!(
                "    {:16} {:>9} {:8} {:26} {}",
                disk.serial,
                disk.size.to_string(),
                verdict,
                disk.slot,
                disk.model
            ),
        );
    }
}

fn holds(out: &mut String, disk: &DiskPlan) {
    let (what, table) = match &disk.action {
        DiskAction::Wipe { table, .. } => ("written", Some(table)),
        DiskAction::Keep { table } => ("kept", Some(table)),
        DiskAction::Renew { table, .. } => ("renewed beside a kept volume", Some(table)),
        DiskAction::Erase { .. } => ("erased", None),
        DiskAction::LeaveAlone => ("left alone", None),
    };
    line(
        out,
        &format!("    {:16} {what}: {}", disk.serial, disk.because),
    );
    for partition in table.into_iter().flat_map(|table| &table.partitions) {
        let contents = match &partition.holds {
            PartitionContents::Esp { .. } => "boot loader, kernel, initrd (FAT32)".to_owned(),
            PartitionContents::Root => "the host's root file system".to_owned(),
            PartitionContents::WholeDisk { .. } => "the image of a whole disk".to_owned(),
            PartitionContents::Ext4 {
                mount_point, vhds, ..
            }
            | PartitionContents::Xfs {
                mount_point, vhds, ..
            } => {
                let names: Vec<_> = vhds
                    .iter()
                    .map(|vhd| format!("{} ({})", vhd.file, vhd.size))
                    .collect();
                let fs = partition
                    .holds
                    .volume()
                    .map_or("", |volume| volume.fs.as_str());
                format!("{fs} at {mount_point}: {}", names.join(", "))
            }
        };
        line(
            out,
            &format!(
                "      {:8} {} {:>9}  {contents}",
                partition.name,
                extent(partition.start, partition.length, disk.size),
                partition.length.to_string()
            ),
        );
    }
}

/// Where on the disk a partition lies: `[..######....]`.
fn extent(start: Bytes, length: Bytes, size: Bytes) -> String {
    const CELLS: u64 = 24;
    let cell = |at: u64| at.saturating_mul(CELLS) / size.0.max(1);
    let (from, to) = (
        cell(start.0),
        cell(start.0 + length.0).max(cell(start.0) + 1),
    );
    let cells: String = (0..CELLS)
        .map(|at| if (from..to).contains(&at) { '#' } else { '.' })
        .collect();
    format!("[{cells}]")
}

fn timings(timings: &[Timing]) -> String {
    let longest = timings
        .iter()
        .filter_map(|timing| timing.took)
        .max()
        .unwrap_or(Millis(1))
        .0
        .max(1);
    let mut out = String::new();
    for timing in timings {
        let Some(took) = timing.took else { continue };
        let cells = usize::try_from(took.0 * BAR_CELLS / longest).unwrap_or(0);
        line(
            &mut out,
            &format!(
                "    {:26} {:>12}  {}",
                timing.what,
                took.to_string(),
                "#".repeat(cells.max(1))
            ),
        );
    }
    if let (Some(first), Some(end)) = (
        timings.first(),
        timings
            .iter()
            .filter_map(|t| Some(t.began.plus(t.took?)))
            .max(),
    ) {
        line(
            &mut out,
            &format!(
                "    {:26} {:>12}",
                "in all",
                end.since(first.began).to_string()
            ),
        );
    }
    out
}

fn line(out: &mut String, text: &str) {
    writeln!(out, "{text}").expect("writing to a String cannot fail");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_drawn_to_scale() {
        let timing = |what: &str, began, took| Timing {
            what: what.into(),
            began: Millis(began),
            took: Some(Millis(took)),
        };
        let drawn = timings(&[timing("DHCP", 0, 1_000), timing("image", 1_000, 4_000)]);
        let lines: Vec<_> = drawn.lines().map(str::trim).collect();
        expect_test::expect![[r"
            DHCP                              1.0 s  ##########
            image                             4.0 s  ########################################
            in all                            5.0 s"]]
        .assert_eq(&lines.join("\n"));
        assert_eq!(
            extent(Bytes(0), Bytes(50), Bytes(100)),
            "[############............]"
        );
    }
}
