// SPDX-License-Identifier: Apache-2.0
//! What is known of a node: the fold of its events, and beside it what is only remembered while we run.

use crate::action::Doing;
use crate::counted::Counted;
use crate::deadline::{FIRST_KEY_QUIET, READY_SILENCE_MAX, STILL_THERE};
use crate::earlier::Earlier;
use crate::healing::Episode;
use crate::health::Reported;
use crate::kept::{KeptInventory, KeptPlan};
use crate::reasons;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use groundstate_api::boot::{BootSighting, Firmware};
use groundstate_api::enrol::RescueShell;
use groundstate_api::healing::MeasureView;
use groundstate_api::inventory::Finding;
use groundstate_api::plan::{HandOver, OrderTerms, Step};
use groundstate_api::run::StepState;
use groundstate_api::site;
use groundstate_api::view::{HostView, Phase, Timing};
use groundstate_api::{BootId, Bytes, Millis, NodeId, PlanId, Reason, ReasonCode, RunId};
use serde::{Deserialize, Serialize};

/// One node. Everything but `site`, `policy_hand_over` and `live` is the fold of its events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// What the site file says of it.
    pub site: site::Node,
    /// How the site hands over where neither order nor node says otherwise.
    pub policy_hand_over: HandOver,
    /// What else of the site's policy decides about it.
    pub rules: Rules,
    /// Where it is on its way.
    pub phase: Phase,
    /// Since when.
    pub since: Millis,
    /// Why it waits or is held.
    pub reason: Option<Reason>,
    /// The newest run.
    pub run: Option<Run>,
    /// How many runs were ordered.
    pub runs: u64,
    /// How its firmware booted from the network last.
    pub firmware: Option<Firmware>,
    /// The last inventory whose judgement let the run go on: what is expected where the site file says nothing.
    pub last_good: Option<KeptInventory>,
    /// What its disks counted in its inventories.
    pub figures: Counted,
    /// What its plans made of its disks so far.
    pub earlier: Earlier,
    /// The host on its disks: set when it was started, gone when the first disk is wiped.
    pub host: Option<Host>,
    /// Adoptions that are over, the newest last; at most 4.
    pub let_go: Vec<PlanId>,
    /// Disks whose erase began and is not proved, by serial number, and since when. Only a proved erase ends it.
    pub quarantine: BTreeMap<String, Millis>,
    /// What a person should look at, newest last; at most [`crate::deadline::ALARMS_MAX`].
    pub alarms: Vec<Reason>,
    /// What is done to it or asked of its host, and was; the oldest first. Those that ended are at most 16.
    pub actions: Vec<Doing>,
    /// What is wrong with the host, by who says so.
    pub troubles: BTreeMap<String, Reported>,
    /// What was tried about its present trouble.
    pub episode: Option<Episode>,
    /// Whether the healing policy took it out of use, and no person since.
    pub taken_by_policy: bool,
    /// Number of its newest event.
    pub version: u64,
    /// What is remembered while we run, and is not in the journal.
    pub live: Live,
}

/// One provisioning run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// Its id.
    pub id: RunId,
    /// How it hands over.
    pub hand_over: HandOver,
    /// When its enrolment window closes.
    pub window_closes: Millis,
    /// What the order asked beyond the policy.
    pub terms: OrderTerms,
    /// The key that the run is bound to.
    pub key: Option<BoundKey>,
    /// How many boots of its machine it was bound to, one after the other.
    pub boots: u32,
    /// What the probes saw.
    pub inventory: Option<KeptInventory>,
    /// The judgement on it.
    pub findings: Vec<Finding>,
    /// The plan.
    pub plan: Option<KeptPlan>,
    /// The step it is at and how that stood at its last journalled move.
    pub step: Option<(Step, StepState)>,
    /// Whether any boot of this run began with the image, or with what comes after it.
    pub image_begun: bool,
    /// What each done step said of itself.
    pub facts: BTreeMap<Step, Vec<String>>,
    /// Number of the last journalled progress report.
    pub reports: u64,
    /// Peak memory of PID 1.
    pub peak_memory: Option<Bytes>,
    /// Digest of the host's public key, once its certificate was issued in the present boot.
    pub host_key: Option<String>,
    /// The disks that this run has certificates of, and whether they are erased.
    pub erased: BTreeMap<String, bool>,
    /// Each phase and step with the time it took.
    pub timings: Vec<Timing>,
    /// Who approved its plan.
    pub approved: Option<String>,
}

