// SPDX-License-Identifier: Apache-2.0
//! Power goes at any write. A disk in memory writes down every write and flush of the real executors; from this every
//! state is made in which a cut can leave the disk: each flush boundary, and between two of them subsets of what was not
//! flushed, in whole writes and in torn ones. From each state the executors run again from the guard on, as the next boot
//! would, and must come to the bytes of the undisturbed run.
//!
//! `GROUNDSTATE_CRASH_SUBSETS=N` takes N subsets in each interval.

mod esp;
mod fat;
mod image;
mod renew;
mod strangers;
mod table;
mod vhd;
mod whole;

use super::*;
use crate::medium::stand_in::{Image, Op, StandIn, plug_in};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A disk writes this much or nothing of it.
const TEAR: usize = 512;
/// Of so many states, one run is cut a second time.
const TWICE: u64 = 60;
/// An interval of few pieces has few states: after so many subsets that were seen before, it has no more.
const IN_VAIN: usize = 40;

/// Numbers that are the same in every run.
pub(super) struct Numbers(pub(super) u64);

impl Numbers {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap()
    }

    pub(super) fn bytes(&mut self, length: usize) -> Vec<u8> {
        let words = std::iter::repeat_with(|| self.next().to_le_bytes());
        words.flatten().take(length).collect()
    }
}

/// How many subsets are taken in each interval.
pub(super) fn subsets(usual: usize) -> usize {
    let said = std::env::var("GROUNDSTATE_CRASH_SUBSETS").ok();
    said.map_or(usual, |text| {
        text.parse().expect("GROUNDSTATE_CRASH_SUBSETS is a number")
    })
}

/// How many states there were.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct States {
    /// With nothing unflushed.
    pub(super) boundaries: u64,
    /// With a part of what was not flushed; no two in an interval are the same.
    pub(super) subsets: u64,
    /// After a second cut.
    pub(super) second: u64,
}

impl States {
    pub(super) fn all(self) -> u64 {
        self.boundaries + self.subsets + self.second
    }

    pub(super) fn add(&mut self, other: Self) {
        self.boundaries += other.boundaries;
        self.subsets += other.subsets;
        self.second += other.second;
    }
}

/// Gives every flush boundary of a log and `count` other states of each interval to `on`.
fn each_state(
    initial: &Image,
    log: &[Op],
    count: usize,
    seed: u64,
    on: &mut dyn FnMut(&Image),
) -> States {
    let (mut base, mut numbers, mut states) = (initial.clone(), Numbers(seed), States::default());
    for interval in log.split_inclusive(|op| matches!(op, Op::Flush)) {
        let writes: Vec<(u64, &[u8])> = interval
            .iter()
            .filter_map(|op| match op {
                Op::Write { at, bytes } => Some((*at, &**bytes)),
                Op::Flush => None,
            })
            .collect();
        let mut after = base.clone();
        writes
            .iter()
            .for_each(|(at, bytes)| after.write(bytes, *at));
        let mut seen = BTreeSet::from([0, after.fingerprint(&base)]);
        let mut in_vain = 0;
        while !writes.is_empty() && seen.len() < count + 2 && in_vain < IN_VAIN {
            let state = some(&base, &writes, &mut numbers);
            let differs = !state.differs(&base).is_empty();
            in_vain += 1;
            if differs && seen.insert(state.fingerprint(&base)) {
                in_vain = 0;
                states.subsets += 1;
                on(&state);
            }
        }
        base = after;
        states.boundaries += 1;
        on(&base);
    }
    states
}

/// One state before the flush: some of the writes that were begun, whole or in pieces.
fn some(base: &Image, writes: &[(u64, &[u8])], numbers: &mut Numbers) -> Image {
    let mut state = base.clone();
    let begun = &writes[..=numbers.below(writes.len())];
    let (is_torn, kept) = (numbers.below(3) > 0, [1, 4, 7][numbers.below(3)]);
    for (at, bytes) in begun {
        if is_torn {
            for (piece, number) in bytes.chunks(TEAR).zip(0u64..) {
                if numbers.below(8) < kept {
                    state.write(piece, at + number * TEAR as u64);
                }
            }
        } else if numbers.below(8) < kept {
            state.write(bytes, *at);
        }
    }
    if let Some((at, bytes)) = begun.last().filter(|_| !is_torn) {
        // The write that power went at may have got any number of whole pieces.
        let pieces = numbers.below(bytes.len().div_ceil(TEAR) + 1);
        state.write(&bytes[..(pieces * TEAR).min(bytes.len())], *at);
    }
    state
}

/// A disk, a plan for it, and what is run on it.
pub(super) struct Rig {
    pub(super) path: PathBuf,
    pub(super) disk: Arc<StandIn>,
    pub(super) plan: Plan,
    pub(super) sector: u32,
    /// Whether the run comes back, having begun with its image.
    pub(super) image_begun: AtomicBool,
}

