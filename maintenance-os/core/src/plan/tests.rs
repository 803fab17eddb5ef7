// SPDX-License-Identifier: Apache-2.0
//! Plans as people read them, refusals as technicians read them, and what holds for every plan.

use super::*;
use crate::guard::guard;
use expect_test::{Expect, expect};
use groundstate_api::disk_policy::{DiskPolicy, WipeRule};
use groundstate_api::inventory::{
    FoundFileSystem, FoundLayout, FoundPartition, Health, MemoryInfo, Signature, SystemInfo,
    Transport, Verdict,
};
use groundstate_api::plan::PartitionContents;
use groundstate_api::site::VhdPolicy;
use groundstate_api::{Bytes, Millis, SystemUuid};

mod beside_os;
mod ext4;
mod laws;
mod policy;
mod preview;
mod previous;
mod rebuild;
mod refused;
mod roles;
mod whole;

pub(crate) fn disk(serial: &str, gib: u64, transport: Transport) -> Disk {
    Disk {
        kernel_name: "sdz".to_string(),
        slot: format!("bay-{serial}"),
        serial: serial.to_string(),
        wwn: Some(format!("naa.5000{serial}")),
        model: "GS Disk".to_string(),
        revision: "1".to_string(),
        size: Bytes::gib(gib),
        logical_sector: 512,
        physical_sector: 4096,
        transport,
        rotational: transport == Transport::Ata,
        removable: false,
        read_only: false,
        attachment: groundstate_api::inventory::Attachment::default(),
        contents: Vec::new(),
        layout: None,
        health: Health {
            verdict: Verdict::Ok,
            source: "NVMe SMART / Health log".to_string(),
            evidence: Vec::new(),
            temperature_c: None,
            power_on_hours: None,
            findings: Vec::new(),
            figures: std::collections::BTreeMap::new(),
        },
    }
}

/// What a plan follows from, owned, so that a test can change any of it.
#[derive(Clone)]
pub(crate) struct Case {
    run: RunId,
    node: Node,
    policy: Policy,
    hand_over: HandOver,
    pub(crate) inventory: Inventory,
    image: ImageRef,
    seed: Digest,
    earlier: EarlierDisks,
    confirm: Vec<String>,
}

fn uuid() -> SystemUuid {
    "11111111-2222-3333-4444-555555555555".parse().unwrap()
}

impl Case {
    pub(crate) fn new(disks: Vec<Disk>) -> Self {
        Self {
            run: "r-1".parse().unwrap(),
            node: Node::new(
                "node-1".parse().unwrap(),
                "52:54:00:00:00:01".parse().unwrap(),
                uuid(),
                "M-1",
            ),
            policy: Policy {
                // Most tests are not about consent.
                disks: DiskPolicy {
                    wipe: Some(WipeRule::Any),
                    ..DiskPolicy::default()
                },
                vhds: vec![VhdPolicy {
                    name: "vm".to_string(),
                    size: "1GiB".to_string(),
                    count: 2,
                    ..VhdPolicy::default()
                }],
                ..Policy::new("debian-host", HandOver::Kexec)
            },
            hand_over: HandOver::Kexec,
            inventory: inventory(disks),
            image: ImageRef {
                name: "debian-host".to_string(),
                version: "12.11-1".to_string(),
                kind: groundstate_api::image::ImageKind::RootFsExt4,
                manifest: Digest::of(b"manifest"),
                size: Bytes::gib(2),
                sector_size: 512,
                whole: None,
            },
            seed: Digest::of(b"seed"),
            earlier: EarlierDisks::default(),
            confirm: Vec::new(),
        }
    }

    pub(crate) fn plan(&self) -> Result<Plan, Reason> {
        plan(&self.request())
    }

    fn request(&self) -> PlanRequest<'_> {
        PlanRequest {
            run: &self.run,
            node: &self.node,
            policy: &self.policy,
            hand_over: self.hand_over,
            inventory: &self.inventory,
            earlier: &self.earlier,
            image: &self.image,
            boot_mac: self.node.mac,
            seed: self.seed,
            files: &[],
            confirm: &self.confirm,
            rebuild: None,
            host: None,
        }
    }

    fn refused(&self, expected: &Expect) {
        let reason = self.plan().expect_err("it must be refused");
        expected.assert_eq(&format!("{reason}\n"));
    }
}

