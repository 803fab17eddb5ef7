// SPDX-License-Identifier: Apache-2.0
//! Carries one disk step of a plan out on every disk that it concerns.

use super::parallel::{Done, on_each};
use super::wipe::{HEAD, TAIL};
use super::{Hold, make_esp, make_ext4, make_xfs, partition, partition_device, vhds, wipe};
use crate::mount::{Access, Mounted};
use groundstate_api::inventory::Disk;
use groundstate_api::plan::{
    DiskAction, DiskPlan, PartitionContents, PartitionPlan, Plan, Step, TablePlan, VhdFormat,
    VhdKind, VhdPlan,
};
use groundstate_api::units::MIB;
use groundstate_api::{Bytes, Reason, ReasonCode, SystemUuid};
use mos_core::guard::{guard, guard_contents, guard_disk};
use std::path::{Path, PathBuf};

/// The UUID of SMBIOS type 1, as the kernel reads it.
const PRODUCT_UUID: &str = "/sys/class/dmi/id/product_uuid";
/// The most lines that a step says of itself: they are kept in the journal and shown on one page. 24 disks with 256
/// VHDs each would be 6,144.
const FACTS_MAX: usize = 64;

/// What the steps work with: the plan, and a fresh look at the machine's disks.
pub struct Bench<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// Looks at every disk now, contents included.
    pub look: &'a (dyn Fn() -> Vec<Disk> + Sync),
}

/// A disk to be written to, found again a moment ago.
struct Job<'a> {
    planned: &'a DiskPlan,
    table: &'a TablePlan,
    seen: Disk,
}

impl Job<'_> {
    fn device(&self) -> PathBuf {
        Path::new("/dev").join(&self.seen.kernel_name)
    }

    /// Keeps the disk's name to it until the effect is done.
    fn hold(&self) -> Result<Hold, Reason> {
        let held = Hold::new(&self.device(), self.planned, &self.seen);
        held.map_err(|error| error.reason(self.planned))
    }

    /// Each fact with the disk that it is about.
    fn said(&self, facts: Vec<String>) -> Vec<String> {
        let serial = &self.planned.serial;
        facts
            .into_iter()
            .map(|fact| format!("{serial}: {fact}"))
            .collect()
    }

    fn partitions(&self) -> impl Iterator<Item = (PathBuf, &PartitionPlan)> {
        let numbered = self.table.partitions.iter().zip(1u32..);
        numbered.map(|(partition, number)| {
            (partition_device(&self.seen.kernel_name, number), partition)
        })
    }
}

/// Carries `step` out (`Guard` to `Vhds`) and tells what was done, in at most [`FACTS_MAX`] lines. `progress` hears bytes done and in all.
///
/// # Errors
/// The reason with the disk that it is about. After `Guard` failed, nothing was written.
pub fn carry_out(
    step: Step,
    bench: &Bench<'_>,
    progress: &mut dyn FnMut(Bytes, Bytes),
) -> Result<Vec<String>, Reason> {
    done_by(step, bench, progress).map(bounded)
}

/// At most [`FACTS_MAX`] lines; the last one then says how many more there were.
pub(super) fn bounded(mut facts: Vec<String>) -> Vec<String> {
    let more = facts.len().saturating_sub(FACTS_MAX - 1);
    if more > 1 {
        facts.truncate(FACTS_MAX - 1);
        facts.push(format!("and {more} more"));
    }
    facts
}

fn done_by(
    step: Step,
    bench: &Bench<'_>,
    progress: &mut dyn FnMut(Bytes, Bytes),
) -> Result<Vec<String>, Reason> {
    match step {
        Step::Guard => guard_all(bench, machine()),
        Step::Wipe => {
            let jobs = jobs(bench, true)?;
            let each = HEAD + TAIL;
            on_each(
                &jobs,
                Bytes(each * jobs.len() as u64),
                progress,
                &|job, done| {
                    let _held = job.hold()?;
                    let facts = wipe(&job.device(), job.planned)
                        .map_err(|error| error.reason(job.planned))?;
                    done.add(each);
                    Ok(job.said(facts))
                },
            )
        }
        Step::Partition => {
            let jobs = jobs(bench, false)?;
            on_each(
                &jobs,
                Bytes(MIB * jobs.len() as u64),
                progress,
                &|job, done| {
                    let _held = job.hold()?;
                    let facts = partition(&job.device(), job.planned)
                        .map_err(|error| error.reason(job.planned))?;
                    done.add(MIB);
                    Ok(job.said(facts))
                },
            )
        }
        Step::Volumes => {
            let jobs = jobs(bench, false)?;
            on_each(&jobs, total(&jobs, volume_bytes), progress, &make_volumes)
        }
        Step::Vhds => {
            let jobs = jobs(bench, false)?;
            on_each(&jobs, total(&jobs, vhd_bytes), progress, &make_all_vhds)
        }
        Step::Image
        | Step::ReadBack
        | Step::FirstBoot
        | Step::BootEntry
        | Step::HandOver
        | Step::Erase => {
            Err(Reason::new(
                ReasonCode::Internal,
                format!("Step {} is not a disk step.", step.as_str()),
                "Report it with the node's log.",
            ))
        }
    }
}

