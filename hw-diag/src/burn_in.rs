// SPDX-License-Identifier: Apache-2.0
//! Load on processors, memory and disks for a set time, and what it showed.
//!
//! Disks are only read, past the page cache; one that a plan gives up and that holds nothing is written to where the
//! caller says so ([`may_write`]). A disk that hangs does not hold the others up.

mod cpu;
mod disk;
mod write;

pub use write::may_write;

use groundstate_api::health::DeviceReport;
use groundstate_api::inventory::Disk;
use hw_core::burn_in::{CpuLoad, DiskLoad, judge_cpus, judge_disks};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How long a load waits for threads that do not come back by themselves when its time is over.
const GRACE: Duration = Duration::from_secs(30);
/// Between two calls of the caller's progress function.
const PROGRESS_EVERY: Duration = Duration::from_millis(200);

/// What is to be loaded, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// How long.
    pub time: Duration,
    /// Load every logical processor with known work.
    pub cpu: bool,
    /// Read every disk.
    pub disks: bool,
}

/// How far it is.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// Since the start.
    pub elapsed: Duration,
    /// Bytes read from all disks.
    pub read: u64,
    /// Rounds of known work on all processors.
    pub rounds: u64,
}

/// Counters that the threads share with the caller's progress.
#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    read: AtomicU64,
    rounds: AtomicU64,
}

/// What a load showed.
#[derive(Clone, Debug, Default)]
pub struct Shown {
    /// The processors, where they were loaded.
    pub cpu: Option<CpuLoad>,
    /// The disks, in the order given.
    pub disks: Vec<DiskLoad>,
}

impl Shown {
    /// The verdicts.
    #[must_use]
    pub fn reports(&self) -> Vec<DeviceReport> {
        let mut reports: Vec<DeviceReport> = self.cpu.iter().map(judge_cpus).collect();
        reports.extend(judge_disks(&self.disks));
        reports
    }
}

/// Loads processors and disks at once (`write`: serial numbers of those that are written to as well) until the time is over or `cancel` is set, telling `progress` of it.
pub fn run(
    load: Load,
    disks: &[Disk],
    write: &BTreeSet<String>,
    cancel: &AtomicBool,
    progress: &mut dyn FnMut(Progress),
) -> Shown {
    let shared = Arc::new(Shared::default());
    let start = Instant::now();
    let until = start + load.time;
    let cpus = load.cpu.then(|| cpu::start(&shared));
    let disks = load.disks.then(|| disk::start(disks, write, &shared));
    while Instant::now() < until && !cancel.load(Ordering::Relaxed) {
        std::thread::sleep(PROGRESS_EVERY.min(until.saturating_duration_since(Instant::now())));
        progress(Progress {
            elapsed: start.elapsed(),
            read: shared.read.load(Ordering::Relaxed),
            rounds: shared.rounds.load(Ordering::Relaxed),
        });
    }
    shared.stop.store(true, Ordering::Relaxed);
    let grace = Instant::now() + GRACE;
    Shown {
        cpu: cpus.map(|running| running.finish(grace)),
        disks: disks
            .map(|running| running.finish(grace))
            .unwrap_or_default(),
    }
}
