// SPDX-License-Identifier: Apache-2.0
//! Adoption: a host that runs already, installed by somebody else, comes under the provisioner. Nothing is written to its disks'
//! data, and nothing about how it boots is changed.
//!
//! A person makes a token and tells the provisioner its digest; the token itself goes to the host by that person's hands, and
//! from the host to the provisioner once, over TLS that was checked against the site CA before.

use crate::digest::Digest;
use crate::host::NetworkBoot;
use crate::ids::{BootId, MacAddr, NodeId, PlanId, SystemUuid};
use crate::inventory::{Finding, Inventory};
use crate::units::Millis;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// Stands where a host of ours names its run: no run made an adopted host.
pub const ADOPTED_RUN: &str = "adopted";
/// How a token begins, so that a person and a scanner for secrets know it.
pub const TOKEN_BEGINS: &str = "gs-adopt-";
/// How long a token is good, in minutes, where nobody says: a walk to the machine.
pub const TOKEN_MINUTES_USUAL: u32 = 30;
/// The longest, in minutes: a day. A forgotten token must not open anything next week.
pub const TOKEN_MINUTES_MAX: u32 = 24 * 60;

/// `POST /v1/nodes/{node}/adopt`: a token is good from now on.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdoptOrder {
    /// The token's digest. The token itself is never sent with this.
    pub token: Digest,
    /// How many minutes it is good, 30 where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minutes: Option<u32>,
    /// Only a machine with this MAC address may use it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<MacAddr>,
    /// Only the machine with this serial number may use it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
}

/// The answer.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdoptTokenView {
    /// Whom it makes of a machine.
    pub node: NodeId,
    /// Until when it is good, milliseconds since 1970.
    pub expires: Millis,
    /// Whether the site has no such node yet: the machine then becomes one.
    pub new: bool,
    /// Where the host finds the provisioner.
    pub provisioner: String,
    /// SHA-256 of the site CA's certificate (DER): what the host compares before it says anything.
    pub ca: Digest,
}

/// A token, as the journal keeps it.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdoptToken {
    /// Its digest.
    pub token: Digest,
    /// Whom it makes of a machine.
    pub node: NodeId,
    /// Until when it is good.
    pub expires: Millis,
    /// Who made it.
    pub by: String,
    /// Only for a machine with this MAC address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<MacAddr>,
    /// Only for the machine with this serial number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
}

/// `POST /v1/adopt`, with the token in the header `Authorization: Bearer`: what a running host says of itself.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdoptRequest {
    /// [`crate::SCHEMA`].
    pub schema: u32,
    /// The MAC addresses of its Ethernet interfaces.
    pub macs: Vec<MacAddr>,
    /// The one over which it reaches the provisioner: where the site does not know the machine, the one it boots from.
    pub boot_mac: MacAddr,
    /// SMBIOS type 1 UUID.
    pub uuid: Option<SystemUuid>,
    /// SMBIOS type 1 serial number.
    pub serial: String,
    /// This boot.
    pub boot_id: BootId,
    /// Whether it runs on UEFI.
    pub uefi: bool,
    /// Operating system and kernel, for people.
    pub os: String,
    /// What hw-diag saw.
    pub inventory: Box<Inventory>,
    /// PKCS #10 request, PEM, for the key of its agent; absent where there is to be no agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub csr_pem: Option<String>,
    /// Only say what would come of it: nothing changes, and the token stays good.
    #[serde(default, skip_serializing_if = "is_false")]
    pub dry_run: bool,
}

fn is_false(flag: &bool) -> bool {
    !*flag
}

/// The answer.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdoptReply {
    /// Who it is, or would be.
    pub node: NodeId,
    /// Whether the site had no such node before.
    pub new: bool,
    /// The adoption, by which its agent is known; it stands where a host of ours names its plan.
    pub adoption: Option<PlanId>,
    /// The certificate of its agent's key, PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_pem: Option<String>,
    /// How many runs of the node were ordered.
    pub epoch: u64,
    /// Where the agent calls.
    pub provisioner: String,
    /// How the machine would boot from the network, once a run is ordered.
    pub network_boot: NetworkBoot,
    /// The judgement on its hardware, gravest first.
    pub findings: Vec<Finding>,
}