/// What of the site's policy decides about a node, beside how it hands over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// How often a run is tried again by itself.
    pub retries: u32,
    /// Whether plans wait for a place.
    pub queued: bool,
    /// Whether plans of runs that the healing policy orders wait for approval.
    pub ask_fabric: bool,
    /// Whether somebody could open a shell in a rescue.
    pub rescue_keys: bool,
}

impl Rules {
    /// Those of a site.
    #[must_use]
    pub fn of(site: &site::Site) -> Self {
        Self {
            retries: site.policy.retries,
            queued: site.policy.runs_at_once.is_some(),
            ask_fabric: site.healing.ask_fabric,
            rescue_keys: !site.rescue.keys.is_empty(),
        }
    }
}

/// The key that enrolled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BoundKey {
    /// The boot in which it was made.
    pub boot_id: BootId,
    /// Digest of the public key.
    pub key: String,
}

/// The host on a node's disks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Host {
    /// The id of the plan that made it, or of its adoption: its certificate names it.
    pub id: PlanId,
    /// The plan that made it; `None` for one that was taken in as it runs.
    pub plan: Option<KeptPlan>,
    /// When it was taken in, where it was.
    pub adopted: Option<Millis>,
    /// Digest of the key that its certificate was issued for: no other key speaks for it.
    pub key: Option<String>,
    /// What its agent said in its last registration.
    pub seen: Option<HostView>,
    /// How many runs were ordered when it was made.
    pub epoch: u64,
    /// Its boots before the one that is seen, the newest last; at most 8. Who speaks of one of them is a ghost.
    pub past_boots: Vec<BootId>,
}

/// What is remembered while we run. After a restart it is empty, and every deadline begins anew at `began`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Live {
    /// When we began to listen.
    pub began: Millis,
    /// When the host's agent last called.
    pub heard: Option<Millis>,
    /// When the maintenance OS last called.
    pub spoke: Option<Millis>,
    /// A running step's newest figures, with the report's number.
    pub running: Option<(u64, Step, StepState)>,
    /// The newest sighting of its boot.
    pub boot: Option<(Millis, BootSighting)>,
    /// When a machine that is this node last asked to enrol and was refused: it runs its maintenance OS.
    pub asked: Option<Millis>,
    /// When another boot of this machine was last refused because the run has its key.
    pub second_key: Option<Millis>,
    /// Whether the run's key called after another boot had asked: two machines say that they are this one.
    pub contested: bool,
    /// When the run's last report was taken.
    pub moved: Option<Millis>,
    /// When the plan of the run was last asked for.
    pub plan_asked: Option<Millis>,
    /// When a refusal of each kind was last journalled.
    pub refusals: BTreeMap<ReasonCode, Millis>,
    /// When a sighting of each kind and file was last journalled.
    pub sightings: BTreeMap<String, Millis>,
    /// When what its host says of its health was last journalled.
    pub health_said: Option<Millis>,
    /// Where its plan stands in the queue, and how many wait.
    pub place: Option<(u32, u32)>,
    /// What the policy thinks of doing next.
    pub measure: Option<Box<MeasureView>>,
    /// How to come into it in its rescue.
    pub shell: Option<RescueShell>,
    /// Whether its host has said that it can set what its firmware boots next.
    pub boots_next: bool,
}

impl Node {
    /// A node of the site file, before any event.
    #[must_use]
    pub fn new(site: site::Node, policy_hand_over: HandOver, began: Millis) -> Self {
        Self {
            site,
            policy_hand_over,
            rules: Rules::default(),
            phase: Phase::Enrolled,
            since: began,
            reason: None,
            run: None,
            runs: 0,
            firmware: None,
            last_good: None,
            figures: Counted::default(),
            earlier: Earlier::default(),
            host: None,
            let_go: Vec::new(),
            quarantine: BTreeMap::new(),
            alarms: Vec::new(),
            actions: Vec::new(),
            troubles: BTreeMap::new(),
            episode: None,
            taken_by_policy: false,
            version: 0,
            live: Live {
                began,
                ..Live::default()
            },
        }
    }

