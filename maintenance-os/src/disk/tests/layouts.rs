// SPDX-License-Identifier: Apache-2.0
//! Layouts as the planner writes them, on disks with sectors of 512 bytes, 512 on 4096, and 4096: written by the executors
//! and judged by sgdisk, sfdisk, fsck.fat, e2fsck and xfs_repair. Without root or loop devices they are skipped.

use super::*;
use groundstate_api::disk_policy::DiskPolicy;
use groundstate_api::inventory::{Inventory, MemoryInfo, SystemInfo};
use groundstate_api::plan::{EarlierDisks, VolumeFs};
use groundstate_api::site::{Node, Policy, VhdPolicy};
use groundstate_api::{MacAddr, Millis, SystemUuid};
use mos_core::plan::{PlanRequest, ext4_usable, plan, xfs_usable};

/// Room for an ESP, a root partition and an XFS volume; sparse.
const DISK: u64 = 3 * GIB;

/// Part of a file as a block device with sectors of a size, writable.
struct LoopPart(PathBuf);

impl LoopPart {
    fn of(path: &Path, sector: u32, start: u64, length: u64) -> Option<Self> {
        let (sector, start, length) = (sector.to_string(), start.to_string(), length.to_string());
        let arguments = [
            "--sector-size",
            &sector,
            "--offset",
            &start,
            "--sizelimit",
            &length,
            "--find",
            "--show",
        ];
        let (success, text) = tool("losetup", &arguments, path);
        if success {
            return Some(Self(PathBuf::from(text.trim())));
        }
        eprintln!("skipped: no loop device here: {}", text.trim());
        None
    }
}

impl Drop for LoopPart {
    fn drop(&mut self) {
        passes("losetup", &["-d"], &self.0);
    }
}

