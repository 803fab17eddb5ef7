// SPDX-License-Identifier: Apache-2.0
//! When a snapshot of the fold is taken, and of what: of the journal's events and nothing else.
//!
//! The writer is stopped for as long as it takes to count the nodes; what follows is done by a thread of its own.

use super::Provisioner;
use super::book::Book;
use super::in_force::InForce;
use super::snapshot::{Ignored, Moment, SnapshotFile};
use crate::journal::{Journal, JournalError};
use crate::leader::Standing;
use groundstate_api::Millis;
use groundstate_api::site::Site;
use prov_core::Fleet;
use prov_core::snapshot::Taken;
use std::collections::HashSet;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Events after which a snapshot is taken: they are folded in a fraction of a second.
const EVENTS: u64 = 20_000;
/// Fewer events are worth one after this time, or when we stop.
const EVENTS_FEW: u64 = 1_000;
const LONG: Duration = Duration::from_secs(10 * 60);
/// At least so many times what the last one took lies between two.
const PAUSE: u32 = 10;
/// After one that failed, at least so long: what made it fail does not go away within seconds.
const PAUSE_FAILED: Duration = Duration::from_secs(60);

/// What is known of the last snapshot.
#[derive(Debug)]
pub(super) struct Keeper {
    file: SnapshotFile,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// The event that the newest one was taken after.
    after: u64,
    ended: Instant,
    /// How long nothing is done from then on.
    rest: Duration,
    busy: bool,
    said: bool,
}

/// One that is being taken. However that ends, the next one may be.
struct Taking<'a> {
    keeper: &'a Keeper,
    began: Instant,
    /// Where it succeeded: the event that it was taken after.
    after: Option<u64>,
}

impl Drop for Taking<'_> {
    fn drop(&mut self) {
        self.keeper.ended(self.began.elapsed(), self.after);
    }
}

/// Where a fold begins.
pub(super) struct Start {
    pub(super) fleet: Fleet,
    pub(super) in_force: InForce,
    pub(super) gone: HashSet<groundstate_api::NodeId>,
    pub(super) newest: u64,
}

impl Keeper {
    pub(super) fn of(state_dir: &Path) -> Self {
        Self {
            file: SnapshotFile::of(state_dir),
            state: Mutex::new(State {
                after: 0,
                ended: Instant::now(),
                rest: Duration::ZERO,
                busy: false,
                said: false,
            }),
        }
    }

    /// The snapshot's fold; that of nothing where there is none that is believed.
    pub(super) fn start(
        &self,
        file: Site,
        journal: &dyn Journal,
        id: Option<&str>,
        began: Millis,
    ) -> Start {
        match self.restored(journal, id, began) {
            Ok(Some(start)) => {
                self.state().after = start.newest;
                return start;
            }
            Ok(None) => {}
            Err(why) => {
                let path = self.file.path().display();
                tracing::warn!(%path, %why, "the snapshot is not used: the whole journal is read");
            }
        }
        Start {
            fleet: Fleet::new(&file, began),
            in_force: InForce::of_file(file),
            gone: HashSet::new(),
            newest: 0,
        }
    }

