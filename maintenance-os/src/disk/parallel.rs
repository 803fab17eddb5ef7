// SPDX-License-Identifier: Apache-2.0
//! The same work on many disks at once: a JBOD takes as long as its slowest disk, and a disk that does not answer does not
//! keep the others.
//!
//! A thread that waits for a hanging disk cannot be ended; it is left behind with the disk that it holds, and nobody waits
//! for it.

use groundstate_api::{Bytes, Reason, ReasonCode};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Between two looks at how far the disks are.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// The most disks that are worked on at once. A mkfs takes some 20 MiB and a thread's stack 2 MiB, so that this many stay
/// below a GiB on a machine of 2 GiB; 24 disks, a full shelf, go at once, and a machine of 100 takes three rounds.
const AT_ONCE_MAX: usize = 32;

/// What the work on one disk tells while it goes.
#[derive(Debug)]
pub(super) struct Done {
    bytes: Arc<AtomicU64>,
    at: usize,
    heard: Arc<Mutex<BTreeMap<usize, Instant>>>,
}

impl Done {
    /// So many bytes more are done; the disk answers.
    pub(super) fn add(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(last) = heard.get_mut(&self.at) {
            *last = Instant::now();
        }
    }
}

/// How a disk's work ended.
pub(super) type Outcome = Result<Vec<String>, Reason>;

/// What is done to each disk.
pub(super) struct Work<Item> {
    /// All bytes, for the progress.
    pub(super) total: Bytes,
    /// How long a disk may be silent before it is given up.
    pub(super) silence: Duration,
    /// Does it and gives facts.
    pub(super) each: fn(&Item, &Done) -> Outcome,
    /// What is said of a disk that was given up.
    pub(super) silent: fn(&Item, Duration) -> Reason,
}

/// The threads' common ground.
struct Floor<Item> {
    items: Vec<Item>,
    next: AtomicUsize,
    bytes: Arc<AtomicU64>,
    heard: Arc<Mutex<BTreeMap<usize, Instant>>>,
    each: fn(&Item, &Done) -> Outcome,
}

/// Does the work on every item, up to [`AT_ONCE_MAX`] at once, each on a thread of its own, and gives the outcomes in the
/// items' order. It returns when all are finished or given up.
pub(super) fn on_each<Item: Send + Sync + 'static>(
    items: Vec<Item>,
    work: &Work<Item>,
    progress: &mut dyn FnMut(Bytes, Bytes),
) -> Vec<Outcome> {
    let floor = Arc::new(Floor {
        items,
        next: AtomicUsize::new(0),
        bytes: Arc::default(),
        heard: Arc::default(),
        each: work.each,
    });
    let count = floor.items.len();
    let mut outcomes: Vec<Option<Outcome>> = (0..count).map(|_| None).collect();
    let (tell, told) = mpsc::channel();
    progress(Bytes(0), work.total);
    for _ in 0..count.min(AT_ONCE_MAX) {
        start(&floor, &tell);
    }
    while outcomes.iter().any(Option::is_none) {
        match told.recv_timeout(LOOK_EVERY) {
            Ok((at, outcome)) => {
                if let Some(place @ None) = outcomes.get_mut(at) {
                    *place = Some(outcome);
                }
            }
            Err(RecvTimeoutError::Timeout) => {
                let bytes = Bytes(floor.bytes.load(Ordering::Relaxed));
                progress(bytes.min(work.total), work.total);
            }
            // Not while a sender is held here.
            Err(RecvTimeoutError::Disconnected) => break,
        }
        for at in floor.given_up(work.silence) {
            if let (Some(place @ None), Some(item)) = (outcomes.get_mut(at), floor.items.get(at)) {
                *place = Some(Err((work.silent)(item, work.silence)));
                // Its thread is lost to the disks that still wait.
                start(&floor, &tell);
            }
        }
    }
    let outcomes: Vec<Outcome> = outcomes
        .into_iter()
        .map(|outcome| outcome.unwrap_or_else(|| Err(died())))
        .collect();
    if outcomes.iter().all(Result::is_ok) {
        progress(work.total, work.total);
    }
    outcomes
}

fn start<Item: Send + Sync + 'static>(floor: &Arc<Floor<Item>>, tell: &Sender<(usize, Outcome)>) {
    let (floor, tell) = (Arc::clone(floor), tell.clone());
    thread::spawn(move || {
        while let Some((at, item)) = floor.take() {
            let done = Done {
                bytes: Arc::clone(&floor.bytes),
                at,
                heard: Arc::clone(&floor.heard),
            };
            // One disk's fault in our code must not end the work on the others.
            let outcome = catch_unwind(AssertUnwindSafe(|| (floor.each)(item, &done)));
            floor.forget(at);
            // Nobody waits any more for who was given up.
            if tell
                .send((at, outcome.unwrap_or_else(|_| Err(died()))))
                .is_err()
            {
                return;
            }
        }
    });
}

