// SPDX-License-Identifier: Apache-2.0
//! The node machine: what came in, and what we wish for.
//!
//! `decide` looks and wishes; it changes nothing. The shell makes the appended events durable, folds them in, and
//! only then answers.

use crate::adopt::Adoptee;
use crate::deadline::{CHECKING_MAX, CHECKING_SILENCE_MAX, DEPLOYING_STILL_MAX, STILL_THERE};
use crate::host::Speaks;
use crate::life::LifeOrder;
use crate::node::Node;
pub use crate::note::Note;
use crate::reasons::{self, Comes};
use crate::reasons_action;
use crate::reasons_life;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use groundstate_api::action::{Act, Action, ActionId, Outcome};
use groundstate_api::boot::{BootSighting, Firmware};
use groundstate_api::enrol::EnrolRequest;
use groundstate_api::erase::SignedErase;
use groundstate_api::event::Happened;
use groundstate_api::healing::{Measure, MeasureView, Trouble};
use groundstate_api::host::{Heartbeat, HostInstruction, Register};
use groundstate_api::inventory::{Finding, Inventory};
use groundstate_api::plan::{HandOver, OrderTerms, Plan};
use groundstate_api::run::Progress;
use groundstate_api::view::Phase;
use groundstate_api::{Millis, PlanId, Reason, RunId};

/// What came in for one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// It stands in the site file and has no event yet.
    Added,
    /// A person or a program orders a run. The shell made the id.
    Ordered {
        /// The new run.
        run: RunId,
        /// How to hand over, where the order says so.
        hand_over: Option<HandOver>,
        /// Whether the order says that a host or a held run may be replaced.
        again: bool,
        /// What it asks beyond the policy.
        terms: OrderTerms,
    },
    /// The boot service saw something.
    Sighted(BootSighting),
    /// A machine with this node's MAC address asks to enrol.
    EnrolAsked {
        /// What it says.
        request: Box<EnrolRequest>,
        /// Digest of its public key.
        key: String,
    },
    /// The maintenance OS of this run called, whatever it asked.
    Spoke {
        /// The run that its certificate names.
        run: RunId,
    },
    /// The inventory and the judgement on it.
    InventoryReceived {
        /// The run that its certificate names.
        run: RunId,
        /// What the probes saw.
        inventory: Box<Inventory>,
        /// The judgement.
        findings: Vec<Finding>,
    },
    /// The planner has answered.
    PlanMade {
        /// The run that it was asked for.
        run: RunId,
        /// The plan, or why there is none.
        plan: Result<Box<Plan>, Reason>,
    },
    /// A step moved.
    ProgressReceived(Progress),
    /// A disk of an erase is done, and its certificate is signed.
    DiskErased {
        /// The run that the node's certificate names.
        run: RunId,
        /// The disk's serial number.
        serial: String,
        /// Whether it is erased; if not, it is in quarantine.
        erased: bool,
        /// The certificate.
        signed: Box<SignedErase>,
    },
    /// The node asks for its host's certificate.
    CredentialAsked {
        /// The run that its certificate names.
        run: RunId,
        /// Digest of the host's public key.
        key: String,
    },
    /// A host's agent calls for the first time in its boot. `plan` is the one of its certificate.
    HostRegistered {
        /// The plan that its certificate names.
        plan: PlanId,
        /// Digest of its public key.
        key: String,
        /// What it says.
        register: Box<Register>,
    },
    /// A host's agent calls again.
    HostBeat {
        /// The plan that its certificate names.
        plan: PlanId,
        /// Digest of its public key.
        key: String,
        /// What it says.
        beat: Heartbeat,
    },
    /// A person or a program wants something done to the machine, or asked of its host.
    ActionWanted {
        /// What.
        act: Act,
        /// Who: `operator:ana`.
        by: String,
        /// Why, where there is a reason.
        because: Option<Reason>,
    },
    /// Whoever carried an action out says how it ended.
    ActionEnded {
        /// The action.
        id: ActionId,
        /// How.
        outcome: Outcome,
    },
    /// An order about the node's life.
    Life {
        /// Which.
        order: LifeOrder,
        /// Who.
        by: String,
        /// Why, in the words of who orders.
        why: String,
    },
    /// The plan of a run may go on, says who must approve it.
    PlanApproved {
        /// The run.
        run: RunId,
        /// Who.
        by: String,
    },
    /// The plan that waits has its place among the runs that go on at once.
    PlaceGiven,
    /// Where the plan that waits stands in the queue.
    PlaceMoved {
        /// 1 for the next one.
        place: u32,
        /// How many wait.
        of: u32,
    },
    /// What is wrong with the host, as the fabric controller or the judgement on its hardware says: all that is wrong now.
    HealthReported {
        /// Who: `fabric:fc-1`, `hw-diag`.
        by: String,
        /// What.
        troubles: Vec<Trouble>,
    },
    /// The policy, or a program by itself, wants a measure.
    MeasureWanted {
        /// Which.
        measure: Measure,
        /// Why.
        because: Reason,
        /// Who: `policy`, `fabric:fc-1`.
        by: String,
    },
    /// A measure waits for nothing any more.
    MeasureStarted {
        /// The action.
        id: ActionId,
    },
    /// What the policy thinks of doing next about this node.
    Considered(Option<Box<MeasureView>>),
    /// A measure may go on.
    Approved {
        /// The action.
        action: ActionId,
        /// Who.
        by: String,
        /// Why, in their words.
        why: String,
    },
    /// A measure is forbidden.
    Vetoed {
        /// The action.
        action: ActionId,
        /// Who.
        by: String,
        /// Why, in their words.
        why: String,
    },
    /// Somebody wrote something down about the node.
    Remarked {
        /// Who.
        by: String,
        /// What.
        text: String,
    },
    /// A running host asks to be taken in. It is decided with the whole fleet in view: [`crate::Fleet::decide`].
    AdoptAsked(Box<Adoptee>),
    /// An adopted host is let go.
    Unadopted {
        /// Who wants it.
        by: String,
        /// Why, in their words.
        why: String,
    },
    /// [`Node::deadline`] has passed.
    Timeout,
    /// We have just begun to listen; the journal has been folded.
    Restarted,
}

