// SPDX-License-Identifier: Apache-2.0
//! What was seen, told to the provisioner that decides in batches: sightings once and in order, sessions as they are now.

use anyhow::Result;
use groundstate_api::boot::BootSighting;
use groundstate_api::boot_session::{
    BootReport, SESSIONS_PER_REPORT_MAX, SIGHTINGS_PER_REPORT_MAX, SightingOf,
};
use groundstate_api::{MacAddr, SCHEMA};
use pxe_server::BootLog;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

/// Sightings that wait while the provisioner is away; then the oldest are dropped. A boot storm of a thousand machines makes
/// five each.
const WAITING_MAX: usize = 8_192;
/// How long what was seen may wait for company.
const BATCH: Duration = Duration::from_secs(1);
/// The pause after a report that was not taken: from this, doubled each time, to that.
const PAUSE_MIN: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(15);

/// What waits to be told.
#[derive(Default)]
pub(crate) struct Post {
    waiting: Mutex<Waiting>,
    news: Condvar,
    log: OnceLock<BootLog>,
}

#[derive(Default)]
struct Waiting {
    sightings: VecDeque<SightingOf>,
    dropped: u64,
    woken: bool,
}

impl Post {
    /// Takes a sighting in; never blocks for longer than a push.
    pub(crate) fn saw(&self, mac: MacAddr, sighting: BootSighting) {
        let mut waiting = self.waiting();
        if waiting.sightings.len() >= WAITING_MAX {
            waiting.sightings.pop_front();
            waiting.dropped += 1;
        }
        waiting.sightings.push_back(SightingOf { mac, sighting });
    }

    pub(crate) fn read_from(&self, log: BootLog) {
        if self.log.set(log).is_err() {
            tracing::debug!("sessions are reported already");
        }
    }

    /// Something should not wait for the next batch.
    pub(crate) fn wake(&self) {
        self.waiting().woken = true;
        self.news.notify_all();
    }

    /// Reports until it is told to stop; `tell` says whether a report was taken.
    pub(crate) fn run(&self, stop: &AtomicBool, tell: impl Fn(&BootReport) -> Result<()>) {
        let service = service_name();
        let (mut told, mut pause) = (0, BATCH);
        let mut foreign_told = 0;
        while !stop.load(Ordering::Relaxed) {
            self.wait(pause);
            let (report, next, foreign) = self.report(&service, told);
            let nothing = report.sightings.is_empty() && report.sessions.is_empty();
            if nothing && foreign == foreign_told {
                continue;
            }
            match tell(&report) {
                Ok(()) => {
                    (told, foreign_told, pause) = (next, foreign, BATCH);
                    if report.sessions.len() == SESSIONS_PER_REPORT_MAX {
                        pause = Duration::ZERO;
                    }
                }
                Err(error) => {
                    tracing::warn!("what was seen of boots was not told: {error:#}");
                    self.back(report.sightings);
                    pause = (pause * 2).clamp(PAUSE_MIN, PAUSE_MAX);
                }
            }
        }
    }

    /// The next report, the log's revision after it, and how many packets of foreign servers it tells of.
    fn report(&self, service: &str, told: u64) -> (BootReport, u64, u64) {
        let sightings = {
            let mut waiting = self.waiting();
            if waiting.dropped > 0 {
                let dropped = std::mem::take(&mut waiting.dropped);
                tracing::warn!("{dropped} sightings were dropped while the provisioner was away");
            }
            let count = waiting.sightings.len().min(SIGHTINGS_PER_REPORT_MAX);
            waiting.sightings.drain(..count).collect()
        };
        let (sessions, next) = self.log.get().map_or((Vec::new(), told), |log| {
            log.changed(told, SESSIONS_PER_REPORT_MAX)
        });
        let foreign = self.log.get().map(BootLog::foreign).unwrap_or_default();
        let packets = foreign.iter().map(|server| server.packets).sum();
        let report = BootReport {
            schema: SCHEMA,
            service: service.to_owned(),
            sightings,
            sessions,
            foreign,
        };
        (report, next, packets)
    }

    /// What was not taken goes back to its place, as far as there is room.
    fn back(&self, sightings: Vec<SightingOf>) {
        let mut waiting = self.waiting();
        for seen in sightings.into_iter().rev() {
            if waiting.sightings.len() >= WAITING_MAX {
                waiting.dropped += 1;
            } else {
                waiting.sightings.push_front(seen);
            }
        }
    }

    fn wait(&self, pause: Duration) {
        let waiting = self.waiting();
        let quiet = |waiting: &mut Waiting| !waiting.woken;
        let woken = self.news.wait_timeout_while(waiting, pause, quiet);
        let (mut waiting, _) = woken.unwrap_or_else(PoisonError::into_inner);
        waiting.woken = false;
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What this machine calls itself.
fn service_name() -> String {
    let name = nix::sys::utsname::uname().ok();
    let name = name.map(|name| name.nodename().to_string_lossy().into_owned());
    name.filter(|name| !name.is_empty())
        .unwrap_or_else(|| "boot-service".to_owned())
        .chars()
        .take(64)
        .collect()
}
