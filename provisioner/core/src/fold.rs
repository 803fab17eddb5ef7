// SPDX-License-Identifier: Apache-2.0
//! The fold: what each event means. It never fails; an event that does not fit (an old journal, a lost run) changes
//! only what it can.

use crate::action::{BY_POLICY, Doing};
use crate::adopt::Adopted;
use crate::deadline::{ALARMS_MAX, PAST_BOOTS_MAX};
use crate::earlier::Earlier;
use crate::kept::{KeptInventory, KeptPlan};
use crate::node::{BoundKey, Host, Node, Run};
use crate::reasons;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use groundstate_api::boot::BootSighting;
use groundstate_api::event::{Event, Happened};
use groundstate_api::healing::Measure;
use groundstate_api::host::Change;
use groundstate_api::inventory::{Finding, Gravity, Inventory};
use groundstate_api::plan::{HandOver, OrderTerms, Step};
use groundstate_api::run::StepState;
use groundstate_api::view::{HostView, Phase};
use groundstate_api::{BootId, Bytes, Millis, PlanId, Reason, RunId};

impl Node {
    /// Takes one event of this node in.
    #[allow(clippy::too_many_lines, reason = "one arm for each kind of event")]
    pub fn apply(&mut self, event: &Event) {
        self.version = event.number;
        let at = event.at;
        match &event.what {
            Happened::NodeAdded => self.since = at,
            Happened::RunOrdered {
                run,
                hand_over,
                window_closes,
                terms,
            } => {
                self.runs = self.runs.saturating_add(1);
                self.forget_run();
                self.forget_host_health();
                if terms.by != BY_POLICY {
                    self.episode = None;
                }
                let mut new = Run::new(run.clone(), *hand_over, *window_closes, terms.clone());
                new.begin("waiting for the machine", at);
                self.run = Some(new);
            }
            Happened::BootSeen { sighting } => self.saw(at, sighting),
            // It is about the network or the whole site, and stands at no node.
            Happened::ForeignDhcp { .. }
            | Happened::SiteApplied { .. }
            | Happened::MachineSeen { .. }
            | Happened::MachineLeft { .. }
            | Happened::AdoptTokenMade { .. }
            | Happened::Braked { .. }
            | Happened::Audited { .. }
            | Happened::LeaderChanged { .. } => {}
            Happened::PlanApproved { run, by } => self.in_run(run, |run| {
                run.approved.get_or_insert_with(|| by.clone());
            }),
            Happened::ActionBegun { action } => self.action_begun(event.number, action),
            Happened::ActionApproved { id, by } => self.action_is_approved(*id, by),
            Happened::ActionStarted { id } => self.action_has_started(at, *id),
            Happened::ActionEnded { id, outcome } => self.action_has_ended(at, *id, outcome),
            Happened::HealthReported { by, troubles } => self.health_reported(at, by, troubles),
            Happened::HostFenced { reason } => self.alarm(reason.clone()),
            Happened::Adopted {
                inventory,
                key,
                adoption,
                firmware,
                ..
            } => {
                self.count(at, inventory);
                self.last_good = Some(KeptInventory::new(inventory));
                // What stands on its disks now no plan of ours wrote.
                self.earlier = Earlier::default();
                let adopted = Adopted {
                    adoption,
                    key: key.as_ref(),
                    firmware: *firmware,
                };
                self.host_adopted(at, adopted);
            }
            Happened::Unadopted { adoption, .. } => self.host_unadopted(adoption),
            Happened::Remarked { .. } => {}
            Happened::Enrolled { run, boot_id, key } => self.in_run(run, |run| {
                run.key.get_or_insert_with(|| BoundKey::new(boot_id, key));
                run.boots = run.boots.max(1);
                run.end_all(at);
                run.begin("checks", at);
            }),
            Happened::CameBack {
                run,
                boot_id,
                key,
                boot,
            } => self.came_back(at, run, BoundKey::new(boot_id, key), *boot),
            Happened::EnrolRefused { reason, alarm } => {
                if *alarm {
                    self.alarm(reason.clone());
                }
            }
            Happened::InventoryTaken {
                inventory,
                findings,
            } => self.inventoried(at, inventory, findings),
            Happened::Planned { plan } => {
                let kept = KeptPlan::new(plan);
                self.earlier.planned(&kept);
                self.in_run(&plan.run, |run| {
                    run.plan = Some(kept);
                    run.end_all(at);
                });
            }
            Happened::StepMoved {
                run,
                number,
                step,
                state,
                peak_memory,
            } => self.moved(at, run, *number, *step, state, *peak_memory),
            Happened::DiskErased {
                run,
                serial,
                erased,
                ..
            } => self.disk_erased(at, run, serial, *erased),
            Happened::HostCredentialIssued { plan, key } => self.host_key_bound(plan, key),
            Happened::HostRegistered {
                plan,
                boot_id,
                os,
                changes,
            } => self.registered(plan, boot_id, os, changes),
            Happened::PhaseChanged { to, reason, .. } => {
                self.phase_changed(at, *to, reason.as_ref());
            }
        }
        if !self.is_in_trouble() {
            self.live.measure = None;
        }
    }

