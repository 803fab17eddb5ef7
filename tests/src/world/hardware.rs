// SPDX-License-Identifier: Apache-2.0
//! The simulated machine: two disks, two DIMMs, and what can be wrong with them.

use groundstate_api::boot::Firmware;
use groundstate_api::image::ImageRef;
use groundstate_api::inventory::{
    Dimm, Disk, FoundLayout, Health, Inventory, MemoryInfo, Nic, Signature, SystemInfo, Transport,
    Verdict,
};
use groundstate_api::plan::{DiskAction, HandOver, Plan, Role, Step};
use groundstate_api::site::{
    ExpectedDimm, ExpectedDisk, Hardware, Network, Node, Policy, Site, VhdPolicy,
};
use groundstate_api::{Bytes, Digest, MacAddr, Millis, SCHEMA, SystemUuid};
use std::net::Ipv4Addr;

/// The machine's MAC address.
pub(super) const MAC: MacAddr = MacAddr([0x52, 0x54, 0, 0x67, 0x73, 1]);
/// The machine's serial number.
pub(super) const SERIAL: &str = "GS-SIM-0001";

/// What is wrong in a world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Nothing.
    None,
    /// A DIMM is not in its slot.
    DimmMissing,
    /// A data disk says that it is failing.
    SmartFailing,
    /// Another disk sits where the OS disk should be.
    WrongDisk,
    /// The image in the repository is damaged.
    BadChunk,
    /// The provisioner goes away while the image is written, and comes back.
    ProvisionerAway,
    /// The OS disk breaks while the image is written.
    DiskBreaks,
    /// A second machine with another key asks for the same enrolment.
    SecondKey,
    /// The machine is powered on after its enrolment window has closed.
    WindowExpired,
    /// Power goes while the volumes are being made, and comes back.
    PowerCutInLayout,
}

/// The site, with the hardware that it expects.
#[must_use]
pub fn site() -> Site {
    let dimms = dimms(Trouble::None).into_iter().map(|dimm| ExpectedDimm {
        slot: dimm.slot,
        size: "16GiB".into(),
        serial: Some(dimm.serial),
    });
    let disks = disks(Trouble::None).into_iter().map(|disk| ExpectedDisk {
        serial: disk.serial,
        slot: Some(disk.slot),
        size: None,
    });
    let at = |last| Ipv4Addr::new(10, 77, 0, last);
    let policy = Policy {
        disks: groundstate_api::disk_policy::DiskPolicy {
            wipe: Some(groundstate_api::disk_policy::WipeRule::Any),
            ..Default::default()
        },
        vhds: vec![VhdPolicy {
            name: "vm".into(),
            size: "64GiB".into(),
            count: 2,
            ..VhdPolicy::default()
        }],
        ..Policy::new("debian-host", HandOver::Kexec)
    };
    let node = Node {
        hardware: Some(Hardware {
            dimms: dimms.collect(),
            disks: disks.collect(),
        }),
        ..Node::new("node-1".parse().expect("a node name"), MAC, uuid(), SERIAL)
    };
    let network = Network::new(at(1), 24, (at(100), at(199)));
    Site {
        nodes: vec![node],
        ..Site::new("sim", network, policy)
    }
}

/// The image.
#[must_use]
pub fn image() -> ImageRef {
    ImageRef {
        name: "debian-host".into(),
        version: "12.11".into(),
        kind: groundstate_api::image::ImageKind::RootFsExt4,
        manifest: Digest::of(b"manifest"),
        size: Bytes::mib(700),
        sector_size: 512,
        whole: None,
    }
}

/// What the probes see.
#[must_use]
pub fn inventory(trouble: Trouble) -> Inventory {
    let dimms = dimms(trouble);
    let configured = Bytes(
        dimms
            .iter()
            .filter_map(|dimm| dimm.size)
            .map(|size| size.0)
            .sum(),
    );
    Inventory {
        schema: SCHEMA,
        boot_id: "0b8d2f34-6c1e-4f7a-9a55-2f1f6d3c7e01"
            .parse()
            .expect("a boot id"),
        first_line_after: Millis(120),
        complete_after: Millis(5_000),
        system: SystemInfo {
            manufacturer: "Groundstate Labs".into(),
            product: "Simulated".into(),
            serial: SERIAL.into(),
            uuid: Some(uuid()),
            firmware_version: "sim 1".into(),
            firmware: Some(Firmware::UefiHttp),
            uefi: true,
            cpus: 2,
            cpu_model: "simulated".into(),
        },
        memory: MemoryInfo {
            available: Bytes(configured.0 - Bytes::mib(200).0),
            configured,
            dimms,
        },
        disks: disks(trouble),
        nics: vec![Nic {
            name: "eth0".into(),
            mac: MAC,
            link: true,
            speed_mbps: Some(10_000),
            driver: "sim".into(),
        }],
        devices: Vec::new(),
        could_not_look: Vec::new(),
    }
}

