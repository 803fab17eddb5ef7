// SPDX-License-Identifier: Apache-2.0
//! Carries one disk step of a plan out on every disk that it concerns.

use super::contents::{ANSWER, read_within};
use super::device::Device;
use super::error::no_answer;
use super::look::{Look, at_once};
use super::parallel::{Done, Outcome, Work, on_each};
use super::remains::beside_own_table;
use super::wipe::{HEAD, TAIL, clear_beside};
use super::{Hold, make_esp, make_ext4, make_xfs, partition, partition_device, vhds, wipe};
use crate::mount::{Access, Mounted};
use groundstate_api::inventory::Disk;
use groundstate_api::plan::{
    DiskAction, DiskPlan, PartitionContents, PartitionPlan, Plan, Step, TablePlan,
};
use groundstate_api::units::MIB;
use groundstate_api::{Bytes, Reason, ReasonCode, SystemUuid};
use mos_core::guard::{UNREADABLE, guard, guard_contents, guard_disk};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The UUID of SMBIOS type 1, as the kernel reads it.
const PRODUCT_UUID: &str = "/sys/class/dmi/id/product_uuid";
/// The most lines that a step says of itself: they are kept in the journal and shown on one page. 24 disks with 256
/// VHDs each would be 6,144.
const FACTS_MAX: usize = 64;
/// What a wipe counts for: both ends of a disk, in bytes.
const WIPED: u64 = HEAD + TAIL;

/// What the steps work with: the plan, and a fresh look at the machine's disks.
pub struct Bench<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// Looks at every disk now, as far as it is told to.
    pub look: &'a (dyn Fn(Look) -> Vec<Disk> + Sync),
    /// Whether an earlier boot of this run began with the image, as the provisioner has written down.
    pub image_begun: bool,
}

/// How long a disk may be silent in a step before it is given up. The kernel's own way with a disk that does not answer
/// (30 s for a command, five tries, resets of link and controller) ends within five minutes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Silence {
    /// While signatures or a table are written, some 30 MiB.
    pub(super) table: Duration,
    /// While a volume is made: mkfs clears the journal and the tables of the largest disks, at worst 1 GiB.
    pub(super) volume: Duration,
    /// While the space of one VHD is taken: it may be written with zeros by the disk, 2 TiB at 500 MiB/s.
    pub(super) vhd: Duration,
}

impl Silence {
    const USUAL: Self = Self {
        table: Duration::from_secs(5 * 60),
        volume: Duration::from_secs(30 * 60),
        vhd: Duration::from_secs(90 * 60),
    };

    fn of(self, step: Step) -> Duration {
        match step {
            Step::Volumes => self.volume,
            Step::Vhds => self.vhd,
            _ => self.table,
        }
    }
}

/// A disk to be written to, found again a moment ago.
struct Job {
    planned: DiskPlan,
    table: TablePlan,
    seen: Disk,
    image_begun: bool,
}

impl Job {
    fn device(&self) -> PathBuf {
        Path::new("/dev").join(&self.seen.kernel_name)
    }

    /// Keeps the disk's name to it until the effect is done.
    fn hold(&self) -> Result<Hold, Reason> {
        let held = Hold::new(&self.device(), &self.planned, &self.seen);
        held.map_err(|error| error.reason(&self.planned))
    }

    /// Whether the table and a data volume stay.
    const fn is_renewed(&self) -> bool {
        matches!(self.planned.action, DiskAction::Renew { .. })
    }