/// What follows the tables in a run; it may say why the bytes cannot be believed.
type Rest<'a> = &'a dyn Fn(&Rig) -> Result<(), String>;

impl Rig {
    /// The plan lets go what `image` holds.
    pub(super) fn new(name: &str, image: Image, sector: u32, role: Role, table: TablePlan) -> Self {
        let disk = StandIn::new(image, sector);
        let path = PathBuf::from(format!("/stand-in/{name}"));
        let partitions = table.partitions.iter();
        let places: Vec<(u64, u64)> = partitions.map(|one| (one.start.0, one.length.0)).collect();
        plug_in(&path, &disk, &places);
        let found = seen(&path, sector);
        let mut goes: Vec<String> = found
            .contents
            .iter()
            .map(mos_core::guard::described)
            .collect();
        if goes.is_empty() {
            goes.push("nothing".to_owned());
        }
        let mut planned = planned(sector, role, table, goes);
        planned.size = found.size;
        Self {
            path,
            disk,
            plan: plan_of(planned),
            sector,
            image_begun: AtomicBool::new(false),
        }
    }

    pub(super) fn table(&self) -> &TablePlan {
        match &self.plan.disks[0].action {
            DiskAction::Wipe { table, .. } | DiskAction::Renew { table, .. } => table,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn partition(&self, number: usize) -> PathBuf {
        partition_device(self.path.to_str().unwrap(), number)
    }

    /// From the guard on, as after every boot.
    pub(super) fn run(&self, rest: Rest<'_>) -> Result<(), String> {
        let look = |_| vec![seen(&self.path, self.sector)];
        let bench = Bench {
            plan: &self.plan,
            look: &look,
            image_begun: self.image_begun.load(Ordering::Relaxed),
        };
        guard_all(&bench, Some(self.plan.machine)).map_err(|reason| reason.to_string())?;
        for step in [Step::Wipe, Step::Partition] {
            carry_out(step, &bench, &mut |_, _| ()).map_err(|reason| reason.to_string())?;
        }
        rest(self)
    }

    /// A table that says that it is this plan's is this plan's.
    fn never_committed_wrong(&self) {
        let Some(layout) = seen(&self.path, self.sector).layout else {
            return;
        };
        let table = self.table();
        if self.plan.disks[0].whole_disk().is_some() {
            return; // The image's own table has the same GUID.
        }
        if layout.disk_guid == table.disk_guid {
            let is: Vec<_> = layout
                .partitions
                .iter()
                .map(|one| (&one.guid, one.start))
                .collect();
            let should: Vec<_> = table
                .partitions
                .iter()
                .map(|one| (&one.guid, one.start))
                .collect();
            assert_eq!(is, should);
        }
    }

    /// Cuts the run from `from` on at every place; gives the states and the final bytes.
    pub(super) fn cut(
        &self,
        from: &dyn Fn(&Rig),
        count: usize,
        rest: Rest<'_>,
        check: &dyn Fn(&Rig),
    ) -> (States, Image) {
        let initial = self.disk.image();
        self.run(rest).unwrap();
        let last = self.disk.image();
        // Again from the start, in two parts, so that the log begins where the enumeration does.
        self.disk.put(initial);
        from(self);
        let begin = self.disk.image();
        self.disk.put(begin.clone());
        self.run(rest).unwrap();
        let log = self.disk.log();
        assert!(
            self.disk.image().differs(&last).is_empty(),
            "two runs differ"
        );
        let seed = u64::from(self.sector);
        let mut second = 0;
        let mut number = 0;
        let mut states = each_state(&begin, &log, count, seed, &mut |state| {
            number += 1;
            self.resume(state, &last, rest, check);
            if number % TWICE == 0 {
                let log = self.disk.log();
                let again = each_state(state, &log, 2, seed + number, &mut |state| {
                    self.resume(state, &last, rest, check);
                });
                second += again.all();
            }
        });
        states.second = second;
        (states, last)
    }

    fn resume(&self, state: &Image, last: &Image, rest: Rest<'_>, check: &dyn Fn(&Rig)) {
        self.disk.put(state.clone());
        self.never_committed_wrong();
        check(self);
        self.disk.put(state.clone());
        self.image_begun.store(true, Ordering::Relaxed);
        let ended = self.run(rest);
        self.image_begun.store(false, Ordering::Relaxed);
        if let Err(why) = ended {
            let found = seen(&self.path, self.sector).contents;
            panic!("{}: {why}\nthe disk held {found:?}", self.path.display());
        }
        let differs = self.disk.image().differs(last);
        assert!(differs.is_empty(), "other bytes in pages {differs:?}");
    }
}
