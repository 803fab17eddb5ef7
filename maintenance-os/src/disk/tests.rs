// SPDX-License-Identifier: Apache-2.0
//! The executors on files that stand in for disks, judged by the tools that others use: sgdisk, fsck.vfat, e2fsck,
//! qemu-img. What needs a kernel's partition nodes is tested on a virtual machine.

mod bad_disks;
mod crash;
mod layouts;

use super::carry_out::{bounded, guard_all};
use super::contents::contents_of;
use super::device::Device;
use super::*;
use groundstate_api::inventory::{Disk, Health, Transport, Verdict};
use groundstate_api::plan::{
    DiskAction, DiskPlan, HandOver, PartitionContents, PartitionPlan, Plan, Role, Step, TablePlan,
    VhdFormat, VhdKind, VhdPlan,
};
use groundstate_api::units::{GIB, MIB};
use groundstate_api::{Bytes, Digest, PlanId, ReasonCode, SCHEMA};
use mos_core::plan::{TYPE_DATA, TYPE_ESP, TYPE_ROOT, canonical_bytes};
use mos_core::vhd::{FOOTER_LEN, Footer};
use std::fs::{self, File};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;

const DISK_GUID: &str = "3E585EE0-CD53-82C6-894D-C33E8226957A";
const MACHINE: &str = "11111111-2222-3333-4444-555555555555";

fn tool(program: &str, arguments: &[&str], path: &Path) -> (bool, String) {
    let search = format!("{}:/sbin:/usr/sbin", std::env::var("PATH").unwrap());
    let output = Command::new(program)
        .env("PATH", search)
        .args(arguments)
        .arg(path)
        .output()
        .unwrap_or_else(|error| panic!("{program}: {error}"));
    let text = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    (output.status.success(), text)
}

fn passes(program: &str, arguments: &[&str], path: &Path) -> String {
    let (success, text) = tool(program, arguments, path);
    assert!(success, "{program} {arguments:?}: {text}");
    text
}

fn part(
    name: &str,
    type_guid: &str,
    start: u64,
    length: u64,
    holds: PartitionContents,
) -> PartitionPlan {
    PartitionPlan {
        name: name.to_owned(),
        type_guid: type_guid.to_owned(),
        guid: format!("0D7C1F62-DFDA-8072-B9A7-{start:012X}"),
        start: Bytes::mib(start),
        length: Bytes::mib(length),
        holds,
    }
}

fn os_table() -> TablePlan {
    let esp = PartitionContents::Esp {
        label: "GS-ESP".to_owned(),
        volume_id: 0xb384_4e99,
    };
    TablePlan {
        disk_guid: DISK_GUID.to_owned(),
        partitions: vec![
            part("gs-esp", TYPE_ESP, 1, 32, esp),
            part("gs-root", TYPE_ROOT, 33, 94, PartitionContents::Root),
        ],
    }
}

fn data_table() -> TablePlan {
    let volume = PartitionContents::Ext4 {
        label: "gs-data-1".to_owned(),
        uuid: "aaabcd82-9a65-8456-abab-95010f9e5758".to_owned(),
        mount_point: "/data/S".to_owned(),
        vhds: Vec::new(),
    };
    TablePlan {
        disk_guid: DISK_GUID.to_owned(),
        partitions: vec![part("gs-data", TYPE_DATA, 1, 126, volume)],
    }
}

fn planned(sector: u32, role: Role, table: TablePlan, goes: Vec<String>) -> DiskPlan {
    DiskPlan {
        serial: "S-1".to_owned(),
        wwn: None,
        slot: "bay-1".to_owned(),
        model: "file".to_owned(),
        size: Bytes(SIZE),
        logical_sector: sector,
        role,
        because: "it is a test".to_owned(),
        action: DiskAction::Wipe { goes, table },
        named: false,
    }
}

/// The stand-in for a disk: small, because it is hashed whole.
const SIZE: u64 = 128 * MIB;

/// A disk with somebody's table, an old file system, LUKS, and random-looking bytes at both ends.
fn foreign(dir: &Path) -> PathBuf {
    let path = dir.join("disk");
    File::create(&path).unwrap().set_len(60 * MIB).unwrap();
    passes(
        "mke2fs",
        &[
            "-q",
            "-F",
            "-t",
            "ext4",
            "-L",
            "old",
            "-E",
            "offset=20971520",
        ],
        &path,
    );
    let disk = File::options().write(true).open(&path).unwrap();
    disk.set_len(SIZE).unwrap();
    let noise: Vec<u8> = (0..MIB)
        .map(|at| u8::try_from(at * 31 % 251).unwrap())
        .collect();
    disk.write_all_at(&noise, 0).unwrap();
    disk.write_all_at(&noise, SIZE - MIB).unwrap();
    disk.write_all_at(b"LUKS\xba\xbe\0\x02", 70 * MIB).unwrap();
    passes("sgdisk", &["-Z"], &path);
    passes(
        "sgdisk",
        &["-n", "1:40960:+40M", "-n", "2:143360:+40M"],
        &path,
    );
    path
}