pub(super) fn guard_all(
    bench: &Bench<'_>,
    machine: Option<SystemUuid>,
) -> Result<Vec<String>, Reason> {
    guard(bench.plan, &(bench.look)(), machine)?;
    let disks = &bench.plan.disks;
    let count =
        |wanted: fn(&DiskAction) -> bool| disks.iter().filter(|disk| wanted(&disk.action)).count();
    if bench.plan.erases() {
        return Ok(vec![format!(
            "{} disks are the planned ones: {} to erase, {} left alone",
            disks.len(),
            count(|action| matches!(action, DiskAction::Erase { .. })),
            count(|action| matches!(action, DiskAction::LeaveAlone)),
        )]);
    }
    Ok(vec![format!(
        "{} disks are the planned ones: {} to wipe, {} to keep, {} left alone",
        disks.len(),
        count(|action| matches!(action, DiskAction::Wipe { .. })),
        count(|action| matches!(action, DiskAction::Keep { .. })),
        count(|action| matches!(action, DiskAction::LeaveAlone)),
    )])
}

fn machine() -> Option<SystemUuid> {
    std::fs::read_to_string(PRODUCT_UUID)
        .ok()
        .and_then(|text| text.trim().parse().ok())
}

/// Looks at the disks now and finds every one that is to be written to; with `contents`, what it holds must be what
/// the plan lets go.
fn jobs<'a>(bench: &Bench<'a>, contents: bool) -> Result<Vec<Job<'a>>, Reason> {
    let seen = (bench.look)();
    let mut jobs = Vec::new();
    for planned in &bench.plan.disks {
        let DiskAction::Wipe { table, .. } = &planned.action else {
            continue;
        };
        let found = guard_disk(planned, &seen)?;
        if contents {
            guard_contents(planned, found)?;
        }
        jobs.push(Job {
            planned,
            table,
            seen: found.clone(),
        });
    }
    Ok(jobs)
}

fn total(jobs: &[Job<'_>], bytes: fn(&PartitionPlan) -> u64) -> Bytes {
    let partitions = jobs.iter().flat_map(|job| &job.table.partitions);
    Bytes(partitions.map(bytes).sum())
}

fn volume_bytes(partition: &PartitionPlan) -> u64 {
    match partition.holds {
        PartitionContents::Esp { .. }
        | PartitionContents::Ext4 { .. }
        | PartitionContents::Xfs { .. } => partition.length.0,
        PartitionContents::Root => 0,
    }
}

fn vhd_bytes(partition: &PartitionPlan) -> u64 {
    let volume = partition.holds.volume();
    volume.map_or(0, |volume| volume.vhds.iter().map(|vhd| vhd.size.0).sum())
}

fn make_volumes(job: &Job<'_>, done: &Done) -> Result<Vec<String>, Reason> {
    let _held = job.hold()?;
    let mut facts = Vec::new();
    for (path, partition) in job.partitions() {
        let made = match &partition.holds {
            PartitionContents::Esp { label, volume_id } => {
                make_esp(&path, job.planned.logical_sector, label, *volume_id)
            }
            PartitionContents::Ext4 { label, uuid, .. } => make_ext4(&path, label, uuid),
            PartitionContents::Xfs { label, uuid, .. } => make_xfs(&path, label, uuid),
            PartitionContents::Root => Ok(Vec::new()),
        };
        facts.extend(made.map_err(|error| error.reason(job.planned))?);
        done.add(volume_bytes(partition));
    }
    Ok(job.said(facts))
}

fn make_all_vhds(job: &Job<'_>, done: &Done) -> Result<Vec<String>, Reason> {
    let _held = job.hold()?;
    let mut facts = Vec::new();
    for (path, partition) in job.partitions() {
        let Some(on) = partition.holds.volume().filter(|on| !on.vhds.is_empty()) else {
            continue;
        };
        let refused = |error: super::DiskError| error.reason(job.planned);
        let at = format!("volume/{}", partition.guid);
        let about = |reason: Reason| reason.about(job.planned.part());
        let volume = Mounted::new(&path, &at, on.fs.as_str(), Access::ReadWrite).map_err(about)?;
        for vhd in on.vhds {
            check_can_make(vhd, volume.path()).map_err(refused)?;
            facts.push(vhds::make_vhd(volume.path(), vhd).map_err(refused)?);
            done.add(vhd.size.0);
        }
        volume.finish().map_err(about)?;
    }
    Ok(job.said(facts))
}

/// Refuses what this maintenance OS does not make. A plan may name it: planner and maintenance OS can differ in age.
fn check_can_make(vhd: &VhdPlan, volume: &Path) -> Result<(), super::DiskError> {
    if vhd.format == VhdFormat::Vhd && vhd.kind == VhdKind::Fixed {
        return Ok(());
    }
    Err(super::DiskError::NotMadeHere {
        format: vhd.format.as_str(),
        kind: vhd.kind.as_str(),
        path: volume.join(&vhd.file),
    })
}
