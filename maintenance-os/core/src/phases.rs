// SPDX-License-Identifier: Apache-2.0
//! The maintenance OS from its first instruction to the hand-over, as one machine.
//!
//! It does nothing itself: the shell carries each [`Action`] out and answers with an [`Event`]. It chooses nothing
//! that the plan could have said, and once a step has failed it wishes for nothing that writes.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use groundstate_api::enrol::EnrolReply;
use groundstate_api::limits::INSTRUCTION_POLL;
use groundstate_api::plan::{HandOver, Plan, Step};
use groundstate_api::run::{Instruction, StepState};
use groundstate_api::{Bytes, Millis, NodeId, Reason, RunId};

/// How long to wait before the network is tried again. Long enough for a switch port to come up.
pub const NETWORK_RETRY: Millis = Millis::secs(2);
/// How long to wait before an unreachable provisioner is asked again.
pub const PROVISIONER_RETRY: Millis = Millis::secs(2);
/// The longest wait that a refusal may ask for.
pub const REFUSAL_RETRY_MAX: Millis = Millis::secs(60);
/// How often a held node asks whether a person has decided.
pub const HOLD_POLL: Millis = Millis::secs(5);

/// Where the machine stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Nothing has happened yet.
    Off,
    /// Waiting for an address.
    Network,
    /// Waiting to be enrolled.
    Enrolling,
    /// The probes are looking.
    Inspecting,
    /// Waiting for the provisioner's word on the inventory.
    Asking,
    /// A step of the plan is being carried out.
    Carrying {
        /// The plan.
        plan: Box<Plan>,
        /// The step.
        step: Step,
    },
    /// Everything is written and proved; waiting until the provisioner has heard it.
    Leaving {
        /// How to hand over.
        hand_over: HandOver,
    },
    /// Starting a host that is on disk already.
    BootingLocal,
    /// A person is needed.
    Holding {
        /// Why.
        reason: Reason,
    },
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// PID 1 runs, and the drivers are being loaded.
    Started,
    /// An address was leased.
    LeaseGot {
        /// The interface.
        interface: String,
        /// The address.
        address: String,
    },
    /// No address could be had.
    NetworkFailed {
        /// Why.
        reason: Reason,
    },
    /// The provisioner answered the enrolment.
    EnrolAnswered(EnrolReply),
    /// The provisioner could not be asked, or did not answer.
    CallFailed {
        /// Why.
        reason: Reason,
    },
    /// The inventory is complete.
    Inspected,
    /// The provisioner said what to do (in answer to an inventory, a question or a report).
    Instructed(Instruction),
    /// The running step has moved on.
    StepMoved {
        /// Bytes done.
        done: Bytes,
        /// Bytes in all.
        total: Bytes,
    },
    /// The running step waits and will go on by itself.
    StepWaiting {
        /// Why.
        reason: Reason,
    },
    /// The running step is done.
    StepDone {
        /// What was done.
        facts: Vec<String>,
    },
    /// The running step failed.
    StepFailed {
        /// Why.
        reason: Reason,
    },
    /// The provisioner has acknowledged every report.
    ReportsDelivered,
    /// The host could not be started.
    StartFailed {
        /// Why.
        reason: Reason,
    },
    /// The deadline has come.
    Timeout,
}

/// What the shell shall do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Bring every interface up and lease an address.
    GetLease,
    /// Ask the provisioner for an enrolment with the key of this boot.
    Enrol,
    /// Run the probes.
    Inspect,
    /// Send the inventory.
    SendInventory,
    /// Ask for the instruction.
    Ask,
    /// Carry one step of the plan out.
    CarryOut {
        /// The plan.
        plan: Box<Plan>,
        /// The step.
        step: Step,
    },
    /// Report on a step; reports arrive in order, each until it is acknowledged.
    Report {
        /// The step.
        step: Step,
        /// How it stands.
        state: StepState,
    },
    /// Start the host that was just provisioned.
    StartHost {
        /// How.
        hand_over: HandOver,
    },
    /// Start the host that is on disk, writing nothing.
    StartLocalHost(Box<EnrolReply>),
    /// Show this to the technician.
    Show(Scene),
}