/// A file as a disk with large sectors, for tools that take no sector size; `None` without root or loop devices.
struct Loop(PathBuf);

impl Loop {
    fn of(path: &Path) -> Option<Self> {
        let arguments = ["--sector-size", "4096", "--read-only", "--find", "--show"];
        let (success, text) = tool("losetup", &arguments, path);
        if success {
            return Some(Self(PathBuf::from(text.trim())));
        }
        eprintln!("skipped sgdisk on large sectors: {}", text.trim());
        None
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        passes("losetup", &["-d"], &self.0);
    }
}

fn seen(path: &Path, sector: u32) -> Disk {
    let device = Device::open_to_read(path, Some(sector)).unwrap();
    let (contents, layout) = contents_of(&device).unwrap();
    Disk {
        kernel_name: path.to_str().unwrap().to_owned(),
        slot: "bay-1".to_owned(),
        serial: "S-1".to_owned(),
        wwn: None,
        model: "file".to_owned(),
        revision: String::new(),
        size: Bytes(device.size()),
        logical_sector: sector,
        physical_sector: 4_096,
        transport: Transport::Ata,
        rotational: false,
        removable: false,
        read_only: false,
        attachment: groundstate_api::inventory::Attachment::default(),
        contents,
        layout,
        health: Health {
            verdict: Verdict::Ok,
            source: "none".to_owned(),
            evidence: Vec::new(),
            temperature_c: None,
            power_on_hours: None,
            findings: Vec::new(),
            figures: std::collections::BTreeMap::new(),
        },
    }
}

fn plan_of(disk: DiskPlan) -> Plan {
    let mut plan = Plan {
        schema: SCHEMA,
        id: "0".repeat(64).parse().unwrap(),
        run: "r-1".parse().unwrap(),
        node: "node-1".parse().unwrap(),
        machine: MACHINE.parse().unwrap(),
        hand_over: HandOver::Kexec,
        uefi: true,
        boot_mac: "52:54:00:00:00:01".parse().unwrap(),
        image: groundstate_api::image::ImageRef {
            name: "debian-host".to_owned(),
            version: "1".to_owned(),
            kind: groundstate_api::image::ImageKind::RootFsExt4,
            manifest: Digest::of(b""),
            size: Bytes::mib(100),
            sector_size: 512,
            whole: None,
        },
        disks: vec![disk],
        files: Vec::new(),
        rebuild: None,
        previous: None,
        notes: Vec::new(),
    };
    plan.id = Digest::of(&canonical_bytes(&plan))
        .hex()
        .parse::<PlanId>()
        .unwrap();
    plan
}

#[test]
fn a_foreign_disk_becomes_the_planned_one_however_often() {
    let dir = tempfile::tempdir().unwrap();
    let path = foreign(dir.path());
    let before = seen(&path, 512);
    let goes: Vec<String> = before
        .contents
        .iter()
        .map(mos_core::guard::described)
        .collect();
    assert_eq!(
        goes,
        ["gpt", "ext4 \"old\" on partition 1", "LUKS2 on partition 2"]
    );
    let plan = plan_of(planned(512, Role::Os, os_table(), goes));
    let look = |_| vec![seen(&path, 512)];
    let bench = Bench {
        plan: &plan,
        look: &look,
        image_begun: false,
    };
    let mut digests = Vec::new();
    for _ in 0..2 {
        let machine = Some(plan.machine);
        let facts = guard_all(&bench, machine).unwrap();
        assert_eq!(
            facts,
            ["1 disks are the planned ones: 1 to wipe, 0 to keep, 0 left alone"]
        );
        let mut last = (Bytes(0), Bytes(0));
        let mut progress = |done, total| last = (done, total);
        carry_out(Step::Wipe, &bench, &mut progress).unwrap();
        let wiped = seen(&path, 512);
        assert_eq!((wiped.contents, wiped.layout), (Vec::new(), None));
        let facts = carry_out(Step::Partition, &bench, &mut progress).unwrap();
        assert_eq!(
            facts,
            [format!(
                "S-1: GPT {DISK_GUID} with gs-esp 32 MiB, gs-root 94 MiB"
            )]
        );
        assert_eq!(last, (Bytes::mib(1), Bytes::mib(1)));
        let text = passes("sgdisk", &["-v"], &path);
        assert!(text.contains("No problems found"), "{text}");
        digests.push(Digest::of(&fs::read(&path).unwrap()));
    }
    assert_eq!(digests[0], digests[1], "the same plan gives the same bytes");
    let text = passes("sgdisk", &["-p", "-i", "2"], &path);
    assert!(
        text.contains("4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709"),
        "{text}"
    );
    let layout = seen(&path, 512).layout.unwrap();
    assert_eq!(
        (layout.role, layout.disk_guid.as_str()),
        (Role::Os, DISK_GUID)
    );
    assert_eq!(layout.partitions[1].start, Bytes::mib(33));
}

