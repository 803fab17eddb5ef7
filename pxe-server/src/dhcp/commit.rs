// SPDX-License-Identifier: Apache-2.0
//! Makes leases durable, many with one `fdatasync`, and then sends what was granted by them.
//!
//! It is a thread of its own, so that requests are read and offers made while the disk works. What is submitted waits for
//! the write that runs, and no longer than [`PACE`] for company.

use super::priority;
use super::send::{Reply, Sender};
use crate::desk::Desk;
use crate::lease_log::{AGAIN, LeaseLog};
use crate::metrics::{Metric, Timing};
use crate::slowly::Slowly;
use pxe_core::dhcp::Lease;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use std::{io, mem, thread};

/// From the beginning of one write to the beginning of the next, at least: a lease waits no longer than this for others
/// to share its write, and where few come it does not wait at all.
const PACE: Duration = Duration::from_millis(1);
/// Replies that may wait for the disk. A disk that does not answer must not fill the memory.
const WAITING_MAX: usize = 16_384;
/// Leases that may wait for the disk before all but the last of each address are forgotten.
const LEASES_MAX: usize = 65_536;
/// A disk that does not take leases is told of once in so long.
const TELL: Duration = Duration::from_secs(30);

/// The committer's thread.
pub(super) struct Committer {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    waiting: Mutex<Waiting>,
    wake: Condvar,
}

#[derive(Default)]
struct Waiting {
    leases: Vec<Lease>,
    replies: Vec<Reply>,
    stop: bool,
}

impl Shared {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting
            .lock()
            .expect("nothing panics while it hands leases over")
    }
}

impl Committer {
    pub(super) fn start(
        log: Arc<LeaseLog>,
        sender: Arc<Sender>,
        desk: Arc<Desk>,
    ) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            waiting: Mutex::default(),
            wake: Condvar::new(),
        });
        let own = Arc::clone(&shared);
        let work = Work {
            log,
            sender,
            desk,
            told: Slowly::new(TELL),
        };
        let thread = thread::Builder::new()
            .name("dhcp-commit".to_owned())
            .spawn(move || {
                priority::before_others();
                work.run(&own);
            })?;
        Ok(Self {
            shared,
            thread: Some(thread),
        })
    }

    /// Hands leases and the replies that grant them over, and leaves both empty. When too much waits for the disk, the
    /// leases are kept and the replies are not sent: how many.
    pub(super) fn submit(&self, leases: &mut Vec<Lease>, replies: &mut Vec<Reply>) -> usize {
        let mut waiting = self.shared.waiting();
        let was_idle = waiting.leases.is_empty() && waiting.replies.is_empty();
        let room = WAITING_MAX.saturating_sub(waiting.replies.len());
        let lost = replies.len().saturating_sub(room);
        replies.truncate(room);
        waiting.leases.append(leases);
        if waiting.leases.len() > LEASES_MAX {
            let last: BTreeMap<Ipv4Addr, Lease> = waiting
                .leases
                .drain(..)
                .map(|lease| (lease.address, lease))
                .collect();
            waiting.leases.extend(last.into_values());
        }
        waiting.replies.append(replies);
        drop(waiting);
        if was_idle {
            self.shared.wake.notify_one();
        }
        lost
    }
}

impl Drop for Committer {
    /// What was handed over is written and sent before it ends.
    fn drop(&mut self) {
        self.shared.waiting().stop = true;
        self.shared.wake.notify_one();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Work {
    log: Arc<LeaseLog>,
    sender: Arc<Sender>,
    desk: Arc<Desk>,
    told: Slowly,
}

impl Work {
    fn run(&self, shared: &Shared) {
        let (mut leases, mut replies) = (Vec::new(), Vec::new());
        let mut began: Option<Instant> = None;
        loop {
            let stop = self.wait(shared);
            // Company for what waits, unless the last write is long ago.
            if let Some(rest) = began.and_then(|began| PACE.checked_sub(began.elapsed()))
                && !stop
            {
                thread::sleep(rest);
            }
            {
                let mut waiting = shared.waiting();
                mem::swap(&mut leases, &mut waiting.leases);
                mem::swap(&mut replies, &mut waiting.replies);
            }
            began = Some(Instant::now());
            self.keep(&leases);
            self.sender.send(&replies);
            leases.clear();
            replies.clear();
            if stop {
                return;
            }
        }
    }

    /// Waits for something to do; whether it is the last.
    fn wait(&self, shared: &Shared) -> bool {
        let mut waiting = shared.waiting();
        while waiting.leases.is_empty() && waiting.replies.is_empty() && !waiting.stop {
            if self.log.unkept() == 0 {
                waiting = shared
                    .wake
                    .wait(waiting)
                    .expect("nothing panics while it hands leases over");
                continue;
            }
            let (back, timeout) = shared
                .wake
                .wait_timeout(waiting, AGAIN)
                .expect("nothing panics while it hands leases over");
            waiting = back;
            if timeout.timed_out() {
                break;
            }
        }
        waiting.stop
    }

    /// A full disk must not stop machines from booting: a lease that was not kept is granted again when the machine asks
    /// for the same address, so this is an error to show, not one to stop for.
    fn keep(&self, leases: &[Lease]) {
        let owed = self.log.unkept();
        if leases.is_empty() && owed == 0 {
            return;
        }
        let began = Instant::now();
        match self.log.append(leases) {
            Ok(()) => {
                self.desk.timed(Timing::LeaseCommit, began.elapsed());
                self.desk.count(Metric::LeasesKept, number(leases.len()));
                if owed > 0 {
                    tracing::info!(
                        leases = owed,
                        "DHCP: leases that could not be written are durable now"
                    );
                }
            }
            Err(error) => {
                self.desk.count(Metric::LeasesUnkept, number(leases.len()));
                if let Some(unsaid) = self.told.now() {
                    tracing::error!(
                        %error, unsaid, waiting = self.log.unkept(),
                        "DHCP: leases would not survive a restart; machines are answered all the same. Make room on the disk"
                    );
                }
            }
        }
    }
}

fn number(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}