    /// The run goes on in another boot: the plan stays, and the steps begin again from the first. What the boot before was given
    /// or said of its steps holds no more.
    fn came_back(&mut self, at: Millis, id: &RunId, key: BoundKey, boot: u32) {
        self.live.running = None;
        self.live.second_key = None;
        self.in_run(id, |run| {
            run.key = Some(key);
            run.boots = boot;
            run.reports = 0;
            run.step = None;
            run.facts.clear();
            run.host_key = None;
            run.end_all(at);
            run.begin(&checks_of(boot), at);
        });
        self.alarm(reasons::came_back(at, id, boot));
    }

    fn host_key_bound(&mut self, plan: &PlanId, key: &str) {
        if let Some(run) = &mut self.run
            && run.plan.as_ref().is_some_and(|p| p.id == *plan)
        {
            run.host_key.get_or_insert_with(|| key.into());
        }
    }

    /// A new run begins with nothing remembered of the old one, so that what it says is news again.
    fn forget_run(&mut self) {
        self.live.running = None;
        self.live.moved = None;
        self.live.second_key = None;
        self.live.contested = false;
        self.live.plan_asked = None;
        self.live.refusals.clear();
        self.live.sightings.clear();
    }

    /// Remembers what the disks counted.
    fn count(&mut self, at: Millis, inventory: &Inventory) {
        let named = inventory
            .disks
            .iter()
            .filter(|disk| !disk.serial.is_empty());
        let disks = named.map(|disk| (disk.serial.clone(), disk.health.figures.clone()));
        self.figures.count(at, disks.collect());
    }

    fn inventoried(&mut self, at: Millis, inventory: &Inventory, findings: &[Finding]) {
        self.count(at, inventory);
        let kept = KeptInventory::new(inventory);
        if !findings.iter().any(|f| f.gravity == Gravity::Stop) {
            self.last_good = Some(kept.clone());
        }
        if let Some(run) = &mut self.run {
            run.inventory = Some(kept);
            run.findings = findings.to_vec();
            run.end_all(at);
            run.begin("plan", at);
        }
    }

    fn registered(&mut self, plan: &PlanId, boot_id: &BootId, os: &str, changes: &[Change]) {
        if let Some(host) = &mut self.host
            && host.id == *plan
        {
            let last_boot = host.seen.as_ref().map(|seen| seen.boot_id.clone());
            // The first boot's changes stay in the report: later boots change nothing.
            let first = host.seen.take().map(|s| s.changes).unwrap_or_default();
            let changes = if changes.is_empty() {
                first
            } else {
                changes.to_vec()
            };
            if let Some(before) = last_boot.filter(|before| before != boot_id) {
                host.past_boots.push(before);
                if host.past_boots.len() > PAST_BOOTS_MAX {
                    host.past_boots.remove(0);
                }
            }
            host.seen = Some(HostView {
                plan: plan.clone(),
                boot_id: boot_id.clone(),
                os: os.into(),
                changes,
                adopted: host.adopted,
            });
        }
    }

    fn in_run(&mut self, id: &RunId, change: impl FnOnce(&mut Run)) {
        if let Some(run) = self.run.as_mut().filter(|run| run.id == *id) {
            change(run);
        }
    }

    fn alarm(&mut self, reason: Reason) {
        self.alarms.push(reason);
        if self.alarms.len() > ALARMS_MAX {
            self.alarms.remove(0);
        }
    }

    fn saw(&mut self, at: Millis, sighting: &BootSighting) {
        if let BootSighting::Leased {
            firmware: Some(firmware),
            ..
        } = sighting
        {
            self.firmware = Some(*firmware);
        }
        let booting = matches!(self.phase, Phase::Ordered | Phase::Booting);
        let Some(run) = self.run.as_mut().filter(|run| booting && run.key.is_none()) else {
            return;
        };
        match sighting {
            BootSighting::Leased { .. } => {
                run.end("waiting for the machine", at);
                run.begin_once("firmware and DHCP", at);
            }
            BootSighting::FileProgress { .. } => {
                run.end("firmware and DHCP", at);
                run.begin_once("boot files", at);
            }
            BootSighting::FileSent { .. } => {
                run.end("firmware and DHCP", at);
                run.begin_once("boot files", at);
                run.end_again("boot files", at);
                run.restart("kernel and network", at);
            }
            BootSighting::Refused { .. } | BootSighting::SentToLocalDisk => {}
        }
    }

