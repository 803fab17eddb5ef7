// SPDX-License-Identifier: Apache-2.0
//! The fleet in one answer: how many nodes are where, what goes on, and when it will be done.

use crate::healing::{BrakeView, MeasureView};
use crate::ids::NodeId;
use crate::reason::ReasonCode;
use crate::units::Millis;
use crate::view::Phase;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// `GET /v1/fleet`.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FleetView {
    /// The site's name.
    pub site: String,
    /// Version of the site in force.
    pub site_version: u64,
    /// How many nodes are in each phase; phases without a node are left out.
    pub phases: BTreeMap<Phase, u32>,
    /// The racks by name.
    pub racks: Vec<RackView>,
    /// Machines in the waiting room.
    pub machines: u32,
    /// The nodes that need a person now, the gravest first, each with its one next step.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<Need>,
    /// The brake.
    pub brake: BrakeView,
    /// What the policy wants or does.
    pub measures: Vec<MeasureView>,
    /// When each run that goes on is expected to be done.
    pub etas: Vec<Eta>,
    /// Who leads, where several provisioners share a journal.
    pub leader: Option<String>,
    /// Number of the newest event.
    pub newest: u64,
}

/// A node that needs a person.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Need {
    /// The node.
    pub node: NodeId,
    /// Its rack, where it has one.
    pub rack: Option<String>,
    /// Its lowest unit there.
    pub unit: Option<u16>,
    /// Where it is on its way.
    pub phase: Phase,
    /// Since when, milliseconds since 1970.
    pub since: Millis,
    /// What kind of reason it is.
    pub code: ReasonCode,
    /// The reason's sentence.
    pub what: String,
    /// The one next step.
    pub next_step: String,
}

/// A rack with what stands in it.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RackView {
    /// Its name; `-` for the nodes of no rack.
    pub name: String,
    /// Its fault domain.
    pub fault_domain: String,
    /// Where it stands.
    pub place: String,
    /// Units.
    pub units: u16,
    /// What stands in it, from the top.
    pub slots: Vec<SlotView>,
}

/// One thing in a rack.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotView {
    /// Its lowest unit; 0 for what has none.
    pub unit: u16,
    /// Units.
    pub height: u16,
    /// Its name.
    pub name: String,
    /// `node`, `switch` or `pdu`.
    pub kind: String,
    /// The node's phase.
    pub phase: Option<Phase>,
    /// The reason's sentence, where it waits or is held.
    pub why: Option<String>,
}

/// When a run is expected to be done, from the fleet's own medians.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Eta {
    /// The node.
    pub node: NodeId,
    /// When, milliseconds since 1970.
    pub at: Millis,
    /// From how many runs: of the same model and image, else of the same image, else of all.
    pub from: EtaFrom,
    /// How many runs the medians are of.
    pub runs: u32,
}

/// What a median is of.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EtaFrom {
    /// Runs of the same model and image.
    ModelAndImage,
    /// Runs of the same image.
    Image,
    /// All runs.
    All,
}
