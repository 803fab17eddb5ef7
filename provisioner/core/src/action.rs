// SPDX-License-Identifier: Apache-2.0
//! Actions: what is done to a machine or asked of its host. Each stands in the journal before anybody hears of it and when it
//! has ended, so that none is lost by a restart and none is begun twice.
//!
//! It refuses a second action of a kind while one is open, and never carries anything out itself: the shell's workers do the
//! machine's, the host's agent does the host's.

use crate::decide::{Reply, Wish};
use crate::node::Node;
use crate::reasons_action as words;
use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use groundstate_api::action::{Act, Action, ActionId, ActionView, Outcome, PowerTo};
use groundstate_api::event::Happened;
use groundstate_api::healing::Measure;
use groundstate_api::host::{HostAct, HostActed};
use groundstate_api::view::Phase;
use groundstate_api::{Millis, Reason};

/// How many actions that ended are kept per node: a screen full.
pub(crate) const ENDED_MAX: usize = 16;
/// How long a BMC may take, with hundreds of others asked at the same time and its own ladder of ways: an orderly stop of a
/// large server takes minutes.
const MACHINE_ACT_MAX: Millis = Millis::secs(15 * 60);
/// How long a host may take to start services again: systemd waits 90 s for one that does not stop.
const SERVICES_MAX: Millis = Millis::secs(5 * 60);
/// How long packing and sending 4 MiB may take on a host that swaps.
const DIAGNOSTICS_MAX: Millis = Millis::secs(10 * 60);
/// How long a host may take from the order to its agent's first call in another boot: ten minutes to stop, ten to start.
const REBOOT_MAX: Millis = Millis::secs(20 * 60);
/// How long a host may take to give its work away before it counts as not drained. Live migration of large machines takes this.
const DRAIN_MAX: Millis = Millis::secs(30 * 60);
/// How long a host may take to set a firmware variable: it hears of it with its next call, at most 15 s away, and some
/// firmware collects its flash's garbage for a minute.
const VARIABLE_MAX: Millis = Millis::secs(2 * 60);
/// How long a policy's run may take in all: several windows, and an image onto slow disks.
const REPROVISION_MAX: Millis = Millis::secs(4 * 60 * 60);
/// How long a measure waits to be approved, or for its place, before it lapses and the policy thinks again.
const MEASURE_WAITS_MAX: Millis = Millis::secs(24 * 60 * 60);

/// Who begins the actions that bring a machine to its run.
pub(crate) const BY_RUN: &str = "run";
/// Who begins what the healing policy wants.
pub const BY_POLICY: &str = "policy";

/// An action and how it stands.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Doing {
    /// The action.
    pub action: Action,
    /// Who approved it, where it is a measure and somebody did.
    pub approved: Option<String>,
    /// When it waited for nothing more. Only measures wait.
    pub started: Option<Millis>,
    /// When and how it ended.
    pub ended: Option<(Millis, Outcome)>,
}

/// What only one action at a time may be about.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Slot {
    Power,
    BootNext,
    Identify,
    Host,
    Measure,
}

const fn slot(act: &Act) -> Slot {
    match act {
        Act::Power { .. } => Slot::Power,
        Act::BootNext { .. } => Slot::BootNext,
        Act::Identify { .. } => Slot::Identify,
        Act::RestartServices
        | Act::CollectDiagnostics
        | Act::RebootHost
        | Act::Drain
        | Act::HostBootNext { .. } => Slot::Host,
        Act::Heal { .. } => Slot::Measure,
    }
}

