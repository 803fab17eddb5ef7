// SPDX-License-Identifier: Apache-2.0
//! The maintenance OS from its first instruction to the hand-over, as one machine.
//!
//! It does nothing itself: the shell carries each [`Action`] out and answers with an [`Event`]. It chooses nothing
//! that the plan could have said, and once a step has failed it wishes for nothing that writes.

mod rescue;
mod words;

pub use words::{
    Action, Event, FAILURES_PER_NETWORK, HOLD_POLL, LOCAL_RETRY, NETWORK_RETRY, PROVISIONER_RETRY,
    REFUSAL_RETRY_MAX, RESCUE_POLL, Scene, State,
};

use crate::moving::Pace;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use groundstate_api::enrol::EnrolReply;
use groundstate_api::headline::ordinal;
use groundstate_api::limits::INSTRUCTION_POLL;
use groundstate_api::plan::{Plan, Step};
use groundstate_api::run::{Instruction, StepState};
use groundstate_api::{Bytes, Millis, NodeId, Reason, ReasonCode, RunId};

/// The machine.
#[derive(Clone, Debug)]
pub struct Phases {
    state: State,
    since: Millis,
    wake: Option<Millis>,
    identity: Option<(NodeId, RunId)>,
    /// Reports of this run so far.
    reports: u64,
    /// How fast the running step goes.
    pace: Pace,
    /// Whether a step is being carried out: it ends by itself even when the run is held meanwhile.
    working: bool,
    /// Calls to the provisioner that failed one after the other.
    failures: u32,
}

impl Default for Phases {
    fn default() -> Self {
        Self {
            state: State::Off,
            since: Millis(0),
            wake: None,
            identity: None,
            reports: 0,
            pace: Pace::default(),
            working: false,
            failures: 0,
        }
    }
}

impl Phases {
    /// Where it stands.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Who this machine is and which run it is in, once it is enrolled.
    #[must_use]
    pub fn identity(&self) -> Option<&(NodeId, RunId)> {
        self.identity.as_ref()
    }

    /// When to call again with [`Event::Timeout`].
    #[must_use]
    pub fn deadline(&self) -> Option<Millis> {
        self.wake
    }

    /// Takes one event; appends what shall be done. Never blocks, never fails.
    pub fn handle(&mut self, now: Millis, event: Event, out: &mut Vec<Action>) {
        match event {
            Event::Started => self.look_for_network(now, out),
            Event::LeaseGot { interface, address } => {
                self.lease_got(now, &interface, &address, out)
            }
            Event::NetworkFailed { reason } => self.wait(now, NETWORK_RETRY, reason, out),
            Event::EnrolAnswered(reply) => self.enrol_answered(now, reply, out),
            Event::CallFailed { reason } => self.call_failed(now, reason, out),
            Event::Inspected => self.inspected(now, out),
            Event::Instructed(instruction) => self.instructed(now, instruction, out),
            Event::StepMoved { done, total } => self.step_moved(now, done, total, out),
            Event::StepWaiting { reason } => self.step_waiting(now, reason, out),
            Event::StepDone { facts } => self.step_done(now, facts, out),
            Event::StepFailed { reason } => self.step_failed(now, reason, out),
            Event::ReportsDelivered { through } => self.reports_delivered(through, out),
            Event::StartFailed { reason } => self.start_failed(now, reason, out),
            Event::ShellOpened(shell) => self.shell_opened(shell, out),
            Event::ShellFailed { reason } => self.shell_failed(now, reason, out),
            Event::Timeout => self.timeout(now, out),
        }
    }

    fn enter(&mut self, now: Millis, state: State) {
        self.state = state;
        self.since = now;
        self.wake = None;
    }

    fn look_for_network(&mut self, now: Millis, out: &mut Vec<Action>) {
        self.enter(now, State::Network);
        out.push(Action::Show(doing(
            "looking for the network (link, then DHCP)",
        )));
        out.push(Action::GetLease);
    }

    fn lease_got(&mut self, now: Millis, interface: &str, address: &str, out: &mut Vec<Action>) {
        if self.state != State::Network {
            return; // A renewed lease changes nothing.
        }
        self.enter(now, State::Enrolling);
        out.push(Action::Show(doing(&alloc::format!(
            "{interface} has {address}; calling the provisioner"
        ))));
        out.push(Action::Enrol);
    }