    fn moved(
        &mut self,
        at: Millis,
        run: &RunId,
        number: u64,
        step: Step,
        state: &StepState,
        peak: Bytes,
    ) {
        let (mut wrote, mut renewed, epoch) = (false, None, self.runs);
        self.in_run(run, |run| {
            run.reports = run.reports.max(number);
            run.step = Some((step, state.clone()));
            run.image_begun |= step >= Step::Image && step != Step::Erase;
            run.peak_memory = run.peak_memory.max(Some(peak));
            // A rebuild does not touch the host's disk until it renews the host's first-boot data.
            wrote = run.terms.rebuild.is_none() && !matches!(step, Step::Guard | Step::HandOver);
            let placed = step == Step::FirstBoot && matches!(state, StepState::Done { .. });
            let plan = run.plan.clone();
            renewed = plan
                .filter(|_| placed && run.terms.rebuild.is_some())
                .map(|plan| Host::new(plan, run.host_key.clone(), epoch));
            match state {
                StepState::Started if run.boots > 1 => {
                    run.end(&checks_of(run.boots), at);
                    run.restart(step.as_str(), at);
                }
                StepState::Started => run.begin_once(step.as_str(), at),
                StepState::Done { facts } => {
                    run.facts.insert(step, facts.clone());
                    run.end(step.as_str(), at);
                }
                StepState::Failed { .. } => run.end(step.as_str(), at),
                StepState::Running { .. } | StepState::Waiting { .. } => {}
            }
        });
        if step == Step::Erase && matches!(state, StepState::Started) {
            self.erase_began(at, run);
        }
        if wrote {
            // From the first wipe on, no host is on these disks until the new one was started.
            self.host = None;
        }
        if renewed.is_some() {
            self.host = renewed;
        }
        let done = matches!(state, StepState::Done { .. });
        let current = self.run.as_ref().filter(|r| done && r.id == *run);
        if let Some(plan) = current.and_then(|run| run.plan.as_ref()) {
            self.earlier.done(plan, step);
        }
        if self
            .live
            .running
            .as_ref()
            .is_some_and(|(n, ..)| *n <= number)
        {
            self.live.running = None;
        }
    }

    fn phase_changed(&mut self, at: Millis, to: Phase, reason: Option<&Reason>) {
        self.phase = to;
        self.since = at;
        self.reason = reason.cloned();
        self.live.place = None;
        // Only a measure under way takes a node out of use by the policy's hand.
        let by_measure =
            |doing: &Doing| doing.measure() == Some(Measure::Quarantine) && doing.goes_on();
        self.taken_by_policy =
            to == Phase::Quarantined && self.open_measure().is_some_and(by_measure);
        match to {
            Phase::Suspect => self.trouble_began(at),
            Phase::Ready => self.trouble_ended(at),
            Phase::InRepair | Phase::Retired => {
                self.episode = None;
                self.forget_hardware_health();
            }
            Phase::Enrolled | Phase::Draining | Phase::Rescue => self.episode = None,
            Phase::Quarantined if !self.taken_by_policy => self.episode = None,
            Phase::Ordered
            | Phase::Booting
            | Phase::Checking
            | Phase::Planned
            | Phase::Provisioning
            | Phase::Erasing
            | Phase::HandedOver
            | Phase::Quarantined
            | Phase::Held => {}
        }
        let epoch = self.runs;
        let Some(run) = &mut self.run else { return };
        match to {
            Phase::HandedOver => {
                if let Some(plan) = &run.plan {
                    self.host = Some(Host::new(plan.clone(), run.host_key.clone(), epoch));
                }
                run.end_all(at);
                run.begin("host boot and agent call", at);
            }
            Phase::Ready => run.end("host boot and agent call", at),
            Phase::Held => run.end_all(at),
            Phase::Enrolled
            | Phase::Ordered
            | Phase::Booting
            | Phase::Checking
            | Phase::Planned
            | Phase::Provisioning
            | Phase::Erasing
            | Phase::Suspect
            | Phase::Draining
            | Phase::Quarantined
            | Phase::InRepair
            | Phase::Rescue
            | Phase::Retired => {}
        }
    }
}

impl Run {
    fn new(id: RunId, hand_over: HandOver, window_closes: Millis, terms: OrderTerms) -> Self {
        Self {
            id,
            hand_over,
            window_closes,
            terms,
            key: None,
            boots: 0,
            inventory: None,
            findings: Vec::new(),
            plan: None,
            step: None,
            image_begun: false,
            facts: BTreeMap::new(),
            reports: 0,
            peak_memory: None,
            host_key: None,
            erased: BTreeMap::new(),
            timings: Vec::new(),
            approved: None,
        }
    }
}

impl BoundKey {
    fn new(boot_id: &BootId, key: &str) -> Self {
        Self {
            boot_id: boot_id.clone(),
            key: key.into(),
        }
    }
}

impl Host {
    /// A host whose agent has not called.
    fn new(plan: KeptPlan, key: Option<String>, epoch: u64) -> Self {
        Self {
            id: plan.id.clone(),
            plan: Some(plan),
            adopted: None,
            key,
            seen: None,
            epoch,
            past_boots: Vec::new(),
        }
    }
}

/// The span in which a later boot of the run enrols and looks at the hardware.
fn checks_of(boot: u32) -> String {
    format!("checks, boot {boot}")
}

/// The events of one decision as they will stand in the journal: for tests and simulations without a journal.
#[must_use]
pub fn number(first: u64, at: Millis, node: &Node, what: Vec<Happened>) -> Vec<Event> {
    (first..)
        .zip(what)
        .map(|(number, what)| Event {
            number,
            at,
            node: Some(node.id().clone()),
            what,
        })
        .collect()
}
