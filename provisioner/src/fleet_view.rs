// SPDX-License-Identifier: Apache-2.0
//! The fleet in one answer, made so seldom that looks take a fiftieth of the time at most, however many ask.
//!
//! A look over 10,000 nodes takes milliseconds; a thousand pages that each look would take all there is. So the view is
//! kept until an event is newer than it, and for [`SHARE`] times as long as it took, at most [`AGAIN`]. Who asks
//! meanwhile gets the one that is there; but whoever has changed something gets none that is older than that change.

mod racks;

pub(crate) use racks::NO_RACK;

use crate::leader::Standing;
use crate::provisioner::Provisioner;
use groundstate_api::Reason;
use groundstate_api::explain::standing;
use groundstate_api::fleet::{FleetView, Need};
use groundstate_api::view::Phase;
use prov_core::Node;
use prov_core::needs::{needs_person, urgency};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Of all time, one part in so many goes into looks.
const SHARE: u32 = 50;
/// The longest time between two looks while events come.
pub(crate) const AGAIN: Duration = Duration::from_millis(500);
/// The longest time that a view is kept without an event: what a running step says is no event, and may wait.
const KEPT_MAX: Duration = Duration::from_secs(10);

/// Callers whose last change is remembered each; of more, the newest of all counts for each.
const CALLERS_MAX: usize = 1_024;

/// The last view.
#[derive(Default)]
pub(crate) struct Cache {
    state: Mutex<State>,
    made: Condvar,
    changes: Mutex<Changes>,
}

/// Up to which event each caller's own changes stand.
#[derive(Default)]
struct Changes {
    by: HashMap<String, u64>,
    others: u64,
}

impl Changes {
    fn note(&mut self, by: &str, newest: u64) {
        if self.by.len() >= CALLERS_MAX && !self.by.contains_key(by) {
            let last = self.by.drain().map(|(_, newest)| newest).max();
            self.others = self.others.max(last.unwrap_or_default());
        }
        self.by.insert(by.to_owned(), newest);
    }

    fn of(&self, by: &str) -> u64 {
        self.by.get(by).copied().unwrap_or(self.others)
    }
}

#[derive(Default)]
struct State {
    last: Option<Kept>,
    /// Whether somebody looks now.
    looking: bool,
}

struct Kept {
    view: Arc<FleetView>,
    at: Instant,
    /// What it cost.
    took: Duration,
}

impl Cache {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn changes(&self) -> MutexGuard<'_, Changes> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A caller has changed something, up to this event.
    pub(crate) fn changed(&self, by: &str, newest: u64) {
        self.changes().note(by, newest);
    }

    /// The view that is there, or the one that `look` makes; none from before the event `least`. `newest` is the number of the
    /// newest event.
    fn get(&self, (least, newest): (u64, u64), look: impl FnOnce() -> FleetView) -> Arc<FleetView> {
        let mut state = self.state();
        loop {
            if let Some(kept) = &state.last {
                let age = kept.at.elapsed();
                let current = kept.view.newest == newest && age < KEPT_MAX;
                let soon = age < kept.took.saturating_mul(SHARE).min(AGAIN);
                let has_own = kept.view.newest >= least;
                if current || has_own && (soon || state.looking) {
                    return kept.view.clone();
                }
            }
            if !state.looking {
                break;
            }
            // A look goes on, and there is nothing older that may be shown.
            state = self
                .made
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        state.looking = true;
        drop(state);
        // Also when `look` panics, the next one looks again.
        let looking = Looking(self);
        let began = Instant::now();
        let view = Arc::new(look());
        self.state().last = Some(Kept {
            view: view.clone(),
            at: Instant::now(),
            took: began.elapsed(),
        });
        drop(looking);
        view
    }
}

struct Looking<'a>(&'a Cache);

impl Drop for Looking<'_> {
    fn drop(&mut self) {
        self.0.state().looking = false;
        self.0.made.notify_all();
    }
}

impl Provisioner {
    /// The fleet: counts, racks, who needs a person, brake, measures, ETAs. At most half a second old.
    #[must_use]
    pub fn fleet_view(&self) -> Arc<FleetView> {
        let newest = *self.follow().borrow();
        self.fleet_cache().get((0, newest), || self.look(newest))
    }

    /// The same for a caller, with everything that it has changed here itself.
    pub(crate) fn fleet_view_for(&self, by: &str) -> Arc<FleetView> {
        let least = self.fleet_cache().changes().of(by);
        let newest = *self.follow().borrow();
        self.fleet_cache()
            .get((least, newest), || self.look(newest))
    }

