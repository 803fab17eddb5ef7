// SPDX-License-Identifier: Apache-2.0
//! The run: what the boot service saw, what the maintenance OS reports, and what it shall do now.

use crate::deadline::SIGHTING_AGAIN;
use crate::decide::{Note, Reply, Wish};
use crate::node::{Node, Run};
use crate::reasons;
use crate::reasons_action as words;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use groundstate_api::boot::{BootSighting, Firmware};
use groundstate_api::event::Happened;
use groundstate_api::inventory::{Finding, Gravity, Inventory};
use groundstate_api::plan::{OrderTerms, Plan, Step};
use groundstate_api::run::{Instruction, Progress, StepState};
use groundstate_api::view::Phase;
use groundstate_api::{Millis, Reason, ReasonCode, RunId};

impl Node {
    /// What the maintenance OS of `run` shall do now: a function of the state and nothing else.
    #[must_use]
    pub fn instruction(&self, run: &RunId) -> Instruction {
        let Some(current) = self.run.as_ref().filter(|current| current.id == *run) else {
            return self.after(run);
        };
        match self.phase {
            Phase::Enrolled
            | Phase::Ordered
            | Phase::Booting
            | Phase::Quarantined
            | Phase::InRepair
            | Phase::Rescue
            | Phase::Retired => Instruction::Hold {
                reason: reasons::run_is_over(run),
            },
            Phase::Checking if current.inventory.is_none() => Instruction::SendInventory,
            Phase::Checking => Instruction::Wait {
                reason: self.for_order(reasons::planning(self.since)),
            },
            Phase::Planned => Instruction::Wait {
                reason: self
                    .reason_now()
                    .unwrap_or_else(|| reasons::planning(self.since)),
            },
            Phase::Provisioning
            | Phase::Erasing
            | Phase::HandedOver
            | Phase::Ready
            | Phase::Suspect
            | Phase::Draining => match &current.plan {
                Some(plan) => Instruction::CarryOut {
                    plan: plan.get(),
                    image_begun: current.image_begun,
                },
                None => Instruction::Wait {
                    reason: reasons::planning(self.since),
                },
            },
            Phase::Held => Instruction::Hold {
                reason: self
                    .reason
                    .clone()
                    .unwrap_or_else(|| reasons::run_is_over(run)),
            },
        }
    }

    /// What a maintenance OS does whose run is over: enrol for the one that waits, where one waits. The key of its boot
    /// will be the first of that run.
    fn after(&self, over: &RunId) -> Instruction {
        let waits = matches!(self.phase, Phase::Ordered | Phase::Booting);
        match &self.run {
            Some(next) if waits && next.key.is_none() => Instruction::EnrolAgain,
            Some(_) | None => Instruction::Hold {
                reason: reasons::run_is_over(over),
            },
        }
    }

    /// Behind what the run's order takes away for good, where it does.
    pub(crate) fn for_order(&self, reason: Reason) -> Reason {
        match &self.run {
            Some(run) => words::for_order(reason, &run.terms),
            None => reason,
        }
    }

    /// The terms with which its run would be ordered again. Without a host there is none of which one disk could be rebuilt.
    pub(crate) fn terms_again(&self) -> Option<&OrderTerms> {
        let terms = &self.run.as_ref()?.terms;
        (terms.rebuild.is_none() || self.host.is_some()).then_some(terms)
    }

    fn open_run(&self, run: &RunId, phase: Phase) -> Option<&Run> {
        self.run
            .as_ref()
            .filter(|current| current.id == *run && self.phase == phase)
    }

    pub(crate) fn spoke(&self, run: &RunId, out: &mut Vec<Wish>) {
        if self.run.as_ref().is_some_and(|current| current.id == *run) {
            out.push(Wish::Note(Note::Spoke));
        }
        out.push(Wish::Reply(Reply::Accepted));
    }

    pub(crate) fn sighted(&self, now: Millis, sighting: BootSighting, out: &mut Vec<Wish>) {
        let netboot = is_netboot(&sighting);
        if self.sighting_is_news(now, &sighting) {
            out.push(Wish::Note(Note::Sighted(kind_and_file(&sighting))));
            out.push(Wish::Append(Happened::BootSeen {
                sighting: sighting.clone(),
            }));
        }
        out.push(Wish::Note(Note::Boot(sighting)));
        if self.phase == Phase::Ordered && netboot {
            let deadline = self.run.as_ref().map(|run| run.window_closes);
            let reason = self.for_order(reasons::booting(now, deadline));
            self.go(Phase::Booting, Some(reason), out);
        }
    }