fn inventory(disks: Vec<Disk>) -> Inventory {
    Inventory {
        schema: SCHEMA,
        boot_id: "99999999-2222-3333-4444-555555555555".parse().unwrap(),
        first_line_after: Millis(200),
        complete_after: Millis(900),
        system: SystemInfo {
            manufacturer: "GS".to_string(),
            product: "Rack".to_string(),
            serial: "M-1".to_string(),
            uuid: Some(uuid()),
            firmware_version: "1".to_string(),
            firmware: None,
            uefi: true,
            cpus: 2,
            cpu_model: "x".to_string(),
        },
        memory: MemoryInfo {
            available: Bytes::gib(1),
            configured: Bytes::gib(1),
            dimms: Vec::new(),
        },
        disks,
        nics: Vec::new(),
        devices: Vec::new(),
        could_not_look: Vec::new(),
    }
}

pub(crate) fn rack() -> Vec<Disk> {
    let mut old = disk("DATA-1", 4, Transport::Ata);
    old.contents = vec![
        signature("disk", "gpt", None),
        signature("partition 1", "ext4", Some("old")),
        signature("partition 2", "unknown data", None),
    ];
    let mut other = disk("DATA-2", 6, Transport::Nvme);
    other.logical_sector = 4096;
    let mut stick = disk("STICK", 8, Transport::Usb);
    stick.wwn = None;
    vec![disk("OS-1", 5, Transport::Nvme), old, other, stick]
}

fn signature(at: &str, what: &str, label: Option<&str>) -> Signature {
    Signature {
        at: at.to_string(),
        what: what.to_string(),
        label: label.map(str::to_string),
    }
}

/// What a disk looks like after its plan was carried out.
pub(crate) fn carried_out(disk: &mut Disk, table: &TablePlan, role: Role) {
    disk.contents = vec![signature("disk", "gpt", None)];
    let partitions = table
        .partitions
        .iter()
        .zip(1u32..)
        .map(|(partition, number)| FoundPartition {
            number,
            name: partition.name.clone(),
            type_guid: partition.type_guid.clone(),
            guid: partition.guid.clone(),
            start: partition.start,
            length: partition.length,
            file_system: partition.holds.volume().map(|on| FoundFileSystem {
                what: on.fs.as_str().to_string(),
                uuid: Some(on.uuid.to_string()),
                label: Some(on.label.to_string()),
            }),
        });
    disk.layout = Some(FoundLayout {
        role,
        disk_guid: table.disk_guid.clone(),
        partition_guids: table
            .partitions
            .iter()
            .map(|one| one.guid.clone())
            .collect(),
        partitions: partitions.collect(),
    });
}

/// The rack after a first run, ready for the next.
fn used_rack() -> Case {
    let mut case = Case::new(rack());
    let first = case.plan().unwrap();
    for planned in &first.disks {
        if let DiskAction::Wipe { table, .. } = &planned.action {
            let mut disks = case.inventory.disks.iter_mut();
            let disk = disks.find(|disk| disk.serial == planned.serial).unwrap();
            carried_out(disk, table, planned.role);
            case.earlier.used.insert(planned.serial.clone());
            let tables = case.earlier.tables.entry(planned.serial.clone());
            tables.or_default().push(table.clone());
            if planned.role == Role::Data {
                case.earlier.data.insert(planned.serial.clone());
            }
        }
    }
    case.seed = Digest::of(b"second");
    case
}

