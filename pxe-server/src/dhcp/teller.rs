// SPDX-License-Identifier: Apache-2.0
//! Tells what was seen on a thread of its own: whoever listens may write to a database, and no machine waits for that.

use super::decide::Told;
use crate::desk::Desk;
use crate::metrics::Metric;
use crate::slowly::Slowly;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;
use std::{io, thread};

/// Batches that may wait to be told; each has what one turn of the answering thread saw.
const WAITING_MAX: usize = 256;
/// What was not told is told of once in so long.
const TELL: Duration = Duration::from_secs(30);

/// The thread.
pub(super) struct Teller {
    to: Option<SyncSender<Vec<Told>>>,
    thread: Option<JoinHandle<()>>,
    desk: Arc<Desk>,
    told: Slowly,
}

impl Teller {
    pub(super) fn start(desk: &Arc<Desk>) -> io::Result<Self> {
        let (to, from) = sync_channel(WAITING_MAX);
        let own = Arc::clone(desk);
        let thread = thread::Builder::new()
            .name("dhcp-tell".to_owned())
            .spawn(move || run(&from, &own))?;
        Ok(Self {
            to: Some(to),
            thread: Some(thread),
            desk: Arc::clone(desk),
            told: Slowly::new(TELL),
        })
    }

    /// Hands over what was seen. When the listener is far behind, it is not told: machines go on all the same.
    pub(super) fn tell(&self, seen: Vec<Told>) {
        let Some(to) = self.to.as_ref().filter(|_| !seen.is_empty()) else {
            return;
        };
        let lost = match to.try_send(seen) {
            Ok(()) => return,
            Err(TrySendError::Full(lost) | TrySendError::Disconnected(lost)) => lost.len(),
        };
        self.desk
            .count(Metric::DhcpUntold, u64::try_from(lost).unwrap_or(u64::MAX));
        if let Some(unsaid) = self.told.now() {
            tracing::warn!(lost, unsaid, "DHCP: more was seen than could be told");
        }
    }
}

impl Drop for Teller {
    /// What was handed over is told.
    fn drop(&mut self) {
        self.to = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn run(from: &Receiver<Vec<Told>>, desk: &Desk) {
    for seen in from {
        for one in seen {
            match one {
                Told::Saw(mac, sighting) => desk.saw(mac, sighting),
                Told::Step(question, step) => desk.step_of(&question, step),
                Told::Foreign(server, mac) => desk.foreign(server, Some(mac)),
            }
        }
    }
}
