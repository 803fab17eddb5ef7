// SPDX-License-Identifier: Apache-2.0
//! A node's life beside its runs: taken out of use, repaired, given back, rescued, retired. Persons and the fabric controller
//! order it; nothing here happens by itself, and nobody is brought out of these phases but by an order.

use crate::decide::{Note, Reply, Wish};
use crate::node::Node;
use crate::reasons_action;
use crate::reasons_life as words;
use alloc::vec::Vec;
use groundstate_api::action::Act;
use groundstate_api::enrol::EnrolRequest;
use groundstate_api::event::Happened;
use groundstate_api::view::Phase;
use groundstate_api::{Millis, Reason};

/// An order about a node's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LifeOrder {
    /// The host gives its work away.
    Drain,
    /// Out of use.
    Quarantine,
    /// A person begins to work at it.
    Repair,
    /// Out of drain, quarantine, repair or rescue; out of retirement too.
    Release,
    /// Out of the fleet.
    Retire,
    /// The maintenance OS with a shell.
    Rescue,
}

impl LifeOrder {
    /// Every order.
    pub const ALL: [Self; 6] = [
        Self::Drain,
        Self::Quarantine,
        Self::Repair,
        Self::Release,
        Self::Retire,
        Self::Rescue,
    ];

    /// For people, as a program orders it: `drain`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Drain => "drain",
            Self::Quarantine => "quarantine",
            Self::Repair => "repair",
            Self::Release => "release",
            Self::Retire => "retire",
            Self::Rescue => "rescue",
        }
    }

    /// Where it leads from each phase, as far as the phase decides; `None` where it is refused. The table of a node's life.
    #[allow(clippy::too_many_lines, reason = "a table with a row for each phase")]
    #[must_use]
    pub const fn leads_to(self, from: Phase) -> Option<Phase> {
        match self {
            Self::Drain => match from {
                Phase::Ready | Phase::Suspect => Some(Phase::Draining),
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
                | Phase::Held
                | Phase::Rescue
                | Phase::Retired => None,
            },
            // What is wrong is stopped wherever it is; what a person has at hand stays with that person.
            Self::Quarantine => match from {
                Phase::Quarantined | Phase::InRepair | Phase::Retired => None,
                Phase::Enrolled
                | Phase::Ordered
                | Phase::Booting
                | Phase::Checking
                | Phase::Planned
                | Phase::Provisioning
                | Phase::Erasing
                | Phase::HandedOver
                | Phase::Ready
                | Phase::Suspect
                | Phase::Draining
                | Phase::Held
                | Phase::Rescue => Some(Phase::Quarantined),
            },
            Self::Repair => match from {
                Phase::Enrolled
                | Phase::Suspect
                | Phase::Draining
                | Phase::Quarantined
                | Phase::Held
                | Phase::Rescue => Some(Phase::InRepair),
                Phase::Ordered
                | Phase::Booting
                | Phase::Checking
                | Phase::Planned
                | Phase::Provisioning
                | Phase::Erasing
                | Phase::HandedOver
                | Phase::Ready
                | Phase::InRepair
                | Phase::Retired => None,
            },
            // To Enrolled where there is no host: `release` looks.
            Self::Release => match from {
                Phase::Draining
                | Phase::Quarantined
                | Phase::InRepair
                | Phase::Rescue
                | Phase::Retired => Some(Phase::Suspect),
                Phase::Enrolled
                | Phase::Ordered
                | Phase::Booting
                | Phase::Checking
                | Phase::Planned
                | Phase::Provisioning
                | Phase::Erasing
                | Phase::HandedOver
                | Phase::Ready
                | Phase::Suspect
                | Phase::Held => None,
            },
            Self::Retire => match from {
                Phase::Enrolled
                | Phase::Suspect
                | Phase::Draining
                | Phase::Quarantined
                | Phase::InRepair
                | Phase::Held
                | Phase::Rescue => Some(Phase::Retired),
                Phase::Ordered
                | Phase::Booting
                | Phase::Checking
                | Phase::Planned
                | Phase::Provisioning
                | Phase::Erasing
                | Phase::HandedOver
                | Phase::Ready
                | Phase::Retired => None,
            },
            Self::Rescue => match from {
                Phase::Enrolled
                | Phase::Ready
                | Phase::Suspect
                | Phase::Draining
                | Phase::Quarantined
                | Phase::InRepair
                | Phase::Held => Some(Phase::Rescue),
                Phase::Ordered
                | Phase::Booting
                | Phase::Checking
                | Phase::Planned
                | Phase::Provisioning
                | Phase::Erasing
                | Phase::HandedOver
                | Phase::Rescue
                | Phase::Retired => None,
            },
        }
    }
}