impl<Item> Floor<Item> {
    /// The next item that nobody works on, with its place.
    fn take(&self) -> Option<(usize, &Item)> {
        let at = self.next.fetch_add(1, Ordering::Relaxed);
        let item = self.items.get(at)?;
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.insert(at, Instant::now());
        Some((at, item))
    }

    fn forget(&self, at: usize) {
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.remove(&at);
    }

    /// Those that were silent for longer than `silence`; each is named once.
    fn given_up(&self, silence: Duration) -> Vec<usize> {
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let late = heard.iter().filter(|(_, last)| last.elapsed() > silence);
        let late: Vec<usize> = late.map(|(at, _)| *at).collect();
        heard.retain(|at, _| !late.contains(at));
        late
    }
}

fn died() -> Reason {
    Reason::new(
        ReasonCode::Internal,
        "The work on a disk ended without an answer.",
        "Report it with the node's log.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Barrier, OnceLock};

    fn silent(at: &usize, _: Duration) -> Reason {
        Reason::new(ReasonCode::DiskError, format!("{at} is silent"), "look")
    }

    fn work(each: fn(&usize, &Done) -> Outcome) -> Work<usize> {
        Work {
            total: Bytes(24),
            silence: Duration::from_secs(600),
            each,
            silent,
        }
    }

    fn facts(outcomes: Vec<Outcome>) -> Vec<String> {
        outcomes.into_iter().flat_map(Result::unwrap).collect()
    }

    #[test]
    fn a_full_shelf_goes_at_once() {
        // 24 disks that all wait for each other: fewer threads would never end.
        static ALL: OnceLock<Barrier> = OnceLock::new();
        ALL.get_or_init(|| Barrier::new(24));
        let work = work(|at, done| {
            ALL.get().unwrap().wait();
            done.add(1);
            Ok(vec![at.to_string()])
        });
        let mut last = Bytes(0);
        let outcomes = on_each((0..24).collect(), &work, &mut |done, _| last = done);
        let expected: Vec<String> = (0..24).map(|at: usize| at.to_string()).collect();
        assert_eq!((facts(outcomes), last), (expected, Bytes(24)));
    }

    #[test]
    fn more_disks_wait_their_turn() {
        static NOW: AtomicUsize = AtomicUsize::new(0);
        static MOST: AtomicUsize = AtomicUsize::new(0);
        let work = work(|at, _| {
            MOST.fetch_max(NOW.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            thread::yield_now();
            NOW.fetch_sub(1, Ordering::SeqCst);
            Ok(vec![at.to_string()])
        });
        let outcomes = on_each((0..200).collect(), &work, &mut |_, _| ());
        assert_eq!(facts(outcomes).len(), 200);
        assert!(MOST.load(Ordering::SeqCst) <= AT_ONCE_MAX);
    }

    #[test]
    fn a_fault_on_one_disk_does_not_end_the_others() {
        let work = work(|at, _| {
            assert!(*at != 3, "this one's code is at fault");
            match at {
                5 => Err(Reason::new(ReasonCode::DiskError, "five fails", "look")),
                _ => Ok(Vec::new()),
            }
        });
        let outcomes = on_each((0..64).collect(), &work, &mut |_, _| ());
        let failed: Vec<(usize, ReasonCode)> = outcomes
            .iter()
            .enumerate()
            .filter_map(|(at, one)| one.as_ref().err().map(|reason| (at, reason.code)))
            .collect();
        assert_eq!(
            failed,
            [(3, ReasonCode::Internal), (5, ReasonCode::DiskError)]
        );
    }

    #[test]
    fn disks_that_hang_are_given_up_by_name_and_the_others_finish() {
        static NEVER: Mutex<()> = Mutex::new(());
        let held = NEVER.lock().unwrap();
        // Every thread of the first round hangs, and there is a second one.
        let mut work = work(|at, done| {
            if *at < AT_ONCE_MAX {
                drop(NEVER.lock());
            }
            done.add(1);
            Ok(vec![at.to_string()])
        });
        work.silence = Duration::from_millis(50);
        let outcomes = on_each((0..AT_ONCE_MAX + 8).collect(), &work, &mut |_, _| ());
        for (at, outcome) in outcomes.into_iter().enumerate() {
            match outcome {
                Ok(facts) => assert!(at >= AT_ONCE_MAX && facts == [at.to_string()]),
                Err(reason) => assert_eq!(reason.what, format!("{at} is silent")),
            }
        }
        drop(held);
    }
}