    fn restored(
        &self,
        journal: &dyn Journal,
        id: Option<&str>,
        began: Millis,
    ) -> Result<Option<Start>, Ignored> {
        let Some(restored) = self.file.read(journal, id)? else {
            return Ok(None);
        };
        let header = restored.header.clone();
        let site = super::in_force::kept_site(journal, &header.site)?;
        let fleet = restored.fleet(&site, began)?;
        Ok(Some(Start {
            fleet,
            in_force: InForce {
                site: Arc::new(site),
                version: header.version,
                digest: Some(header.site),
                of_start: header.of_start,
            },
            gone: header.gone.into_iter().collect(),
            newest: header.newest,
        }))
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether one is due; then it is this caller's to take.
    fn begins(&self, newest: u64) -> bool {
        let mut state = self.state();
        let new = newest.saturating_sub(state.after);
        let idle = state.ended.elapsed();
        let wanted = new >= EVENTS || new >= EVENTS_FEW && idle >= LONG;
        let due = wanted && !state.busy && idle >= state.rest;
        state.busy |= due;
        due
    }

    fn ended(&self, took: Duration, after: Option<u64>) {
        let mut state = self.state();
        state.rest = match after {
            Some(_) => took * PAUSE,
            None => PAUSE_FAILED.max(took * PAUSE),
        };
        state.after = after.unwrap_or(state.after);
        (state.ended, state.busy) = (Instant::now(), false);
    }
}

impl Provisioner {
    /// Has a snapshot taken where enough has happened since the last one. Does not wait for it.
    pub(super) fn snapshot_when_due(&self) {
        let newest = *self.inner.newest.borrow();
        if !self.inner.keeper.begins(newest) {
            return;
        }
        let this = self.clone();
        let begun = std::thread::Builder::new()
            .name("snapshot".to_owned())
            .spawn(move || this.snapshot());
        if let Err(error) = begun {
            tracing::warn!(%error, "no snapshot is taken");
            self.inner.keeper.ended(Duration::ZERO, None);
        }
    }

    /// Takes one as we stop, where a start would have much to fold.
    pub(super) fn snapshot_at_the_end(&self) {
        let newest = *self.inner.newest.borrow();
        let keeper = &self.inner.keeper;
        let worth = {
            let mut state = keeper.state();
            let worth = newest.saturating_sub(state.after) >= EVENTS_FEW && !state.busy;
            state.busy |= worth;
            worth
        };
        if worth {
            self.snapshot();
        }
    }

    /// Takes a snapshot of the fold now, in the place of the one before; whether there is one of what is known now. Blocks for
    /// a second or two, the writer for a moment.
    pub fn snapshot(&self) -> bool {
        let keeper = &self.inner.keeper;
        let mut taking = Taking {
            keeper,
            began: Instant::now(),
            after: None,
        };
        let Some((moment, taken)) = self.moment() else {
            return false;
        };
        #[cfg(test)]
        tests::trip(&self.site().name);
        let (newest, nodes) = (moment.newest, taken.nodes());
        let written = match self.second_reader() {
            Ok(reader) => keeper.file.write(reader.as_ref(), moment, &taken),
            Err(error) => Err(error.into()),
        };
        taking.after = written.is_ok().then_some(newest);
        let took = taking.began.elapsed();
        match written {
            Ok(length) => {
                let ms = took.as_millis();
                tracing::info!(newest, nodes, length, ms, "a snapshot of the fold is kept");
                true
            }
            Err(error) => {
                let path = keeper.file.path().display();
                tracing::warn!(%path, %error, "no snapshot is kept; the next start reads more of the journal");
                false
            }
        }
    }

    fn second_reader(&self) -> Result<Box<dyn crate::journal::Reader>, JournalError> {
        self.book().journal.reader()
    }

