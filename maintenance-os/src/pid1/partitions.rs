// SPDX-License-Identifier: Apache-2.0
//! Where a plan's partitions are: on which disk, with which number, and under which device node now.

use crate::disk::{self, OPEN_MAX, on_os_disk};
use crate::pid1::look;
use groundstate_api::host::SeedVolume;
use groundstate_api::inventory::Disk;
use groundstate_api::plan::{
    DiskAction, DiskPlan, PartitionContents, PartitionPlan, Plan, Role, TablePlan,
};
use groundstate_api::{Reason, ReasonCode};
use std::path::PathBuf;

pub(super) fn is_root(contents: &PartitionContents) -> bool {
    matches!(contents, PartitionContents::Root)
}

pub(super) fn is_esp(contents: &PartitionContents) -> bool {
    matches!(contents, PartitionContents::Esp { .. })
}

pub(super) fn tables(plan: &Plan) -> impl Iterator<Item = (&DiskPlan, &TablePlan)> {
    plan.disks.iter().filter_map(|disk| match &disk.action {
        DiskAction::Wipe { table, .. }
        | DiskAction::Renew { table, .. }
        | DiskAction::Keep { table } => Some((disk, table)),
        DiskAction::Erase { .. } | DiskAction::LeaveAlone => None,
    })
}

pub(super) fn planned(
    plan: &Plan,
    wanted: fn(&PartitionContents) -> bool,
) -> Result<(&DiskPlan, usize, &PartitionPlan), Reason> {
    tables(plan)
        .filter(|(disk, _)| disk.role == Role::Os)
        .find_map(|(disk, table)| {
            let at = table
                .partitions
                .iter()
                .position(|partition| wanted(&partition.holds))?;
            table
                .partitions
                .get(at)
                .map(|partition| (disk, at + 1, partition))
        })
        .ok_or_else(|| {
            Reason::new(
                ReasonCode::PlanRefused,
                "the plan has no OS disk with an ESP and a root partition",
                "report it with the plan (`groundstate node plan NODE`)",
            )
        })
}

pub(super) fn root_guid(plan: &Plan) -> Result<&str, Reason> {
    planned(plan, is_root).map(|(_, _, partition)| partition.guid.as_str())
}

/// The device node of a partition of the OS disk. Its disk keeps its name as long as this is there.
pub(super) struct HeldPartition {
    path: PathBuf,
    _held: disk::Hold,
}

impl std::ops::Deref for HeldPartition {
    type Target = std::path::Path;

    fn deref(&self) -> &std::path::Path {
        &self.path
    }
}

/// A partition of the OS disk, after the guard has looked at the disk once more.
pub(super) fn partition(
    plan: &Plan,
    wanted: fn(&PartitionContents) -> bool,
) -> Result<HeldPartition, Reason> {
    let (disk_plan, number, _) = planned(plan, wanted)?;
    let seen: Vec<Disk> = look::disks(disk::Look::Identities);
    let disk = mos_core::guard::guard_disk(disk_plan, &seen)?;
    let device = std::path::Path::new("/dev").join(&disk.kernel_name);
    let (planned, found) = (disk_plan.clone(), disk.clone());
    let held = on_os_disk(plan, OPEN_MAX, "opening the disk", move || {
        disk::Hold::new(&device, &planned, &found).map_err(|error| error.reason(&planned))
    })?;
    Ok(HeldPartition {
        path: disk::partition_device(&disk.kernel_name, number),
        _held: held,
    })
}

pub(super) fn seed_volumes(plan: &Plan) -> Vec<SeedVolume> {
    tables(plan)
        .flat_map(|(disk, table)| {
            table
                .partitions
                .iter()
                .map(move |partition| (disk, partition))
        })
        .filter_map(|(disk, partition)| {
            let volume = partition.holds.volume()?;
            Some(SeedVolume {
                uuid: volume.uuid.to_owned(),
                mount_point: volume.mount_point.to_owned(),
                disk_serial: disk.serial.clone(),
                fs: volume.fs,
            })
        })
        .collect()
}
