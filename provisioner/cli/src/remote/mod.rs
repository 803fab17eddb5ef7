// SPDX-License-Identifier: Apache-2.0
//! The provisioner of a boot service that runs on another machine: its answers mirrored, what was seen told to it.
//!
//! A machine is always answered from memory. The table is asked for by long polls, kept in a file for the next start, and
//! trusted for fifteen minutes after it was last known to be right; then every machine boots its own disk. Nothing here
//! blocks a boot: two threads do the talking.

mod cache;
mod post;

use crate::client::{Client, Connect, Fetched};
use anyhow::Result;
use cache::Cache;
use groundstate_api::boot::{BootAnswer, BootQuestion, BootSighting};
use groundstate_api::boot_answers::BootAnswers;
use groundstate_api::boot_session::{BootReport, ForeignServer};
use groundstate_api::{MacAddr, Millis, paths};
pub(crate) use post::Post;
use prov_core::boot_mirror::{BootMirror, Freshness};
use pxe_server::{BootLog, BootPolicy, Sightings};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How long the provisioner may keep a question for another table, in milliseconds.
const WAIT_MS: u64 = 25_000;
/// The pause after a question that was not answered: from this, doubled each time, to that.
const PAUSE_MIN: Duration = Duration::from_millis(500);
const PAUSE_MAX: Duration = Duration::from_secs(15);
/// How often a pause looks whether it should stop.
const LOOK: Duration = Duration::from_millis(200);

/// The provisioner, from afar. Clones are the same one.
#[derive(Clone)]
pub(crate) struct Remote {
    inner: Arc<Inner>,
}

struct Inner {
    mirror: RwLock<BootMirror>,
    clock: WallClock,
    post: Post,
    stop: AtomicBool,
}

/// Milliseconds since 1970 that go on evenly while the process runs.
struct WallClock {
    began: Millis,
    at: Instant,
}

impl WallClock {
    fn start() -> Self {
        let since_1970 = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Self {
            began: Millis(u64::try_from(since_1970.as_millis()).unwrap_or(u64::MAX)),
            at: Instant::now(),
        }
    }

    fn now(&self) -> Millis {
        let ran = u64::try_from(self.at.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.began.plus(Millis(ran))
    }
}

impl Remote {
    /// Reads the kept table and begins to talk.
    ///
    /// # Errors
    /// A credential that cannot be read, or a thread that cannot be started. A provisioner that does not answer is none.
    pub(crate) fn start(connect: &Connect, state_dir: &Path) -> Result<Self> {
        let (asks, posts) = (Client::new(connect)?, Client::new(connect)?);
        let this = Self::of(WallClock::start());
        let cache = Cache::new(state_dir);
        this.take_kept(&cache);
        let mirror = this.clone();
        std::thread::Builder::new()
            .name("boot-answers".into())
            .spawn(move || mirror.follow(&asks, &cache))?;
        let poster = this.clone();
        std::thread::Builder::new()
            .name("boot-reports".into())
            .spawn(move || {
                let tell = |report: &BootReport| posts.post_only(paths::BOOT_REPORTS, report);
                poster.inner.post.run(&poster.inner.stop, tell);
            })?;
        Ok(this)
    }

    fn of(clock: WallClock) -> Self {
        Self {
            inner: Arc::new(Inner {
                mirror: RwLock::new(BootMirror::default()),
                clock,
                post: Post::default(),
                stop: AtomicBool::new(false),
            }),
        }
    }

    /// Tells both threads to end. What was not told yet is lost; the journal of a run does not depend on it.
    pub(crate) fn stop(&self) {
        self.inner.stop.store(true, Ordering::Relaxed);
    }

    /// How fresh the answers are, for people.
    pub(crate) fn freshness(&self) -> Freshness {
        self.mirror(|mirror| mirror.freshness(self.inner.clock.now()))
    }

