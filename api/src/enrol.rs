// SPDX-License-Identifier: Apache-2.0
//! Enrolment: how a booted machine becomes a node with a key.
//!
//! It travels over TLS that the node has checked against the site CA inside its boot image. The request carries no
//! secret: a certificate signing request proves possession of a key made on the node in this boot.

use crate::boot::Firmware;
use crate::ids::{BootId, MacAddr, NodeId, RunId, SystemUuid};
use crate::reason::Reason;
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// What a machine says of itself. All of `macs`, `uuid` and `serial` must belong to one node.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnrolRequest {
    /// [`crate::SCHEMA`].
    pub schema: u32,
    /// The MAC addresses of its Ethernet interfaces.
    pub macs: Vec<MacAddr>,
    /// The MAC address of the interface over which it booted.
    pub boot_mac: MacAddr,
    /// SMBIOS type 1 UUID.
    pub uuid: Option<SystemUuid>,
    /// SMBIOS type 1 serial number.
    pub serial: String,
    /// SMBIOS type 1 manufacturer and product, with a blank between.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// This boot.
    pub boot_id: BootId,
    /// Whether it runs on UEFI.
    pub uefi: bool,
    /// PKCS #10 certificate signing request, PEM, for a key made in this boot.
    pub csr_pem: String,
    /// In a rescue: the shell that stands open. The machine asks again every few seconds while it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shell: Option<RescueShell>,
}

/// How to come into a machine in rescue.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RescueShell {
    /// The address that it listens at, port 22.
    pub address: String,
    /// The fingerprint of its host key, made in this boot: `SHA256:…` as `ssh` shows it.
    pub fingerprint: String,
}

/// The answer.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "kebab-case")]
pub enum EnrolReply {
    /// This key is the node's for this run.
    Enrolled {
        /// Who it is.
        node: NodeId,
        /// The run.
        run: RunId,
        /// The client certificate for the key, PEM; bound to node, boot and run.
        certificate_pem: String,
        /// How the machine was booted, as the boot service saw it.
        firmware: Option<Firmware>,
        /// Which boot of this run it is: 1, or more where the machine came back after a power loss.
        #[serde(default = "first_boot")]
        boot: u32,
    },
    /// Nothing is ordered and the node has a host: start it from its disk and write nothing.
    BootLocal {
        /// Who it is.
        node: NodeId,
        /// Serial number of the disk that holds the host.
        disk_serial: String,
        /// GUID of the ESP with kernel and initrd, upper-case text.
        esp_guid: String,
        /// GUID of the root partition, upper-case text: the ESP's loader entry must start this one.
        root_guid: String,
    },
    /// It is in rescue, by order: open a shell for these keys, write nothing, and ask again every few seconds.
    Rescue {
        /// Who it is.
        node: NodeId,
        /// Public keys of OpenSSH form.
        keys: Vec<String>,
    },
    /// Not now, or not at all. The machine shows the reason and asks again after `retry_ms`.
    Refused {
        /// Why.
        reason: Reason,
        /// When to ask again, in milliseconds.
        retry_ms: u64,
    },
}

const fn first_boot() -> u32 {
    1
}