#[test]
fn large_sectors_get_a_table_of_large_sectors() {
    let dir = tempfile::tempdir().unwrap();
    let path = foreign(dir.path());
    let goes = |path: &Path| {
        let contents = seen(path, 4_096).contents;
        contents.iter().map(mos_core::guard::described).collect()
    };
    let plan = planned(4_096, Role::Data, data_table(), goes(&path));
    wipe(&path, &plan, false).unwrap();
    partition(&path, &plan).unwrap();
    let found = seen(&path, 4_096);
    let layout = found.layout.unwrap();
    assert_eq!(layout.role, Role::Data);
    assert_eq!(
        (layout.partitions[0].start, layout.partitions[0].length),
        (Bytes::mib(1), Bytes::mib(126))
    );
    if let Some(disk) = Loop::of(&path) {
        let text = passes("sgdisk", &["-v"], &disk.0);
        assert!(text.contains("No problems found"), "{text}");
    }
}

#[test]
fn a_disk_that_is_not_the_planned_one_keeps_every_byte() {
    let dir = tempfile::tempdir().unwrap();
    let path = foreign(dir.path());
    let before = Digest::of(&fs::read(&path).unwrap());
    let goes = vec!["gpt".to_owned()];
    let mut plan = planned(512, Role::Os, os_table(), goes);
    let in_use = plan_of(plan.clone());
    let look = |_| vec![seen(&path, 512)];
    let bench = Bench {
        plan: &in_use,
        look: &look,
        image_begun: false,
    };
    let reason = carry_out(Step::Wipe, &bench, &mut |_, _| ()).unwrap_err();
    assert_eq!(reason.code, ReasonCode::DiskInUse);
    assert_eq!(reason.evidence[0], "found ext4 \"old\" on partition 1");
    plan.size = Bytes(SIZE - 512);
    assert!(matches!(
        wipe(&path, &plan, false),
        Err(DiskError::NotAsPlanned { .. })
    ));
    assert!(matches!(
        partition(&path, &plan),
        Err(DiskError::NotAsPlanned { .. })
    ));
    let other = plan_of(plan.clone());
    let bench = Bench {
        plan: &other,
        look: &look,
        image_begun: false,
    };
    for step in [Step::Wipe, Step::Partition, Step::Volumes, Step::Vhds] {
        let reason = carry_out(step, &bench, &mut |_, _| ()).unwrap_err();
        assert_eq!(reason.code, ReasonCode::WrongDisk, "{step:?}");
    }
    plan.action = DiskAction::Keep {
        table: data_table(),
    };
    assert!(matches!(
        wipe(&path, &plan, false),
        Err(DiskError::NotToBeWiped { .. })
    ));
    assert!(matches!(
        partition(&path, &plan),
        Err(DiskError::NotToBeWiped { .. })
    ));
    assert_eq!(Digest::of(&fs::read(&path).unwrap()), before);
}

#[test]
fn the_esp_passes_fsck_with_both_sector_sizes() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("esp");
    for sector in [512, 4_096] {
        File::create(&path).unwrap().set_len(512 * MIB).unwrap();
        for _ in 0..2 {
            let facts = make_esp(&path, sector, "GS-ESP", 0xb384_4e99).unwrap();
            assert_eq!(facts, ["FAT32 \"GS-ESP\" B384-4E99"]);
        }
        passes("fsck.vfat", &["-n"], &path);
        let found = seen(&path, sector).contents;
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(
            (found[0].what.as_str(), found[0].label.as_deref()),
            ("vfat", Some("GS-ESP"))
        );
    }
    for label in ["", "twelve chars", "lower", "A/B"] {
        let refused = make_esp(&path, 512, label, 1);
        assert!(
            matches!(refused, Err(DiskError::Unusable { .. })),
            "{label}"
        );
    }
}

