// SPDX-License-Identifier: Apache-2.0
//! A measure at its node: begun in the journal, approved or vetoed, started, ended.

use crate::action::BY_POLICY;
use crate::decide::{Reply, Wish};
use crate::node::Node;
use crate::{reasons_action, reasons_life as words};
use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use groundstate_api::action::{Act, ActionId, Outcome, PowerTo};
use groundstate_api::event::Happened;
use groundstate_api::healing::Measure;
use groundstate_api::plan::OrderTerms;
use groundstate_api::view::Phase;
use groundstate_api::{Millis, Reason};

impl Node {
    pub(crate) fn measure_wanted(
        &self,
        now: Millis,
        measure: Measure,
        because: Reason,
        by: String,
        out: &mut Vec<Wish>,
    ) {
        let refusal = match self.open_measure() {
            Some(doing) => Some(reasons_action::under_way(self.id(), &doing.action)),
            None => (!self.may_be_healed()).then(|| words::no_measure(self.id(), self.phase)),
        };
        if let Some(reason) = refusal {
            out.push(Wish::Reply(Reply::Conflict(reason)));
            return;
        }
        let begun = self.begin(now, Act::Heal { measure }, (&by, 1), Some(because), out);
        out.push(Wish::Reply(Reply::Action(Box::new(begun))));
    }

    /// Whether a measure may be wanted: there is a host, or was, and no run and no person is at the node.
    fn may_be_healed(&self) -> bool {
        match self.phase {
            Phase::Ready | Phase::Suspect | Phase::Held => true,
            Phase::Enrolled
            | Phase::Ordered
            | Phase::Booting
            | Phase::Checking
            | Phase::Planned
            | Phase::Provisioning
            | Phase::Erasing
            | Phase::HandedOver
            | Phase::Draining
            | Phase::Quarantined
            | Phase::InRepair
            | Phase::Rescue
            | Phase::Retired => false,
        }
    }

    pub(crate) fn measure_approved(&self, id: ActionId, by: String, out: &mut Vec<Wish>) {
        match self.open_measure() {
            Some(doing) if doing.action.id == id && doing.started.is_none() => {
                if doing.approved.is_none() {
                    out.push(Wish::Append(Happened::ActionApproved { id, by }));
                }
                out.push(Wish::Reply(Reply::Accepted));
            }
            Some(_) | None => {
                let reason = reasons_action::waits_for_nobody(self.id(), id);
                out.push(Wish::Reply(Reply::Conflict(reason)));
            }
        }
    }

    pub(crate) fn measure_vetoed(
        &self,
        id: ActionId,
        by: String,
        why: String,
        out: &mut Vec<Wish>,
    ) {
        match self.open_measure() {
            Some(doing) if doing.action.id == id && doing.started.is_none() => {
                self.end(id, Outcome::Vetoed { by, why }, out);
                out.push(Wish::Reply(Reply::Accepted));
            }
            Some(_) | None => {
                let reason = reasons_action::waits_for_nobody(self.id(), id);
                out.push(Wish::Reply(Reply::Conflict(reason)));
            }
        }
    }

    /// The measure waits for nothing more.
    pub(crate) fn measure_started(&self, now: Millis, id: ActionId, out: &mut Vec<Wish>) {
        let Some(doing) = self.open_measure() else {
            return;
        };
        let Some(measure) = doing.measure() else {
            return;
        };
        if doing.action.id != id || doing.started.is_some() {
            return;
        }
        if !self.may_be_healed() {
            let (by, why) = (BY_POLICY.to_string(), self.phase.as_str().to_string());
            self.end(id, Outcome::Vetoed { by, why }, out);
            return;
        }
        out.push(Wish::Append(Happened::ActionStarted { id }));
        let failed = match measure {
            Measure::Watch => {
                self.done(id, "the node is watched", out);
                None
            }
            // The agent is told with its next call.
            Measure::RestartServices | Measure::CollectDiagnostics => (!self.host_calls(now))
                .then(|| reasons_action::host_does_not_call(self.id(), &doing.action.act)),
            Measure::Reboot => self.reboot_by_measure(now, doing, out),
            Measure::Reprovision => self.reprovision_by_measure(now, id, doing, out),
            Measure::Quarantine => {
                let because = doing.action.because.as_ref();
                let reason = words::quarantined_by_policy(now, self, because);
                self.go(Phase::Quarantined, Some(reason), out);
                self.done(id, "the node is out of use", out);
                None
            }
        };
        if let Some(reason) = failed {
            self.end(id, Outcome::Failed { reason }, out);
        }
    }

