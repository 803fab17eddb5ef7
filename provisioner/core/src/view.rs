// SPDX-License-Identifier: Apache-2.0
//! What people and programs see of a node: a function of its state.

use crate::named;
use crate::node::Node;
use alloc::vec::Vec;
use groundstate_api::Reason;
use groundstate_api::plan::Step;
use groundstate_api::run::StepState;
use groundstate_api::view::{NodeReport, NodeView, Phase};

impl Node {
    /// The node in a list.
    #[must_use]
    pub fn view(&self) -> NodeView {
        let waits_for_boot = matches!(self.phase, Phase::Ordered | Phase::Booting);
        let ordered = self.since;
        NodeView {
            node: self.id().clone(),
            mac: self.site.mac,
            phase: self.phase,
            since: self.since,
            reason: self.reason_shown(),
            run: self.run.as_ref().map(|run| run.id.clone()),
            step: self.step_now(),
            boot: self
                .live
                .boot
                .as_ref()
                .filter(|(at, _)| waits_for_boot && *at >= ordered)
                .map(|(_, sighting)| sighting.clone()),
            last_heard: self.live.heard,
            version: self.version,
        }
    }

    /// Why the node waits or is held, as people and programs see it: with what has come to be known since, and with its own name
    /// in the commands.
    #[must_use]
    pub fn reason_shown(&self) -> Option<Reason> {
        self.reason_now()
            .map(|reason| named::reason(reason, self.id()))
    }

    /// The node in full.
    #[must_use]
    pub fn report(&self) -> NodeReport {
        let run = self.run.as_ref();
        let mut report = NodeReport {
            view: self.view(),
            firmware: self.firmware,
            hand_over: run.map(|run| run.hand_over),
            inventory: run
                .and_then(|run| run.inventory.as_ref())
                .or(self.last_good.as_ref())
                .map(|kept| *kept.get()),
            findings: run.map(|run| run.findings.clone()).unwrap_or_default(),
            hardware: Vec::new(),
            plan: run
                .and_then(|run| run.plan.as_ref())
                .or(self.host.as_ref().and_then(|host| host.plan.as_ref()))
                .map(|kept| *kept.get()),
            timings: run.map(|run| run.timings.clone()).unwrap_or_default(),
            facts: run.map_or(Vec::new(), |run| {
                run.facts.iter().map(|(s, f)| (*s, f.clone())).collect()
            }),
            peak_memory: run.and_then(|run| run.peak_memory),
            host: self.host.as_ref().and_then(|host| host.seen.clone()),
            alarms: self.alarms.clone(),
            troubles: self.trouble_views(),
            actions: self.action_views(),
            measures: self.live.measure.as_deref().cloned().into_iter().collect(),
        };
        named::report(&mut report);
        report
    }

    /// A step that waits says why; that is then the node's reason.
    pub(crate) fn reason_now(&self) -> Option<Reason> {
        let waits = match (&self.phase, self.step_now()) {
            (Phase::Provisioning | Phase::Erasing, Some((_, StepState::Waiting { reason }))) => {
                Some(reason)
            }
            _ => None,
        };
        let known = || self.reason.as_ref().map(|reason| self.waits_now(reason));
        waits.or_else(known)
    }

    fn step_now(&self) -> Option<(Step, StepState)> {
        let shown = matches!(
            self.phase,
            Phase::Provisioning | Phase::Erasing | Phase::HandedOver | Phase::Held
        );
        let run = self.run.as_ref().filter(|_| shown)?;
        let running = self
            .live
            .running
            .as_ref()
            .filter(|(number, ..)| *number > run.reports && self.carries_out())
            .map(|(_, step, state)| (*step, state.clone()));
        running.or_else(|| run.step.clone())
    }
}