    fn enrol_answered(&mut self, now: Millis, reply: EnrolReply, out: &mut Vec<Action>) {
        let reply = match (reply, &self.state) {
            (rescue @ EnrolReply::Rescue { .. }, State::Enrolling | State::Rescue { .. }) => rescue,
            (other, _) => match self.released(now, other, out) {
                Some(reply) => reply,
                None => return,
            },
        };
        match reply {
            EnrolReply::Enrolled {
                ref node,
                ref run,
                boot,
                ..
            } => {
                self.identity = Some((node.clone(), run.clone()));
                self.reports = 0;
                self.failures = 0;
                out.push(Action::Show(doing(&if boot > 1 {
                    let boot = ordinal(boot);
                    alloc::format!("this is {node}; its run goes on after a power loss ({boot} boot of this run); looking at the hardware")
                } else {
                    alloc::format!("this is {node}; looking at the hardware")
                })));
                self.enter(now, State::Inspecting);
                out.push(Action::Inspect);
            }
            EnrolReply::BootLocal { ref node, .. } => {
                out.push(Action::Show(doing(&alloc::format!(
                    "this is {node}; nothing is ordered, starting the host on its disk"
                ))));
                self.enter(now, State::BootingLocal);
                out.push(Action::StartLocalHost(Box::new(reply)));
            }
            EnrolReply::Rescue { node, keys } => self.rescued(now, node, keys, out),
            EnrolReply::Refused { reason, retry_ms } => {
                self.wait(now, Millis(retry_ms).min(REFUSAL_RETRY_MAX), reason, out);
            }
        }
    }

    fn inspected(&mut self, now: Millis, out: &mut Vec<Action>) {
        if self.state == State::Inspecting {
            self.enter(now, State::Asking);
            out.push(Action::Show(doing(
                "hardware looked at; waiting for the plan",
            )));
            out.push(Action::SendInventory);
        }
    }

    fn instructed(&mut self, now: Millis, instruction: Instruction, out: &mut Vec<Action>) {
        match instruction {
            Instruction::SendInventory => {
                if matches!(self.state, State::Asking | State::Holding { .. }) {
                    self.enter(now, State::Inspecting);
                    out.push(Action::Inspect);
                }
            }
            Instruction::Wait { reason } => {
                if self.state == State::Asking {
                    self.wait(now, INSTRUCTION_POLL, reason, out);
                }
            }
            Instruction::CarryOut { plan, .. } => {
                if self.state == State::Asking {
                    self.begin_step(now, plan, Step::Guard, out);
                }
            }
            Instruction::Hold { reason } => self.hold(now, reason, out),
            Instruction::EnrolAgain => self.enrol_again(now, out),
        }
    }

    fn begin_step(&mut self, now: Millis, plan: Box<Plan>, step: Step, out: &mut Vec<Action>) {
        self.report(step, StepState::Started, out);
        out.push(Action::Show(Scene::Step {
            step,
            progress: None,
        }));
        out.push(Action::CarryOut {
            plan: plan.clone(),
            step,
        });
        self.working = true;
        self.pace = Pace::begin(now);
        self.enter(now, State::Carrying { plan, step });
    }

    fn report(&mut self, step: Step, state: StepState, out: &mut Vec<Action>) {
        self.reports += 1;
        out.push(Action::Report { step, state });
    }

    fn step_moved(&mut self, now: Millis, done: Bytes, total: Bytes, out: &mut Vec<Action>) {
        if let State::Carrying { step, .. } = &self.state {
            let step = *step;
            self.report(step, StepState::Running { done, total }, out);
            out.push(Action::Show(Scene::Step {
                step,
                progress: Some(self.pace.at(now, done, total)),
            }));
        }
    }

    fn step_waiting(&mut self, now: Millis, mut reason: Reason, out: &mut Vec<Action>) {
        if let State::Carrying { step, .. } = &self.state {
            reason.since.get_or_insert(now);
            let state = StepState::Waiting {
                reason: reason.clone(),
            };
            self.report(*step, state, out);
            out.push(Action::Show(Scene::Waiting { reason }));
        }
    }

    fn step_done(&mut self, now: Millis, facts: Vec<String>, out: &mut Vec<Action>) {
        self.working = false;
        let State::Carrying { plan, step } = self.state.clone() else {
            return; // It was held meanwhile: what was done is done, and nothing further begins.
        };
        self.report(step, StepState::Done { facts }, out);
        match plan.after(step) {
            Some(next) => self.begin_step(now, plan, next, out),
            None if plan.erases() => {
                // There is no host to start: the machine waits for what a person orders next.
                let reason = Reason::new(
                    ReasonCode::NothingOrdered,
                    "the disks are erased and proved",
                    "order a run (it is picked up by itself), or switch the machine off",
                );
                self.hold(now, reason, out);
            }
            None => {
                out.push(Action::Show(doing("everything is written and proved; telling the provisioner, then starting the host")));
                let hand_over = plan.hand_over;
                self.enter(now, State::Leaving { hand_over });
            }
        }
    }

