// SPDX-License-Identifier: Apache-2.0
//! What people and programs see of a node.

use crate::action::ActionView;
use crate::boot::{BootSighting, Firmware};
use crate::event::Event;
use crate::healing::{MeasureView, TroubleView};
use crate::health::DeviceReport;
use crate::host::Change;
use crate::ids::{BootId, MacAddr, NodeId, PlanId, RunId};
use crate::inventory::{Finding, Inventory};
use crate::plan::{HandOver, Plan, Step};
use crate::reason::Reason;
use crate::run::StepState;
use crate::units::{Bytes, Millis};
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// Where a node is on its way. A machine that is no node yet is *discovered*: it stands in the waiting room
/// ([`crate::machine::Machine`]), not here.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// In the site; nothing is ordered.
    #[serde(alias = "known")]
    Enrolled,
    /// A run is ordered; waiting for the machine to boot from the network.
    Ordered,
    /// The boot service serves it; waiting for the maintenance OS to enrol.
    Booting,
    /// The maintenance OS is enrolled and looks at the hardware.
    Checking,
    /// The plan is written and is not given out yet: it waits for a person or the fabric controller to approve it, or for a
    /// place among the runs that may go on at once.
    Planned,
    /// The plan is being carried out.
    #[serde(alias = "deploying")]
    Provisioning,
    /// The order is to erase disks, and that goes on.
    Erasing,
    /// The host was started; waiting for its agent.
    HandedOver,
    /// The host's agent of this plan has called.
    Ready,
    /// A Ready host is silent, or it or its hardware reports trouble; the policy decides what comes next.
    #[serde(alias = "silent")]
    Suspect,
    /// The host gives its work away, before something that stops it.
    Draining,
    /// Taken out of use with a reason. Only a person or the fabric controller lets it out.
    Quarantined,
    /// A person works at it.
    InRepair,
    /// Stopped in its run; a person is needed.
    Held,
    /// The maintenance OS runs with a shell for the keys of the site file; nothing is written by itself.
    Rescue,
    /// Out of the fleet. It boots nothing of ours.
    Retired,
}

impl Phase {
    /// Every phase, in the order of a node's life.
    pub const ALL: [Self; 16] = [
        Self::Enrolled,
        Self::Ordered,
        Self::Booting,
        Self::Checking,
        Self::Planned,
        Self::Provisioning,
        Self::Erasing,
        Self::HandedOver,
        Self::Ready,
        Self::Suspect,
        Self::Draining,
        Self::Quarantined,
        Self::InRepair,
        Self::Held,
        Self::Rescue,
        Self::Retired,
    ];

    /// As it stands in JSON, for example `handed-over`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Enrolled => "enrolled",
            Self::Ordered => "ordered",
            Self::Booting => "booting",
            Self::Checking => "checking",
            Self::Planned => "planned",
            Self::Provisioning => "provisioning",
            Self::Erasing => "erasing",
            Self::HandedOver => "handed-over",
            Self::Ready => "ready",
            Self::Suspect => "suspect",
            Self::Draining => "draining",
            Self::Quarantined => "quarantined",
            Self::InRepair => "in-repair",
            Self::Held => "held",
            Self::Rescue => "rescue",
            Self::Retired => "retired",
        }
    }
}

/// A node in a list.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeView {
    /// Its name.
    pub node: NodeId,
    /// The MAC address it boots from.
    pub mac: MacAddr,
    /// Where it is on its way.
    pub phase: Phase,
    /// Since when, milliseconds since 1970.
    pub since: Millis,
    /// Why it waits or is held.
    pub reason: Option<Reason>,
    /// The run, if there was one.
    pub run: Option<RunId>,
    /// The step it is at and how that stands, while it is being deployed.
    pub step: Option<(Step, StepState)>,
    /// What the boot service saw last of its boot, while the maintenance OS has not enrolled.
    #[serde(default)]
    pub boot: Option<BootSighting>,
    /// The host's last report, milliseconds since 1970.
    pub last_heard: Option<Millis>,
    /// Number of the node's newest event: the entity tag.
    pub version: u64,
}

/// Every node of the site.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeList {
    /// The nodes by name.
    pub nodes: Vec<NodeView>,
}

/// A node in full: the report.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeReport {
    /// As in the list.
    pub view: NodeView,
    /// How it boots, as far as it was seen.
    pub firmware: Option<Firmware>,
    /// How the run hands over.
    pub hand_over: Option<HandOver>,
    /// The last inventory.
    pub inventory: Option<Inventory>,
    /// The judgement on it.
    pub findings: Vec<Finding>,
    /// The reports on its devices, with the volumes and VHDs that each disk carries.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hardware: Vec<DeviceReport>,
    /// The plan of the run.
    pub plan: Option<Plan>,
    /// Each phase and step of the run with the time it took.
    pub timings: Vec<Timing>,
    /// What each done step said of itself.
    pub facts: Vec<(Step, Vec<String>)>,
    /// Peak memory of PID 1 in the run.
    pub peak_memory: Option<Bytes>,
    /// The host that runs, if one does.
    pub host: Option<HostView>,
    /// Refused enrolments and other things that a person should look at, newest last.
    pub alarms: Vec<Reason>,
    /// What is wrong with the host, and who says so.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub troubles: Vec<TroubleView>,
    /// What was done to the machine or asked of its host, newest first; at most 16.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub actions: Vec<ActionView>,
    /// What the healing policy wants, and what that waits for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub measures: Vec<MeasureView>,
}

fn is_false(said: &bool) -> bool {
    !*said
}

/// How long something took.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timing {
    /// What, for people: `boot file`, `image`.
    pub what: String,
    /// When it began, milliseconds since 1970.
    pub began: Millis,
    /// How long it took; `None` while it goes on.
    pub took: Option<Millis>,
}

/// The host on a node.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostView {
    /// The plan that made it.
    pub plan: PlanId,
    /// Its boot.
    pub boot_id: BootId,
    /// Operating system and kernel.
    pub os: String,
    /// What its first boot changed.
    pub changes: Vec<Change>,
    /// When it was adopted, milliseconds since 1970, where it was: then `plan` is no plan, but the adoption.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adopted: Option<Millis>,
}

/// A page of events.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventPage {
    /// Events by rising number.
    pub events: Vec<Event>,
    /// Ask for events after this number next.
    pub next_after: u64,
}

/// The body of an order: `POST /v1/nodes/{node}/provision` and `/reprovision`.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    /// How to hand over; the node's policy where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hand_over: Option<HandOver>,
    /// Serial numbers of disks that may be wiped although they hold something that is not ours.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub confirm_wipe: Vec<String>,
    /// Whether the plan waits for `POST /v1/nodes/{node}/approve` before it is carried out.
    #[serde(default, skip_serializing_if = "is_false")]
    pub approve: bool,
}

/// The body of an order to rebuild one data disk: `POST /v1/nodes/{node}/rebuild-disk`.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RebuildOrder {
    /// The disk's serial number.
    pub serial: String,
    /// Whether the disk may be wiped although it holds something that is not ours.
    #[serde(default)]
    pub confirm_wipe: bool,
}

/// What a server of ours says when it refuses: RFC 9457 problem details (`application/problem+json`).
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// `urn:groundstate:reason:<code>`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The reason's sentence.
    pub title: String,
    /// HTTP status.
    pub status: u16,
    /// The whole reason.
    pub reason: Reason,
}
