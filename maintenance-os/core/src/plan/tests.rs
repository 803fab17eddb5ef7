// SPDX-License-Identifier: Apache-2.0
//! Plans as people read them, refusals as technicians read them, and what holds for every plan.

use super::*;
use crate::guard::{guard, guard_disk};
use expect_test::{Expect, expect};
use groundstate_api::inventory::{
    FoundFileSystem, FoundLayout, FoundPartition, Health, MemoryInfo, Signature, SystemInfo,
    Transport, Verdict,
};
use groundstate_api::plan::PartitionContents;
use groundstate_api::site::VhdPolicy;
use groundstate_api::units::{GIB, MIB};
use groundstate_api::{Bytes, Millis, SystemUuid};
use proptest::prelude::*;

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
        contents: Vec::new(),
        layout: None,
        health: Health {
            verdict: Verdict::Ok,
            source: "NVMe SMART / Health log".to_string(),
            evidence: Vec::new(),
            temperature_c: None,
            power_on_hours: None,
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
}

fn uuid() -> SystemUuid {
    "11111111-2222-3333-4444-555555555555".parse().unwrap()
}

impl Case {
    pub(crate) fn new(disks: Vec<Disk>) -> Self {
        Self {
            run: "r-1".parse().unwrap(),
            node: Node {
                name: "node-1".parse().unwrap(),
                mac: "52:54:00:00:00:01".parse().unwrap(),
                uuid: uuid(),
                serial: "M-1".to_string(),
                hand_over: None,
                os_disk: None,
                keep: Vec::new(),
                hardware: None,
            },
            policy: Policy {
                image: "debian-host".to_string(),
                hand_over: HandOver::Kexec,
                closed: true,
                vhds: vec![VhdPolicy {
                    name: "vm".to_string(),
                    size: "1GiB".to_string(),
                    count: 2,
                }],
            },
            hand_over: HandOver::Kexec,
            inventory: inventory(disks),
            image: ImageRef {
                name: "debian-host".to_string(),
                version: "12.11-1".to_string(),
                manifest: Digest::of(b"manifest"),
                size: Bytes::gib(2),
                sector_size: 512,
            },
            seed: Digest::of(b"seed"),
        }
    }

