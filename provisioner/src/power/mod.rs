// SPDX-License-Identifier: Apache-2.0
//! Power, next boot and locator LED of machines, through their BMCs: what is in the journal as begun is carried out here, and how
//! it ended goes back into the journal.
//!
//! One thing at a time per BMC, [`AT_ONCE`] BMCs at a time. What worked per model and firmware, and certificates that were trusted
//! on first use, stand in the file [`kept::FILE`] of the state directory. It decides nothing about nodes, and no secret leaves
//! it; where a node has no BMC, a person is asked.

mod carry;
mod kept;
mod next_boot;
mod target;
mod watch;

use crate::api::Refusal;
use crate::credential::Credentials;
use crate::leader::Standing;
use crate::provisioner::Provisioner;
use axum::http::StatusCode;
use bmc::{Bmcs, Settings, Trouble};
use groundstate_api::action::{Action, ActionId};
use groundstate_api::bmc::BmcReport;
use groundstate_api::{Millis, NodeId, Reason};
use kept::Kept;
use next_boot::Climb;
use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc, watch as news};

/// BMCs that are spoken to at once.
const AT_ONCE: usize = 64;
/// How long a question over the API may take: a slow BMC needs 20 s for each of a few pages.
const QUESTION_MAX: Duration = Duration::from_secs(50);
/// How often a leader whose lease was not renewed is looked at.
const LEASE_LOOK: Duration = Duration::from_millis(100);
/// How long an answer is given again without asking: a page that is looked at by ten people asks once.
const FRESH: Millis = Millis::secs(10);

/// What a BMC said last.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// The report.
    pub(crate) report: Option<BmcReport>,
    /// Lines of the console, newest last, and when they were read.
    pub(crate) console: Option<(Millis, Vec<String>)>,
}

/// The worker's state. Clones are the same one.
#[derive(Clone)]
pub(crate) struct Power(Arc<Inner>);

struct Inner {
    credentials: Credentials,
    bmcs: Bmcs,
    kept: Kept,
    /// One door per BMC's address: who goes through speaks to it alone.
    doors: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
    places: Semaphore,
    /// Actions that are being carried out, so that a second call for one is none.
    open: Mutex<HashSet<ActionId>>,
    climbs: Mutex<HashMap<NodeId, Climb>>,
    seen: Mutex<HashMap<NodeId, Seen>>,
}

#[cfg(not(test))]
fn settings() -> Settings {
    Settings::default()
}