    /// Whether the journal should know: the same kind again within a minute, a file's further progress and the leases
    /// of a running operating system are not news.
    fn sighting_is_news(&self, now: Millis, sighting: &BootSighting) -> bool {
        let same_file = |old: &BootSighting| match (old, sighting) {
            (
                BootSighting::FileProgress { file: old, .. },
                BootSighting::FileProgress { file: new, .. },
            ) => old == new,
            _ => false,
        };
        let goes_on = self
            .live
            .boot
            .as_ref()
            .is_some_and(|(_, old)| same_file(old));
        let recent = |at: &Millis| now.since(*at) < SIGHTING_AGAIN;
        let again = self.live.sightings.get(&kind_and_file(sighting));
        let renewal = match sighting {
            BootSighting::Leased { firmware: None, .. } => !self.run_is_open(),
            BootSighting::Leased { .. }
            | BootSighting::FileSent { .. }
            | BootSighting::FileProgress { .. }
            | BootSighting::Refused { .. }
            | BootSighting::SentToLocalDisk => false,
        };
        !goes_on && !again.is_some_and(recent) && !renewal
    }

    pub(crate) fn inventory(
        &self,
        now: Millis,
        run: &RunId,
        inventory: Box<Inventory>,
        findings: Vec<Finding>,
        out: &mut Vec<Wish>,
    ) {
        self.spoke(run, out);
        let in_run = |phase| self.open_run(run, phase);
        let later = in_run(Phase::Provisioning).or(in_run(Phase::Erasing));
        let Some(current) = in_run(Phase::Checking).or(in_run(Phase::Planned)).or(later) else {
            return;
        };
        if let Some(first) = &current.inventory {
            // A retry, or a later boot of the run: the first one counts.
            if first.boot_id != inventory.boot_id {
                self.look_again(now, &findings, out);
            }
            return;
        }
        let stop = findings.iter().find(|f| f.gravity == Gravity::Stop);
        let stop = stop.map(|finding| finding.reason.clone());
        let stop = stop.or_else(|| self.quarantined(current, &inventory));
        out.push(Wish::Append(Happened::InventoryTaken {
            inventory,
            findings,
        }));
        match stop {
            Some(reason) => self.hold(now, reason, out),
            None => self.ask_for_plan(out),
        }
    }

    /// A later boot of the run has looked at the hardware. The plan stays, and its guard looks at the disks; but what broke in
    /// between, as things do when power goes, holds the node as it would have at first.
    fn look_again(&self, now: Millis, findings: &[Finding], out: &mut Vec<Wish>) {
        let broke = findings
            .iter()
            .find(|finding| finding.gravity == Gravity::Stop && is_hardware(finding.reason.code));
        if let Some(finding) = broke {
            self.hold(now, finding.reason.clone(), out);
        }
    }

    pub(crate) fn planned(
        &self,
        now: Millis,
        run: &RunId,
        plan: Result<Box<Plan>, Reason>,
        out: &mut Vec<Wish>,
    ) {
        match self.open_run(run, Phase::Checking) {
            Some(current) if current.plan.is_none() => {}
            Some(_) | None => return,
        }
        match plan {
            Ok(plan) if plan.run == *run && plan.node == *self.id() => {
                out.push(Wish::Append(Happened::Planned { plan }));
                self.plan_is_made(now, out);
            }
            Ok(_) => self.hold(now, reasons::plan_of_another(run), out),
            Err(reason) => self.hold(now, reason, out),
        }
    }

    /// The phase in which a report is taken.
    fn reports_in(&self, could_not_leave: bool) -> Phase {
        match self.phase {
            Phase::HandedOver if could_not_leave => Phase::HandedOver,
            Phase::Erasing => Phase::Erasing,
            Phase::HandedOver
            | Phase::Enrolled
            | Phase::Ordered
            | Phase::Booting
            | Phase::Checking
            | Phase::Planned
            | Phase::Provisioning
            | Phase::Ready
            | Phase::Suspect
            | Phase::Draining
            | Phase::Quarantined
            | Phase::InRepair
            | Phase::Held
            | Phase::Rescue
            | Phase::Retired => Phase::Provisioning,
        }
    }

