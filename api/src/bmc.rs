// SPDX-License-Identifier: Apache-2.0
//! What a BMC says of its machine, in one form for Redfish and IPMI.

use crate::ids::{MacAddr, SystemUuid};
use crate::units::{Bytes, Millis};
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// `GET /v1/nodes/{node}/bmc`.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BmcReport {
    /// When this was read, milliseconds since 1970.
    pub at: Millis,
    /// How it is spoken to: `redfish`, `ipmi`.
    pub protocol: String,
    /// Manufacturer of the machine.
    pub manufacturer: String,
    /// Model of the machine.
    pub model: String,
    /// Serial number of the machine.
    pub serial: String,
    /// UUID of the machine.
    pub uuid: Option<SystemUuid>,
    /// Firmware (BIOS) version.
    pub firmware: String,
    /// The BMC's own firmware version.
    pub bmc_firmware: String,
    /// Power: `on`, `off`, `powering-on`, `powering-off`, `unknown`.
    pub power: String,
    /// What it boots next, where that is set: `pxe`, `uefi-http`, `hdd`, `cd`, with `once` or `continuous`.
    pub next_boot: Option<String>,
    /// The locator LED: `on`, `off`, `blinking`, or unknown.
    pub led: Option<String>,
    /// Its overall health: `ok`, `warning`, `critical`.
    pub health: Option<String>,
    /// Memory.
    pub memory: Option<Bytes>,
    /// Processors: how many, and which.
    pub processors: Vec<String>,
    /// Its network interfaces.
    pub macs: Vec<MacAddr>,
    /// DIMMs, for comparing with SMBIOS.
    pub dimms: Vec<String>,
    /// Drives, for comparing with the inventory.
    pub drives: Vec<String>,
    /// SHA-256 of its certificate, `sha256:…`.
    pub certificate: Option<String>,
    /// What of this BMC is known to be odd, by the quirk's name.
    pub quirks: Vec<String>,
}