    /// Its name.
    #[must_use]
    pub fn id(&self) -> &NodeId {
        &self.site.name
    }

    /// How a run that is ordered now hands over where the order does not say.
    #[must_use]
    pub fn hand_over(&self) -> HandOver {
        self.site.hand_over.unwrap_or(self.policy_hand_over)
    }

    /// Whether this run is the node's, is open, and has this key: only then its certificate opens images.
    #[must_use]
    pub fn is_bound_to(&self, run: &RunId, key: &str) -> bool {
        let has_key = |bound: &BoundKey| bound.key == key;
        let bound = |current: &Run| current.id == *run && current.key.as_ref().is_some_and(has_key);
        self.run_is_open() && self.run.as_ref().is_some_and(bound)
    }

    /// Why a certificate of this run opens nothing more: the run is bound to the key of a later boot.
    #[must_use]
    pub fn withdrawn(&self, run: &RunId, key: &str) -> Option<Reason> {
        let current = self.run.as_ref().filter(|current| current.id == *run)?;
        let bound = current.key.as_ref()?;
        (bound.key != key).then(|| reasons::withdrawn(run, current.boots))
    }

    /// Whether the run's key has said nothing for so long that its boot may be gone.
    #[must_use]
    pub fn key_is_quiet(&self, now: Millis) -> bool {
        let in_run = matches!(
            self.phase,
            Phase::Checking | Phase::Planned | Phase::Provisioning | Phase::Erasing
        );
        in_run && now.since(self.last_spoke(self.counts_from())) >= FIRST_KEY_QUIET
    }

    /// Whether another boot of this machine asks to enrol while the run's first key is quiet: the boot that the run is
    /// bound to is gone. One question of somebody else between two reports of the first key proves nothing.
    #[must_use]
    pub fn has_restarted(&self, now: Millis) -> bool {
        let heard = self.last_spoke(self.counts_from());
        self.key_is_quiet(now) && self.live.second_key.is_some_and(|asked| asked > heard)
    }

    /// Whether the machine's maintenance OS was heard a moment ago.
    #[must_use]
    pub fn in_maintenance_os(&self, now: Millis) -> bool {
        let there = |at: &Millis| now.since(*at) < STILL_THERE;
        self.live
            .spoke
            .max(self.live.asked)
            .is_some_and(|at| there(&at))
    }

    /// Whether an order has lapsed that found a host and touched nothing of it.
    #[must_use]
    pub fn order_has_lapsed(&self) -> bool {
        let expired = |reason: &Reason| reason.code == ReasonCode::EnrolmentExpired;
        self.phase == Phase::Held
            && self.host.is_some()
            && self.try_again_at().is_none()
            && self.reason.as_ref().is_some_and(expired)
    }

    /// Whether the maintenance OS carries the plan out: the host is made, or disks are erased.
    #[must_use]
    pub fn carries_out(&self) -> bool {
        matches!(self.phase, Phase::Provisioning | Phase::Erasing)
    }

    /// Whether its host called a moment ago.
    #[must_use]
    pub fn host_calls(&self, now: Millis) -> bool {
        let near = |at: Millis| now.since(at) < READY_SILENCE_MAX;
        self.host.is_some() && self.live.heard.is_some_and(near)
    }

    /// Whether a run is ordered and has not yet started its host.
    #[must_use]
    pub fn run_is_open(&self) -> bool {
        match self.phase {
            Phase::Ordered
            | Phase::Booting
            | Phase::Checking
            | Phase::Planned
            | Phase::Provisioning
            | Phase::Erasing => true,
            Phase::Enrolled
            | Phase::HandedOver
            | Phase::Ready
            | Phase::Suspect
            | Phase::Draining
            | Phase::Quarantined
            | Phase::InRepair
            | Phase::Held
            | Phase::Rescue
            | Phase::Retired => false,
        }
    }
}