fn inventory(disks: Vec<Disk>) -> Inventory {
    Inventory {
        schema: SCHEMA,
        boot_id: MACHINE.parse().unwrap(),
        first_line_after: Millis(1),
        complete_after: Millis(2),
        system: SystemInfo {
            manufacturer: String::new(),
            product: String::new(),
            serial: "M-1".to_owned(),
            uuid: Some(MACHINE.parse::<SystemUuid>().unwrap()),
            firmware_version: String::new(),
            firmware: None,
            uefi: true,
            cpus: 1,
            cpu_model: String::new(),
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

/// What the planner makes of these disks.
fn planned_layout(disks: Vec<Disk>, fs: VolumeFs, (format, kind): (VhdFormat, VhdKind)) -> Plan {
    let node = Node {
        disks: DiskPolicy {
            fs: Some(fs),
            ..DiskPolicy::default()
        },
        ..Node::new(
            "node-1".parse().unwrap(),
            MacAddr([2, 0, 0, 0, 0, 1]),
            MACHINE.parse().unwrap(),
            "M-1",
        )
    };
    let policy = Policy {
        vhds: vec![VhdPolicy {
            name: "vm".to_owned(),
            count: 2,
            fill: true,
            format,
            kind,
            ..VhdPolicy::default()
        }],
        ..Policy::new("debian-host", HandOver::Kexec)
    };
    let image = groundstate_api::image::ImageRef {
        name: "debian-host".to_owned(),
        version: "1".to_owned(),
        kind: groundstate_api::image::ImageKind::RootFsExt4,
        manifest: Digest::of(b""),
        size: Bytes::mib(100),
        sector_size: 512,
        whole: None,
    };
    let request = PlanRequest {
        run: &"r-1".parse().unwrap(),
        node: &node,
        policy: &policy,
        hand_over: HandOver::Kexec,
        inventory: &inventory(disks),
        earlier: &EarlierDisks::default(),
        image: &image,
        boot_mac: node.mac,
        seed: Digest::of(b"seed"),
        files: &[],
        confirm: &[],
        rebuild: None,
        host: None,
    };
    plan(&request).unwrap()
}

fn make(path: &Path, disk: &DiskPlan, partition: &PartitionPlan) {
    match &partition.holds {
        PartitionContents::Esp { label, volume_id } => {
            make_esp(path, disk.logical_sector, label, *volume_id).unwrap();
            passes("fsck.fat", &["-n"], path);
        }
        PartitionContents::Root | PartitionContents::WholeDisk { .. } => {}
        PartitionContents::Ext4 { label, uuid, .. } => {
            make_ext4(path, label, uuid).unwrap();
            passes("e2fsck", &["-fn"], path);
        }
        PartitionContents::Xfs { label, uuid, .. } => {
            make_xfs(path, label, uuid).unwrap();
            passes("xfs_repair", &["-n"], path);
            let text = passes("xfs_admin", &["-lu"], path);
            assert!(
                text.contains(label.as_str()) && text.contains(uuid.as_str()),
                "{text}"
            );
        }
    }
}

/// The kernel's file system gives the VHDs what the plan promises; skipped where nothing can be mounted.
fn holds_its_vhds(path: &Path, partition: &PartitionPlan, dir: &Path) {
    let Some(volume) = partition.holds.volume() else {
        return;
    };
    let usable = match volume.fs {
        VolumeFs::Ext4 => ext4_usable(partition.length),
        VolumeFs::Xfs => xfs_usable(partition.length),
    };
    // A frame has a bitmap for each 2 MiB and its headers; the planner takes twice that.
    let frames = volume.vhds.iter().map(|vhd| match (vhd.format, vhd.kind) {
        (VhdFormat::Vhd, VhdKind::Fixed) => 0,
        (VhdFormat::Vhdx, _) | (_, VhdKind::Dynamic) => vhd.size.0 / 256 + 16 * MIB,
    });
    let sizes = volume.vhds.iter().map(|vhd| vhd.size.0);
    let spare = usable.0 - sizes.chain(frames).sum::<u64>();
    assert!(
        spare < 8 * MIB,
        "the set fills the volume: {spare} are left"
    );
    let at = dir.join("mounted");
    fs::create_dir_all(&at).unwrap();
    let device = path.to_str().unwrap();
    let (mounted, text) = tool("mount", &["-t", volume.fs.as_str(), device], &at);
    if !mounted {
        eprintln!("skipped: nothing can be mounted here: {}", text.trim());
        return;
    }
    let made = make_vhds(&at, volume.vhds);
    let again = made.as_ref().map(|_| make_vhds(&at, volume.vhds));
    passes("umount", &[], &at);
    let facts = made.as_ref().unwrap();
    assert_eq!(facts.len(), volume.vhds.len());
    let kept = again.unwrap().unwrap();
    assert!(
        kept.iter().all(|fact| fact.ends_with("keeps its data")),
        "{kept:?}"
    );
    let check: (&str, &[&str]) = match volume.fs {
        VolumeFs::Ext4 => ("e2fsck", &["-fn"]),
        VolumeFs::Xfs => ("xfs_repair", &["-n"]),
    };
    passes(check.0, check.1, path);
}

#[test]
fn every_layout_is_clean_for_the_tools_of_others_with_every_sector_size() {
    use {VhdFormat::*, VhdKind::*};
    let kinds = [(Vhd, Fixed), (Vhd, Dynamic), (Vhdx, Fixed), (Vhdx, Dynamic)];
    // Each run has one for the layout of one disk and one for that of two: all eight with the two file systems.
    for (number, (logical, physical)) in [(512, 512), (512, 4_096), (4_096, 4_096)]
        .into_iter()
        .enumerate()
    {
        for fs in [VolumeFs::Ext4, VolumeFs::Xfs] {
            let two = [kinds[number], kinds[(number + 2) % kinds.len()]];
            one_layout(logical, physical, fs, two);
        }
    }
}

fn one_layout(logical: u32, physical: u32, fs: VolumeFs, kinds: [(VhdFormat, VhdKind); 2]) {
    let dir = tempfile::tempdir().unwrap();
    let disks: Vec<(PathBuf, Disk)> = ["S-1", "S-2"]
        .into_iter()
        .map(|serial| {
            let path = dir.path().join(serial);
            File::create(&path).unwrap().set_len(DISK).unwrap();
            let mut disk = seen(&path, logical);
            disk.serial = serial.to_owned();
            disk.slot = format!("bay-{serial}");
            disk.physical_sector = physical;
            (path, disk)
        })
        .collect();
    let alone = planned_layout(vec![disks[0].1.clone()], fs, kinds[0]);
    let both = planned_layout(
        disks.iter().map(|(_, disk)| disk.clone()).collect(),
        fs,
        kinds[1],
    );
    assert_eq!(
        tables(&alone)[0].1.partitions.len(),
        3,
        "ESP, root and data on one disk"
    );
    for layout in [alone, both] {
        for (disk, table) in tables(&layout) {
            let (path, _) = disks
                .iter()
                .find(|(_, one)| one.serial == disk.serial)
                .unwrap();
            File::create(path).unwrap().set_len(DISK).unwrap();
            partition(path, disk).unwrap();
            assert_eq!(seen(path, logical).layout.unwrap().role, disk.role);
            let Some(whole) = LoopPart::of(path, logical, 0, DISK) else {
                return;
            };
            let text = passes("sgdisk", &["-v"], &whole.0);
            assert!(text.contains("No problems found"), "{text}");
            let text = passes("sfdisk", &["--verify"], &whole.0);
            assert!(text.contains("No errors detected"), "{text}");
            drop(whole);
            for part in &table.partitions {
                assert_eq!((part.start.0 % MIB, part.length.0 % MIB), (0, 0));
                let on = LoopPart::of(path, logical, part.start.0, part.length.0).unwrap();
                make(&on.0, disk, part);
                holds_its_vhds(&on.0, part, dir.path());
            }
        }
    }
}

fn tables(plan: &Plan) -> Vec<(&DiskPlan, &TablePlan)> {
    let tables = plan.disks.iter().filter_map(|disk| match &disk.action {
        DiskAction::Wipe { table, .. } => Some((disk, table)),
        DiskAction::Renew { .. }
        | DiskAction::Keep { .. }
        | DiskAction::Erase { .. }
        | DiskAction::LeaveAlone => None,
    });
    tables.collect()
}

#[test]
fn a_volume_that_xfs_cannot_be_is_refused_before_it_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("volume");
    let file = File::create(&path).unwrap();
    let uuid = "aaabcd82-9a65-8456-abab-95010f9e5758";
    for (size, label) in [
        (200 * MIB, "gs-data-1"),
        (400 * MIB, "thirteen-long"),
        (400 * MIB, ""),
    ] {
        file.set_len(size).unwrap();
        let refused = make_xfs(&path, label, uuid);
        assert!(
            matches!(refused, Err(DiskError::Unusable { .. })),
            "{label}: {refused:?}"
        );
        assert_eq!(fs::metadata(&path).unwrap().blocks(), 0);
    }
    make_xfs(&path, "twelve-chars", uuid).unwrap();
}
