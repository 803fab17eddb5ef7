// SPDX-License-Identifier: Apache-2.0
//! Health of hosts, and what the policy makes of it.

use crate::action::ActionId;
use crate::ids::{NodeId, RunId};
use crate::reason::Reason;
use crate::units::Millis;
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// What the policy does about a node in trouble, from the mildest to the hardest.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Measure {
    /// It is Suspect and watched; nothing is done to it.
    Watch,
    /// Its agent starts services again.
    RestartServices,
    /// Its agent sends diagnostics.
    CollectDiagnostics,
    /// It is restarted.
    Reboot,
    /// A run is ordered.
    Reprovision,
    /// It is taken out of use and waits for a person.
    Quarantine,
}

impl Measure {
    /// As it stands in JSON and in the site file.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Watch => "watch",
            Self::RestartServices => "restart-services",
            Self::CollectDiagnostics => "collect-diagnostics",
            Self::Reboot => "reboot",
            Self::Reprovision => "reprovision",
            Self::Quarantine => "quarantine",
        }
    }
    /// For people.
    #[must_use]
    pub const fn says(self) -> &'static str {
        match self {
            Self::Watch => "watch the node",
            Self::RestartServices => "restart the host's services",
            Self::CollectDiagnostics => "collect the host's diagnostics",
            Self::Reboot => "restart the node",
            Self::Reprovision => "provision the node anew",
            Self::Quarantine => "take the node out of use",
        }
    }
    /// Whether it takes the host's work away, so that the limits on how many at once hold for it.
    #[must_use]
    pub const fn disturbs(self) -> bool {
        match self {
            Self::Watch | Self::RestartServices | Self::CollectDiagnostics => false,
            Self::Reboot | Self::Reprovision | Self::Quarantine => true,
        }
    }
}

/// What kind of trouble a node is in. Classes, not alert ids: rules name these.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TroubleKind {
    /// Heartbeats are missed.
    Silent,
    /// A service that the site file names is not running.
    Service,
    /// A disk fails or its SMART figures grow.
    Disk,
    /// A DIMM fails or counts errors.
    Memory,
    /// A file system or volume is gone, full or read-only.
    Volume,
    /// Something else that the host's agent or the fabric controller says.
    Other,
}

/// One thing that is wrong with a host, as its agent or the fabric controller says.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trouble {
    /// Which kind.
    pub kind: TroubleKind,
    /// What, in one sentence; at most 512 bytes, no control characters.
    pub what: String,
    /// What was seen: `nginx.service: failed`; at most 16 lines of 512 bytes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<String>,
}

/// A trouble with who says so.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TroubleView {
    /// Who: `host-agent`, `hw-diag`, `fabric:fc-1`.
    pub by: String,
    /// Since when, milliseconds since 1970.
    pub since: Millis,
    /// What.
    pub trouble: Trouble,
}

/// The body of `POST /v1/nodes/{node}/troubles`.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Troubles {
    /// All that the caller sees wrong with the host now, at most 16; none where its trouble is over.
    pub troubles: Vec<Trouble>,
}

/// The body of `POST /v1/nodes/{node}/remarks`.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Remark {
    /// The remark; at most 2,048 bytes.
    pub text: String,
}

/// The body of `POST /v1/nodes/{node}/approve`.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApprovePlan {
    /// The run whose plan may go on.
    pub run: RunId,
}

/// The policy, `[healing]` in the site file.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HealingPolicy {
    /// Whether anything is done by itself. Off: nodes become Suspect with a reason, and a person or the fabric controller acts.
    #[serde(default)]
    pub enabled: bool,
    /// Whether each measure waits until the fabric controller has approved it (`POST /v1/actions/{action}/approve`).
    #[serde(default)]
    pub ask_fabric: bool,
    /// The most nodes at once that a measure keeps from their work.
    #[serde(default = "nodes_at_once_default")]
    pub nodes_at_once: u32,
    /// The most fault domains at once in which that happens.
    #[serde(default = "one")]
    pub domains_at_once: u32,
    /// Everything stops when this many measures have failed or nodes have fallen silent …
    #[serde(default = "brake_failures_default")]
    pub brake_failures: u32,
    /// … within this many seconds. Only a person or the fabric controller lets it go on.
    #[serde(default = "brake_secs_default")]
    pub brake_secs: u64,
    /// What is done about which trouble, in this order. Without any: the usual ladder.
    #[serde(default, rename = "rule", skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<HealingRule>,
}

const fn nodes_at_once_default() -> u32 {
    5
}
const fn one() -> u32 {
    1
}
const fn brake_failures_default() -> u32 {
    10
}
const fn brake_secs_default() -> u64 {
    600
}

impl Default for HealingPolicy {
    fn default() -> Self {
        Self {
            enabled: false,
            ask_fabric: false,
            nodes_at_once: nodes_at_once_default(),
            domains_at_once: one(),
            brake_failures: brake_failures_default(),
            brake_secs: brake_secs_default(),
            rules: Vec::new(),
        }
    }
}

impl HealingPolicy {
    /// Whether this is what holds where nothing is said.
    #[must_use]
    pub fn is_usual(&self) -> bool {
        *self == Self::default()
    }
}

/// One rule: what is done about one kind of trouble.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HealingRule {
    /// The trouble.
    pub trouble: TroubleKind,
    /// The steps, one after the other until the trouble is gone.
    #[serde(rename = "step")]
    pub steps: Vec<HealingStep>,
}

/// One step of a ladder.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HealingStep {
    /// What is done.
    pub measure: Measure,
    /// Seconds that the trouble must have lasted, or that the step before had, before this one begins.
    #[serde(default)]
    pub after_secs: u64,
    /// How often it is tried before the next step, at least once.
    #[serde(default = "one")]
    pub times: u32,
}

/// The brake: whether measures that disturb hosts are stopped for the whole site.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BrakeView {
    /// Whether it is on.
    pub on: bool,
    /// Since when, milliseconds since 1970.
    pub since: Option<Millis>,
    /// Why, and what to do.
    pub reason: Option<Reason>,
    /// Who set it last: `policy`, `operator:ana`.
    pub by: Option<String>,
}

/// The body of `POST /v1/brake`.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BrakeOrder {
    /// On or off.
    pub on: bool,
    /// Why, in the caller's words; at most 512 bytes.
    #[serde(default)]
    pub why: String,
}

/// The body of orders that take a node out of use, give it back or say why: `drain`, `quarantine`, `repair`, `release`,
/// `retire`, `rescue`, and of `veto` and `approve`.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Because {
    /// Why, in the caller's words; at most 512 bytes.
    #[serde(default)]
    pub why: String,
}

/// A measure that the policy wants and that waits, or goes on: part of a node's explanation.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeasureView {
    /// The node.
    pub node: NodeId,
    /// The action that it is, by which it is approved or vetoed; `None` while it is not yet due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<ActionId>,
    /// What.
    pub measure: Measure,
    /// Why.
    pub because: Reason,
    /// What it waits for; `None` where it goes on.
    pub waits: Option<Reason>,
    /// When it is due, milliseconds since 1970.
    pub due: Option<Millis>,
}