/// What the host's agent is asked for it, where it is the host's.
const fn of_host(act: &Act) -> Option<HostAct> {
    match act {
        Act::RestartServices
        | Act::Heal {
            measure: Measure::RestartServices,
        } => Some(HostAct::RestartServices),
        Act::CollectDiagnostics
        | Act::Heal {
            measure: Measure::CollectDiagnostics,
        } => Some(HostAct::CollectDiagnostics),
        Act::RebootHost
        | Act::Heal {
            measure: Measure::Reboot,
        } => Some(HostAct::Reboot),
        Act::Drain => Some(HostAct::Drain),
        Act::HostBootNext { to } => Some(HostAct::BootNext { to: *to }),
        Act::Power { .. } | Act::BootNext { .. } | Act::Identify { .. } | Act::Heal { .. } => None,
    }
}

/// How long it may take once it is under way.
pub(crate) const fn takes_at_most(act: &Act) -> Millis {
    match act {
        Act::Power { .. } | Act::BootNext { .. } | Act::Identify { .. } => MACHINE_ACT_MAX,
        Act::RestartServices
        | Act::Heal {
            measure: Measure::RestartServices | Measure::Watch | Measure::Quarantine,
        } => SERVICES_MAX,
        Act::CollectDiagnostics
        | Act::Heal {
            measure: Measure::CollectDiagnostics,
        } => DIAGNOSTICS_MAX,
        Act::RebootHost
        | Act::Heal {
            measure: Measure::Reboot,
        } => REBOOT_MAX,
        Act::Heal {
            measure: Measure::Reprovision,
        } => REPROVISION_MAX,
        Act::Drain => DRAIN_MAX,
        Act::HostBootNext { .. } => VARIABLE_MAX,
    }
}

impl Doing {
    /// Whether it has not ended.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.ended.is_none()
    }

    /// The measure, where it is one.
    #[must_use]
    pub const fn measure(&self) -> Option<Measure> {
        match self.action.act {
            Act::Heal { measure } => Some(measure),
            Act::Power { .. }
            | Act::BootNext { .. }
            | Act::Identify { .. }
            | Act::HostBootNext { .. }
            | Act::RestartServices
            | Act::CollectDiagnostics
            | Act::RebootHost
            | Act::Drain => None,
        }
    }

    /// Whether it is open and waits for nothing.
    #[must_use]
    pub const fn goes_on(&self) -> bool {
        self.is_open() && (self.measure().is_none() || self.started.is_some())
    }

    /// Why it failed, where it did.
    pub(crate) const fn failed(&self) -> Option<&Reason> {
        match &self.ended {
            Some((_, Outcome::Failed { reason })) => Some(reason),
            Some((_, Outcome::Done { .. } | Outcome::Vetoed { .. })) | None => None,
        }
    }

    /// As people and programs see it.
    #[must_use]
    pub fn view(&self) -> ActionView {
        ActionView {
            action: self.action.clone(),
            ended: self.ended.as_ref().map(|(at, _)| *at),
            outcome: self.ended.as_ref().map(|(_, outcome)| outcome.clone()),
        }
    }
}

impl Node {
    /// The actions that have not ended.
    pub(crate) fn open_actions(&self) -> impl Iterator<Item = &Doing> {
        self.actions.iter().filter(|doing| doing.is_open())
    }

    /// The measure that has not ended; there is one at most.
    #[must_use]
    pub fn open_measure(&self) -> Option<&Doing> {
        self.open_actions().find(|doing| doing.measure().is_some())
    }

    /// The actions, newest first.
    #[must_use]
    pub fn action_views(&self) -> Vec<ActionView> {
        self.actions.iter().rev().map(Doing::view).collect()
    }

    /// What the host's agent shall do now: the oldest open action of the host.
    #[must_use]
    pub fn host_act(&self) -> Option<(ActionId, HostAct)> {
        let mut going = self.open_actions().filter(|doing| doing.goes_on());
        going.find_map(|doing| Some((doing.action.id, of_host(&doing.action.act)?)))
    }

    /// When an action counts as failed.
    pub(crate) fn actions_deadline(&self) -> Option<Millis> {
        self.open_actions()
            .map(|doing| doing.action.deadline.max(self.live.began))
            .min()
    }