/// An order, as it came in.
struct Ordered {
    run: RunId,
    hand_over: Option<HandOver>,
    again: bool,
    terms: OrderTerms,
}

/// What is wished for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Append this event to the journal, and fold it in once it is durable.
    Append(Happened),
    /// Remember this, without the journal.
    Note(Note),
    /// Verify the image, run the planner for this run, and come back with [`Input::PlanMade`].
    MakePlan(RunId),
    /// Carry this out at the machine, after everything above is durable: power, next boot, LED. It is carried out again after a
    /// restart until [`Input::ActionEnded`] has come. Its id is that of the action begun just before, where it is 0: see
    /// [`crate::settle`].
    Carry(Action),
    /// Answer the caller, after everything above is durable.
    Reply(Reply),
}

/// What the caller gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// It was done, or had been done before.
    Accepted,
    /// The key is the node's for this run: sign it.
    Enrolled {
        /// The run.
        run: RunId,
        /// How the machine was booted, as the boot service saw it.
        firmware: Option<Firmware>,
        /// Which boot of the run it is.
        boot: u32,
    },
    /// Start the host that this plan put on disk.
    BootLocal(Box<Plan>),
    /// No enrolment.
    NotEnrolled {
        /// Why.
        reason: Reason,
        /// When to ask again.
        retry: Millis,
    },
    /// Sign this host's key for this plan.
    Credential(PlanId),
    /// What the host shall do.
    Host(HostInstruction),
    /// The action was begun.
    Action(Box<Action>),
    /// The host was taken in: its agent's certificate names this.
    Adopted(PlanId),
    /// The machine is to run the maintenance OS with a shell.
    Rescue,
    /// No; the state does not allow it.
    Conflict(Reason),
}

