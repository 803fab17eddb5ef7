// SPDX-License-Identifier: Apache-2.0
//! Every boot answer of a site in one table: what a boot service on another machine mirrors.

use crate::boot::{BootAnswer, BootQuestion, Firmware};
use crate::ids::{MacAddr, NodeId};
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// The table. Its entity tag changes when anything in it does.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BootAnswers {
    /// [`crate::SCHEMA`].
    pub schema: u32,
    /// The nodes by name.
    pub nodes: Vec<NodeBootAnswer>,
    /// The answer to machines of no node. A refusal's reason is about nobody in particular.
    pub strangers: BootAnswer,
}

/// What one node boots now.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeBootAnswer {
    /// The node.
    pub node: NodeId,
    /// The MAC address it boots from.
    pub mac: MacAddr,
    /// The answer to UEFI.
    pub uefi: BootAnswer,
    /// The answer to a BIOS.
    pub bios: BootAnswer,
    /// The answer where the question does not say.
    pub unsaid: BootAnswer,
    /// The answer when the provisioner has been away for too long to know better: never the maintenance OS.
    pub away: BootAnswer,
}

impl NodeBootAnswer {
    /// The answer to a question about this node.
    #[must_use]
    pub const fn to(&self, question: &BootQuestion) -> &BootAnswer {
        match question.firmware {
            Some(Firmware::Bios) => &self.bios,
            Some(Firmware::UefiPxe | Firmware::UefiHttp) => &self.uefi,
            None => &self.unsaid,
        }
    }
}

impl BootAnswers {
    /// The node that boots from this MAC address.
    #[must_use]
    pub fn of(&self, mac: MacAddr) -> Option<&NodeBootAnswer> {
        self.nodes.iter().find(|node| node.mac == mac)
    }
}