/// Tests' BMCs answer at once: nothing is waited for.
#[cfg(test)]
fn settings() -> Settings {
    Settings {
        settle: Millis(10),
        looks: 2,
        pace_divisor: 50,
        ..Settings::default()
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Each holder leaves a whole value behind.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Power {
    /// Of this state directory.
    pub(crate) fn new(state_dir: &Path) -> Self {
        Self(Arc::new(Inner {
            credentials: Credentials::new(state_dir),
            bmcs: Bmcs::new(settings()),
            kept: Kept::open(state_dir),
            doors: Mutex::default(),
            places: Semaphore::new(AT_ONCE),
            open: Mutex::default(),
            climbs: Mutex::default(),
            seen: Mutex::default(),
        }))
    }

    /// What the leader before us learned of BMCs.
    pub(crate) fn take_over(&self, bytes: &[u8]) {
        self.0.kept.take_over(bytes);
    }

    /// What the next leader must know of BMCs; `None` where it knows it.
    pub(crate) fn to_hand_over(&self) -> Option<Vec<u8>> {
        self.0.kept.to_hand_over()
    }

    pub(crate) fn hand_over_again(&self) {
        self.0.kept.hand_over_again();
    }

    fn door(&self, address: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut doors = locked(&self.0.doors);
        Arc::clone(doors.entry(address.to_owned()).or_default())
    }

    /// Does something with one BMC, alone, and in its turn.
    async fn alone<T>(&self, address: &str, work: impl Future<Output = T>) -> T {
        let door = self.door(address);
        // First the door, then a place: who waits at a slow BMC's door keeps no place from others.
        let _alone = door.lock().await;
        let _place = self.0.places.acquire().await;
        work.await
    }

    fn note(&self, node: &NodeId, change: impl FnOnce(&mut Seen)) {
        change(locked(&self.0.seen).entry(node.clone()).or_default());
    }
}

/// Carries actions out until the provisioner stops. What is under way then is begun again after the next start.
pub(crate) async fn work(
    ours: Provisioner,
    mut actions: mpsc::UnboundedReceiver<Action>,
    mut stop: news::Receiver<bool>,
) {
    let watching = tokio::spawn(watch::sightings(ours.clone()));
    loop {
        let action = tokio::select! {
            () = crate::serve::stopped(&mut stop) => break,
            action = actions.recv() => action,
        };
        let Some(action) = action else { break };
        if !locked(&ours.power().0.open).insert(action.id) {
            continue;
        }
        let ours = ours.clone();
        tokio::spawn(async move {
            let (id, node) = (action.id, action.node.clone());
            if is_ours(&ours).await {
                let outcome = carry::carry(&ours, action).await;
                watch::ended(&ours, &node, id, outcome).await;
            }
            locked(&ours.power().0.open).remove(&id);
        });
    }
    watching.abort();
}

/// Whether we still decide. Who does not lead any more leaves an action to who does: there it is carried out from the journal. A
/// lease that was not renewed in time may be renewed yet.
async fn is_ours(ours: &Provisioner) -> bool {
    while ours.may_decide().is_err() {
        if !matches!(ours.standing(), Standing::Leads { .. }) {
            return false;
        }
        tokio::time::sleep(LEASE_LOOK).await;
    }
    true
}

impl Provisioner {
    /// Credentials that the site file names.
    pub(crate) fn credentials(&self) -> &Credentials {
        &self.power().0.credentials
    }

    /// What a node's BMC said last, without asking it.
    pub(crate) fn last_bmc(&self, node: &NodeId) -> Option<Seen> {
        locked(&self.power().0.seen).get(node).cloned()
    }

    /// What a node's BMC says of its machine.
    pub(crate) async fn bmc_report(&self, node: &NodeId) -> Result<BmcReport, Refusal> {
        let fresh = |seen: Seen| {
            seen.report
                .filter(|report| self.wall().since(report.at) < FRESH)
        };
        if let Some(report) = self.last_bmc(node).and_then(fresh) {
            return Ok(report);
        }
        let target = self.target(node).await.map_err(Refusal::conflict)?;
        let power = self.power().clone();
        let asked = power.0.bmcs.inventory(&target, self.wall());
        let report = self.question(node, &target, asked).await?;
        let kept = report.clone();
        power.note(node, |seen| seen.report = Some(kept));
        Ok(report)
    }

    /// A node's serial console, as far as its BMC keeps it.
    pub(crate) async fn bmc_console(&self, node: &NodeId) -> Result<Vec<String>, Refusal> {
        let fresh = |seen: Seen| {
            seen.console
                .filter(|(at, _)| self.wall().since(*at) < FRESH)
        };
        if let Some((_, lines)) = self.last_bmc(node).and_then(fresh) {
            return Ok(lines);
        }
        let target = self.target(node).await.map_err(Refusal::conflict)?;
        let power = self.power().clone();
        let asked = power.0.bmcs.console_log(&target);
        let lines = self.question(node, &target, asked).await?;
        let kept = (self.wall(), lines.clone());
        power.note(node, |seen| seen.console = Some(kept));
        Ok(lines)
    }

    /// A question over the API: in its turn, and not for ever. What the BMC will not say is 502, as it is not ours.
    async fn question<T>(
        &self,
        node: &NodeId,
        target: &bmc::Target,
        asked: impl Future<Output = Result<T, Trouble>>,
    ) -> Result<T, Refusal> {
        let address = target.address.to_string();
        let power = self.power();
        let answer = tokio::time::timeout(QUESTION_MAX, power.alone(&address, asked)).await;
        power.trusted(target);
        let reason = match answer {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(trouble)) => trouble.reason(&address),
            Err(_) => late(node, &address),
        };
        Err(Refusal::new(StatusCode::BAD_GATEWAY, reason))
    }
}

fn late(node: &NodeId, address: &str) -> Reason {
    prov_core::reasons_power::bmc_busy(node, address, QUESTION_MAX.as_secs())
}

#[cfg(test)]
mod tests;
