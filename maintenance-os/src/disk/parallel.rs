// SPDX-License-Identifier: Apache-2.0
//! The same work on many disks at once: a JBOD takes as long as its slowest disk.

use groundstate_api::{Bytes, Reason, ReasonCode};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// Between two looks at how far the disks are.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Bytes done so far, added to by every disk.
#[derive(Debug, Default)]
pub(super) struct Done(AtomicU64);

impl Done {
    pub(super) fn add(&self, bytes: u64) {
        self.0.fetch_add(bytes, Ordering::Relaxed);
    }
}

/// What is done to one disk; it gives facts.
type Work<'a, Item> = &'a (dyn Fn(&Item, &Done) -> Result<Vec<String>, Reason> + Sync);

/// The most disks that are worked on at once. A mkfs takes some 20 MiB and a thread's stack 2 MiB, so that this many stay
/// below a GiB on a machine of 2 GiB; 24 disks, a full shelf, go at once, and a machine of 100 takes three rounds.
const AT_ONCE_MAX: usize = 32;

/// Does `work` on every item, up to [`AT_ONCE_MAX`] at once, each on a thread of its own. All are finished before this returns; the facts come in the
/// items' order, and the first failure in that order is the reason, with the others as evidence.
pub(super) fn on_each<Item: Sync>(
    items: &[Item],
    total: Bytes,
    progress: &mut dyn FnMut(Bytes, Bytes),
    work: Work<'_, Item>,
) -> Result<Vec<String>, Reason> {
    let (done, next) = (Done::default(), AtomicUsize::new(0));
    let (send, receive) = mpsc::channel::<()>();
    progress(Bytes(0), total);
    let results = thread::scope(|scope| {
        let next = &next;
        let threads: Vec<_> = (0..items.len().min(AT_ONCE_MAX))
            .map(|_| {
                let (send, done) = (send.clone(), &done);
                scope.spawn(move || {
                    let mut results = Vec::new();
                    while let Some((at, item)) = take(items, next) {
                        // One disk's fault in our code must not end the work on the others.
                        let result = catch_unwind(AssertUnwindSafe(|| work(item, done)));
                        results.push((at, result.unwrap_or_else(|_| Err(died()))));
                    }
                    drop(send);
                    results
                })
            })
            .collect();
        drop(send);
        // Disconnected when the last thread has dropped its sender.
        while receive.recv_timeout(LOOK_EVERY) == Err(mpsc::RecvTimeoutError::Timeout) {
            progress(Bytes(done.0.load(Ordering::Relaxed)).min(total), total);
        }
        let ended = threads.into_iter().map(|thread| thread.join());
        let mut results: Vec<_> = ended
            .flat_map(|ended| ended.unwrap_or_else(|_| vec![(usize::MAX, Err(died()))]))
            .collect();
        results.sort_by_key(|(at, _)| *at);
        results
    });
    let facts = gathered(results.into_iter().map(|(_, result)| result).collect())?;
    progress(total, total);
    Ok(facts)
}

/// The next item that nobody works on, with its place.
fn take<'a, Item>(items: &'a [Item], next: &AtomicUsize) -> Option<(usize, &'a Item)> {
    let at = next.fetch_add(1, Ordering::Relaxed);
    items.get(at).map(|item| (at, item))
}

fn gathered(results: Vec<Result<Vec<String>, Reason>>) -> Result<Vec<String>, Reason> {
    let (mut facts, mut failed): (Vec<String>, Option<Reason>) = (Vec::new(), None);
    for result in results {
        match (result, &mut failed) {
            (Ok(more), _) => facts.extend(more),
            (Err(reason), None) => failed = Some(reason),
            (Err(reason), Some(first)) => {
                let part = reason.part.as_ref().map(ToString::to_string);
                first.evidence.push(format!(
                    "also {}: {}",
                    part.unwrap_or_default(),
                    reason.what
                ));
            }
        }
    }
    failed.map_or(Ok(facts), Err)
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
    use std::sync::Barrier;

    #[test]
    fn a_full_shelf_goes_at_once_and_more_disks_wait_their_turn() {
        // 24 disks that all wait for each other: fewer threads would never end.
        let shelf: Vec<usize> = (0..24).collect();
        let all = Barrier::new(shelf.len());
        let work = |at: &usize, done: &Done| {
            all.wait();
            done.add(1);
            Ok(vec![at.to_string()])
        };
        let facts = on_each(&shelf, Bytes(24), &mut |_, _| (), &work).unwrap();
        assert_eq!(
            facts,
            shelf.iter().map(usize::to_string).collect::<Vec<_>>()
        );

        let many: Vec<usize> = (0..200).collect();
        let (now, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let work = |at: &usize, _: &Done| {
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            thread::yield_now();
            now.fetch_sub(1, Ordering::SeqCst);
            Ok(vec![at.to_string()])
        };
        let facts = on_each(&many, Bytes(0), &mut |_, _| (), &work).unwrap();
        assert_eq!(facts.len(), many.len());
        assert!(most.load(Ordering::SeqCst) <= AT_ONCE_MAX);
    }

    #[test]
    fn a_fault_on_one_disk_does_not_end_the_others() {
        let disks: Vec<usize> = (0..64).collect();
        let finished = AtomicUsize::new(0);
        let work = |at: &usize, _: &Done| {
            assert!(*at != 3, "this one's code is at fault");
            finished.fetch_add(1, Ordering::SeqCst);
            match at {
                5 => Err(Reason::new(ReasonCode::DiskError, "five fails", "look")),
                _ => Ok(Vec::new()),
            }
        };
        let reason = on_each(&disks, Bytes(0), &mut |_, _| (), &work).unwrap_err();
        assert_eq!(finished.load(Ordering::SeqCst), 63);
        assert_eq!(reason.code, ReasonCode::Internal);
        assert_eq!(reason.evidence, ["also : five fails"]);
    }
}
