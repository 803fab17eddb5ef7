// SPDX-License-Identifier: Apache-2.0
//! The host: its agent's first and later calls. Ready is reached here and nowhere else.

use crate::decide::{Note, Reply, Wish};
use crate::kept::KeptPlan;
use crate::node::{Host, Node};
use crate::{reasons, reasons_life};
use alloc::format;
use alloc::vec::Vec;
use groundstate_api::adopt::ADOPTED_RUN;
use groundstate_api::event::Happened;
use groundstate_api::host::{Heartbeat, HostInstruction, Register};
use groundstate_api::plan::Step;
use groundstate_api::run::StepState;
use groundstate_api::view::{HostView, Phase};
use groundstate_api::{Millis, PlanId, Reason};

/// Who calls: the host of a plan, with the key of its certificate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Speaks<'a> {
    plan: &'a PlanId,
    key: &'a str,
}

impl<'a> Speaks<'a> {
    pub(crate) const fn new(plan: &'a PlanId, key: &'a str) -> Self {
        Self { plan, key }
    }

    /// Whether this is the host itself: of its plan, and with the key that its certificate was issued for.
    fn for_host(self, host: &Host) -> bool {
        host.id == *self.plan && host.key.as_deref() == Some(self.key)
    }
}

impl Node {
    pub(crate) fn register(
        &self,
        now: Millis,
        who: Speaks<'_>,
        register: &Register,
        out: &mut Vec<Wish>,
    ) {
        // The machine has left with the last report unheard: its host speaks for it.
        let left = self.left_unheard(now, who);
        let there = self.host.as_ref().filter(|host| who.for_host(host));
        let of_host = |host: &Host| match &host.plan {
            Some(plan) => register.run == plan.run,
            None => register.run.as_str() == ADOPTED_RUN,
        };
        let of_run = left.map(|plan| register.run == plan.run);
        let run = of_run.or(there.map(of_host));
        let right = register.plan == *who.plan && register.node == *self.id();
        if !(right && run == Some(true)) {
            self.not_the_host(
                now,
                who,
                reasons_life::ghost_of_plan(self.id(), who.plan),
                out,
            );
            return;
        }
        if there.is_some_and(|host| host.past_boots.contains(&register.boot_id)) {
            let boot = register.boot_id.as_str();
            self.fence(now, reasons_life::ghost_of_boot(self.id(), boot), out);
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
        if !there.is_some_and(known) {
            out.push(Wish::Append(Happened::HostRegistered {
                plan: who.plan.clone(),
                boot_id: register.boot_id.clone(),
                os: format!("{}, Linux {}", register.os, register.kernel),
                changes: register.changes.clone(),
            }));
            self.host_restarted(register.boot_id.as_str(), out);
        }
        out.push(Wish::Note(Note::Heard));
        if !(self.phase == Phase::Suspect && self.is_ill()) {
            self.come_back(now, left.is_some(), out);
        }
        let next = if left.is_some() {
            HostInstruction::CarryOn
        } else {
            self.host_instruction(now)
        };
        out.push(Wish::Reply(Reply::Host(next)));
    }

    pub(crate) fn beat(&self, now: Millis, who: Speaks<'_>, beat: &Heartbeat, out: &mut Vec<Wish>) {
        let ours =
            |host: &&Host| who.for_host(host) && beat.plan == *who.plan && beat.node == *self.id();
        let Some(host) = self.host.as_ref().filter(ours) else {
            self.not_the_host(
                now,
                who,
                reasons_life::ghost_of_plan(self.id(), who.plan),
                out,
            );
            return;
        };
        // Agents of before say no epoch.
        if beat.epoch != 0 && beat.epoch != host.epoch {
            let reason = reasons_life::ghost_of_epoch(self.id(), beat.epoch, host.epoch);
            self.fence(now, reason, out);
            return;
        }
        if host.past_boots.contains(&beat.boot_id) {
            let boot = beat.boot_id.as_str();
            self.fence(now, reasons_life::ghost_of_boot(self.id(), boot), out);
            return;
        }
        let known = |seen: &HostView| seen.boot_id == beat.boot_id;
        if !host.seen.as_ref().is_some_and(known) {
            let reason = reasons::host_not_registered(self.id(), who.plan);
            out.push(Wish::Reply(Reply::Conflict(reason)));
            return;
        }
        out.push(Wish::Note(Note::Heard));
        if self.live.boots_next != beat.boots_next {
            out.push(Wish::Note(Note::BootsNext(beat.boots_next)));
        }
        if let Some(acted) = &beat.ended {
            self.host_acted(now, acted, out);
        }
        let ill = self.host_health(now, beat.troubles.clone(), out);
        if !ill && matches!(self.phase, Phase::Suspect | Phase::Held) {
            self.come_back(now, false, out);
        }
        out.push(Wish::Reply(Reply::Host(self.host_instruction(now))));
    }

    /// A host calls that is not the node's. Where a power loss interrupted a run, firmware may find on the disk what the run was
    /// about to replace, has half made, or leaves alone while it erases another disk: such a host brings its machine back to
    /// the run. Every other one is refused.
    fn not_the_host(&self, now: Millis, who: Speaks<'_>, refusal: Reason, out: &mut Vec<Wish>) {
        if let Some(reason) = self.was_let_go(who.plan) {
            out.push(Wish::Reply(Reply::Conflict(reason)));
            return;
        }
        let half_made = self.run.as_ref().is_some_and(|run| {
            let of_this_plan = run.plan.as_ref().is_some_and(|plan| plan.id == *who.plan);
            of_this_plan || run.terms.erase.is_some()
        });
        if half_made && self.key_is_quiet(now) {
            out.push(Wish::Note(Note::Heard));
            out.push(Wish::Reply(Reply::Host(HostInstruction::RebootToNetwork)));
        } else {
            self.fence(now, refusal, out);
        }
    }

    /// What the host shall do: restart into the network where a run waits for it, or was interrupted before it had touched the
    /// host, else carry on.
    #[must_use]
    pub fn host_instruction(&self, now: Millis) -> HostInstruction {
        match self.phase {
            Phase::Ordered | Phase::Booting if self.host.is_some() => {
                HostInstruction::RebootToNetwork
            }
            Phase::Checking | Phase::Planned | Phase::Provisioning | Phase::Erasing
                if self.key_is_quiet(now) =>
            {
                HostInstruction::RebootToNetwork
            }
            Phase::Rescue => HostInstruction::RebootToNetwork,
            Phase::Ready | Phase::Suspect | Phase::Draining | Phase::Held => {
                match self.host_act() {
                    Some((action, act)) => HostInstruction::Act { action, act },
                    None => HostInstruction::CarryOn,
                }
            }
            Phase::Ordered
            | Phase::Booting
            | Phase::Enrolled
            | Phase::Checking
            | Phase::Planned
            | Phase::Provisioning
            | Phase::Erasing
            | Phase::HandedOver
            | Phase::Quarantined
            | Phase::InRepair
            | Phase::Retired => HostInstruction::CarryOn,
        }
    }

    fn come_back(&self, now: Millis, left: bool, out: &mut Vec<Wish>) {
        match self.phase {
            Phase::HandedOver | Phase::Suspect => {
                self.trouble_is_over(out);
                self.go(Phase::Ready, self.adopted_words(), out);
            }
            Phase::Provisioning if left => {
                self.go_from(Phase::HandedOver, Phase::Ready, None, out);
            }
            Phase::Held if self.order_has_lapsed() => {
                self.go(Phase::Ready, Some(reasons::order_lapsed(now)), out);
            }
            Phase::Enrolled
            | Phase::Ordered
            | Phase::Booting
            | Phase::Checking
            | Phase::Planned
            | Phase::Provisioning
            | Phase::Erasing
            | Phase::Ready
            | Phase::Draining
            | Phase::Quarantined
            | Phase::InRepair
            | Phase::Held
            | Phase::Rescue
            | Phase::Retired => {}
        }
    }

    /// The plan of the run, where this host of it may speak for a hand-over that was not heard: the last step was begun after the
    /// boot entry was reported done, or the first-boot data was reported done and the maintenance OS is silent since, as
    /// after a power loss. Neither may have failed.
    ///
    /// That is enough. Steps are reported in order and only then go on, so the image was read back and the host's key
    /// was placed before. The key lies nowhere but in the root that this plan wrote, its certificate is bound to this
    /// plan, and no other key speaks here: who registers with it is the host that was to be started.
    fn left_unheard(&self, now: Millis, who: Speaks<'_>) -> Option<&KeptPlan> {
        let run = self.run.as_ref()?;
        let plan = run.plan.as_ref().filter(|plan| plan.id == *who.plan)?;
        let step = run.step.as_ref();
        let failed = matches!(step, Some((_, StepState::Failed { .. })));
        let begun = step.is_some_and(|(step, _)| *step == Step::HandOver);
        let leaves = begun && run.facts.contains_key(&Step::BootEntry);
        let placed = run.facts.contains_key(&Step::FirstBoot) && self.key_is_quiet(now);
        let issued = run.host_key.as_deref() == Some(who.key);
        (self.phase == Phase::Provisioning && issued && !failed && (leaves || placed))
            .then_some(plan)
    }
}
