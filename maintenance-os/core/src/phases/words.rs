// SPDX-License-Identifier: Apache-2.0
//! What the phases machine hears, wishes for and shows, and how long it waits. It decides nothing.

use crate::moving::Moving;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use groundstate_api::enrol::{EnrolReply, RescueShell};
use groundstate_api::plan::{HandOver, Plan, Step};
use groundstate_api::run::{Instruction, StepState};
use groundstate_api::{Bytes, Millis, NodeId, Reason};

/// How long to wait before the network is tried again. Long enough for a switch port to come up.
pub const NETWORK_RETRY: Millis = Millis::secs(2);
/// How long to wait before an unreachable provisioner is asked again.
pub const PROVISIONER_RETRY: Millis = Millis::secs(2);
/// The longest wait that a refusal may ask for.
pub const REFUSAL_RETRY_MAX: Millis = Millis::secs(60);
/// How long to wait before a host on disk that did not start is tried again.
pub const LOCAL_RETRY: Millis = Millis::secs(15);
/// Failed calls after which another interface is tried: about a minute with the longest call.
pub const FAILURES_PER_NETWORK: u32 = 5;
/// How often a held node asks whether a person has decided.
pub const HOLD_POLL: Millis = Millis::secs(5);

/// How often a machine in rescue asks whether it still is.
pub const RESCUE_POLL: Millis = Millis::secs(5);

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
    /// A shell stands open, by order.
    Rescue {
        /// Who it is.
        node: NodeId,
        /// The keys that open it.
        keys: Vec<String>,
    },
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
    /// The provisioner has acknowledged reports.
    ReportsDelivered {
        /// How many of this run's reports, the first included.
        through: u64,
    },
    /// The host could not be started.
    StartFailed {
        /// Why.
        reason: Reason,
    },
    /// The rescue shell stands open.
    ShellOpened(RescueShell),
    /// The rescue shell could not be opened.
    ShellFailed {
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
    /// Open the rescue shell for exactly these keys; where it is open already, these replace the ones before.
    OpenShell {
        /// Public keys of OpenSSH form.
        keys: Vec<String>,
    },
    /// Close the rescue shell, and end what was started from it.
    CloseShell,
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
        /// Where it stands, where the step counts bytes.
        progress: Option<Moving>,
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
    /// It is in rescue, and this is how to come in.
    Rescue {
        /// The node.
        node: NodeId,
        /// Where, and how to know that it is this machine.
        shell: RescueShell,
        /// How many keys open it.
        keys: usize,
    },
}