    pub(crate) fn action_wanted(
        &self,
        now: Millis,
        act: Act,
        by: String,
        because: Option<Reason>,
        out: &mut Vec<Wish>,
    ) {
        if let Act::Heal { measure } = act {
            let because = because.unwrap_or_else(|| words::wanted_by(&by, measure));
            self.measure_wanted(now, measure, because, by, out);
            return;
        }
        let act = self.or_by_bmc(now, act);
        match self.may_not(now, &act) {
            Some(reason) => out.push(Wish::Reply(Reply::Conflict(reason))),
            None => {
                let begun = self.begin(now, act, (&by, 1), because, out);
                out.push(Wish::Reply(Reply::Action(Box::new(begun))));
            }
        }
    }

    /// Whether its host can be asked to set what the firmware boots next: it calls, has said that it can, and is asked for
    /// actions where it stands.
    #[must_use]
    pub fn host_boots_next(&self, now: Millis) -> bool {
        let asked = matches!(
            self.phase,
            Phase::Ready | Phase::Suspect | Phase::Draining | Phase::Held
        );
        asked && self.live.boots_next && self.host_calls(now)
    }

    /// A host that does not call cannot restart itself; its BMC can restart it. Where there is no BMC to say what is booted next,
    /// a host that can says it.
    fn or_by_bmc(&self, now: Millis, act: Act) -> Act {
        if let (Act::BootNext { to }, None) = (&act, &self.site.bmc)
            && self.host_boots_next(now)
        {
            return Act::HostBootNext { to: *to };
        }
        let silent = matches!(act, Act::RebootHost) && !self.host_calls(now);
        if silent && self.site.bmc.is_some() {
            Act::Power { to: PowerTo::Cycle }
        } else {
            act
        }
    }

    fn may_not(&self, now: Millis, act: &Act) -> Option<Reason> {
        let same = |doing: &&Doing| slot(&doing.action.act) == slot(act);
        if self.phase == Phase::Retired {
            return Some(crate::reasons_life::out_of_use(self.id(), self.phase));
        }
        if let Some(doing) = self.open_actions().find(same) {
            return Some(words::under_way(self.id(), &doing.action));
        }
        match slot(act) {
            Slot::Power | Slot::BootNext | Slot::Identify => self
                .site
                .bmc
                .is_none()
                .then(|| words::needs_hands(&self.site, act)),
            Slot::Host if matches!(act, Act::HostBootNext { .. }) => {
                (!self.host_boots_next(now)).then(|| words::host_sets_no_boot(self.id()))
            }
            Slot::Host if self.host_calls(now) => None,
            Slot::Host if matches!(act, Act::RebootHost) => Some(words::needs_hands(
                &self.site,
                &Act::Power { to: PowerTo::Cycle },
            )),
            Slot::Host => Some(words::host_does_not_call(self.id(), act)),
            Slot::Measure => None,
        }
    }

    /// Wishes for an action. Its number is that of the event, so it has none yet.
    pub(crate) fn begin(
        &self,
        now: Millis,
        act: Act,
        (by, attempt): (&str, u32),
        because: Option<Reason>,
        out: &mut Vec<Wish>,
    ) -> Action {
        let waits = matches!(act, Act::Heal { .. });
        let longest = if waits {
            MEASURE_WAITS_MAX
        } else {
            takes_at_most(&act)
        };
        let carried = matches!(slot(&act), Slot::Power | Slot::BootNext | Slot::Identify);
        let action = Action {
            id: ActionId(0),
            node: self.id().clone(),
            act,
            by: by.to_string(),
            because,
            attempt,
            began: now,
            deadline: now.plus(longest),
        };
        out.push(Wish::Append(Happened::ActionBegun {
            action: Box::new(action.clone()),
        }));
        if carried {
            out.push(Wish::Carry(action.clone()));
        }
        action
    }

