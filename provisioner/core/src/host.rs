// SPDX-License-Identifier: Apache-2.0
//! The host: its agent's first and later calls. Ready is reached here and nowhere else.

use crate::decide::{Note, Reply, Wish};
use crate::node::{Host, Node};
use crate::reasons;
use alloc::format;
use alloc::vec::Vec;
use groundstate_api::event::Happened;
use groundstate_api::host::{Heartbeat, HostInstruction, Register};
use groundstate_api::plan::{Plan, Step};
use groundstate_api::run::StepState;
use groundstate_api::view::Phase;
use groundstate_api::{Millis, PlanId};

impl Node {
    pub(crate) fn register(
        &self,
        now: Millis,
        plan: &PlanId,
        register: &Register,
        out: &mut Vec<Wish>,
    ) {
        // The machine has left with the last report unheard: its host speaks for it.
        let left = self.left_unheard();
        let Some(made_by) = self.host.as_ref().map(|h| h.plan.as_ref()).or(left) else {
            out.push(Wish::Reply(Reply::Conflict(reasons::host_of_another_plan(
                self.id(),
                plan,
            ))));
            return;
        };
        let matches = made_by.id == *plan
            && register.plan == *plan
            && register.run == made_by.run
            && register.node == *self.id();
        if !matches {
            out.push(Wish::Reply(Reply::Conflict(reasons::host_of_another_plan(
                self.id(),
                plan,
            ))));
            return;
        }
        if left.is_some() {
            self.go(Phase::HandedOver, None, out);
        }
        let known = |host: &Host| {
            host.seen
                .as_ref()
                .is_some_and(|s| s.boot_id == register.boot_id)
        };
        if !self.host.as_ref().is_some_and(known) {
            out.push(Wish::Append(Happened::HostRegistered {
                plan: plan.clone(),
                boot_id: register.boot_id.clone(),
                os: format!("{}, Linux {}", register.os, register.kernel),
                changes: register.changes.clone(),
            }));
        }
        out.push(Wish::Note(Note::Heard));
        self.come_back(now, left.is_some(), out);
        out.push(Wish::Reply(Reply::Host(self.host_instruction())));
    }

    pub(crate) fn beat(&self, now: Millis, plan: &PlanId, beat: &Heartbeat, out: &mut Vec<Wish>) {
        let known = self.host.as_ref().is_some_and(|host| {
            host.plan.id == *plan
                && beat.plan == *plan
                && beat.node == *self.id()
                && host
                    .seen
                    .as_ref()
                    .is_some_and(|seen| seen.boot_id == beat.boot_id)
        });
        if !known {
            out.push(Wish::Reply(Reply::Conflict(reasons::host_not_registered(
                self.id(),
                plan,
            ))));
            return;
        }
        out.push(Wish::Note(Note::Heard));
        if matches!(self.phase, Phase::Silent | Phase::Held) {
            self.come_back(now, false, out);
        }
        out.push(Wish::Reply(Reply::Host(self.host_instruction())));
    }

    /// What the host shall do: restart into the network where a run waits for it, else carry on.
    #[must_use]
    pub fn host_instruction(&self) -> HostInstruction {
        match self.phase {
            Phase::Ordered | Phase::Booting if self.host.is_some() => {
                HostInstruction::RebootToNetwork
            }
            Phase::Ordered
            | Phase::Booting
            | Phase::Known
            | Phase::Checking
            | Phase::Deploying
            | Phase::HandedOver
            | Phase::Ready
            | Phase::Silent
            | Phase::Held => HostInstruction::CarryOn,
        }
    }

    fn come_back(&self, now: Millis, left: bool, out: &mut Vec<Wish>) {
        match self.phase {
            Phase::HandedOver | Phase::Silent => self.go(Phase::Ready, None, out),
            Phase::Deploying if left => out.push(Wish::Append(Happened::PhaseChanged {
                from: Phase::HandedOver,
                to: Phase::Ready,
                reason: None,
            })),
            Phase::Held if self.order_has_lapsed() => {
                self.go(Phase::Ready, Some(reasons::order_lapsed(now)), out);
            }
            Phase::Known
            | Phase::Ordered
            | Phase::Booting
            | Phase::Checking
            | Phase::Deploying
            | Phase::Ready
            | Phase::Held => {}
        }
    }

    /// The plan whose host may speak for a hand-over that was not heard: the last step was begun after the boot entry
    /// was reported done, and did not fail.
    ///
    /// That is enough. Steps are reported in order and only then go on, so the image was read back and the host's key
    /// was placed before. The key lies nowhere but in the root that this plan wrote, its certificate is bound to this
    /// plan, and nothing but the hand-over starts that root: who registers with it is the host that was to be started.
    fn left_unheard(&self) -> Option<&Plan> {
        let run = self.run.as_ref()?;
        let begun = match &run.step {
            Some((Step::HandOver, StepState::Failed { .. })) | None => false,
            Some((step, _)) => *step == Step::HandOver,
        };
        let entry_done = run.facts.contains_key(&Step::BootEntry);
        (self.phase == Phase::Deploying && begun && entry_done && self.host.is_none())
            .then_some(run.plan.as_deref())
            .flatten()
    }
}
