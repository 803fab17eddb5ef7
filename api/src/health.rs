// SPDX-License-Identifier: Apache-2.0
//! What is wrong with a device, in words and in figures: the same value on the node's screen, the CLI and the web page.
//!
//! A finding names what was seen, how sure that is, and one thing to do. Unknown is a verdict of its own and never ok.

use crate::units::Bytes;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// A verdict on a device. Unknown is never ok.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Looked, and nothing is wrong.
    Ok,
    /// Could not look, or the device does not say.
    Unknown,
    /// Something to watch.
    Warn,
    /// Pull it.
    Fail,
}

impl Verdict {
    /// As it stands in JSON: `ok`, `unknown`, `warn`, `fail`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Unknown => "unknown",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

/// What kind of thing a report is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeviceKind {
    /// A disk.
    Disk,
    /// A memory module or its slot.
    Dimm,
    /// Memory as a whole.
    Memory,
    /// A processor.
    Cpu,
    /// A PCI function.
    Pci,
    /// A network interface.
    Nic,
    /// A temperature, voltage, current or power sensor.
    Sensor,
    /// A fan.
    Fan,
    /// A power supply.
    PowerSupply,
    /// BIOS, UEFI or a BMC's firmware.
    Firmware,
    /// The Trusted Platform Module.
    Tpm,
    /// The real-time clock.
    Clock,
    /// The baseboard management controller and its event log.
    Bmc,
    /// The machine as a whole.
    Machine,
}

/// How sure a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sureness {
    /// A pattern that often comes before a fault.
    Hint,
    /// More likely than not.
    Likely,
    /// The device says so itself, or it was measured.
    Certain,
}

/// The kind of thing to do. The sentence beside it says it in full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Advice {
    /// Pull the part and put in another.
    Replace,
    /// Take it out, put it back, look at contacts and cables.
    Reseat,
    /// Nothing now; look again.
    Watch,
    /// Update firmware or driver.
    Update,
    /// Change a setting.
    Configure,
    /// Look: what was seen does not name a cause.
    Look,
}

/// One thing that was found on one device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthFinding {
    /// A stable name that a program may branch on and `hw-diag explain` explains, for example `ata-pending-sectors`.
    pub code: String,
    /// How grave it is: `warn`, `fail` or `unknown`; `ok` where it is worth telling and nothing is wrong.
    pub verdict: Verdict,
    /// What is wrong, in one sentence.
    pub what: String,
    /// What was seen, a line each; never guessed.
    pub evidence: Vec<String>,
    /// How sure it is.
    pub sureness: Sureness,
    /// What kind of thing to do.
    pub advice: Advice,
    /// What to do, in one sentence.
    pub next_step: String,
}

/// Where a device is and what it is: what a technician needs to find it and to order another.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Slot, bay, silkscreen name or controller address.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub slot: String,
    /// Maker.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub vendor: String,
    /// Model or product name.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub model: String,
    /// Part number.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub part_number: String,
    /// Serial number.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub serial: String,
    /// Firmware revision.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub firmware: String,
    /// Size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<Bytes>,
}

/// The report on one device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceReport {
    /// Its name where it was looked at: `/dev/sda`, `DIMM_A2`, `cpu0`, or the capture's file.
    pub device: String,
    /// What kind of thing it is.
    pub kind: DeviceKind,
    /// The gravest finding's verdict; `ok` without findings.
    pub verdict: Verdict,
    /// Where it is and what it is.
    #[serde(default)]
    pub place: Place,
    /// Where the facts come from: `ATA SMART`, `NVMe SMART / Health log`, `SMBIOS`, `none`.
    #[serde(default)]
    pub source: String,
    /// What was found, gravest first.
    pub findings: Vec<HealthFinding>,
    /// Figures worth following over time, by stable name with the unit at its end: `power_on_hours`,
    /// `pending_sectors`, `temperature_celsius`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub figures: BTreeMap<String, i64>,
    /// What it affects: volumes, VHDs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub affects: Vec<String>,
}

impl DeviceReport {
    /// A report on a device with its findings, gravest first; the verdict is the gravest finding's.
    #[must_use]
    pub fn new(
        device: impl Into<String>,
        kind: DeviceKind,
        source: impl Into<String>,
        mut findings: Vec<HealthFinding>,
    ) -> Self {
        findings.sort_by_key(|finding| core::cmp::Reverse((finding.verdict, finding.sureness)));
        Self {
            device: device.into(),
            kind,
            verdict: findings
                .first()
                .map_or(Verdict::Ok, |finding| finding.verdict),
            place: Place::default(),
            source: source.into(),
            findings,
            figures: BTreeMap::new(),
            affects: Vec::new(),
        }
    }
}

/// Corrected and uncorrected memory errors that the memory controller counted since boot (EDAC).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryErrors {
    /// Corrected.
    pub corrected: u64,
    /// Uncorrected.
    pub uncorrected: u64,
}