impl Node {
    /// Decides on one input. Looks only; the wishes say what changes.
    pub fn decide(&self, now: Millis, input: Input, out: &mut Vec<Wish>) {
        let before = out.len();
        self.decided(now, input, out);
        let own = out.get_mut(before..).unwrap_or_default();
        crate::named::replies(own, self.id());
    }

    #[allow(clippy::too_many_lines, reason = "one arm for each kind of input")]
    fn decided(&self, now: Millis, input: Input, out: &mut Vec<Wish>) {
        match input {
            Input::Added if self.version > 0 => {} // It is in the journal.
            Input::Added => out.push(Wish::Append(Happened::NodeAdded)),
            Input::Ordered {
                run,
                hand_over,
                again,
                terms,
            } => self.ordered(
                now,
                Ordered {
                    run,
                    hand_over,
                    again,
                    terms,
                },
                out,
            ),
            Input::Sighted(sighting) => self.sighted(now, sighting, out),
            Input::EnrolAsked { request, key } => self.enrol(now, &request, &key, out),
            Input::Spoke { run } => self.spoke(&run, out),
            Input::InventoryReceived {
                run,
                inventory,
                findings,
            } => self.inventory(now, &run, inventory, findings, out),
            Input::PlanMade { run, plan } => self.planned(now, &run, plan, out),
            Input::ProgressReceived(progress) => self.progress(now, progress, out),
            Input::DiskErased {
                run,
                serial,
                erased,
                signed,
            } => self.disk_done(&run, serial, erased, signed, out),
            Input::CredentialAsked { run, key } => self.credential(now, &run, key, out),
            Input::HostRegistered {
                plan,
                key,
                register,
            } => self.register(now, Speaks::new(&plan, &key), &register, out),
            Input::HostBeat { plan, key, beat } => {
                self.beat(now, Speaks::new(&plan, &key), &beat, out);
            }
            Input::ActionWanted { act, by, because } => {
                self.action_wanted(now, act, by, because, out);
            }
            Input::ActionEnded { id, outcome } => self.action_ended(now, id, outcome, out),
            Input::Life { order, by, why } => self.life(now, order, &by, &why, out),
            Input::PlanApproved { run, by } => self.plan_approved(now, &run, by, out),
            Input::PlaceGiven => self.place_given(out),
            Input::PlaceMoved { place, of } => out.push(Wish::Note(Note::Place(place, of))),
            Input::HealthReported { by, troubles } => {
                self.health(now, &by, troubles, out);
                out.push(Wish::Reply(Reply::Accepted));
            }
            Input::MeasureWanted {
                measure,
                because,
                by,
            } => self.measure_wanted(now, measure, because, by, out),
            Input::MeasureStarted { id } => self.measure_started(now, id, out),
            Input::Considered(view) => out.push(Wish::Note(Note::Considered(view))),
            Input::Approved { action, by, .. } => self.measure_approved(action, by, out),
            Input::Vetoed { action, by, why } => self.measure_vetoed(action, by, why, out),
            Input::Remarked { by, text } => {
                out.push(Wish::Append(Happened::Remarked { by, text }));
                out.push(Wish::Reply(Reply::Accepted));
            }
            // Whose machine it is, only the fleet knows.
            Input::AdoptAsked(_) => {}
            Input::Unadopted { by, why } => self.unadopt(&by, &why, out),
            Input::Timeout => self.timeout(now, out),
            Input::Restarted => self.resume(out),
        }
    }

    /// Wishes to move to another phase.
    pub(crate) fn go(&self, to: Phase, reason: Option<Reason>, out: &mut Vec<Wish>) {
        self.go_from(self.phase, to, reason, out);
    }