    fn step_failed(&mut self, now: Millis, reason: Reason, out: &mut Vec<Action>) {
        self.working = false;
        if let State::Carrying { step, .. } = self.state {
            let state = StepState::Failed {
                reason: reason.clone(),
            };
            self.report(step, state, out);
        }
        self.hold(now, reason, out);
    }

    /// The host is started only when the provisioner has heard everything, the last "done" included.
    fn reports_delivered(&self, through: u64, out: &mut Vec<Action>) {
        if let State::Leaving { hand_over } = self.state
            && through >= self.reports
        {
            out.push(Action::StartHost { hand_over });
        }
    }

    fn start_failed(&mut self, now: Millis, reason: Reason, out: &mut Vec<Action>) {
        match self.state {
            State::Leaving { .. } => {
                let state = StepState::Failed {
                    reason: reason.clone(),
                };
                self.report(Step::HandOver, state, out);
                self.hold(now, reason, out);
            }
            State::BootingLocal => {
                self.enter(now, State::Enrolling);
                self.wait(now, LOCAL_RETRY, reason, out);
            }
            State::Off
            | State::Network
            | State::Enrolling
            | State::Inspecting
            | State::Asking
            | State::Carrying { .. }
            | State::Rescue { .. }
            | State::Holding { .. } => {}
        }
    }

    fn hold(&mut self, now: Millis, mut reason: Reason, out: &mut Vec<Action>) {
        reason.since.get_or_insert(now);
        let shown = matches!(&self.state, State::Holding { reason: old } if old.code == reason.code && old.what == reason.what);
        if !shown {
            out.push(Action::Show(Scene::Held {
                reason: reason.clone(),
            }));
            self.enter(now, State::Holding { reason });
        }
        if self.identity.is_some() {
            self.wake = Some(now.plus(HOLD_POLL));
        }
    }

    /// The run is over and another is ordered. A step that still runs is waited for, so that no two ever write at once.
    fn enrol_again(&mut self, now: Millis, out: &mut Vec<Action>) {
        match self.state {
            State::Asking | State::Holding { .. } if !self.working => {
                self.identity = None;
                self.reports = 0;
                self.enter(now, State::Enrolling);
                out.push(Action::Show(doing(
                    "another run is ordered; enrolling for it",
                )));
                out.push(Action::Enrol);
            }
            State::Asking | State::Holding { .. } => self.wake = Some(now.plus(HOLD_POLL)),
            State::Carrying { .. } | State::Leaving { .. } => {
                let what = "this run is over: another one is ordered";
                let next = "nothing: the machine enrols for the new run";
                self.hold(now, Reason::new(ReasonCode::PlanRefused, what, next), out);
            }
            State::Off
            | State::Network
            | State::Enrolling
            | State::Inspecting
            | State::Rescue { .. }
            | State::BootingLocal => {}
        }
    }

    fn call_failed(&mut self, now: Millis, reason: Reason, out: &mut Vec<Action>) {
        match self.state {
            State::Enrolling => {
                self.failures += 1;
                if self.failures.is_multiple_of(FAILURES_PER_NETWORK) {
                    // Perhaps this is the wrong network: another interface may lead to the provisioner.
                    self.enter(now, State::Network);
                    out.push(Action::Show(Scene::Waiting { reason }));
                    out.push(Action::GetLease);
                } else {
                    self.wait(now, PROVISIONER_RETRY, reason, out);
                }
            }
            State::Asking => self.wait(now, PROVISIONER_RETRY, reason, out),
            State::Holding { .. } => self.wake = Some(now.plus(HOLD_POLL)),
            // The shell stays open while the provisioner is away.
            State::Rescue { .. } => self.wake = Some(now.plus(RESCUE_POLL)),
            State::Off
            | State::Network
            | State::Inspecting
            | State::Carrying { .. }
            | State::Leaving { .. }
            | State::BootingLocal => {}
        }
    }

    fn wait(&mut self, now: Millis, wait: Millis, mut reason: Reason, out: &mut Vec<Action>) {
        reason.since = Some(self.since);
        out.push(Action::Show(Scene::Waiting { reason }));
        self.wake = Some(now.plus(wait));
    }

    fn timeout(&mut self, now: Millis, out: &mut Vec<Action>) {
        if self.wake.is_none_or(|wake| now < wake) {
            return;
        }
        self.wake = None;
        match self.state {
            State::Network => out.push(Action::GetLease),
            State::Enrolling | State::Rescue { .. } => out.push(Action::Enrol),
            State::Asking | State::Holding { .. } => out.push(Action::Ask),
            State::Off
            | State::Inspecting
            | State::Carrying { .. }
            | State::Leaving { .. }
            | State::BootingLocal => {}
        }
    }
}

fn doing(what: &str) -> Scene {
    Scene::Doing {
        what: String::from(what),
    }
}

#[cfg(test)]
mod tests;
