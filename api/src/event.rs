// SPDX-License-Identifier: Apache-2.0
//! The journal's events: append-only, numbered, and the only truth about a node.
//!
//! A node's state is the fold of its events; a fabric controller follows the same events over the API.

use crate::action::{Action, ActionId, Outcome};
use crate::adopt::AdoptToken;
use crate::audit::Audit;
use crate::boot::{BootSighting, Firmware};
use crate::boot_session::ForeignServer;
use crate::digest::Digest;
use crate::erase::SignedErase;
use crate::healing::Trouble;
use crate::host::Change;
use crate::ids::{BootId, MacAddr, NodeId, PlanId, RunId};
use crate::inventory::{Finding, Inventory};
use crate::machine::{Left, Machine};
use crate::plan::{HandOver, OrderTerms, Plan, Step};
use crate::reason::Reason;
use crate::run::StepState;
use crate::units::{Bytes, Millis};
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// One entry of the journal.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// 1, 2, 3, … over the whole journal; the cursor of followers.
    pub number: u64,
    /// Milliseconds since 1970 (UTC) by the provisioner's clock.
    pub at: Millis,
    /// The node; `None` for what concerns no known node (an unknown machine).
    pub node: Option<NodeId>,
    /// What happened.
    pub what: Happened,
}

/// What happened.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "happened", rename_all = "kebab-case")]
pub enum Happened {
    /// The node was read from the site file for the first time.
    NodeAdded,
    /// A run was ordered and its enrolment window opened.
    RunOrdered {
        /// The run.
        run: RunId,
        /// How to hand over.
        hand_over: HandOver,
        /// When the enrolment window closes, milliseconds since 1970.
        window_closes: Millis,
        /// What the order asked beyond the policy.
        #[serde(default, skip_serializing_if = "OrderTerms::is_empty")]
        terms: OrderTerms,
    },
    /// The boot service saw something of this machine's boot.
    BootSeen {
        /// What it saw.
        sighting: BootSighting,
    },
    /// Another DHCP server answers on the provisioning network. An alarm; at most once an hour of each.
    ForeignDhcp {
        /// What was heard of it.
        server: ForeignServer,
        /// What that means and what to do.
        reason: Reason,
    },
    /// The first key was bound to node, boot and run.
    Enrolled {
        /// The run.
        run: RunId,
        /// The boot.
        boot_id: BootId,
        /// SHA-256 of the public key (SubjectPublicKeyInfo), `sha256:…`.
        key: String,
    },
    /// The machine came back in the middle of its run, as after a power loss: the run is bound to the key of its new boot and
    /// goes on with the same plan, and the key before opens nothing more. An alarm.
    CameBack {
        /// The run.
        run: RunId,
        /// The new boot.
        boot_id: BootId,
        /// SHA-256 of the new public key, `sha256:…`.
        key: String,
        /// Which boot of this run it is: 2, 3, …; the first is the one that enrolled.
        boot: u32,
    },
    /// An enrolment was refused. `SecondKey` and `IdentityMismatch` are alarms.
    EnrolRefused {
        /// Why.
        reason: Reason,
        /// Whether a person should look at once.
        alarm: bool,
    },
    /// An inventory arrived.
    InventoryTaken {
        /// What the probes saw.
        inventory: Box<Inventory>,
        /// The judgement on it, gravest first.
        findings: Vec<Finding>,
    },
    /// The plan was written.
    Planned {
        /// The plan.
        plan: Box<Plan>,
    },
    /// A step of the plan moved.
    StepMoved {
        /// The run.
        run: RunId,
        /// The report's number within the run.
        number: u64,
        /// The step.
        step: Step,
        /// How it stands.
        state: StepState,
        /// Peak memory of PID 1.
        peak_memory: Bytes,
    },
    /// A disk was erased, or put into quarantine because that failed or cannot be proved.
    DiskErased {
        /// The run.
        run: RunId,
        /// The disk's serial number.
        serial: String,
        /// Whether it is erased; if not, it is in quarantine.
        erased: bool,
        /// The certificate, which says the same.
        signed: Box<SignedErase>,
    },
    /// The host's certificate was issued.
    HostCredentialIssued {
        /// The plan it is bound to.
        plan: PlanId,
        /// SHA-256 of the public key, `sha256:…`.
        key: String,
    },
    /// The host's agent registered.
    HostRegistered {
        /// The plan that made the host.
        plan: PlanId,
        /// The host's boot.
        boot_id: BootId,
        /// Operating system and kernel.
        os: String,
        /// What first boot changed.
        changes: Vec<Change>,
    },
    /// Another site is in force.
    SiteApplied {
        /// 1, 2, 3, …; the entity tag of the site.
        version: u64,
        /// SHA-256 of the site's canonical JSON, which the journal keeps as a document of this name.
        digest: Digest,
        /// Who: `operator:ana`, `up` for the file that the process was started with.
        by: String,
        /// What changed, for people; at most 200 lines.
        changes: Vec<String>,
    },
    /// A machine of no node asked to enrol for the first time, or says something else of itself than before.
    MachineSeen {
        /// What is known of it.
        machine: Box<Machine>,
    },
    /// A machine left the waiting room.
    MachineLeft {
        /// The MAC address it booted from.
        mac: MacAddr,
        /// Why.
        left: Left,
        /// Who wanted it.
        by: String,
    },
    /// The plan was approved by who must approve it.
    PlanApproved {
        /// The run.
        run: RunId,
        /// Who.
        by: String,
    },
    /// An action was begun; it is carried out only after this is durable.
    ActionBegun {
        /// The action.
        action: Box<Action>,
    },
    /// A measure of the healing policy may go on, says who must approve it.
    ActionApproved {
        /// The action.
        id: ActionId,
        /// Who.
        by: String,
    },
    /// A measure of the healing policy waits no more: from now on it is carried out.
    ActionStarted {
        /// The action.
        id: ActionId,
    },
    /// A host of an earlier run, plan or boot spoke: nothing of it is believed. An alarm.
    HostFenced {
        /// What it said, and what to do.
        reason: Reason,
    },
    /// An action ended.
    ActionEnded {
        /// The action.
        id: ActionId,
        /// How.
        outcome: Outcome,
    },
    /// What is wrong with the host changed, as its agent or the fabric controller says; nothing where the trouble is over.
    HealthReported {
        /// Who says so: `host-agent`, `fabric:fc-1`.
        by: String,
        /// All that is wrong now.
        troubles: Vec<Trouble>,
    },
    /// The brake was set or let go, for the whole site.
    Braked {
        /// Whether it is on now.
        on: bool,
        /// Who.
        by: String,
        /// Why.
        reason: Option<Reason>,
    },
    /// A running host was taken in as it is: nothing was written to it.
    Adopted {
        /// Operating system and kernel.
        os: String,
        /// What its agent's probes saw.
        inventory: Box<Inventory>,
        /// SHA-256 of its agent's public key, `sha256:…`; `None` where it has no agent.
        key: Option<String>,
        /// The adoption: its agent's certificate names it.
        adoption: PlanId,
        /// The boot in which it was taken in.
        boot_id: BootId,
        /// How it would boot from the network.
        firmware: Firmware,
        /// The digest of the token that it was taken in with; it is good for nothing else now.
        token: Digest,
        /// Who made the token.
        by: String,
    },
    /// A token was made with which a running host becomes a node. The journal knows its digest only.
    AdoptTokenMade {
        /// The token.
        token: Box<AdoptToken>,
    },
    /// An adopted host was let go: its agent is not believed any more.
    Unadopted {
        /// The adoption that is over.
        adoption: PlanId,
        /// Who wanted it.
        by: String,
        /// Why, in their words.
        why: String,
    },
    /// A person or the fabric controller wrote something down about the node.
    Remarked {
        /// Who.
        by: String,
        /// What; at most 2,048 bytes.
        text: String,
    },
    /// A call over the API that was to change something.
    Audited {
        /// Who, what, and what came of it.
        audit: Audit,
    },
    /// Another provisioner leads.
    LeaderChanged {
        /// Its name.
        leader: String,
        /// 1, 2, 3, …: the fencing token that its appends carry.
        term: u64,
    },
    /// The node moved to another phase.
    PhaseChanged {
        /// From.
        from: crate::view::Phase,
        /// To.
        to: crate::view::Phase,
        /// Why, where it is a waiting or a held phase.
        reason: Option<Reason>,
    },
}