    /// Wishes for an action's end, once.
    pub(crate) fn end(&self, ended: ActionId, outcome: Outcome, out: &mut Vec<Wish>) -> bool {
        let open = self.open_actions().any(|doing| doing.action.id == ended);
        let again = out.iter().any(
            |wish| matches!(wish, Wish::Append(Happened::ActionEnded { id, .. }) if *id == ended),
        );
        if open && !again {
            out.push(Wish::Append(Happened::ActionEnded { id: ended, outcome }));
        }
        open && !again
    }

    pub(crate) fn action_ended(
        &self,
        now: Millis,
        id: ActionId,
        outcome: Outcome,
        out: &mut Vec<Wish>,
    ) {
        if let Some(doing) = self.open_actions().find(|doing| doing.action.id == id) {
            self.ended(now, doing, outcome, out);
        }
        out.push(Wish::Reply(Reply::Accepted));
    }

    /// An open action ends, and what it was for takes its next way or ends too.
    fn ended(&self, now: Millis, doing: &Doing, outcome: Outcome, out: &mut Vec<Wish>) {
        let action = &doing.action;
        let failed = match &outcome {
            Outcome::Failed { reason } => Some(reason.clone()),
            Outcome::Done { .. } | Outcome::Vetoed { .. } => None,
        };
        let restarts = of_host(&action.act) == Some(HostAct::Reboot);
        let other_way = failed.is_some() && restarts && self.site.bmc.is_some();
        let power = self.actions.iter().any(|other| {
            let since = other.action.by == action.by && other.action.began >= action.began;
            slot(&other.action.act) == Slot::Power && (other.is_open() || since)
        });
        if other_way && !power {
            // The measure goes on by the BMC; an order of a person ends, and another action takes its place.
            let because = failed.clone().or_else(|| action.because.clone());
            if doing.measure().is_none() {
                self.end(action.id, outcome, out);
            } else {
                out.push(Wish::Append(Happened::ActionStarted { id: action.id }));
            }
            let by = (action.by.as_str(), action.attempt.saturating_add(1));
            let _begun = self.begin(now, Act::Power { to: PowerTo::Cycle }, by, because, out);
            return;
        }
        let outcome = self.with_next_ask(now, action, outcome);
        self.end(action.id, outcome, out);
        if let (Some(reason), Slot::Power) = (failed, slot(&action.act)) {
            self.power_failed(action, reason, out);
        }
    }

    /// The BMC could not restart a machine: the measure that wanted it has failed.
    fn power_failed(&self, power: &Action, reason: Reason, out: &mut Vec<Wish>) {
        let measure = self.open_measure().filter(|doing| {
            doing.measure() == Some(Measure::Reboot)
                && doing.goes_on()
                && doing.action.by == power.by
        });
        if let Some(measure) = measure {
            self.end(measure.action.id, Outcome::Failed { reason }, out);
        }
    }

    /// The host's agent says how an action of it ended.
    pub(crate) fn host_acted(&self, now: Millis, acted: &HostActed, out: &mut Vec<Wish>) {
        let mut going = self.open_actions().filter(|doing| doing.goes_on());
        let Some((doing, act)) = going
            .find(|doing| doing.action.id == acted.action)
            .and_then(|doing| Some((doing, of_host(&doing.action.act)?)))
        else {
            return;
        };
        if acted.done && act == HostAct::Reboot {
            return; // It has begun to restart. Another boot of it proves that it did.
        }
        let facts = words::bounded(&acted.facts);
        let outcome = if acted.done {
            let by = match act {
                HostAct::BootNext { .. } => "in-os-boot-next",
                HostAct::RestartServices
                | HostAct::CollectDiagnostics
                | HostAct::Reboot
                | HostAct::Drain => "host-agent",
            };
            let by = by.to_string();
            Outcome::Done { by, facts }
        } else {
            let reason = words::host_could_not(&doing.action, facts);
            Outcome::Failed { reason }
        };
        self.ended(now, doing, outcome, out);
    }