#[test]
fn the_data_volume_passes_fsck() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("volume");
    File::create(&path).unwrap().set_len(GIB).unwrap();
    let uuid = "aaabcd82-9a65-8456-abab-95010f9e5758";
    for _ in 0..2 {
        make_ext4(&path, "gs-data-1", uuid).unwrap();
        passes("e2fsck", &["-fn"], &path);
    }
    let text = passes("dumpe2fs", &["-h"], &path);
    assert!(
        text.contains(uuid) && text.contains("gs-data-1") && text.contains("has_journal"),
        "{text}"
    );
    File::create(&path).unwrap().set_len(4_096).unwrap();
    let error = make_ext4(&path, "gs-data-1", uuid).unwrap_err();
    assert!(
        matches!(&error, DiskError::Tool { output, .. } if !output.is_empty()),
        "{error}"
    );
}

#[test]
fn vhds_are_allocated_and_keep_their_data() {
    let dir = tempfile::tempdir().unwrap();
    let vhds = [3u64, 8].map(|mib| VhdPlan {
        file: format!("vm-{mib}.vhd"),
        size: Bytes::mib(mib),
        id: "f44b5ec1-fb31-8a44-a953-ff608835d654".to_owned(),
        format: VhdFormat::Vhd,
        kind: VhdKind::Fixed,
        part: None,
    });
    make_vhds(dir.path(), &vhds).unwrap();
    let file = File::options()
        .read(true)
        .write(true)
        .open(dir.path().join("vm-8.vhd"))
        .unwrap();
    file.write_all_at(b"kept", 5_000_000).unwrap();
    make_vhds(dir.path(), &vhds).unwrap();
    let mut kept = [0; 4];
    file.read_exact_at(&mut kept, 5_000_000).unwrap();
    assert_eq!(&kept, b"kept");
    for vhd in &vhds {
        let path = dir.path().join(&vhd.file);
        let found = fs::metadata(&path).unwrap();
        assert_eq!(found.len(), vhd.size.0 + FOOTER_LEN as u64);
        assert!(found.blocks() * 512 >= found.len());
        let text = passes("qemu-img", &["info", "-f", "vpc"], &path);
        assert!(text.contains(&format!("({} bytes)", vhd.size.0)), "{text}");
        let mut footer = [0; FOOTER_LEN];
        File::open(&path)
            .unwrap()
            .read_exact_at(&mut footer, vhd.size.0)
            .unwrap();
        assert_eq!(Footer::decode(&footer).unwrap().size, vhd.size);
    }
}

#[test]
fn a_vhd_that_does_not_fit_is_refused_before_space_is_taken() {
    let dir = tempfile::tempdir().unwrap();
    let vhd = VhdPlan {
        file: "vm-0.vhd".to_owned(),
        size: Bytes::gib(2_040),
        id: "f44b5ec1-fb31-8a44-a953-ff608835d654".to_owned(),
        format: VhdFormat::Vhd,
        kind: VhdKind::Fixed,
        part: None,
    };
    let volume = rustix::fs::statvfs(dir.path()).unwrap();
    if volume.f_bavail * volume.f_frsize > vhd.size.0 {
        eprintln!("skipped: this machine has more than 2,040 GiB free");
        return;
    }
    let error = make_vhds(dir.path(), std::slice::from_ref(&vhd)).unwrap_err();
    assert!(matches!(error, DiskError::Full { .. }), "{error}");
    let reason = error.reason(&planned(512, Role::Data, data_table(), Vec::new()));
    assert_eq!(reason.code, ReasonCode::DiskFull);
    assert_eq!(reason.part.unwrap().token(), "disk:S-1");
    assert_eq!(
        fs::metadata(dir.path().join("vm-0.vhd")).unwrap().blocks(),
        0
    );
    let outside = VhdPlan {
        file: "../x.vhd".to_owned(),
        ..vhd
    };
    assert!(matches!(
        make_vhds(dir.path(), &[outside]),
        Err(DiskError::Unusable { .. })
    ));
}

#[test]
fn a_step_says_at_most_64_lines_and_counts_the_rest() {
    let lines = |count: usize| {
        (0..count)
            .map(|n| format!("vm-{n}.vhd"))
            .collect::<Vec<_>>()
    };
    for few in [0, 1, 64] {
        assert_eq!(bounded(lines(few)), lines(few));
    }
    for many in [65, 24 * 256] {
        let facts = bounded(lines(many));
        assert_eq!(facts.len(), 64);
        assert_eq!(facts[..63], lines(63));
        assert_eq!(facts[63], format!("and {} more", many - 63));
    }
}

#[test]
fn partitions_are_named_as_the_kernel_names_them() {
    for (disk, number, expected) in [
        ("sda", 1, "/dev/sda1"),
        ("nvme0n1", 2, "/dev/nvme0n1p2"),
        ("vdb", 15, "/dev/vdb15"),
        ("mmcblk0", 1, "/dev/mmcblk0p1"),
    ] {
        assert_eq!(partition_device(disk, number), Path::new(expected));
    }
}