impl Node {
    pub(crate) fn life(
        &self,
        now: Millis,
        order: LifeOrder,
        by: &str,
        why: &str,
        out: &mut Vec<Wish>,
    ) {
        let Some(to) = order.leads_to(self.phase) else {
            let reason = words::no_way(self.id(), order, self.phase);
            out.push(Wish::Reply(Reply::Conflict(reason)));
            return;
        };
        if let Some(reason) = self.in_the_way(now, order) {
            out.push(Wish::Reply(Reply::Conflict(reason)));
            return;
        }
        self.end_host_work(None, by, order.as_str(), out);
        let (to, reason) = match order {
            LifeOrder::Drain => (to, Some(words::draining(now, by, why))),
            LifeOrder::Quarantine => (to, Some(words::quarantined(now, by, why))),
            LifeOrder::Repair => (to, Some(words::in_repair(now, by, why))),
            LifeOrder::Retire => (to, Some(words::retired(now, by, why))),
            LifeOrder::Rescue => {
                let comes = self.who_comes(now);
                (to, Some(words::rescue(now, by, why, comes)))
            }
            LifeOrder::Release if self.host.is_some() => (to, Some(words::released(now, by))),
            LifeOrder::Release => (Phase::Enrolled, None),
        };
        self.go(to, reason, out);
        if order == LifeOrder::Drain {
            let _begun = self.begin(now, Act::Drain, (by, 1), None, out);
        }
        out.push(Wish::Reply(Reply::Accepted));
    }

    /// Why an order is refused that its phase would allow.
    fn in_the_way(&self, now: Millis, order: LifeOrder) -> Option<Reason> {
        match order {
            LifeOrder::Drain => (!self.host_calls(now)).then(|| words::nothing_to_drain(self.id())),
            LifeOrder::Rescue => (!self.rules.rescue_keys).then(words::no_rescue_keys),
            LifeOrder::Quarantine | LifeOrder::Repair | LifeOrder::Release | LifeOrder::Retire => {
                None
            }
        }
    }

    /// The plan is there: it is given out, or waits to be approved or for its place.
    pub(crate) fn plan_is_made(&self, now: Millis, out: &mut Vec<Wish>) {
        if self.needs_approval() {
            let by_policy = self.run_is_by_policy();
            self.go(
                Phase::Planned,
                Some(words::waits_for_approval(now, self.id(), by_policy)),
                out,
            );
        } else {
            self.give_out(now, out);
        }
    }

    fn give_out(&self, now: Millis, out: &mut Vec<Wish>) {
        if self.rules.queued {
            self.go(Phase::Planned, Some(words::waits_for_place(now)), out);
        } else {
            self.go(self.carrying_out(), None, out);
        }
    }

    /// What carrying the plan out is called.
    fn carrying_out(&self) -> Phase {
        let erases = self
            .run
            .as_ref()
            .is_some_and(|run| run.terms.erase.is_some());
        if erases {
            Phase::Erasing
        } else {
            Phase::Provisioning
        }
    }

    fn needs_approval(&self) -> bool {
        let asks = |run: &crate::node::Run| {
            let of_policy = self.rules.ask_fabric && run.terms.by == crate::action::BY_POLICY;
            (run.terms.approve || of_policy) && run.approved.is_none()
        };
        self.run.as_ref().is_some_and(asks)
    }