    fn look(&self, newest: u64) -> FleetView {
        let site = self.site();
        let leader = match self.standing() {
            Standing::Leads { .. } => Some(self.who().name),
            Standing::Follows(leader) => leader.map(|leader| leader.name),
            Standing::Alone | Standing::Refuses(_) => None,
        };
        let mut view = FleetView {
            leader,
            site: site.name.clone(),
            site_version: self.site_version(),
            newest,
            ..FleetView::default()
        };
        let mut cells = BTreeMap::new();
        let now = self.now();
        self.with_fleet(|fleet| {
            view.brake = fleet.brake();
            view.measures = fleet.measures();
            view.etas = fleet.etas(now);
            view.machines = u32::try_from(fleet.machines_waiting()).unwrap_or(u32::MAX);
            for node in fleet.nodes() {
                let cell = Cell::of(node);
                *view.phases.entry(node.phase).or_default() += 1;
                view.needs.extend(cell.need(node));
                cells.insert(node.id().clone(), cell);
            }
        });
        view.needs.sort_by(|a, b| {
            (urgency(a.phase), a.since, &a.node).cmp(&(urgency(b.phase), b.since, &b.node))
        });
        view.racks = racks::racks(&site, &cells);
        view
    }
}

/// What is shown of a node in a rack.
struct Cell {
    phase: Phase,
    why: Option<String>,
    needs: Option<Reason>,
}

impl Cell {
    fn of(node: &Node) -> Self {
        let reason = node.reason_shown();
        let needs = needs_person(node.phase, reason.as_ref());
        Self {
            phase: node.phase,
            why: reason.as_ref().map(|reason| reason.what.clone()),
            needs: needs.then(|| reason.unwrap_or_else(|| standing(node.id(), node.phase))),
        }
    }

    fn need(&self, node: &Node) -> Option<Need> {
        let reason = self.needs.as_ref()?;
        let slot = node.site.slot.as_ref();
        Some(Need {
            node: node.id().clone(),
            rack: slot.map(|slot| slot.rack.clone()),
            unit: slot.map(|slot| slot.unit),
            phase: self.phase,
            since: node.since,
            code: reason.code,
            what: reason.what.clone(),
            next_step: reason.next_step.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    fn view(newest: u64) -> FleetView {
        FleetView {
            newest,
            ..FleetView::default()
        }
    }

    #[test]
    fn a_view_is_made_once_for_all_who_ask_and_not_again_at_once() {
        let (cache, looks) = (Cache::default(), AtomicU32::new(0));
        let look = |newest: u64| {
            looks.fetch_add(1, Ordering::Relaxed);
            view(newest)
        };
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| assert_eq!(cache.get((0, 1), || look(1)).newest, 1));
            }
        });
        assert_eq!(looks.load(Ordering::Relaxed), 1);
        // An event came, but a moment ago somebody looked, and that was dear.
        cache.state().last.as_mut().unwrap().took = AGAIN;
        assert_eq!(cache.get((0, 2), || look(2)).newest, 1);
        let long_ago = Instant::now().checked_sub(AGAIN).unwrap();
        cache.state().last.as_mut().unwrap().at = long_ago;
        assert_eq!(cache.get((0, 2), || look(2)).newest, 2);
        assert_eq!(cache.get((0, 2), || look(2)).newest, 2);
        assert_eq!(looks.load(Ordering::Relaxed), 2);
        // Where a look costs nothing, the next event is seen at once.
        cache.state().last.as_mut().unwrap().took = Duration::ZERO;
        assert_eq!(cache.get((0, 3), || look(3)).newest, 3);
    }

    #[test]
    fn who_changed_something_never_gets_a_view_from_before_it_and_others_may() {
        let cache = Cache::default();
        assert_eq!(cache.get((0, 1), || view(1)).newest, 1);
        let dear = || cache.state().last.as_mut().unwrap().took = AGAIN;
        dear();
        cache.changed("operator:ana", 5);
        let least = |by: &str| cache.changes().of(by);
        let of = |by: &str, newest| cache.get((least(by), newest), || view(newest)).newest;
        assert_eq!(of("operator:ben", 5), 1);
        assert_eq!(of("operator:ana", 6), 6);
        dear();
        assert_eq!(of("operator:ana", 7), 6, "it holds her change");
        // While somebody looks, she waits for it; it is from before her next change, so that she looks again.
        cache.changed("operator:ana", 9);
        cache.state().looking = true;
        let mut hers = 0;
        std::thread::scope(|scope| {
            let asks = scope.spawn(|| of("operator:ana", 9));
            {
                let mut state = cache.state();
                state.last.as_mut().unwrap().view = Arc::new(view(8));
                state.looking = false;
            }
            cache.made.notify_all();
            hers = asks.join().unwrap();
        });
        assert_eq!(hers, 9);
        // Callers beyond the remembered ones count as the newest of those that were forgotten.
        for caller in 0..CALLERS_MAX {
            cache.changed(&format!("fabric:{caller}"), 20);
        }
        assert_eq!(least("operator:ana"), 20);
        assert_eq!(least("nobody"), 20);
    }

    #[test]
    fn a_look_that_fails_keeps_nobody_from_looking() {
        let cache = Cache::default();
        let failed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            cache.get((0, 1), || panic!("no fleet"))
        }));
        assert!(failed.is_err());
        assert_eq!(cache.get((0, 1), || view(1)).newest, 1);
    }
}