    fn done(&self, id: ActionId, fact: &str, out: &mut Vec<Wish>) {
        let (by, facts) = (BY_POLICY.to_string(), vec![fact.to_string()]);
        self.end(id, Outcome::Done { by, facts }, out);
    }

    /// A host that calls restarts itself; else its BMC restarts it; else a person must.
    fn reboot_by_measure(
        &self,
        now: Millis,
        doing: &crate::action::Doing,
        out: &mut Vec<Wish>,
    ) -> Option<Reason> {
        let cycle = Act::Power { to: PowerTo::Cycle };
        if self.host_calls(now) {
            None
        } else if self.site.bmc.is_some() {
            let by = (doing.action.by.as_str(), 1);
            let _begun = self.begin(now, cycle, by, doing.action.because.clone(), out);
            None
        } else {
            Some(reasons_action::needs_hands(&self.site, &cycle))
        }
    }

    fn reprovision_by_measure(
        &self,
        now: Millis,
        id: ActionId,
        doing: &crate::action::Doing,
        out: &mut Vec<Wish>,
    ) -> Option<Reason> {
        let Some(run) = crate::retry::next_run(self.id(), self.runs, now) else {
            return Some(words::no_measure(self.id(), self.phase));
        };
        let terms = OrderTerms {
            by: BY_POLICY.to_string(),
            approve: false,
            ..OrderTerms::default()
        };
        let why = doing.action.act.says();
        self.end_host_work(Some(id), BY_POLICY, why, out);
        self.order_run(now, self.phase, run, self.hand_over(), terms, out);
        None
    }

    /// The node is well by itself: a measure that had not begun is not needed any more.
    pub(crate) fn trouble_is_over(&self, out: &mut Vec<Wish>) {
        let waiting = self.open_measure().filter(|doing| doing.started.is_none());
        if let Some(doing) = waiting {
            let (by, why) = (BY_POLICY.to_string(), "the trouble is over".to_string());
            self.end(doing.action.id, Outcome::Vetoed { by, why }, out);
        }
    }

    /// A run comes to its end, and with it the measure that ordered it.
    pub(crate) fn run_ends(&self, to: Phase, reason: Option<&Reason>, out: &mut Vec<Wish>) {
        let reprovision = |doing: &&crate::action::Doing| {
            doing.measure() == Some(Measure::Reprovision) && doing.started.is_some()
        };
        let Some(doing) = self.open_measure().filter(reprovision) else {
            return;
        };
        let id = doing.action.id;
        match to {
            Phase::Ready => self.done(id, "the new host has called", out),
            Phase::Held | Phase::Quarantined => {
                let reason = reason.cloned();
                let reason = reason.unwrap_or_else(|| words::no_measure(self.id(), to));
                self.end(id, Outcome::Failed { reason }, out);
            }
            Phase::Enrolled
            | Phase::Ordered
            | Phase::Booting
            | Phase::Checking
            | Phase::Planned
            | Phase::Provisioning
            | Phase::Erasing
            | Phase::HandedOver
            | Phase::Suspect
            | Phase::Draining
            | Phase::InRepair
            | Phase::Rescue
            | Phase::Retired => {}
        }
    }

    /// Whether its newest run was ordered by the policy.
    #[must_use]
    pub fn run_is_by_policy(&self) -> bool {
        self.run
            .as_ref()
            .is_some_and(|run| run.terms.by == BY_POLICY)
    }

    /// Whether a run of the policy has failed here, and nobody has done anything since.
    #[must_use]
    pub fn held_by_policy(&self) -> bool {
        self.phase == Phase::Held && self.run_is_by_policy()
    }

    /// Whether the policy keeps it from its work now.
    #[must_use]
    pub fn is_kept_by_policy(&self) -> bool {
        let disturbed = |doing: &crate::action::Doing| {
            doing.started.is_some() && doing.measure().is_some_and(Measure::disturbs)
        };
        let by_run = self.run_is_by_policy()
            && (self.run_is_open() || matches!(self.phase, Phase::HandedOver | Phase::Held));
        by_run || self.taken_by_policy || self.open_measure().is_some_and(disturbed)
    }

    /// Whether the healing policy has to think about it.
    #[must_use]
    pub fn is_in_trouble(&self) -> bool {
        self.phase == Phase::Suspect || self.held_by_policy() || self.open_measure().is_some()
    }
}