    /// The host calls in another boot: what was to restart it has worked, whoever did it.
    pub(crate) fn host_restarted(&self, boot: &str, out: &mut Vec<Wish>) {
        let restarts =
            |doing: &&Doing| doing.goes_on() && of_host(&doing.action.act) == Some(HostAct::Reboot);
        for doing in self.open_actions().filter(restarts) {
            let by = "host-agent".to_string();
            let facts = vec![alloc::format!("the host has called in boot {boot}")];
            self.end(doing.action.id, Outcome::Done { by, facts }, out);
        }
    }

    /// Ends what has taken too long. Whether there was any.
    pub(crate) fn actions_expire(&self, now: Millis, out: &mut Vec<Wish>) -> bool {
        let late = |doing: &&Doing| doing.action.deadline.max(self.live.began) <= now;
        let before = out.len();
        for doing in self.open_actions().filter(late) {
            let outcome = if doing.goes_on() {
                let reason = words::took_too_long(&doing.action, now);
                Outcome::Failed { reason }
            } else {
                let why = "it has waited for a day; the policy thinks again".to_string();
                let by = BY_POLICY.to_string();
                Outcome::Vetoed { by, why }
            };
            self.ended(now, doing, outcome, out);
        }
        out.len() > before
    }

    /// Nothing more is asked of the host, because something else happens to the node. `but` stays.
    pub(crate) fn end_host_work(
        &self,
        but: Option<ActionId>,
        by: &str,
        why: &str,
        out: &mut Vec<Wish>,
    ) {
        let hosts = |doing: &&Doing| {
            matches!(slot(&doing.action.act), Slot::Host | Slot::Measure)
                && Some(doing.action.id) != but
        };
        for doing in self.open_actions().filter(hosts) {
            let (by, why) = (by.to_string(), why.to_string());
            self.end(doing.action.id, Outcome::Vetoed { by, why }, out);
        }
    }

    /// We have started again: what was open at the machine is carried out again, by the same number.
    pub(crate) fn carry_again(&self, out: &mut Vec<Wish>) {
        for doing in self.open_actions() {
            if matches!(
                slot(&doing.action.act),
                Slot::Power | Slot::BootNext | Slot::Identify
            ) {
                out.push(Wish::Carry(doing.action.clone()));
            }
        }
    }

    // ---- the fold ----

    pub(crate) fn action_begun(&mut self, number: u64, action: &Action) {
        let mut action = action.clone();
        action.id = ActionId(number);
        self.actions.push(Doing {
            action,
            approved: None,
            started: None,
            ended: None,
        });
    }

    pub(crate) fn action_is_approved(&mut self, id: ActionId, by: &str) {
        if let Some(doing) = self.actions.iter_mut().find(|d| d.action.id == id) {
            doing.approved.get_or_insert_with(|| by.to_string());
        }
    }

    pub(crate) fn action_has_started(&mut self, at: Millis, id: ActionId) {
        if let Some(doing) = self.actions.iter_mut().find(|d| d.action.id == id) {
            doing.started = Some(at);
            doing.action.deadline = at.plus(takes_at_most(&doing.action.act));
        }
    }

    pub(crate) fn action_has_ended(&mut self, at: Millis, id: ActionId, outcome: &Outcome) {
        let open = |doing: &&mut Doing| doing.action.id == id && doing.is_open();
        if let Some(doing) = self.actions.iter_mut().find(open) {
            doing.ended = Some((at, outcome.clone()));
            if let Some(measure) = doing.measure() {
                self.tried(at, measure, outcome);
            }
        }
        let ended = self.actions.iter().filter(|doing| !doing.is_open()).count();
        if ended > ENDED_MAX
            && let Some(oldest) = self.actions.iter().position(|doing| !doing.is_open())
        {
            self.actions.remove(oldest);
        }
    }
}