/// What a technician shall see now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scene {
    /// Something is being done.
    Doing {
        /// What, in words.
        what: String,
    },
    /// A step of the plan is being done.
    Step {
        /// The step.
        step: Step,
        /// Bytes done and in all, where the step counts them.
        progress: Option<(Bytes, Bytes)>,
    },
    /// It waits and goes on by itself.
    Waiting {
        /// Why.
        reason: Reason,
    },
    /// It waits for a person.
    Held {
        /// Why.
        reason: Reason,
    },
}

/// The machine.
#[derive(Clone, Debug)]
pub struct Phases {
    state: State,
    since: Millis,
    wake: Option<Millis>,
    identity: Option<(NodeId, RunId)>,
}

impl Default for Phases {
    fn default() -> Self {
        Self {
            state: State::Off,
            since: Millis(0),
            wake: None,
            identity: None,
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
            Event::StepMoved { done, total } => self.step_moved(done, total, out),
            Event::StepWaiting { reason } => self.step_waiting(now, reason, out),
            Event::StepDone { facts } => self.step_done(now, facts, out),
            Event::StepFailed { reason } => self.step_failed(now, reason, out),
            Event::ReportsDelivered => self.reports_delivered(out),
            Event::StartFailed { reason } => self.start_failed(now, reason, out),
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
        if self.state != State::Enrolling {
            return; // An answer to a question asked twice.
        }
        match reply {
            EnrolReply::Enrolled {
                ref node, ref run, ..
            } => {
                self.identity = Some((node.clone(), run.clone()));
                out.push(Action::Show(doing(&alloc::format!(
                    "this is {node}; looking at the hardware"
                ))));
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
            Instruction::CarryOut { plan } => {
                if self.state == State::Asking {
                    self.begin_step(now, plan, Step::Guard, out);
                }
            }
            Instruction::Hold { reason } => self.hold(now, reason, out),
        }
    }

    fn begin_step(&mut self, now: Millis, plan: Box<Plan>, step: Step, out: &mut Vec<Action>) {
        out.push(Action::Report {
            step,
            state: StepState::Started,
        });
        out.push(Action::Show(Scene::Step {
            step,
            progress: None,
        }));
        out.push(Action::CarryOut {
            plan: plan.clone(),
            step,
        });
        self.enter(now, State::Carrying { plan, step });
    }

    fn step_moved(&mut self, done: Bytes, total: Bytes, out: &mut Vec<Action>) {
        if let State::Carrying { step, .. } = &self.state {
            let step = *step;
            out.push(Action::Report {
                step,
                state: StepState::Running { done, total },
            });
            out.push(Action::Show(Scene::Step {
                step,
                progress: Some((done, total)),
            }));
        }
    }

    fn step_waiting(&mut self, now: Millis, mut reason: Reason, out: &mut Vec<Action>) {
        if let State::Carrying { step, .. } = &self.state {
            reason.since.get_or_insert(now);
            out.push(Action::Report {
                step: *step,
                state: StepState::Waiting {
                    reason: reason.clone(),
                },
            });
            out.push(Action::Show(Scene::Waiting { reason }));
        }
    }

    fn step_done(&mut self, now: Millis, facts: Vec<String>, out: &mut Vec<Action>) {
        let State::Carrying { plan, step } = self.state.clone() else {
            return;
        };
        out.push(Action::Report {
            step,
            state: StepState::Done { facts },
        });
        match step.next() {
            Some(next) => self.begin_step(now, plan, next, out),
            None => {
                out.push(Action::Show(doing("everything is written and proved; telling the provisioner, then starting the host")));
                self.enter(
                    now,
                    State::Leaving {
                        hand_over: plan.hand_over,
                    },
                );
            }
        }
    }

    fn step_failed(&mut self, now: Millis, reason: Reason, out: &mut Vec<Action>) {
        if let State::Carrying { step, .. } = &self.state {
            out.push(Action::Report {
                step: *step,
                state: StepState::Failed {
                    reason: reason.clone(),
                },
            });
        }
        self.hold(now, reason, out);
    }

    fn reports_delivered(&self, out: &mut Vec<Action>) {
        if let State::Leaving { hand_over } = self.state {
            out.push(Action::StartHost { hand_over });
        }
    }

    fn start_failed(&mut self, now: Millis, reason: Reason, out: &mut Vec<Action>) {
        if let State::Leaving { .. } = self.state {
            out.push(Action::Report {
                step: Step::HandOver,
                state: StepState::Failed {
                    reason: reason.clone(),
                },
            });
        }
        self.hold(now, reason, out);
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

    fn call_failed(&mut self, now: Millis, reason: Reason, out: &mut Vec<Action>) {
        match self.state {
            State::Enrolling | State::Asking => self.wait(now, PROVISIONER_RETRY, reason, out),
            State::Holding { .. } => self.wake = Some(now.plus(HOLD_POLL)),
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
            State::Enrolling => out.push(Action::Enrol),
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
mod tests {
    use super::*;
    use groundstate_api::ReasonCode;

    fn drive(phases: &mut Phases, now: u64, event: Event) -> Vec<Action> {
        let mut out = Vec::new();
        phases.handle(Millis(now), event, &mut out);
        out.retain(|action| !matches!(action, Action::Show(_)));
        out
    }

    fn reason() -> Reason {
        Reason::new(
            ReasonCode::ProvisionerUnreachable,
            "no answer",
            "look at the provisioner",
        )
    }

    fn enrolled() -> Phases {
        let mut phases = Phases::default();
        assert_eq!(drive(&mut phases, 0, Event::Started), [Action::GetLease]);
        let lease = Event::LeaseGot {
            interface: "eth0".into(),
            address: "10.77.0.100".into(),
        };
        assert_eq!(drive(&mut phases, 1, lease), [Action::Enrol]);
        let reply = EnrolReply::Enrolled {
            node: "node1".parse().unwrap(),
            run: "run-1".parse().unwrap(),
            certificate_pem: String::new(),
            firmware: None,
        };
        assert_eq!(
            drive(&mut phases, 2, Event::EnrolAnswered(reply)),
            [Action::Inspect]
        );
        assert_eq!(
            drive(&mut phases, 3, Event::Inspected),
            [Action::SendInventory]
        );
        phases
    }

    #[test]
    fn an_absent_provisioner_is_asked_again() {
        let mut phases = enrolled();
        assert_eq!(
            drive(&mut phases, 10, Event::CallFailed { reason: reason() }),
            []
        );
        assert_eq!(phases.deadline(), Some(Millis(10 + PROVISIONER_RETRY.0)));
        assert_eq!(drive(&mut phases, 11, Event::Timeout), [], "too early");
        assert_eq!(
            drive(&mut phases, 10 + PROVISIONER_RETRY.0, Event::Timeout),
            [Action::Ask]
        );
    }

    #[test]
    fn a_held_node_wishes_for_nothing_that_writes_and_keeps_asking() {
        let mut phases = enrolled();
        assert_eq!(
            drive(
                &mut phases,
                10,
                Event::Instructed(Instruction::Hold { reason: reason() })
            ),
            []
        );
        for event in [
            Event::StepDone { facts: Vec::new() },
            Event::ReportsDelivered,
            Event::StepMoved {
                done: Bytes(1),
                total: Bytes(2),
            },
        ] {
            assert_eq!(drive(&mut phases, 11, event), []);
        }
        assert_eq!(
            drive(&mut phases, 10 + HOLD_POLL.0, Event::Timeout),
            [Action::Ask]
        );
        assert_eq!(
            drive(
                &mut phases,
                6_000,
                Event::Instructed(Instruction::SendInventory)
            ),
            [Action::Inspect]
        );
    }

    #[test]
    fn a_late_second_answer_changes_nothing() {
        let mut phases = enrolled();
        let reply = EnrolReply::Refused {
            reason: reason(),
            retry_ms: 1,
        };
        assert_eq!(drive(&mut phases, 5, Event::EnrolAnswered(reply)), []);
        assert_eq!(phases.deadline(), None);
    }
}