#[test]
fn a_first_plan_reads_like_this() {
    let plan = Case::new(rack()).plan().unwrap();
    expect![[r#"
        Plan 2206e6c3e7b143e228f26bf42434f65c633d4ac54709aba934fada352355139e
          node      node-1, machine 11111111-2222-3333-4444-555555555555, UEFI
          run       r-1
          image     debian-host 12.11-1, 2 GiB, manifest 05b3abf2579a
          hand-over kexec, boots from 52:54:00:00:00:01

        Disk DATA-1  DATA  4 GiB, 512-byte sectors, GS Disk, bay-DATA-1
          because every disk that is not for the OS holds a data volume
          WIPE: gpt, ext4 "old" on partition 1, unknown data on partition 2 goes
          |DDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDD|
          1  gs-data       3.9 GiB from 1 MiB    ext4 "gs-data-1" at /data/DATA-1
             0D7C1F62-DFDA-8072-B9A7-9BD5AF6284B6
             vm-0.vhd        1 GiB  f44b5ec1-fb31-8a44-a953-ff608835d654
             vm-1.vhd        1 GiB  a9c48f4d-9848-81c2-a060-2c0830858933

        Disk DATA-2  DATA  6 GiB, 4096-byte sectors, GS Disk, bay-DATA-2
          because every disk that is not for the OS holds a data volume
          WIPE: nothing goes
          |DDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDD|
          1  gs-data       5.9 GiB from 1 MiB    ext4 "gs-data-2" at /data/DATA-2
             BC1DE8B4-8070-88D3-A817-33DADB2E3034
             vm-0.vhd        1 GiB  30e6212d-78bf-8784-bd51-f19fec14b877
             vm-1.vhd        1 GiB  90b4d8c7-2a71-8338-97c5-34406052d853

        Disk OS-1  OS  5 GiB, 512-byte sectors, GS Disk, bay-OS-1
          because it is the smallest healthy solid-state disk that is large enough
          WIPE: nothing goes
          |EEEEE|RRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRR|
          1  gs-esp        512 MiB from 1 MiB    FAT32 "GS-ESP" B384-4E99
             1FD51546-150A-8174-A7BE-EE506D883700
          2  gs-root       4.4 GiB from 513 MiB  the image's root file system
             9E19D1F8-D96A-85F8-8BB3-414681C26DC4

        Disk STICK  SPARE  8 GiB, 512-byte sectors, GS Disk, bay-STICK
          because it is connected by USB and the site does not name it
          LEFT ALONE: nothing is read or written
    "#]]
    .assert_eq(&render(&plan));
}

#[test]
fn a_second_plan_keeps_what_the_site_keeps() {
    let mut case = used_rack();
    case.node.keep = vec!["DATA-1".to_string()];
    let plan = case.plan().unwrap();
    expect![[r#"
        Plan e6ee8855670c9cb00c5ecf01da1600ba437520f511074b5c54a21a35162e6ff9
          node      node-1, machine 11111111-2222-3333-4444-555555555555, UEFI
          run       r-1
          image     debian-host 12.11-1, 2 GiB, manifest 05b3abf2579a
          hand-over kexec, boots from 52:54:00:00:00:01

        Disk DATA-1  DATA  4 GiB, 512-byte sectors, GS Disk, bay-DATA-1
          because the site says to keep it, and it holds a data volume of ours
          KEEP: nothing is written
          |DDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDD|
          1  gs-data       3.9 GiB from 1 MiB    ext4 "gs-data-1" at /data/DATA-1
             0D7C1F62-DFDA-8072-B9A7-9BD5AF6284B6
             vm-0.vhd        1 GiB  f44b5ec1-fb31-8a44-a953-ff608835d654
             vm-1.vhd        1 GiB  a9c48f4d-9848-81c2-a060-2c0830858933

        Disk DATA-2  DATA  6 GiB, 4096-byte sectors, GS Disk, bay-DATA-2
          because every disk that is not for the OS holds a data volume
          WIPE: gpt goes
          |DDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDD|
          1  gs-data       5.9 GiB from 1 MiB    ext4 "gs-data-2" at /data/DATA-2
             D2DE9037-DED8-84BC-96F9-1EF6271FBED9
             vm-0.vhd        1 GiB  25808b05-acd8-82f2-aefd-f853e48c6f4b
             vm-1.vhd        1 GiB  6f542847-c6fe-8d35-a88b-072fe2649723

        Disk OS-1  OS  5 GiB, 512-byte sectors, GS Disk, bay-OS-1
          because it is the smallest healthy solid-state disk that is large enough
          WIPE: gpt goes
          |EEEEE|RRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRR|
          1  gs-esp        512 MiB from 1 MiB    FAT32 "GS-ESP" C079-358F
             524004B0-9CA0-8045-99BA-4C0DEEB2FDD7
          2  gs-root       4.4 GiB from 513 MiB  the image's root file system
             9033B80D-588E-86FC-ACE2-F22E1C8C80F3

        Disk STICK  SPARE  8 GiB, 512-byte sectors, GS Disk, bay-STICK
          because it is connected by USB and the site does not name it
          LEFT ALONE: nothing is read or written
    "#]]
    .assert_eq(&render(&plan));
    assert_eq!(guard(&plan, &case.inventory.disks, Some(uuid())), Ok(()));
}

#[test]
fn hardware_does_not_steer_the_terminal() {
    let mut disks = rack();
    disks[1].model = "\u{1b}[2Jevil\r\nDisk".to_string();
    let page = render(&Case::new(disks).plan().unwrap());
    assert!(page.contains("?[2Jevil??Disk"), "{page}");
    assert!(!page.contains('\u{1b}') && !page.contains('\r'), "{page}");
}

#[test]
fn serial_numbers_never_make_a_path() {
    let mut disks = rack();
    disks[1].serial = "../etc ä".to_string();
    let plan = Case::new(disks).plan().unwrap();
    let DiskAction::Wipe { table, .. } = &plan.disks[0].action else {
        panic!("{:?}", plan.disks[0])
    };
    let PartitionContents::Ext4 { mount_point, .. } = &table.partitions[0].holds else {
        panic!("{table:?}")
    };
    expect!["/data/___etc__-1cc926a06706"].assert_eq(mount_point);
}
