// SPDX-License-Identifier: Apache-2.0
//! The one form of a BMC's report, from what Redfish and IPMI say.

use crate::ipmi::Fru;
use crate::learned::MachineKey;
use crate::power::PowerState;
use crate::quirk::Quirks;
use crate::resource::{Dimm, Drive, Led, Manager, Nic, Processor, System};
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use groundstate_api::bmc::BmcReport;
use groundstate_api::{Digest, Millis};

/// Everything that Redfish said of one machine.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// DIMMs.
    pub dimms: Vec<Dimm>,
    /// Drives.
    pub drives: Vec<Drive>,
    /// Processors.
    pub processors: Vec<Processor>,
    /// Network interfaces.
    pub nics: Vec<Nic>,
    /// The locator LED of the machine or its chassis.
    pub led: Option<Led>,
}

/// The key under which rungs are remembered.
#[must_use]
pub fn machine_key(system: &System, vendor: Option<&str>, manager: &Manager) -> MachineKey {
    let (manufacturer, model) = who(system, vendor);
    let firmware = [manager.firmware.as_deref(), system.bios.as_deref()];
    let firmware: Vec<&str> = firmware.into_iter().flatten().collect();
    MachineKey::new(manufacturer, model, &firmware.join(" / "))
}

/// The quirks of a machine behind Redfish.
#[must_use]
pub fn quirks(system: &System, vendor: Option<&str>, manager: &Manager) -> Quirks {
    let (manufacturer, model) = who(system, vendor);
    Quirks::of(
        manufacturer,
        model,
        manager.firmware.as_deref().unwrap_or_default(),
    )
}

fn who<'a>(system: &'a System, vendor: Option<&'a str>) -> (&'a str, &'a str) {
    (
        system
            .manufacturer
            .as_deref()
            .or(vendor)
            .unwrap_or_default(),
        system.model.as_deref().unwrap_or_default(),
    )
}

/// The report by Redfish.
#[must_use]
pub fn by_redfish(
    at: Millis,
    system: &System,
    vendor: Option<&str>,
    manager: &Manager,
    found: &Found,
    certificate: Option<Digest>,
) -> BmcReport {
    let or = |text: &Option<String>| text.clone().unwrap_or_default();
    let processors: Vec<String> = found
        .processors
        .iter()
        .map(|processor| processor.0.clone())
        .collect();
    let summary = system
        .processors
        .as_ref()
        .map(|(count, model)| format!("{count} × {model}"));
    let macs: BTreeSet<_> = found.nics.iter().map(|nic| nic.0).collect();
    BmcReport {
        at,
        protocol: "redfish".into(),
        manufacturer: system
            .manufacturer
            .clone()
            .or_else(|| vendor.map(String::from))
            .unwrap_or_default(),
        model: or(&system.model),
        serial: or(&system.serial),
        uuid: system.uuid,
        firmware: or(&system.bios),
        bmc_firmware: or(&manager.firmware),
        power: system.power.as_str().into(),
        next_boot: system.boot.says(),
        led: found.led.map(|led| led.as_str().into()),
        health: system.health.clone(),
        memory: system.memory,
        processors: if processors.is_empty() {
            summary.into_iter().collect()
        } else {
            processors
        },
        macs: macs.into_iter().collect(),
        dimms: found.dimms.iter().map(Dimm::line).collect(),
        drives: found.drives.iter().map(Drive::line).collect(),
        certificate: certificate.map(|digest| format!("{digest}")),
        quirks: quirks(system, vendor, manager).names(),
    }
}

/// The report by IPMI, which knows little.
#[must_use]
pub fn by_ipmi(
    at: Millis,
    fru: &Fru,
    firmware: &str,
    power: PowerState,
    next_boot: Option<String>,
) -> BmcReport {
    let or = |text: &Option<String>| text.clone().unwrap_or_default();
    let (manufacturer, model) = (or(&fru.manufacturer), or(&fru.model));
    BmcReport {
        at,
        protocol: "ipmi".into(),
        quirks: Quirks::of(&manufacturer, &model, firmware).names(),
        manufacturer,
        model,
        serial: or(&fru.serial),
        bmc_firmware: firmware.into(),
        power: power.as_str().into(),
        next_boot,
        ..BmcReport::default()
    }
}
