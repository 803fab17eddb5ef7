// SPDX-License-Identifier: Apache-2.0
//! The host: its agent's first and later calls. Ready is reached here and nowhere else.

use crate::decide::{Note, Reply, Wish};
use crate::node::{Host, Node};
use crate::reasons;
use alloc::format;
use alloc::vec::Vec;
use groundstate_api::PlanId;
use groundstate_api::event::Happened;
use groundstate_api::host::{Heartbeat, HostInstruction, Register};
use groundstate_api::plan::{Plan, Step};
use groundstate_api::view::Phase;

impl Node {
    pub(crate) fn register(&self, plan: &PlanId, register: &Register, out: &mut Vec<Wish>) {
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
        self.come_back(left.is_some(), out);
        out.push(Wish::Reply(Reply::Host(self.host_instruction())));
    }

    pub(crate) fn beat(&self, plan: &PlanId, beat: &Heartbeat, out: &mut Vec<Wish>) {
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
        if self.phase == Phase::Silent {
            self.come_back(false, out);
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

    fn come_back(&self, left: bool, out: &mut Vec<Wish>) {
        match self.phase {
            Phase::HandedOver | Phase::Silent => self.go(Phase::Ready, None, out),
            Phase::Deploying if left => out.push(Wish::Append(Happened::PhaseChanged {
                from: Phase::HandedOver,
                to: Phase::Ready,
                reason: None,
            })),
            Phase::Known
            | Phase::Ordered
            | Phase::Booting
            | Phase::Checking
            | Phase::Deploying
            | Phase::Ready
            | Phase::Held => {}
        }
    }

    fn left_unheard(&self) -> Option<&Plan> {
        let run = self.run.as_ref()?;
        let at_the_end = run
            .step
            .as_ref()
            .is_some_and(|(step, _)| *step == Step::HandOver);
        (self.phase == Phase::Deploying && at_the_end && self.host.is_none())
            .then_some(run.plan.as_deref())
            .flatten()
    }
}
