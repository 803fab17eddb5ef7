// SPDX-License-Identifier: Apache-2.0
//! Everything that is neither disk nor memory module: what was read of the machine ([`MachineFacts`]) and the verdict on it.
//!
//! The facts come from sysfs, the kernel log, SMBIOS and the BMC; a capture holds the same ones. Judged are only limits
//! that hold for every machine: what this one should have is a profile's to say. What was not read is absent from the
//! facts and named in `missed`, never a zero.

mod clock;
mod cpu;
mod finding;
mod firmware;
pub mod ipmi;
pub mod kernel_log;
mod known;
mod limits;
pub mod lldp;
mod nic;
mod pci;
mod sensor;
mod tpm;

pub use clock::ClockFacts;
pub use cpu::{CpuFacts, Package, Socket, SocketStatus, cpu_list};
pub use firmware::{Board, Chassis, FirmwareFacts, PowerSupply};
pub use nic::{Duplex, NicFacts};
pub use pci::{
    Aer, PciFunction, PcieLink, aer_counters, matches_modalias, transfers_per_second, wants_driver,
};
pub use sensor::{HwmonChip, HwmonKind, HwmonSensor};
pub use tpm::TpmFacts;

use alloc::string::String;
use alloc::vec::Vec;
use groundstate_api::health::DeviceReport;
use serde::{Deserialize, Serialize};

/// Everything that was read of the machine beside disks and memory modules.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MachineFacts {
    /// Processors.
    pub cpu: Option<CpuFacts>,
    /// Every PCI function.
    pub pci: Vec<PciFunction>,
    /// Ethernet interfaces with a device behind them.
    pub nics: Vec<NicFacts>,
    /// Sensor chips that the kernel reads itself.
    pub sensors: Vec<HwmonChip>,
    /// What the BMC says; `None` where there is none or it could not be asked.
    pub ipmi: Option<ipmi::IpmiFacts>,
    /// Firmware, board, chassis and power supplies as SMBIOS describes them.
    pub firmware: Option<FirmwareFacts>,
    /// The Trusted Platform Module; `None` where the kernel shows none.
    pub tpm: Option<TpmFacts>,
    /// The real-time clock; `None` where the kernel shows none.
    pub clock: Option<ClockFacts>,
    /// What the kernel's log says of missing firmware files and of machine checks.
    pub log: kernel_log::LogFacts,
    /// What could not be looked at, a line each with the reason.
    pub missed: Vec<String>,
}

/// The reports on everything in `facts`, by kind and then by device, each with its findings.
#[must_use]
pub fn judge(facts: &MachineFacts) -> Vec<DeviceReport> {
    let mut reports = Vec::new();
    if let Some(cpu) = &facts.cpu {
        reports.extend(cpu::judge(cpu));
    }
    reports.extend(pci::judge(&facts.pci, &facts.log));
    reports.extend(nic::judge(&facts.nics));
    reports.extend(sensor::judge(&facts.sensors));
    if let Some(bmc) = &facts.ipmi {
        let now = facts.clock.as_ref().map(ClockFacts::best);
        let supplies = facts.firmware.as_ref().map_or(&[][..], |f| &f.supplies);
        reports.extend(ipmi::judge(bmc, now, supplies));
    }
    if let Some(firmware) = &facts.firmware {
        reports.extend(firmware::judge(firmware, facts.ipmi.as_ref()));
    }
    reports.extend(facts.tpm.as_ref().map(tpm::judge));
    reports.extend(facts.clock.as_ref().map(clock::judge));
    reports.extend(kernel_log::judge(&facts.log));
    reports
}

#[cfg(test)]
mod tests;
