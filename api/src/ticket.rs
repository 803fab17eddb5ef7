// SPDX-License-Identifier: Apache-2.0
//! The repair ticket: one sheet of paper with which a technician goes to a rack and needs nothing else.

use crate::health::Place;
use crate::ids::{MacAddr, NodeId};
use crate::reason::ReasonCode;
use crate::units::Millis;
use crate::view::Phase;
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// `GET /v1/nodes/{node}/ticket`.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ticket {
    /// The site's name.
    pub site: String,
    /// The node.
    pub node: NodeId,
    /// When this was written, milliseconds since 1970.
    pub at: Millis,
    /// Where the node is on its way.
    pub phase: Phase,
    /// What kind of trouble it is.
    pub code: ReasonCode,
    /// What to do, in one sentence.
    pub do_this: String,
    /// What is wrong, in one sentence.
    pub what: String,
    /// Since when, where that is known.
    pub since: Option<Millis>,
    /// Where the machine stands.
    pub machine: TicketMachine,
    /// The part that it is about, if it is about one.
    pub part: Option<TicketPart>,
    /// What was seen, a line each.
    pub evidence: Vec<String>,
    /// What must not be touched, a sentence each.
    pub leave_alone: Vec<String>,
    /// What lies on the part, a line each; empty where nothing of ours does.
    pub data: Vec<String>,
    /// What to do after the repair, in order.
    pub after: Vec<String>,
    /// What else is wrong with the machine, so that one walk does for all.
    pub also: Vec<String>,
}

/// Where a machine stands and how it is known.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TicketMachine {
    /// The rack.
    pub rack: Option<String>,
    /// Where the rack stands.
    pub place: String,
    /// Its lowest unit, 1 at the bottom.
    pub unit: Option<u16>,
    /// Units that it takes.
    pub height: u16,
    /// Its bay, where several nodes share one chassis.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bay: Option<u16>,
    /// The PDU outlets that feed it.
    pub power: Vec<String>,
    /// The switch port.
    pub port: Option<String>,
    /// Manufacturer and product, where an inventory said so.
    pub model: String,
    /// Serial number.
    pub serial: String,
    /// The MAC address that it boots from.
    pub mac: MacAddr,
}

/// The part to work at.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TicketPart {
    /// `disk`, `DIMM`, …
    pub kind: String,
    /// Its name in the machine: `/dev/sda`, `DIMM_A2`.
    pub device: String,
    /// Where it is and what it is, to find it and to order another.
    pub place: Place,
}