    /// Whether its plan waits for approval.
    #[must_use]
    pub fn waits_for_approval(&self) -> bool {
        self.phase == Phase::Planned && self.needs_approval()
    }

    /// Whether its plan waits for its place among the runs that go on at once.
    #[must_use]
    pub fn waits_for_place(&self) -> bool {
        self.phase == Phase::Planned && !self.needs_approval()
    }

    pub(crate) fn plan_approved(
        &self,
        now: Millis,
        run: &groundstate_api::RunId,
        by: alloc::string::String,
        out: &mut Vec<Wish>,
    ) {
        let this = self.run.as_ref().is_some_and(|current| current.id == *run);
        if !(this && self.waits_for_approval()) {
            let reason = words::nothing_to_approve(self.id(), run);
            out.push(Wish::Reply(Reply::Conflict(reason)));
            return;
        }
        let run = run.clone();
        out.push(Wish::Append(Happened::PlanApproved { run, by }));
        self.give_out(now, out);
        out.push(Wish::Reply(Reply::Accepted));
    }

    pub(crate) fn place_given(&self, out: &mut Vec<Wish>) {
        if self.waits_for_place() {
            self.go(self.carrying_out(), None, out);
        }
    }

    /// The words of its reason as they stand now: what has come to be known since it began to wait.
    pub(crate) fn waits_now(&self, reason: &Reason) -> Reason {
        let mut reason = reason.clone();
        match self.phase {
            Phase::Planned => {
                if let Some((place, of)) = self.live.place.filter(|_| self.waits_for_place()) {
                    reason = words::at_place(reason, place, of);
                }
                reason = self.may_be_stopped(reason);
            }
            Phase::Draining => {
                let mut drains = self.actions.iter().rev();
                let drain = drains.find(|doing| doing.action.act == Act::Drain);
                if let Some((_, outcome)) = drain.and_then(|doing| doing.ended.as_ref()) {
                    reason = words::drained(reason, outcome);
                }
            }
            Phase::Ordered => reason = self.may_be_stopped(self.boot_waits(reason)),
            Phase::Booting => reason = self.may_be_stopped(reason),
            Phase::Rescue => {
                let shell = self.live.shell.as_ref().filter(|_| !self.waits_for_boot());
                reason = match shell {
                    Some(shell) => words::shell_is_open(reason, shell),
                    None => self.boot_waits(reason),
                };
            }
            Phase::Suspect | Phase::Held => {
                if let Some(view) = &self.live.measure {
                    reason = words::policy_thinks(reason, view);
                }
            }
            Phase::Enrolled
            | Phase::Checking
            | Phase::Provisioning
            | Phase::Erasing
            | Phase::HandedOver
            | Phase::Ready
            | Phase::Quarantined
            | Phase::InRepair
            | Phase::Retired => {}
        }
        reason
    }

    /// What the run waits for, behind what its order takes away for good, and how that is stopped.
    fn may_be_stopped(&self, reason: Reason) -> Reason {
        match &self.run {
            Some(run) => reasons_action::may_be_stopped(reason, &run.terms),
            None => reason,
        }
    }

    /// A machine that is this node enrols while it is to run a rescue.
    pub(crate) fn rescue_enrols(&self, request: &EnrolRequest, out: &mut Vec<Wish>) {
        out.push(Wish::Note(Note::Asked));
        out.push(Wish::Note(Note::Shell(request.shell.clone())));
        out.push(Wish::Reply(Reply::Rescue));
    }

    /// A host, or a boot of it, that is over speaks: nothing of it is believed, and a person hears of it.
    pub(crate) fn fence(&self, now: Millis, reason: Reason, out: &mut Vec<Wish>) {
        let recent = |at: &Millis| now.since(*at) < crate::deadline::REFUSAL_AGAIN;
        let said = self.live.refusals.get(&reason.code);
        if !said.is_some_and(recent) {
            out.push(Wish::Append(Happened::HostFenced {
                reason: reason.clone(),
            }));
            out.push(Wish::Note(Note::Refused(reason.code)));
        }
        out.push(Wish::Reply(Reply::Conflict(reason)));
    }
}
