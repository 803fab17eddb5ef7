// SPDX-License-Identifier: Apache-2.0
//! The same work on many disks at once: a JBOD takes as long as its slowest disk.

use groundstate_api::{Bytes, Reason, ReasonCode};
use std::sync::atomic::{AtomicU64, Ordering};
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

/// Does `work` on every item, each on a thread of its own. All are finished before this returns; the facts come in the
/// items' order, and the first failure in that order is the reason, with the others as evidence.
pub(super) fn on_each<Item: Sync>(
    items: &[Item],
    total: Bytes,
    progress: &mut dyn FnMut(Bytes, Bytes),
    work: Work<'_, Item>,
) -> Result<Vec<String>, Reason> {
    let done = Done::default();
    let (send, receive) = mpsc::channel::<()>();
    progress(Bytes(0), total);
    let results = thread::scope(|scope| {
        let threads: Vec<_> = items
            .iter()
            .map(|item| {
                let (send, done) = (send.clone(), &done);
                scope.spawn(move || {
                    let result = work(item, done);
                    drop(send);
                    result
                })
            })
            .collect();
        drop(send);
        // Disconnected when the last thread has dropped its sender.
        while receive.recv_timeout(LOOK_EVERY) == Err(mpsc::RecvTimeoutError::Timeout) {
            progress(Bytes(done.0.load(Ordering::Relaxed)).min(total), total);
        }
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|_| Err(died())))
            .collect::<Vec<_>>()
    });
    let facts = gathered(results)?;
    progress(total, total);
    Ok(facts)
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