    /// What stands in the journal and what that means, at one moment; `None` where the one is not surely the other's fold.
    fn moment(&self) -> Option<(Moment, Taken)> {
        if matches!(self.standing(), Standing::Refuses(_)) {
            return None;
        }
        let journal = self.inner.journal_id.get()?.clone();
        let book = self.book();
        // Half a fold is no event's.
        self.is_folded().ok()?;
        if book.dated {
            let said = std::mem::replace(&mut self.inner.keeper.state().said, true);
            if !said {
                tracing::warn!(
                    "the clock was set: no snapshot is taken until the next start, since times here are not those of the journal"
                );
            }
            return None;
        }
        if book.doubtful {
            return None;
        }
        let in_force = self.in_force();
        let moment = Moment {
            journal,
            newest: book.newest,
            version: in_force.version,
            site: in_force.digest?,
            of_start: in_force.of_start,
            gone: book.gone.iter().cloned().collect(),
        };
        let taken = self.fleet().take();
        Some((moment, taken))
    }
}

impl Book {
    /// Folds the journal from the snapshot on, and says which site is in force at its end.
    pub(super) fn replay(
        file: Site,
        journal: Box<dyn Journal>,
        began: Millis,
        (keeper, id): (&Keeper, Option<&str>),
    ) -> Result<(Fleet, InForce, Self), JournalError> {
        let since = Instant::now();
        let Start {
            mut fleet,
            mut in_force,
            mut gone,
            newest: from,
        } = keeper.start(file, journal.as_ref(), id, began);
        let opened = since.elapsed();
        let newest = super::replay::replay(journal.as_ref(), from, |event| {
            super::in_force::fold_in(
                (&mut fleet, &mut in_force, &mut gone),
                journal.as_ref(),
                event,
                began,
            )
        })?;
        let (snapshot, ms) = (opened.as_millis(), since.elapsed().as_millis());
        tracing::info!(newest, from, snapshot, ms, "the journal is folded");
        let book = Self {
            journal,
            newest,
            doubtful: false,
            dated: false,
            gone,
        };
        Ok((fleet, in_force, book))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{parts, site};
    use super::*;
    use crate::clock::Clock;
    use crate::journal::SqliteJournal;
    use crate::peer::NoImages;
    use std::sync::atomic::{AtomicU64, Ordering};

    static WALL: AtomicU64 = AtomicU64::new(1_700_000_000_000);

    fn wall() -> Millis {
        Millis(WALL.load(Ordering::SeqCst))
    }

    #[test]
    fn no_snapshot_is_taken_of_times_that_are_not_the_journals() {
        let dir = tempfile::tempdir().unwrap();
        let journal = SqliteJournal::open(&dir.path().join("journal.db")).unwrap();
        let parts = parts(dir.path(), Clock::reading(wall), site(), Arc::new(NoImages));
        let ours = Provisioner::with_parts(parts, Box::new(journal)).unwrap();
        // From here on nothing happens at the time that the wall clock says.
        WALL.fetch_add(3_600_000, Ordering::SeqCst);
        ours.site_changed::<JournalError>("operator:ana", |site, _, _| {
            let mut site = site.clone();
            site.policy.retries += 1;
            Ok((site, Vec::new()))
        })
        .unwrap();
        assert!(!ours.snapshot());
        assert!(!dir.path().join("fold.snapshot").exists());
    }

    /// A site of this name has no snapshot taken of it.
    const TRIP: &str = "no-snapshot";

    /// The test build's snapshots pass here.
    pub(super) fn trip(site: &str) {
        assert!(site != TRIP, "a fault of this test");
    }

    #[test]
    fn one_that_ends_in_a_fault_does_not_keep_the_next_one_from_being_taken() {
        let dir = tempfile::tempdir().unwrap();
        let journal = SqliteJournal::open(&dir.path().join("journal.db")).unwrap();
        let mut site = site();
        site.name = TRIP.to_owned();
        let parts = parts(dir.path(), Clock::new(), site, Arc::new(NoImages));
        let ours = Provisioner::with_parts(parts, Box::new(journal)).unwrap();
        let keeper = &ours.inner.keeper;
        assert!(keeper.begins(EVENTS), "it is its turn");
        assert!(keeper.state().busy);
        // As the thread of its own does it.
        let there = ours.clone();
        assert!(std::thread::spawn(move || there.snapshot()).join().is_err());
        assert!(!keeper.state().busy);
        assert!(!keeper.begins(EVENTS), "not at once again");
        keeper.state().rest = Duration::ZERO;
        assert!(keeper.begins(EVENTS));
    }

    #[test]
    fn one_is_due_after_many_events_and_never_two_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let keeper = Keeper::of(dir.path());
        assert!(!keeper.begins(EVENTS_FEW - 1) && !keeper.begins(EVENTS - 1));
        assert!(
            keeper.begins(EVENTS) && !keeper.begins(10 * EVENTS),
            "one is being taken"
        );
        keeper.ended(Duration::ZERO, Some(EVENTS));
        assert!(!keeper.begins(2 * EVENTS - 1) && keeper.begins(2 * EVENTS));
        // One that took an hour is not followed by another one at once.
        keeper.ended(Duration::from_secs(3_600), None);
        assert!(!keeper.begins(9 * EVENTS));
    }
}
