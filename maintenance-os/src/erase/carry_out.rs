// SPDX-License-Identifier: Apache-2.0
//! Carries the erase step out: one machine and one worker for each disk.

use super::drive::Drive;
use crate::disk::{Bench, Hold, Look};
use crate::patience::{NoAnswer, answer_within};
use groundstate_api::erase::{EraseClass, EraseOutcome, EraseRecord, EraseSample};
use groundstate_api::inventory::Disk;
use groundstate_api::plan::{DiskAction, DiskPlan};
use groundstate_api::{Bytes, Millis, Reason, ReasonCode};
use mos_core::erase::{Action, Erase, Event, ladder};
use mos_core::guard::{guard_contents, guard_disk};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

/// Between two looks at how far the disks are.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// How long a disk may take to be opened and to tell what it can do: the kernel's own tries with one that does not answer
/// end within five minutes.
const OPEN_MAX: Duration = Duration::from_secs(5 * 60);

/// What an erase works with.
pub struct Shop<'a> {
    /// The plan, and a fresh look at the machine's disks.
    pub bench: &'a Bench<'a>,
    /// Where the disks' device nodes are: `/dev`.
    pub devices: &'a Path,
    /// Tells the provisioner a disk's record and returns once its certificate is signed.
    pub report: &'a (dyn Fn(&EraseRecord) -> Result<(), Reason> + Sync),
}

struct Job<'a> {
    planned: &'a DiskPlan,
    level: EraseClass,
}

/// Erases every disk that the plan erases. `progress` hears bytes done and in all, the reading included.
///
/// # Errors
/// The reason with the first disk that is not erased and proved; the others are erased all the same.
pub fn carry_out(
    shop: &Shop<'_>,
    progress: &mut dyn FnMut(Bytes, Bytes),
) -> Result<Vec<String>, Reason> {
    let jobs: Vec<Job<'_>> = shop.bench.plan.disks.iter().filter_map(job).collect();
    // Each disk counts its own size: how much of it is sampled follows from that.
    let total = Bytes(jobs.iter().map(|job| job.planned.size.0).sum());
    progress(Bytes(0), total);
    // One look for all: each disk is then held under the name that it was seen by.
    let serials = jobs.iter().map(|job| job.planned.serial.clone()).collect();
    let seen = (shop.bench.look)(Look::ContentsOf(serials));
    let done = AtomicU64::new(0);
    let outcomes = std::thread::scope(|scope| {
        let (tell, ended) = channel::<()>();
        let threads: Vec<_> = jobs
            .iter()
            .map(|job| {
                let (tell, seen, done) = (tell.clone(), &seen, &done);
                scope.spawn(move || {
                    let outcome = erase(shop, job, seen, done);
                    drop(tell);
                    outcome
                })
            })
            .collect();
        drop(tell);
        // Disconnected when the last thread has dropped its sender. Each thread ends: its machine has a deadline in every state.
        while ended.recv_timeout(LOOK_EVERY) == Err(RecvTimeoutError::Timeout) {
            progress(Bytes(done.load(Ordering::Relaxed)).min(total), total);
        }
        let ended = threads.into_iter().map(|thread| thread.join());
        ended
            .map(|ended| ended.unwrap_or_else(|_| Err(died())))
            .collect::<Vec<_>>()
    });
    gathered(outcomes)
}

/// The facts of all, or the first failure with the others as evidence.
fn gathered(outcomes: Vec<Result<Vec<String>, Reason>>) -> Result<Vec<String>, Reason> {
    let (mut facts, mut failed): (Vec<String>, Option<Reason>) = (Vec::new(), None);
    for outcome in outcomes {
        match (outcome, &mut failed) {
            (Ok(more), _) => facts.extend(more),
            (Err(reason), None) => failed = Some(reason),
            (Err(reason), Some(first)) => {
                let part = reason.part.as_ref().map(ToString::to_string);
                let part = part.unwrap_or_default();
                first.evidence.push(format!("also {part}: {}", reason.what));
            }
        }
    }
    failed.map_or(Ok(facts), Err)
}

fn died() -> Reason {
    Reason::new(
        ReasonCode::EraseFailed,
        "The work on a disk ended without an answer.",
        "Report it with the node's log; then order the erase again.",
    )
}

fn job(planned: &DiskPlan) -> Option<Job<'_>> {
    match planned.action {
        DiskAction::Erase { level, .. } => Some(Job { planned, level }),
        DiskAction::Wipe { .. }
        | DiskAction::Renew { .. }
        | DiskAction::Keep { .. }
        | DiskAction::LeaveAlone => None,
    }
}

fn erase(
    shop: &Shop<'_>,
    job: &Job<'_>,
    seen: &[Disk],
    done: &AtomicU64,
) -> Result<Vec<String>, Reason> {
    let disk = guard_disk(job.planned, seen)?;
    guard_contents(job.planned, disk)?;
    let seed = seed().map_err(|error| not_opened(job.planned, "drawing a seed", &error))?;
    let path = shop.devices.join(&disk.kernel_name);
    let (planned, found) = (job.planned.clone(), disk.clone());
    let opened = answer_within(OPEN_MAX, move || open(&path, &planned, &found, seed));
    let (_held, mut drive) = opened.unwrap_or_else(|why| match why {
        NoAnswer::Late => Err(not_opened(job.planned, "opening it", &"it does not answer")),
        NoAnswer::Fault => Err(died().about(job.planned.part())),
    })?;
    let steps = ladder(drive.facts(), job.level);
    let record = named(job.planned, disk);
    let machine = Erase::new(record, job.planned.logical_sector, job.level, steps, seed);
    drive.grain = machine.grain();
    let mut record = follow(machine, drive, job.planned.size.0, done);
    let erased = matches!(record.outcome, EraseOutcome::Erased { .. });
    record.not_used.truncate(64);
    (shop.report)(&record)?;
    match &record.outcome {
        EraseOutcome::Erased { method, class } if erased => Ok(vec![format!(
            "{}: erased by {method} ({class}), {} of {} blocks read back are blank, {} changed, none as before",
            record.serial, record.sample.blank, record.sample.blocks, record.sample.changed
        )]),
        EraseOutcome::Erased { .. } | EraseOutcome::Quarantine { .. } => {
            Err(quarantine(job.planned, &record))
        }
    }
}