    fn take_kept(&self, cache: &Cache) {
        match cache.read() {
            Ok(Some((right_at, table))) => {
                let now = self.inner.clock.now();
                if !self.change(|mirror| mirror.take(now, right_at, table)) {
                    tracing::warn!(
                        "the kept boot answers come from the future or another version; machines boot their own disks until the provisioner answers"
                    );
                }
            }
            Ok(None) => {}
            Err(error) => tracing::warn!("the kept boot answers cannot be read: {error:#}"),
        }
    }

    /// Asks for the table, waits for another one, and so on.
    fn follow(&self, client: &Client, cache: &Cache) {
        let mut tag = None;
        let mut pause = PAUSE_MIN;
        while !self.stopped() {
            // The first question is answered at once: the kept table may be right still.
            let wait = if tag.is_some() { WAIT_MS } else { 0 };
            let path = format!("{}?wait_ms={wait}", paths::BOOT_ANSWERS);
            let asked = self.inner.clock.now();
            match client.get_tagged::<BootAnswers>(&path, tag.as_deref()) {
                Ok(answer) => {
                    pause = PAUSE_MIN;
                    self.fetched(asked, answer, &mut tag, cache);
                }
                Err(error) => {
                    tracing::warn!(freshness = ?self.freshness(), "the provisioner does not say what machines boot: {error:#}");
                    self.rest(pause);
                    pause = (pause * 2).min(PAUSE_MAX);
                    // Its next incarnation may count differently.
                    tag = None;
                }
            }
        }
    }

    /// An answer is as right as the moment when it was asked for: what is said later may be younger, never older.
    fn fetched(
        &self,
        asked: Millis,
        answer: Fetched<BootAnswers>,
        tag: &mut Option<String>,
        cache: &Cache,
    ) {
        let now = self.inner.clock.now();
        match answer {
            Fetched::Same => {
                self.change(|mirror| mirror.still_right(now));
                // What was right for the whole wait is right now; the file needs it only for its age.
                self.keep(cache);
            }
            Fetched::New(table, new_tag) => {
                *tag = new_tag;
                if self.change(|mirror| mirror.take(now, asked, table)) {
                    self.keep(cache);
                } else {
                    tracing::error!(
                        "the provisioner's boot answers are of a version that is not known here"
                    );
                    self.rest(PAUSE_MAX);
                }
            }
        }
    }

    fn keep(&self, cache: &Cache) {
        let kept = self.mirror(|mirror| mirror.table().map(|(at, table)| cache.write(*at, table)));
        if let Some(Err(error)) = kept {
            tracing::warn!("the boot answers would not survive a restart: {error:#}");
        }
    }

    fn rest(&self, pause: Duration) {
        let until = Instant::now() + pause;
        while !self.stopped() && Instant::now() < until {
            std::thread::sleep(LOOK.min(pause));
        }
    }

    fn stopped(&self) -> bool {
        self.inner.stop.load(Ordering::Relaxed)
    }

    fn mirror<T>(&self, read: impl FnOnce(&BootMirror) -> T) -> T {
        read(
            &self
                .inner
                .mirror
                .read()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }

    fn change<T>(&self, change: impl FnOnce(&mut BootMirror) -> T) -> T {
        change(
            &mut self
                .inner
                .mirror
                .write()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }
}

impl BootPolicy for Remote {
    fn ask(&self, question: &BootQuestion) -> BootAnswer {
        let now = self.inner.clock.now();
        self.mirror(|mirror| mirror.ask(now, question))
    }

    fn knows(&self, mac: MacAddr) -> bool {
        self.mirror(|mirror| mirror.knows(mac))
    }
}

impl Sightings for Remote {
    fn saw(&self, mac: MacAddr, sighting: BootSighting) {
        self.inner.post.saw(mac, sighting);
    }

    fn log(&self, log: BootLog) {
        self.inner.post.read_from(log);
    }

    fn foreign(&self, _: &ForeignServer) {
        // Every report carries the foreign servers of the log.
        self.inner.post.wake();
    }
}

#[cfg(test)]
mod tests;