    /// The same, where a wish before has already moved it. The measure that a run was for ends with the run.
    pub(crate) fn go_from(
        &self,
        from: Phase,
        to: Phase,
        reason: Option<Reason>,
        out: &mut Vec<Wish>,
    ) {
        self.run_ends(to, reason.as_ref(), out);
        out.push(Wish::Append(Happened::PhaseChanged { from, to, reason }));
    }

    /// Wishes to stop until the run is tried again or a person orders.
    pub(crate) fn hold(&self, now: Millis, mut reason: Reason, out: &mut Vec<Wish>) {
        reason.since.get_or_insert(now);
        if let Some(terms) = self.terms_again() {
            reason = reasons_action::same_again(reason, terms);
        }
        let reason = self.or_try_again(now, reason);
        self.go(Phase::Held, Some(reason), out);
    }

    fn ordered(&self, now: Millis, order: Ordered, out: &mut Vec<Wish>) {
        let Ordered {
            run,
            hand_over,
            again,
            terms,
        } = order;
        let refusal = match self.phase {
            Phase::Enrolled => (again && terms.erase.is_none() && self.runs == 0)
                .then(|| reasons::nothing_to_do_again(self.id())),
            Phase::Quarantined | Phase::InRepair | Phase::Retired | Phase::Rescue => {
                Some(reasons_life::out_of_use(self.id(), self.phase))
            }
            Phase::Held => {
                (!again && self.host.is_some()).then(|| reasons::host_is_there(self.id()))
            }
            Phase::Ready | Phase::Suspect | Phase::Draining => {
                (!again).then(|| reasons::host_is_there(self.id()))
            }
            Phase::Checking | Phase::Planned | Phase::Provisioning | Phase::Erasing
                if again && self.has_restarted(now) =>
            {
                None
            }
            Phase::Ordered
            | Phase::Booting
            | Phase::Checking
            | Phase::Planned
            | Phase::Provisioning
            | Phase::Erasing
            | Phase::HandedOver => Some(reasons::run_under_way(
                self.id(),
                self.phase,
                self.deadline(),
            )),
        };
        let made = self.host.as_ref().is_some_and(|host| host.plan.is_some());
        let hostless = terms.rebuild.is_some() && !made && !self.run_is_open();
        let refusal = if hostless {
            Some(reasons::no_host_to_rebuild(self.id()))
        } else {
            refusal.or_else(|| self.names_unknown_disk(&terms))
        };
        if let Some(reason) = refusal {
            out.push(Wish::Reply(Reply::Conflict(reason)));
            return;
        }
        let mut from = self.phase;
        if self.run_is_open() {
            // The boot that the old run was bound to is gone; nobody is left who could end it.
            let reason = reasons::machine_restarted(now, self.live.spoke);
            self.hold(now, reason, out);
            from = Phase::Held;
        }
        self.end_host_work(None, &terms.by, "a run was ordered", out);
        let hand_over = hand_over.unwrap_or_else(|| self.hand_over());
        self.order_run(now, from, run, hand_over, terms, out);
        out.push(Wish::Reply(Reply::Accepted));
    }

    /// Wishes for a new run; whether there may be one was asked before.
    pub(crate) fn order_run(
        &self,
        now: Millis,
        from: Phase,
        run: RunId,
        hand_over: HandOver,
        terms: OrderTerms,
        out: &mut Vec<Wish>,
    ) {
        let window_closes = now.plus(groundstate_api::limits::ENROLMENT_WINDOW_MAX);
        let reason = reasons::waiting_for_machine(now, window_closes, self.who_comes(now));
        let reason = reasons_action::for_order(reason, &terms);
        out.push(Wish::Append(Happened::RunOrdered {
            run,
            hand_over,
            window_closes,
            terms,
        }));
        self.go_from(from, Phase::Ordered, Some(reason), out);
    }