/// Opens the drive alone, and keeps its name to it.
fn open(path: &Path, planned: &DiskPlan, seen: &Disk, seed: u64) -> Result<(Hold, Drive), Reason> {
    let held = Hold::new(path, planned, seen).map_err(|error| error.reason(planned))?;
    let drive = Drive::open(path, planned, seen, seed);
    let drive = drive.map_err(|error| not_opened(planned, "opening it", &error))?;
    Ok((held, drive))
}

fn not_opened(planned: &DiskPlan, what: &str, error: &dyn std::fmt::Display) -> Reason {
    Reason::new(
        ReasonCode::EraseFailed,
        "A disk cannot be erased: it could not be opened alone.",
        "Check the disk's seat, cable and health, then order the erase again.",
    )
    .about(planned.part())
    .seen(format!("{what}: {error}"))
}

fn quarantine(planned: &DiskPlan, record: &EraseRecord) -> Reason {
    let mut reason = Reason::new(
        ReasonCode::EraseFailed,
        "Quarantine: a disk could not be erased, or it cannot be proved.",
        "Order the erase again, or take the disk out and destroy it.",
    )
    .about(planned.part())
    .then("nothing: a node never leaves quarantine by itself");
    if let EraseOutcome::Quarantine { why, .. } = &record.outcome {
        reason = reason.seen(why.clone());
    }
    for line in &record.status {
        reason = reason.seen(line.clone());
    }
    reason
}

/// What no drive can foresee.
fn seed() -> std::io::Result<u64> {
    use std::io::Read as _;
    let mut bytes = [0u8; 8];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}

fn named(planned: &DiskPlan, disk: &Disk) -> EraseRecord {
    EraseRecord {
        serial: planned.serial.clone(),
        wwn: planned.wwn.clone(),
        slot: planned.slot.clone(),
        model: planned.model.clone(),
        revision: disk.revision.clone(),
        size: planned.size,
        rotational: disk.rotational,
        outcome: EraseOutcome::Quarantine {
            method: None,
            why: String::from("it has not begun"),
        },
        not_used: Vec::new(),
        status: Vec::new(),
        sample: EraseSample::default(),
        took: Millis(0),
    }
}

/// Follows the machine to its end. Whatever the drive does not answer happens on another thread.
fn follow(mut machine: Erase, drive: Drive, size: u64, done: &AtomicU64) -> EraseRecord {
    let began = Instant::now();
    let now = || Millis(u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX));
    let said = drive.said.clone();
    let (orders, work) = channel::<Action>();
    let (tell, heard) = channel::<Event>();
    std::thread::spawn(move || worker(drive, &work, &tell));
    let (mut out, mut told) = (Vec::new(), 0);
    machine.handle(now(), Event::Began, &mut out);
    while !machine.is_over() {
        for action in out.drain(..) {
            match action {
                Action::Moved {
                    done: at, total, ..
                } => {
                    let share = u128::from(size) * u128::from(at) / u128::from(total.max(1));
                    let share = u64::try_from(share).unwrap_or(size).max(told);
                    done.fetch_add(share - told, Ordering::Relaxed);
                    told = share;
                }
                Action::Ended(_) => {}
                action @ (Action::Read(_)
                | Action::Plant(_)
                | Action::Start(_)
                | Action::Poll(_)
                | Action::Recognise) => {
                    // A worker that is gone is heard of below.
                    drop(orders.send(action));
                }
            }
        }
        let event = next(&heard, machine.deadline(), now());
        machine.handle(now(), event, &mut out);
    }
    done.fetch_add(size.saturating_sub(told), Ordering::Relaxed);
    let mut record = machine.record().clone();
    record.status.splice(0..0, said);
    record
}

fn next(heard: &Receiver<Event>, deadline: Option<Millis>, now: Millis) -> Event {
    let wait = deadline.map_or(Duration::from_secs(1), |deadline| {
        Duration::from_millis(deadline.since(now).0)
    });
    match heard.recv_timeout(wait) {
        Ok(event) => event,
        Err(RecvTimeoutError::Timeout) => Event::Timeout,
        Err(RecvTimeoutError::Disconnected) => {
            Event::ReadFailed("the work on the disk ended in a fault".to_owned())
        }
    }
}

fn worker(mut drive: Drive, orders: &Receiver<Action>, tell: &Sender<Event>) {
    for order in orders {
        let event = match order {
            Action::Read(ranges) => {
                drive.read(&ranges, &mut |event| tell.send(event).is_ok());
                continue;
            }
            Action::Plant(places) => drive.plant(&places),
            Action::Start(method) => Event::Started(drive.start(method)),
            Action::Poll(method) => Event::Polled(drive.poll(method)),
            Action::Recognise => drive.recognise(),
            Action::Moved { .. } | Action::Ended(_) => continue,
        };
        if tell.send(event).is_err() {
            return; // The machine has stopped waiting.
        }
    }
}
