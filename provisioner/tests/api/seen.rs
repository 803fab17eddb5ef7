// SPDX-License-Identifier: Apache-2.0
//! What the probes of node-1 see.

use super::BOOT;
use groundstate_api::inventory::{
    Disk, Health, Inventory, MemoryInfo, SystemInfo, Transport, Verdict,
};
use groundstate_api::{Bytes, Millis, SCHEMA, SystemUuid};

pub(crate) fn uuid(last: u8) -> SystemUuid {
    let mut bytes = [0x11; 16];
    bytes[15] = last;
    SystemUuid(bytes)
}

pub(crate) fn inventory() -> Inventory {
    let disk = |serial: &str, gib: u64| Disk {
        kernel_name: "sda".into(),
        slot: format!("slot-{serial}"),
        serial: serial.into(),
        wwn: None,
        model: "<script>alert(1)</script>".into(),
        revision: "1".into(),
        size: Bytes::gib(gib),
        logical_sector: 512,
        physical_sector: 512,
        transport: Transport::Ata,
        rotational: false,
        removable: false,
        read_only: false,
        attachment: groundstate_api::inventory::Attachment::default(),
        contents: vec![],
        layout: None,
        health: Health {
            verdict: Verdict::Ok,
            source: "ATA SMART".into(),
            evidence: vec![],
            temperature_c: None,
            power_on_hours: None,
            findings: Vec::new(),
            figures: std::collections::BTreeMap::new(),
        },
    };
    Inventory {
        schema: SCHEMA,
        boot_id: BOOT.parse().unwrap(),
        first_line_after: Millis(300),
        complete_after: Millis(2_000),
        system: SystemInfo {
            manufacturer: "QEMU".into(),
            product: "virt".into(),
            serial: "GS1".into(),
            uuid: Some(uuid(1)),
            firmware_version: "1".into(),
            firmware: None,
            uefi: true,
            cpus: 1,
            cpu_model: "c".into(),
        },
        memory: MemoryInfo {
            available: Bytes::gib(1),
            configured: Bytes::gib(1),
            dimms: vec![],
        },
        disks: vec![disk("DATA-1", 8), disk("OS-1", 4)],
        nics: vec![],
        devices: Vec::new(),
        could_not_look: vec![],
    }
}
