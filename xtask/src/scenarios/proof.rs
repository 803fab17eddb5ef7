// SPDX-License-Identifier: Apache-2.0
//! What others' tools say of the disks that a node has written: sgdisk, fsck.vfat, debugfs and qemu-img.

use crate::command::{command, run, text};
use anyhow::{Context as _, Result, ensure};
use groundstate_api::plan::{DiskAction, PartitionContents, PartitionPlan, Plan, VhdPlan};
use groundstate_tests::stage::Stage;
use std::path::Path;

/// Checks every disk of the first node against its plan. The node must be powered off.
pub(super) fn other_tools_accept(stage: &Stage, plan: &Plan) -> Result<()> {
    for disk in &plan.disks {
        let images = stage.nodes[0].disks();
        let image = images.iter().find(|image| image.serial() == disk.serial);
        let image = image
            .with_context(|| format!("the rack has no disk {}", disk.serial))?
            .path();
        let (DiskAction::Wipe { table, .. }
        | DiskAction::Renew { table, .. }
        | DiskAction::Keep { table }) = &disk.action
        else {
            continue;
        };
        let said = text(command("sgdisk", ["-v"]).arg(image))?;
        ensure!(
            said.contains("No problems found"),
            "sgdisk of {}: {said}",
            disk.serial
        );
        for (number, partition) in (1..).zip(&table.partitions) {
            let said = text(command("sgdisk", [format!("-i{number}")]).arg(image))?;
            let guid = format!("Partition unique GUID: {}", partition.guid);
            ensure!(
                said.contains(&guid),
                "partition {number} of {} is not {guid}: {said}",
                disk.serial
            );
            match &partition.holds {
                PartitionContents::Esp { .. } => esp(image, partition, &stage.folder)?,
                // debugfs reads ext4 only; what is on XFS is seen by the host that mounts it.
                PartitionContents::Root
                | PartitionContents::WholeDisk { .. }
                | PartitionContents::Xfs { .. } => {}
                PartitionContents::Ext4 { vhds, .. } => {
                    for each in vhds {
                        vhd(image, partition, each, &stage.folder)?;
                    }
                }
            }
        }
    }
    Ok(())
}

/// The ESP is a sound FAT.
fn esp(image: &Path, partition: &PartitionPlan, folder: &Path) -> Result<()> {
    let copy = folder.join("esp.fat");
    let mut dd = command(
        "dd",
        ["bs=1M", "status=none", "iflag=skip_bytes,count_bytes"],
    );
    dd.arg(format!("if={}", image.display()));
    dd.arg(format!("of={}", copy.display()));
    dd.arg(format!("skip={}", partition.start.0));
    run(dd.arg(format!("count={}", partition.length.0)))?;
    run(command("fsck.vfat", ["-n"]).arg(&copy))
}

/// The VHD is on the volume, and QEMU sees it with exactly the planned size.
fn vhd(image: &Path, partition: &PartitionPlan, planned: &VhdPlan, folder: &Path) -> Result<()> {
    let copy = folder.join(&planned.file);
    let mut debugfs = command("debugfs", ["-R"]);
    debugfs.arg(format!("dump /{} {}", planned.file, copy.display()));
    // debugfs is quiet about a file that is not there: then there is no copy either.
    text(debugfs.arg(format!("{}?offset={}", image.display(), partition.start.0)))?;
    let said = text(command("qemu-img", ["info", "--output=json", "-f", "vpc"]).arg(&copy))?;
    let info: serde_json::Value =
        serde_json::from_str(&said).context("reading what qemu-img says")?;
    ensure!(
        info["virtual-size"].as_u64() == Some(planned.size.0),
        "{} should be {}: {said}",
        planned.file,
        planned.size
    );
    std::fs::remove_file(&copy).with_context(|| format!("removing {}", copy.display()))
}