    pub(crate) fn plan(&self) -> Result<Plan, Reason> {
        plan(&PlanRequest {
            run: &self.run,
            node: &self.node,
            policy: &self.policy,
            hand_over: self.hand_over,
            inventory: &self.inventory,
            image: &self.image,
            boot_mac: self.node.mac,
            seed: self.seed,
        })
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
            file_system: match &partition.holds {
                PartitionContents::Ext4 { label, uuid, .. } => Some(FoundFileSystem {
                    what: "ext4".to_string(),
                    uuid: Some(uuid.clone()),
                    label: Some(label.clone()),
                }),
                PartitionContents::Esp { .. } | PartitionContents::Root => None,
            },
        });
    disk.layout = Some(FoundLayout {
        node: None,
        plan: None,
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
        Plan fda38abc1f9fe318dfa933689ea16781ce6e5da41b52676b876eb67cf768971b
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
fn keeping_a_disk_without_our_volume_says_so() {
    let mut case = Case::new(rack());
    case.node.keep = vec!["DATA-1".to_string()];
    let plan = case.plan().unwrap();
    expect![[r#"
        the site says to keep it, but it holds no data volume of ours: a new one is made
    "#]]
    .assert_eq(&format!("{}\n", plan.disks[0].because));
    assert!(matches!(plan.disks[0].action, DiskAction::Wipe { .. }));
}

#[test]
fn keeping_a_damaged_volume_is_refused() {
    let mut case = used_rack();
    case.node.keep = vec!["DATA-1".to_string()];
    let layout = case.inventory.disks[1].layout.as_mut().unwrap();
    layout.partitions[0].file_system = None;
    case.refused(&expect![[r#"
        A disk is to be kept and carries our partition, but its volume was not recognised. [disk-in-use]
          part:      disk bay-DATA-1, serial DATA-1, 4 GiB, GS Disk
          seen:      partition 1 holds nothing that was recognised, not our ext4
          by itself: nothing: it waits for a person
          do now:    Look at the volume by hand; to give it up, remove its serial number from keep in the site file.
    "#]]);
}

#[test]
fn the_os_disk_is_chosen_by_kind_health_and_size() {
    let chosen = |change: fn(&mut Vec<Disk>)| {
        let mut disks = rack();
        change(&mut disks);
        let plan = Case::new(disks).plan().unwrap();
        let os = plan
            .disks
            .into_iter()
            .find(|disk| disk.role == Role::Os)
            .unwrap();
        format!("{}: {}", os.serial, os.because)
    };
    let lines = [
        chosen(|_| ()),
        chosen(|disks| disks[0].health.verdict = Verdict::Warn),
        chosen(|disks| disks[0].health.verdict = Verdict::Fail),
        chosen(|disks| disks.retain(|disk| disk.rotational)),
        chosen(|disks| disks[0].size = Bytes::mib(2_500)),
        chosen(|disks| {
            disks
                .iter_mut()
                .for_each(|disk| disk.health.verdict = Verdict::Unknown)
        }),
    ];
    expect![[r#"
        OS-1: it is the smallest healthy solid-state disk that is large enough
        DATA-2: it is the smallest healthy solid-state disk that is large enough
        DATA-2: it is the smallest healthy solid-state disk that is large enough
        DATA-1: no healthy solid-state disk is large enough; it is the smallest that is
        DATA-2: it is the smallest healthy solid-state disk that is large enough
        DATA-1: no healthy solid-state disk is large enough; it is the smallest that is"#]]
    .assert_eq(&lines.join("\n"));
}

#[test]
fn an_absent_os_disk_names_what_is_there() {
    let mut case = Case::new(rack());
    case.node.os_disk = Some("OS-9".to_string());
    case.refused(&expect![[r#"
        Disk OS-9 is named for the OS, but this machine does not have it. [wrong-disk]
          part:      disk not found in any slot, serial OS-9
          seen:      found bay-OS-1 serial OS-1, 5 GiB, GS Disk
          seen:      found bay-DATA-1 serial DATA-1, 4 GiB, GS Disk
          seen:      found bay-DATA-2 serial DATA-2, 6 GiB, GS Disk
          seen:      found bay-STICK serial STICK, 8 GiB, GS Disk
          by itself: nothing: it waits for a person
          do now:    Put the disk in, or correct the serial number in the site file.
    "#]]);
    case.inventory.disks.clear();
    case.refused(&expect![[r#"
        Disk OS-9 is named for the OS, but this machine does not have it. [disk-missing]
          part:      disk not found in any slot, serial OS-9
          seen:      found no disk at all
          by itself: nothing: it waits for a person
          do now:    Put the disk in, or correct the serial number in the site file.
    "#]]);
}

#[test]
fn a_disk_that_is_too_small_is_refused() {
    let mut case = Case::new(rack());
    case.policy.vhds[0].size = "2040MiB".to_string();
    case.refused(&expect![[r#"
        Disk DATA-1 is too small for the VHDs of the policy. [disk-full]
          part:      disk bay-DATA-1, serial DATA-1, 4 GiB, GS Disk
          seen:      2 VHDs need 3.9 GiB (4278198272 bytes), the volume has 3.9 GiB (4250931200 bytes) for files
          by itself: nothing: it waits for a person
          do now:    Make the VHDs smaller or fewer in the site file, or put in a larger disk.
    "#]]);
    case.image.size = Bytes::gib(100);
    case.refused(&expect![[r#"
        The disk is too small for image debian-host 12.11-1. [disk-full]
          part:      disk bay-DATA-1, serial DATA-1, 4 GiB, GS Disk
          seen:      the root partition needs 100.1 GiB, the disk has 3.4 GiB for it
          by itself: nothing: it waits for a person
          do now:    Put in a larger disk, or name another with os_disk in the site file.
    "#]]);
}

#[test]
fn a_policy_that_cannot_be_is_refused_by_its_field() {
    let refused = |size: &str, name: &str, count: u16| {
        let mut case = Case::new(rack());
        case.policy.vhds = vec![VhdPolicy {
            name: name.to_string(),
            size: size.to_string(),
            count,
        }];
        let reason = case.plan().unwrap_err();
        format!("{}: {}", reason.part.unwrap().token(), reason.what)
    };
    let lines = [
        refused("1GB", "vm", 1),
        refused("1000", "vm", 1),
        refused("0", "vm", 1),
        refused("2041GiB", "vm", 1),
        refused("1MiB", "../vm", 1),
        refused("1MiB", "", 1),
        refused("1MiB", "vm", 257),
    ];
    expect![[r#"
        field:policy.vhd[0].size: `1GB` is not a size; for example `64GiB` is.
        field:policy.vhd[0].size: `1000` is not a whole number of MiB.
        field:policy.vhd[0].size: `0` is not a whole number of MiB.
        field:policy.vhd[0].size: `2041GiB` is more than 2040 GiB, the most that a fixed VHD can hold.
        field:policy.vhd[0].name: `../vm` is not 1 to 32 of a-z, 0-9 and '-'.
        field:policy.vhd[0].name: `` is not 1 to 32 of a-z, 0-9 and '-'.
        field:policy.vhd[0].count: A volume would get more than 256 VHDs."#]].assert_eq(&lines.join("\n"));
}

#[test]
fn what_cannot_be_named_or_started_is_refused() {
    let mut twins = Case::new(rack());
    twins.inventory.disks[2].serial = "DATA-1".to_string();
    twins.refused(&expect![[r#"
        Two disks have the serial number DATA-1. [plan-refused]
          part:      disk bay-DATA-1, serial DATA-1, 4 GiB, GS Disk
          seen:      bay-DATA-1 serial DATA-1, 4 GiB, GS Disk
          seen:      bay-DATA-2 serial DATA-1, 6 GiB, GS Disk
          by itself: nothing: it waits for a person
          do now:    Take one of the two paths or disks out: a plan cannot tell them apart.
    "#]]);
    let mut nameless = Case::new(rack());
    nameless.inventory.disks[2].serial = String::new();
    nameless.refused(&expect![[r#"
        A disk has no serial number, so no plan can name it. [plan-refused]
          part:      disk bay-DATA-2, serial , 6 GiB, GS Disk
          by itself: nothing: it waits for a person
          do now:    Take the disk out, or give it a serial number in its controller.
    "#]]);
    let mut bios = Case::new(rack());
    bios.inventory.system.uefi = false;
    bios.hand_over = HandOver::Reboot;
    bios.refused(&expect![[r#"
        Hand-over by reboot needs UEFI, and this machine runs on legacy BIOS. [plan-refused]
          part:      field hand_over
          seen:      the maintenance OS found no UEFI on the machine
          by itself: nothing: it waits for a person
          do now:    Set hand_over to kexec for this node, or switch its firmware to UEFI.
    "#]]);
    let mut sectors = Case::new(rack());
    sectors.image.sector_size = 4096;
    sectors.node.os_disk = Some("OS-1".to_string());
    sectors.refused(&expect![[r#"
        Image debian-host 12.11-1 does not fit the disk's sectors. [plan-refused]
          part:      disk bay-OS-1, serial OS-1, 5 GiB, GS Disk
          seen:      the image of 2147483648 bytes is for sectors of 4096 bytes or more, the disk's have 512
          by itself: nothing: it waits for a person
          do now:    Choose an image for this sector size, or another disk for the OS.
    "#]]);
    let mut other = Case::new(rack());
    other.inventory.system.uuid = None;
    other.refused(&expect![[r#"
        The inventory is not of node node-1. [identity-mismatch]
          part:      machine no UUID
          seen:      the site says UUID 11111111-2222-3333-4444-555555555555, the machine says no UUID
          by itself: nothing: it waits for a person
          do now:    Compare the site file with the UUID on the machine's label or in its firmware set-up.
    "#]]);
}

#[test]
fn unused_disks_without_serial_numbers_do_not_matter() {
    let mut case = Case::new(rack());
    for size in [0, 0] {
        let mut reader = disk("", 1, Transport::Usb);
        reader.size = Bytes(size);
        case.inventory.disks.push(reader);
    }
    let plan = case.plan().unwrap();
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

fn any_disk() -> impl Strategy<Value = Disk> {
    let sizes = (1u64..6_000_000, 0u64..2048);
    (sizes, any::<[bool; 5]>(), 0u8..4).prop_map(|((mib, sectors), flags, transport)| {
        let transport = [
            Transport::Ata,
            Transport::Nvme,
            Transport::Virtio,
            Transport::Usb,
        ][usize::from(transport)];
        let mut disk = disk("", 0, transport);
        disk.logical_sector = if flags[0] { 512 } else { 4096 };
        disk.size = Bytes(mib * MIB + sectors * u64::from(disk.logical_sector));
        disk.removable = flags[1] && flags[2];
        disk.rotational = flags[3];
        disk
    })
}

fn any_disks() -> impl Strategy<Value = Vec<Disk>> {
    proptest::collection::vec(any_disk(), 1..8).prop_map(|mut disks| {
        for (index, disk) in disks.iter_mut().enumerate() {
            disk.serial = format!("S-{index}");
        }
        disks
    })
}

proptest! {
    #[test]
    fn every_plan_stands_on_its_disks(disks in any_disks(), vhd_mib in 1u64..64) {
        let mut case = Case::new(disks);
        case.policy.vhds[0].size = format!("{vhd_mib}MiB");
        let Ok(plan) = case.plan() else { return Ok(()) };
        prop_assert_eq!(canonical_bytes(&plan), canonical_bytes(&case.plan().unwrap()));
        prop_assert!(verify(&plan));
        prop_assert_eq!(plan.disks.len(), case.inventory.disks.len());
        prop_assert_eq!(plan.disks.iter().filter(|disk| disk.role == Role::Os).count(), 1);
        let mut reversed = case.clone();
        reversed.inventory.disks.reverse();
        prop_assert_eq!(&reversed.plan().unwrap(), &plan);
        for disk in &plan.disks {
            if let DiskAction::Wipe { table, .. } = &disk.action {
                prop_assert_eq!(check_table(disk, table), Ok(()));
                let last = table.partitions.last().unwrap();
                let end = last.start.0 + last.length.0;
                prop_assert!(disk.size.0 - end >= MIB && disk.size.0 - end < 2 * MIB);
            }
        }
        prop_assert_eq!(guard(&plan, &case.inventory.disks, Some(uuid())), Ok(()));
    }

    #[test]
    fn the_guard_refuses_every_single_change(which in 0usize..4, field in 0usize..6) {
        let case = Case::new(rack());
        let plan = case.plan().unwrap();
        let mut seen = case.inventory.disks.clone();
        let disk = &mut seen[which];
        match field {
            0 => disk.serial.push('x'),
            1 => disk.wwn = disk.wwn.as_ref().map_or(Some("naa.5".to_string()), |_| None),
            2 => disk.size.0 -= u64::from(disk.logical_sector),
            3 => disk.logical_sector = 4_608 - disk.logical_sector,
            4 => drop(seen.remove(which)),
            _ => seen.push(super::tests::disk("NEW", 1, Transport::Nvme)),
        }
        prop_assert!(guard(&plan, &seen, Some(uuid())).is_err());
        if field < 5 {
            let serial = &case.inventory.disks[which].serial;
            let planned = plan.disks.iter().find(|disk| disk.serial == *serial).unwrap();
            prop_assert!(guard_disk(planned, &seen).is_err());
        }
    }

    #[test]
    fn a_changed_plan_has_another_id(at in 0usize..4_000, by in 1u8..=255) {
        let plan = Case::new(rack()).plan().unwrap();
        let mut bytes = serde_json::to_vec(&plan).unwrap();
        let at = at % bytes.len();
        bytes[at] = bytes[at].wrapping_add(by);
        if let Ok(changed) = serde_json::from_slice::<Plan>(&bytes) {
            prop_assert!(changed == plan || !verify(&changed));
        }
    }
}

#[test]
fn what_ext4_needs_of_a_volume_is_what_mke2fs_takes() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("volume");
    for mib in [126, 511, 1_024, 3_000, 8_190, 65_000, 500_000, 4_000_000] {
        let length = Bytes::mib(mib);
        std::fs::File::create(&file)
            .unwrap()
            .set_len(length.0)
            .unwrap();
        let output = std::process::Command::new("/sbin/mke2fs")
            .args(ext4_arguments(
                length,
                "gs-data-1",
                "aaabcd82-9a65-8456-abab-95010f9e5758",
            ))
            .arg(&file)
            .output()
            .unwrap();
        assert!(output.status.success(), "{mib} MiB: {output:?}");
        let output = std::process::Command::new("/sbin/dumpe2fs")
            .arg("-h")
            .arg(&file)
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let value = |name: &str| {
            let line = text.lines().find(|line| line.starts_with(name)).unwrap();
            line.split(':')
                .nth(1)
                .unwrap()
                .trim()
                .parse::<u64>()
                .unwrap()
        };
        let free = value("Free blocks") * value("Block size");
        let usable = ext4_usable(length).0;
        // What is left is for directories and extents: a block of extents per 40 GiB of VHD is ample.
        assert!(
            usable + 64 * 1024 <= free,
            "{mib} MiB: {free} free, {usable} promised"
        );
        assert!(
            usable + usable / 50 + 32 * MIB >= free,
            "{mib} MiB: {free} free, only {usable} promised"
        );
    }
    assert!(ext4_usable(Bytes(GIB)).0 > 900 * MIB);
}