    /// The same of a disk that carries the table of the step before, or the one that stays.
    fn hold_laid_out(&self) -> Result<Hold, Reason> {
        let held = self.hold()?;
        let carries = if self.is_renewed() {
            held.still_holds(&self.planned)
        } else {
            held.carries(&self.table)
        };
        carries.map_err(|error| error.reason(&self.planned))?;
        Ok(held)
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

    fn silent(&self, silence: Duration) -> Reason {
        no_answer(silence).about(self.planned.part())
    }
}

/// Carries `step` out (`Guard` to `Vhds`) and tells what was done, in at most [`FACTS_MAX`] lines. `progress` hears bytes done and in all.
///
/// # Errors
/// The reason with the disk that it is about. After `Guard` failed, nothing was written. Where a disk fails in a later
/// step, the others are laid out to the end before this returns.
pub fn carry_out(
    step: Step,
    bench: &Bench<'_>,
    progress: &mut dyn FnMut(Bytes, Bytes),
) -> Result<Vec<String>, Reason> {
    carry_out_within(step, bench, Silence::USUAL, progress)
}

pub(super) fn carry_out_within(
    step: Step,
    bench: &Bench<'_>,
    silence: Silence,
    progress: &mut dyn FnMut(Bytes, Bytes),
) -> Result<Vec<String>, Reason> {
    match step {
        Step::Guard => guard_all(bench, machine()),
        Step::Wipe | Step::Partition | Step::Volumes | Step::Vhds => {
            let mut failed = Failed::default();
            let facts = on_disks(step, bench, silence, progress, &mut failed)?;
            if failed.0.is_empty() {
                return Ok(bounded(facts));
            }
            Err(lay_out_others(step, bench, silence, failed))
        }
        other => Err(Reason::new(
            ReasonCode::Internal,
            format!("Step {} is not a disk step.", other.as_str()),
            "Report it with the node's log.",
        )),
    }
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

/// The disks that failed, by serial number, in which step and why.
#[derive(Default)]
struct Failed(Vec<(String, Step, Reason)>);

impl Failed {
    fn has(&self, serial: &str) -> bool {
        self.0.iter().any(|(failed, ..)| failed == serial)
    }
}

/// One step on every disk that has not failed.
fn on_disks(
    step: Step,
    bench: &Bench<'_>,
    silence: Silence,
    progress: &mut dyn FnMut(Bytes, Bytes),
    failed: &mut Failed,
) -> Result<Vec<String>, Reason> {
    let jobs = jobs(bench, step, failed)?;
    let serials: Vec<String> = jobs.iter().map(|job| job.planned.serial.clone()).collect();
    let (each, total): (fn(&Job, &Done) -> Outcome, u64) = match step {
        Step::Partition => (write_table, MIB * jobs.len() as u64),
        Step::Volumes => (make_volumes, total(&jobs, volume_bytes)),
        Step::Vhds => (make_all_vhds, total(&jobs, vhd_bytes)),
        _ => (wipe_disk, WIPED * jobs.len() as u64),
    };
    let work = Work {
        total: Bytes(total),
        silence: silence.of(step),
        each,
        silent: Job::silent,
    };
    let mut facts = Vec::new();
    for (outcome, serial) in on_each(jobs, &work, progress).into_iter().zip(serials) {
        match outcome {
            Ok(more) => facts.extend(more),
            Err(reason) => failed.0.push((serial, step, reason)),
        }
    }
    Ok(facts)
}

/// Takes the disks that have not failed through the steps that are left, and tells why the run cannot go on: the first
/// failure, with the others as evidence.
fn lay_out_others(step: Step, bench: &Bench<'_>, silence: Silence, mut failed: Failed) -> Reason {
    for later in [Step::Partition, Step::Volumes, Step::Vhds] {
        if later > step {
            // Only the look before a wipe refuses all disks for one's sake.
            if let Err(reason) = on_disks(later, bench, silence, &mut |_, _| (), &mut failed) {
                failed.0.push((String::new(), later, reason));
            }
        }
    }
    let planned = bench.plan.disks.iter();
    let planned = planned.filter(|disk| to_write(disk).is_some());
    let others = planned.filter(|disk| !failed.has(&disk.serial)).count();
    let mut failures = failed.0.into_iter();
    let mut reason = failures.next().map_or_else(unexplained, |(_, _, one)| one);
    for (_, step, also) in failures {
        let part = also.part.as_ref().map(ToString::to_string);
        let part = part.unwrap_or_default();
        reason.evidence.push(format!(
            "also {part} in step {}: {}",
            step.as_str(),
            also.what
        ));
    }
    reason.seen(format!("the other disks are laid out: {others}"))
}

fn unexplained() -> Reason {
    Reason::new(
        ReasonCode::Internal,
        "A disk step failed without a reason.",
        "Report it with the node's log.",
    )
}

fn wipe_disk(job: &Job, done: &Done) -> Outcome {
    let _held = job.hold()?;
    let wiped = if job.is_renewed() {
        clear_beside(&job.device(), &job.planned)
    } else {
        wipe(&job.device(), &job.planned, job.image_begun)
    };
    let facts = wiped.map_err(|error| error.reason(&job.planned))?;
    done.add(WIPED);
    Ok(job.said(facts))
}

fn write_table(job: &Job, done: &Done) -> Outcome {
    if job.is_renewed() {
        let _held = job.hold_laid_out()?;
        done.add(MIB);
        let guid = &job.table.disk_guid;
        return Ok(job.said(vec![format!("GPT {guid} stays with its data volume")]));
    }
    let _held = job.hold()?;
    let facts =
        partition(&job.device(), &job.planned).map_err(|error| error.reason(&job.planned))?;
    done.add(MIB);
    Ok(job.said(facts))
}

pub(super) fn guard_all(
    bench: &Bench<'_>,
    machine: Option<SystemUuid>,
) -> Result<Vec<String>, Reason> {
    guard(bench.plan, &looked(bench), machine)?;
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
    let mut fact = format!(
        "{} disks are the planned ones: {} to wipe, {} to keep, {} left alone",
        disks.len(),
        count(|action| matches!(action, DiskAction::Wipe { .. })),
        count(|action| matches!(action, DiskAction::Keep { .. })),
        count(|action| matches!(action, DiskAction::LeaveAlone)),
    );
    if count(|action| matches!(action, DiskAction::Renew { .. })) > 0 {
        fact.push_str(", and the OS disk to renew beside its data volume");
    }
    Ok(vec![fact])
}

fn machine() -> Option<SystemUuid> {
    std::fs::read_to_string(PRODUCT_UUID)
        .ok()
        .and_then(|text| text.trim().parse().ok())
}

/// Looks at the disks now, and at what those hold that the plan keeps or lets go. What is half of this plan's own table on
/// a disk is not told as somebody's.
fn looked(bench: &Bench<'_>) -> Vec<Disk> {
    let concerned = |disk: &&DiskPlan| !matches!(disk.action, DiskAction::LeaveAlone);
    let concerned = bench.plan.disks.iter().filter(concerned);
    let serials = concerned.map(|disk| disk.serial.clone()).collect();
    let mut seen = (bench.look)(Look::ContentsOf(serials));
    let mut refused: Vec<(&DiskPlan, String)> = Vec::new();
    for planned in &bench.plan.disks {
        let is_read = |disk: &Disk| disk.contents.iter().all(|one| one.what != UNREADABLE);
        let found = guard_disk(planned, &seen).ok();
        let found = found.filter(|disk| is_read(disk) && guard_contents(planned, disk).is_err());
        refused.extend(found.map(|disk| (planned, disk.kernel_name.clone())));
    }
    let beside = at_once(&refused, |(planned, name)| {
        let (path, sector) = (Path::new("/dev").join(name), planned.logical_sector);
        let (planned, begun) = (DiskPlan::clone(planned), bench.image_begun);
        let read = move |device: &Device| beside_own_table(device, &planned, begun);
        read_within(ANSWER, &path, Some(sector), read)
    });
    for ((_, name), beside) in refused.iter().zip(beside) {
        let disk = seen.iter_mut().find(|disk| disk.kernel_name == *name);
        // A disk that cannot be read stays as it was told, and the guard refuses it.
        if let (Ok(Some(contents)), Some(disk)) = (beside, disk) {
            disk.contents = contents;
            disk.layout = None;
        }
    }
    seen
}

/// Looks at the disks now and finds every one that is to be written to. Before a wipe each must hold what the plan lets
/// go, and one that does not refuses all; later one that is not as planned has failed alone, and what it holds is looked
/// at through the handle that the step opens.
fn jobs(bench: &Bench<'_>, step: Step, failed: &mut Failed) -> Result<Vec<Job>, Reason> {
    let is_first = step == Step::Wipe;
    let seen = if is_first {
        looked(bench)
    } else {
        (bench.look)(Look::Identities)
    };
    let mut jobs = Vec::new();
    for planned in &bench.plan.disks {
        let Some(table) = to_write(planned) else {
            continue;
        };
        if failed.has(&planned.serial) {
            continue;
        }
        match guard_disk(planned, &seen) {
            Ok(found) => {
                if is_first {
                    guard_contents(planned, found)?;
                }
                jobs.push(Job {
                    planned: planned.clone(),
                    table: table.clone(),
                    seen: found.clone(),
                    image_begun: bench.image_begun,
                });
            }
            Err(reason) if is_first => return Err(reason),
            Err(reason) => failed.0.push((planned.serial.clone(), step, reason)),
        }
    }
    Ok(jobs)
}

/// The table of a disk that the disk steps write to.
const fn to_write(planned: &DiskPlan) -> Option<&TablePlan> {
    match &planned.action {
        DiskAction::Wipe { table, .. } | DiskAction::Renew { table, .. } => Some(table),
        DiskAction::Keep { .. } | DiskAction::Erase { .. } | DiskAction::LeaveAlone => None,
    }
}

fn total(jobs: &[Job], bytes: fn(&PartitionPlan) -> u64) -> u64 {
    let partitions = jobs.iter().flat_map(|job| &job.table.partitions);
    partitions.map(bytes).sum()
}

fn volume_bytes(partition: &PartitionPlan) -> u64 {
    match partition.holds {
        PartitionContents::Esp { .. }
        | PartitionContents::Ext4 { .. }
        | PartitionContents::Xfs { .. } => partition.length.0,
        PartitionContents::Root | PartitionContents::WholeDisk { .. } => 0,
    }
}

fn vhd_bytes(partition: &PartitionPlan) -> u64 {
    let volume = partition.holds.volume();
    volume.map_or(0, |volume| volume.vhds.iter().map(|vhd| vhd.size.0).sum())
}

fn make_volumes(job: &Job, done: &Done) -> Outcome {
    let _held = job.hold_laid_out()?;
    let mut facts = Vec::new();
    for (path, partition) in job.partitions() {
        let made = match &partition.holds {
            holds if job.is_renewed() && holds.volume().is_some() => {
                Ok(vec![format!("{} stays", partition.name)])
            }
            PartitionContents::Esp { label, volume_id } => {
                make_esp(&path, job.planned.logical_sector, label, *volume_id)
            }
            PartitionContents::Ext4 { label, uuid, .. } => make_ext4(&path, label, uuid),
            PartitionContents::Xfs { label, uuid, .. } => make_xfs(&path, label, uuid),
            PartitionContents::Root | PartitionContents::WholeDisk { .. } => Ok(Vec::new()),
        };
        facts.extend(made.map_err(|error| error.reason(&job.planned))?);
        done.add(volume_bytes(partition));
    }
    Ok(job.said(facts))
}

fn make_all_vhds(job: &Job, done: &Done) -> Outcome {
    let _held = job.hold_laid_out()?;
    let mut facts = Vec::new();
    // Nothing is made on a volume that stays.
    for (path, partition) in job.partitions().filter(|_| !job.is_renewed()) {
        let Some(on) = partition.holds.volume().filter(|on| !on.vhds.is_empty()) else {
            continue;
        };
        let refused = |error: super::DiskError| error.reason(&job.planned);
        let at = format!("volume/{}", partition.guid);
        let about = |reason: Reason| reason.about(job.planned.part());
        let volume = Mounted::new(&path, &at, on.fs.as_str(), Access::ReadWrite).map_err(about)?;
        for vhd in on.vhds {
            let made = vhds::make_vhd(volume.path(), vhd, &|| done.add(0));
            facts.push(made.map_err(refused)?);
            done.add(vhd.size.0);
        }
        volume.finish().map_err(about)?;
    }
    Ok(job.said(facts))
}
