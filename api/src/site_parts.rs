// SPDX-License-Identifier: Apache-2.0
//! What a site consists of beside its nodes: racks, switches, PDUs, BMCs, profiles, who may call, who is told.

use crate::site::Hardware;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::IpAddr;
use serde::{Deserialize, Serialize};

/// A rack, `[[rack]]`.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rack {
    /// Its name: 1 to 63 of `a-z`, `0-9`, `-`.
    pub name: String,
    /// The fault domain: what fails together. The rack's own name where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault_domain: Option<String>,
    /// Units, 1 to 60; 42 where absent.
    #[serde(default = "units_default")]
    pub units: u16,
    /// Where it stands, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub place: String,
    /// The address of the relay agent that its machines' questions come through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relay: Option<IpAddr>,
}

const fn units_default() -> u16 {
    42
}

/// A switch or a PDU, `[[switch]]`, `[[pdu]]`: for elevations, tickets and what fails together.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fixture {
    /// Its name.
    pub name: String,
    /// The rack.
    pub rack: String,
    /// Its lowest unit; none for what stands upright beside the units.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<u16>,
    /// Units that it takes.
    #[serde(default = "one_unit")]
    pub height: u16,
    /// Manufacturer and model.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub model: String,
    /// Where it is managed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
}

pub(crate) const fn one_unit() -> u16 {
    1
}

/// Where a node sits, keys of `[[node]]`.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Slot {
    /// The rack.
    pub rack: String,
    /// Its lowest unit, 1 at the bottom.
    pub unit: u16,
    /// Units that it takes.
    #[serde(default = "one_unit")]
    pub height: u16,
    /// The bay, where several nodes share the units of one chassis: each says another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bay: Option<u16>,
    /// The PDU outlets that feed it: `pdu-a/12`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub power: Vec<String>,
    /// The switch port: `sw-1/Ethernet12`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<String>,
}

/// A node's BMC, `[node.bmc]`.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BmcSite {
    /// Address, or address and port.
    pub address: String,
    /// How it is spoken to. Without it: Redfish, and IPMI where that does not answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<BmcProtocol>,
    /// Name of the credential: a file of that name in the credentials directory, or a systemd credential. Never the secret.
    pub credential: String,
    /// SHA-256 of its certificate, `sha256:…`. Without it the first one that is seen is kept, said, and no other believed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
    /// `ComputerSystem` id, where the BMC has several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
}

/// How a BMC is spoken to.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BmcProtocol {
    /// Redfish over HTTPS.
    Redfish,
    /// Redfish over plain HTTP: for laboratories only, said as a warning at every start.
    RedfishHttp,
    /// IPMI 2.0 over LAN.
    Ipmi,
}

/// A hardware profile, `[[profile]]`: what every node of a kind should have.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// Its name.
    pub name: String,
    /// The hardware. A node's own `hardware` comes before it.
    pub hardware: Hardware,
    /// Pattern of manufacturer and product that machines of it say, for example `Dell Inc. PowerEdge R6*`; a machine in the
    /// waiting room that fits is proposed this profile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
}

/// What a caller may do.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Sees.
    Viewer,
    /// Sees, lights LEDs, says that a repair is done, accepts machines.
    Technician,
    /// Orders runs, power and measures.
    Operator,
    /// All, the site file and erasing included.
    Admin,
    /// The fabric controller: orders runs and measures, approves and vetoes, reports trouble, follows events.
    Fabric,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 5] = [
        Self::Viewer,
        Self::Technician,
        Self::Operator,
        Self::Admin,
        Self::Fabric,
    ];

    /// As it stands in a certificate's name and in the site file.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Technician => "technician",
            Self::Operator => "operator",
            Self::Admin => "admin",
            Self::Fabric => "fabric",
        }
    }
}

/// What one caller may do where, `[[access]]`. Without any: each certificate's role holds for every node.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Access {
    /// The name in the certificate, without its role.
    pub name: String,
    /// The racks that it may see and touch; all where empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub racks: Vec<String>,
    /// The nodes beside those.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nodes: Vec<String>,
}

/// Who is told of events, `[[webhook]]`.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// Its name.
    pub name: String,
    /// `https://…`; `http://` to loopback only.
    pub url: String,
    /// Name of the credential whose text keys the signature (HMAC-SHA-256, header `Groundstate-Signature`).
    pub credential: String,
    /// The kinds of event (`happened`) that are told; all where empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<String>,
}

/// Rescue, `[rescue]`.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RescueSite {
    /// Public keys of OpenSSH form (`ssh-ed25519 …`) that may open a shell in the maintenance OS.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<String>,
}

impl RescueSite {
    /// Whether nothing is said.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}