/// What the probes see in the boot after a power cut: the disks as the plan has half made them.
pub(super) fn after_a_cut(mut inventory: Inventory, plan: &Plan) -> Inventory {
    inventory.boot_id = "9c3e5a10-4f2b-4d68-8f11-7a0e6b5d4c02"
        .parse()
        .expect("a boot id");
    for disk in &mut inventory.disks {
        let planned = plan.disks.iter().find(|one| one.serial == disk.serial);
        let Some(DiskAction::Wipe { table, .. }) = planned.map(|planned| &planned.action) else {
            continue;
        };
        disk.contents = vec![Signature {
            at: "disk".into(),
            what: "GPT".into(),
            label: None,
        }];
        disk.layout = Some(FoundLayout {
            role: planned.map_or(Role::Data, |planned| planned.role),
            disk_guid: table.disk_guid.clone(),
            partition_guids: table
                .partitions
                .iter()
                .map(|one| one.guid.clone())
                .collect(),
            partitions: Vec::new(),
        });
    }
    inventory
}

/// How long a step takes, in milliseconds.
pub(super) fn takes(step: Step) -> u64 {
    match step {
        Step::Guard | Step::BootEntry => 50,
        Step::Wipe | Step::Partition => 200,
        Step::Volumes => 900,
        Step::Vhds => 100,
        Step::Image => 9_000,
        Step::ReadBack => 4_000,
        Step::FirstBoot | Step::HandOver => 400,
        Step::Erase => 3_000,
    }
}

pub(super) fn uuid() -> SystemUuid {
    SystemUuid(*b"\x67\x73\x00\x01sim\0\x80\0world\0")
}

fn dimms(trouble: Trouble) -> Vec<Dimm> {
    ["DIMM_A1", "DIMM_B1"]
        .into_iter()
        .zip(["D-0001", "D-0002"])
        .map(|(slot, serial)| {
            let is_there = !(trouble == Trouble::DimmMissing && slot == "DIMM_B1");
            Dimm {
                slot: slot.into(),
                bank: "BANK 0".into(),
                size: is_there.then_some(Bytes::gib(16)),
                populated: is_there,
                kind: "DDR4".into(),
                speed: 3_200,
                manufacturer: "Groundstate Labs".into(),
                part_number: "GSM-16G".into(),
                serial: if is_there {
                    serial.into()
                } else {
                    String::new()
                },
                errors: None,
            }
        })
        .collect()
}

fn disks(trouble: Trouble) -> Vec<Disk> {
    let os_serial = if trouble == Trouble::WrongDisk {
        "S-OTHER-9"
    } else {
        "S-OS-1"
    };
    vec![
        disk(
            "nvme0n1",
            os_serial,
            "pci-0000:00:05.0-nvme-1",
            Bytes::gib(480),
            false,
            trouble,
        ),
        disk(
            "sda",
            "S-DATA-1",
            "pci-0000:00:1f.2-ata-1",
            Bytes::gib(4_000),
            true,
            trouble,
        ),
    ]
}

fn disk(
    name: &str,
    serial: &str,
    slot: &str,
    size: Bytes,
    rotational: bool,
    trouble: Trouble,
) -> Disk {
    let fails = rotational && trouble == Trouble::SmartFailing;
    Disk {
        kernel_name: name.into(),
        slot: slot.into(),
        serial: serial.into(),
        wwn: None,
        model: if rotational { "SIM HDD" } else { "SIM NVME" }.into(),
        revision: "1".into(),
        size,
        logical_sector: 512,
        physical_sector: 4_096,
        transport: if rotational {
            Transport::Ata
        } else {
            Transport::Nvme
        },
        rotational,
        removable: false,
        read_only: false,
        attachment: groundstate_api::inventory::Attachment::default(),
        contents: vec![Signature {
            at: "disk".into(),
            what: "ext4".into(),
            label: Some("old-data".into()),
        }],
        layout: None,
        health: Health {
            verdict: if fails { Verdict::Fail } else { Verdict::Ok },
            source: "ATA SMART".into(),
            evidence: if fails {
                vec!["SMART RETURN STATUS: threshold exceeded".into()]
            } else {
                Vec::new()
            },
            temperature_c: Some(31),
            power_on_hours: Some(10_000),
            findings: Vec::new(),
            figures: std::collections::BTreeMap::new(),
        },
    }
}