/// The kinds of event, as `happened` has them.
pub const KINDS: &[&str] = &[
    "node-added",
    "run-ordered",
    "boot-seen",
    "foreign-dhcp",
    "enrolled",
    "came-back",
    "enrol-refused",
    "inventory-taken",
    "planned",
    "step-moved",
    "disk-erased",
    "host-credential-issued",
    "host-registered",
    "site-applied",
    "machine-seen",
    "machine-left",
    "plan-approved",
    "action-begun",
    "action-approved",
    "action-started",
    "host-fenced",
    "action-ended",
    "health-reported",
    "braked",
    "adopted",
    "adopt-token-made",
    "unadopted",
    "remarked",
    "audited",
    "leader-changed",
    "phase-changed",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kinds_are_those_that_events_have() {
        let known = |kind: &str| {
            let text = alloc::format!(r#"{{"happened":"{kind}"}}"#);
            match serde_json::from_str::<Happened>(&text) {
                Ok(_) => alloc::string::String::new(),
                Err(error) => alloc::format!("{error}"),
            }
        };
        for kind in KINDS {
            let said = known(kind);
            assert!(!said.contains("unknown variant"), "{said}");
        }
        let all = known("no-such-kind");
        assert_eq!(all.matches('`').count() / 2, KINDS.len() + 1, "{all}");
    }
}