    /// Who brings the machine to its new run.
    pub(crate) fn who_comes(&self, now: Millis) -> Comes {
        let heard = |at: Millis| now.since(at) < STILL_THERE;
        let host_calls = self.phase == Phase::Ready || self.live.heard.is_some_and(heard);
        if self.host.is_some() && host_calls {
            Comes::TheHost
        } else if self.in_maintenance_os(now) {
            Comes::TheMaintenanceOs
        } else if self.site.bmc.is_some() {
            Comes::TheBmc
        } else {
            Comes::APerson
        }
    }

    fn timeout(&self, now: Millis, out: &mut Vec<Wish>) {
        if self.deadline().is_none_or(|deadline| now < deadline) {
            return;
        }
        if self.actions_expire(now, out) || self.next_boot_act(now, out) {
            return;
        }
        if self.phase_deadline().is_none_or(|deadline| now < deadline) {
            return;
        }
        match self.phase {
            Phase::Enrolled
            | Phase::Draining
            | Phase::Quarantined
            | Phase::InRepair
            | Phase::Rescue
            | Phase::Retired => {}
            Phase::Held => self.try_again(now, out),
            Phase::Ordered | Phase::Booting => {
                let closed = self.run.as_ref().map_or(now, |run| run.window_closes);
                let mut reason = reasons::window_closed(closed, self.phase);
                reason.evidence.extend(self.boot_tries());
                self.hold(now, reason, out);
            }
            Phase::Planned => {
                let heard = self.last_spoke(self.counts_from());
                self.hold(now, reasons::node_silent(heard, now, None), out);
            }
            Phase::Suspect => {
                let reason = reasons::host_silent(self.live.heard, now);
                self.go(Phase::Suspect, Some(reason), out);
            }
            Phase::Checking => self.checking_timeout(now, out),
            Phase::Provisioning | Phase::Erasing => self.deploying_timeout(now, out),
            Phase::HandedOver => self.hold(now, reasons::host_never_called(self.since, now), out),
            Phase::Ready => {
                let reason = reasons::host_silent(self.live.heard, now);
                self.go(Phase::Suspect, Some(reason), out);
            }
        }
    }

    /// Checking took too long in all, or nobody is there, or only the plan is missing: then it is asked for again.
    fn checking_timeout(&self, now: Millis, out: &mut Vec<Wish>) {
        let base = self.counts_from();
        let waits_for_plan = self.plan_is_due(base);
        let silent = self.last_sign(base).plus(CHECKING_SILENCE_MAX);
        if now >= base.plus(CHECKING_MAX) {
            let reason = reasons::checking_too_long(self.since, now, waits_for_plan.is_some());
            self.hold(now, reason, out);
        } else if now >= silent {
            self.hold(
                now,
                reasons::node_silent(self.last_spoke(base), now, None),
                out,
            );
        } else if waits_for_plan.is_some() {
            self.ask_for_plan(out);
        }
    }

    /// Nobody is there, or somebody is and the plan stands still.
    fn deploying_timeout(&self, now: Millis, out: &mut Vec<Wish>) {
        let base = self.counts_from();
        let step = self.run.as_ref().and_then(|run| run.step.as_ref());
        let step = step.map(|(step, _)| *step);
        let moved = self.last_moved(base);
        let reason = if now >= moved.plus(DEPLOYING_STILL_MAX) {
            reasons::plan_stands_still(moved, now, step)
        } else {
            reasons::node_silent(self.last_spoke(base), now, step)
        };
        self.hold(now, reason, out);
    }

    /// Wishes for the plan of the current run.
    pub(crate) fn ask_for_plan(&self, out: &mut Vec<Wish>) {
        if let Some(run) = &self.run {
            out.push(Wish::Note(Note::PlanAsked));
            out.push(Wish::MakePlan(run.id.clone()));
        }
    }

    fn resume(&self, out: &mut Vec<Wish>) {
        self.carry_again(out);
        if self.phase == Phase::Checking
            && let Some(run) = &self.run
            && run.inventory.is_some()
            && run.plan.is_none()
        {
            self.ask_for_plan(out);
        }
    }
}