    pub(crate) fn progress(&self, now: Millis, progress: Progress, out: &mut Vec<Wish>) {
        self.spoke(&progress.run, out);
        // A machine that could not leave says so after its last step was done.
        let could_not_leave =
            progress.step == Step::HandOver && matches!(progress.state, StepState::Failed { .. });
        let phase = self.reports_in(could_not_leave);
        let Some(run) = self.open_run(&progress.run, phase) else {
            return;
        };
        let running = self.live.running.as_ref().map_or(0, |(number, ..)| *number);
        if progress.number <= run.reports.max(running) {
            return; // Seen before.
        }
        out.push(Wish::Note(Note::Moved));
        let Progress {
            number,
            step,
            state,
            peak_memory,
            ..
        } = progress;
        if let StepState::Running { .. } = state {
            out.push(Wish::Note(Note::Running(number, step, state)));
            return;
        }
        if let (Some((old_step, StepState::Waiting { reason: old })), StepState::Waiting { reason }) =
            (&run.step, &state)
            && *old_step == step
            && old.code == reason.code
            && old.what == reason.what
        {
            return; // It still waits for the same thing.
        }
        let failed = match &state {
            StepState::Failed { reason } => Some(reason.clone()),
            StepState::Started
            | StepState::Running { .. }
            | StepState::Done { .. }
            | StepState::Waiting { .. } => None,
        };
        let done = matches!(state, StepState::Done { .. });
        let left = step == Step::HandOver && done;
        let erased = step == Step::Erase && done;
        let unproved = if erased {
            self.unproved(run)
        } else {
            Vec::new()
        };
        out.push(Wish::Append(Happened::StepMoved {
            run: progress.run,
            number,
            step,
            state,
            peak_memory,
        }));
        if let Some(reason) = failed {
            self.hold(now, reason, out);
        } else if erased {
            self.erase_ended(now, unproved, out);
        } else if left {
            self.go(Phase::HandedOver, Some(reasons::host_starting(now)), out);
        }
    }

    pub(crate) fn credential(&self, now: Millis, run: &RunId, key: String, out: &mut Vec<Wish>) {
        self.spoke(run, out);
        // The wish above is a note and an answer; this one's answer comes in its place.
        out.retain(|wish| !matches!(wish, Wish::Reply(_)));
        let asked = self.open_run(run, Phase::Provisioning);
        let Some((current, plan)) = asked.and_then(|r| r.plan.as_ref().map(|plan| (r, plan)))
        else {
            out.push(Wish::Reply(Reply::Conflict(reasons::no_plan_for_host(run))));
            return;
        };
        match &current.host_key {
            Some(first) if *first != key => {
                let reason = reasons::second_host_key(first, &key);
                self.journal_refusal(now, &reason, out);
                out.push(Wish::Reply(Reply::Conflict(reason)));
            }
            Some(_) => out.push(Wish::Reply(Reply::Credential(plan.id.clone()))),
            None => {
                out.push(Wish::Append(Happened::HostCredentialIssued {
                    plan: plan.id.clone(),
                    key,
                }));
                out.push(Wish::Reply(Reply::Credential(plan.id.clone())));
            }
        }
    }
}

/// Whether the reason is about hardware that broke. What is on the disks is another matter: in the middle of a run it is
/// neither what it was nor what it will be.
fn is_hardware(code: ReasonCode) -> bool {
    matches!(
        code,
        ReasonCode::DimmMissing
            | ReasonCode::DimmFailing
            | ReasonCode::MemoryShort
            | ReasonCode::DiskFailing
    )
}

/// Whether the machine boots from the network.
pub(crate) const fn is_netboot(sighting: &BootSighting) -> bool {
    match sighting {
        BootSighting::Leased { firmware, .. } => firmware.is_some(),
        BootSighting::FileSent { .. } | BootSighting::FileProgress { .. } => true,
        BootSighting::Refused { .. } | BootSighting::SentToLocalDisk => false,
    }
}

/// What a sighting is of: its kind with the firmware, the file or the code, and nothing that a machine can vary.
fn kind_and_file(sighting: &BootSighting) -> String {
    match sighting {
        BootSighting::Leased { firmware, .. } => {
            format!("leased {}", firmware.map_or("", Firmware::as_str))
        }
        BootSighting::FileSent { file, .. } => format!("sent {file}"),
        BootSighting::FileProgress { file, .. } => format!("progress {file}"),
        BootSighting::Refused { reason } => format!("refused {}", reason.code),
        BootSighting::SentToLocalDisk => "local disk".to_string(),
    }
}
