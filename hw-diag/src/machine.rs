// SPDX-License-Identifier: Apache-2.0
//! The machine: SMBIOS, processors and memory as firmware and kernel say.

use crate::ecc::count_at;
use crate::sysfs::Tree;
use groundstate_api::boot::Firmware;
use groundstate_api::health::DeviceReport;
use groundstate_api::inventory::{MemoryInfo, SystemInfo};
use groundstate_api::units::Bytes;
use hw_core::smbios::{Smbios, Version, decode};

const TABLE: &str = "sys/firmware/dmi/tables/DMI";
const ENTRY_POINT: &str = "sys/firmware/dmi/tables/smbios_entry_point";

/// The SMBIOS tables; empty, and named in `could_not_look`, where the kernel shows none.
pub(crate) fn smbios(tree: &Tree, could_not_look: &mut Vec<String>) -> Smbios {
    let table = match tree.bytes(TABLE) {
        Ok(table) => table,
        Err(error) => {
            could_not_look.push(format!("SMBIOS: /{TABLE}: {error}"));
            return Smbios::default();
        }
    };
    let version = tree.bytes(ENTRY_POINT).ok();
    let version = version.and_then(|entry| Version::of_entry_point(&entry));
    let mut smbios = decode(&table, version.unwrap_or(Version::MIXED_ENDIAN_UUID));
    if version.is_none() {
        // Without a version the byte order of the UUID is a guess, and a guess is no identity.
        smbios.uuid = None;
        could_not_look.push(format!(
            "SMBIOS: /{ENTRY_POINT}: no version, so the UUID was not read"
        ));
    }
    could_not_look.append(&mut smbios.notes);
    smbios
}

pub(crate) fn system(
    tree: &Tree,
    smbios: &Smbios,
    firmware: Option<Firmware>,
    could_not_look: &mut Vec<String>,
) -> SystemInfo {
    let text = tree.bytes("proc/cpuinfo").unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let cpus = text
        .lines()
        .filter(|line| line.starts_with("processor"))
        .count();
    if cpus == 0 {
        could_not_look.push("processors: /proc/cpuinfo lists none".into());
    }
    let model = text
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(':'))
        .map(|(_, name)| hw_core::clean(name.as_bytes()));
    let socket = || smbios.processors.iter().find(|p| p.populated);
    SystemInfo {
        manufacturer: smbios.manufacturer.clone(),
        product: smbios.product.clone(),
        serial: smbios.serial.clone(),
        uuid: smbios.uuid,
        firmware_version: smbios.firmware_version.clone(),
        firmware,
        uefi: tree.exists("sys/firmware/efi"),
        cpus: u32::try_from(cpus).unwrap_or(u32::MAX),
        cpu_model: model
            .or_else(|| socket().map(|p| p.model.clone()))
            .unwrap_or_default(),
    }
}

/// Memory with the errors counted on each DIMM, and reports on counters that belong to no slot for certain.
pub(crate) fn memory(
    tree: &Tree,
    smbios: &Smbios,
    could_not_look: &mut Vec<String>,
) -> (MemoryInfo, Vec<DeviceReport>) {
    let text = tree.bytes("proc/meminfo").unwrap_or_default();
    let total = mem_total(&String::from_utf8_lossy(&text));
    if total.is_none() {
        could_not_look.push("memory: /proc/meminfo has no MemTotal".into());
    }
    let mut dimms = smbios.dimms.clone();
    let counted = count_at(tree, &mut dimms, could_not_look);
    let info = MemoryInfo {
        available: total.unwrap_or(Bytes(0)),
        configured: smbios.configured(),
        dimms,
    };
    (info, counted.unplaced)
}

/// `MemTotal:        2014092 kB`, where kB means KiB.
fn mem_total(meminfo: &str) -> Option<Bytes> {
    let rest = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kibibytes: u64 = rest.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(Bytes(kibibytes.checked_mul(1 << 10)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mem_total_is_in_kibibytes() {
        let text = "MemTotal:        2014092 kB\nMemFree: 1 kB\n";
        assert_eq!(mem_total(text), Some(Bytes(2_014_092 << 10)));
        assert_eq!(mem_total("MemFree: 1 kB"), None);
        assert_eq!(mem_total("MemTotal: lots"), None);
    }
}
