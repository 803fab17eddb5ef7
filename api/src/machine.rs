// SPDX-License-Identifier: Apache-2.0
//! The waiting room: machines that asked to enrol and belong to no node of the site.

use crate::boot::Firmware;
use crate::ids::{MacAddr, NodeId, SystemUuid};
use crate::units::Millis;
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// A discovered machine.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// The MAC address it booted from.
    pub mac: MacAddr,
    /// Its other MAC addresses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub macs: Vec<MacAddr>,
    /// SMBIOS UUID, where it said one.
    pub uuid: Option<SystemUuid>,
    /// SMBIOS serial number, where it said one.
    pub serial: Option<String>,
    /// Manufacturer and product, where it said so.
    pub model: Option<String>,
    /// The address that it was leased.
    pub address: Option<String>,
    /// How it booted.
    pub firmware: Option<Firmware>,
    /// The relay agent that its question came through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relay: Option<String>,
    /// The rack that it would be accepted into: the one that its relay agent stands for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rack: Option<String>,
    /// The hardware profile that it would be accepted with: the one whose model it fits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// When it was first seen, milliseconds since 1970.
    pub first_seen: Millis,
    /// When it was last seen.
    pub last_seen: Millis,
}

impl Machine {
    /// Whether it has told all that a node is known by: only then it can be accepted.
    #[must_use]
    pub fn can_be_accepted(&self) -> bool {
        self.uuid.is_some()
            && self
                .serial
                .as_ref()
                .is_some_and(|serial| !serial.trim().is_empty())
    }

    /// The one next step for a person.
    #[must_use]
    pub fn next_step(&self) -> String {
        if self.can_be_accepted() {
            alloc::format!("accept it: groundstate machine accept {} NAME", self.mac)
        } else {
            String::from(
                "only its network card was heard: let it boot the maintenance OS, which tells the rest (a site with policy.closed = true gives it none: set it to false and apply), or write it into the site file with its UUID and serial number",
            )
        }
    }
}

/// `GET /v1/machines`.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MachineList {
    /// By the time they were first seen, the oldest first.
    pub machines: Vec<Machine>,
}

/// `POST /v1/machines/{mac}/accept`: it becomes a node of the site.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Accept {
    /// The node's name.
    pub name: NodeId,
    /// The rack.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rack: Option<String>,
    /// Its lowest unit in the rack, 1 at the bottom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<u16>,
    /// The hardware profile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
}

/// Why a machine left the waiting room.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "left", rename_all = "kebab-case")]
pub enum Left {
    /// It is a node now.
    Accepted {
        /// The node.
        node: NodeId,
    },
    /// A person sent it away; when it asks again it stands there again.
    Forgotten,
}
