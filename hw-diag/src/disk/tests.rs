// SPDX-License-Identifier: Apache-2.0
//! Disks as sysfs lays them out. Their device nodes are absent, so that no device of the test machine is asked.

use super::*;
use std::os::unix::fs::symlink;
use std::path::Path;

/// A block device at `device_path` (below `/sys`) with these files; `class` is what `device` links to.
fn block(root: &Path, device_path: &str, files: &[(&str, &str)]) {
    let directory = root.join("sys").join(device_path);
    for (name, value) in files {
        let file = directory.join(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, value).unwrap();
    }
    let name = directory.file_name().unwrap();
    let parent = root.join("sys/block");
    std::fs::create_dir_all(&parent).unwrap();
    symlink(&directory, parent.join(name)).unwrap();
}

fn device(root: &Path, block_path: &str, target: &str) {
    symlink(
        root.join("sys").join(target),
        root.join("sys").join(block_path).join("device"),
    )
    .unwrap();
}

fn see(root: &Path) -> (Vec<Disk>, Vec<String>) {
    let look = everything(&Tree::at(root));
    let disks = look.disks.into_iter().map(|(disk, _)| disk).collect();
    (disks, look.could_not_look)
}

#[test]
fn an_nvme_disk_is_named_even_when_it_cannot_be_asked() {
    let root = tempfile::tempdir().unwrap();
    let path = "devices/pci0000:00/0000:00:05.0/nvme/nvme0/nvme0n1";
    block(
        root.path(),
        path,
        &[
            ("size", "8388608\n"),
            ("removable", "0\n"),
            ("ro", "0\n"),
            ("nsid", "1\n"),
            ("wwid", "eui.0025385b71b0a2c3\n"),
            ("queue/rotational", "0\n"),
            ("queue/logical_block_size", "4096\n"),
            ("queue/physical_block_size", "4096\n"),
            ("../serial", "GS-NVME-1           \n"),
            ("../model", "QEMU NVMe Ctrl\n"),
            ("../firmware_rev", "10.0\n"),
        ],
    );
    device(
        root.path(),
        path,
        "devices/pci0000:00/0000:00:05.0/nvme/nvme0",
    );
    let (disks, missed) = see(root.path());
    assert!(missed.is_empty());
    let disk = &disks[0];
    assert_eq!(disk.serial, "GS-NVME-1");
    assert_eq!(disk.slot, "pci-0000:00:05.0-nvme-1");
    assert_eq!(disk.size, Bytes::gib(4));
    assert_eq!(disk.logical_sector, 4096);
    assert_eq!(disk.wwn.as_deref(), Some("eui.0025385b71b0a2c3"));
    assert_eq!(disk.transport, Transport::Nvme);
    assert_eq!(disk.health.verdict, Verdict::Unknown);
    assert_eq!(disk.health.findings[0].code, "disk-no-answer");
    assert!(
        disk.health.evidence[0].contains("No such file"),
        "{:?}",
        disk.health
    );
}

#[test]
fn an_ata_disk_has_the_port_of_its_controller_and_the_kernels_serial() {
    let root = tempfile::tempdir().unwrap();
    let port = "devices/pci0000:00/0000:00:1f.2/ata9";
    let scsi = format!("{port}/host8/target8:0:0/8:0:0:0");
    let path = format!("{scsi}/block/sda");
    block(
        root.path(),
        &path,
        &[
            ("size", "2097152\n"),
            ("queue/rotational", "1\n"),
            ("../../vendor", "ATA     \n"),
            ("../../model", "QEMU HARDDISK   \n"),
            ("../../vpd_pg80", "\0\u{80}"),
        ],
    );
    std::fs::write(
        root.path().join("sys").join(&scsi).join("vpd_pg80"),
        b"\0\x80\0\x08 GS-ATA1",
    )
    .unwrap();
    std::fs::create_dir_all(root.path().join("sys").join(port).join("ata_port/ata9")).unwrap();
    std::fs::write(
        root.path()
            .join("sys")
            .join(port)
            .join("ata_port/ata9/port_no"),
        "3\n",
    )
    .unwrap();
    device(root.path(), &path, &scsi);
    let (disks, _) = see(root.path());
    assert_eq!(disks[0].slot, "pci-0000:00:1f.2-ata-3");
    assert_eq!(disks[0].serial, "GS-ATA1");
    assert_eq!(disks[0].transport, Transport::Ata);
    assert!(disks[0].rotational);
}

#[test]
fn virtio_is_unknown_and_what_is_no_disk_is_not_listed() {
    let root = tempfile::tempdir().unwrap();
    let virtio = "devices/pci0000:00/0000:00:06.0/virtio3";
    block(
        root.path(),
        &format!("{virtio}/block/vda"),
        &[("size", "2048\n"), ("serial", "GS-V-1")],
    );
    device(root.path(), &format!("{virtio}/block/vda"), virtio);
    for name in ["loop0", "ram0", "dm-0", "md127"] {
        block(
            root.path(),
            &format!("devices/virtual/block/{name}"),
            &[("size", "8\n")],
        );
    }
    let scsi = "devices/pci0000:00/0000:00:1f.2/ata1/host0/target0:0:0/0:0:0:0";
    for name in ["sr0", "sdz"] {
        let path = format!("{scsi}/block/{name}");
        block(
            root.path(),
            &path,
            &[("size", if name == "sr0" { "8\n" } else { "0\n" })],
        );
        device(root.path(), &path, scsi);
    }
    let (disks, missed) = see(root.path());
    assert_eq!(disks.len(), 1, "{disks:?}");
    assert_eq!(disks[0].serial, "GS-V-1");
    assert_eq!(disks[0].slot, "pci-0000:00:06.0");
    assert_eq!(disks[0].health.verdict, Verdict::Unknown);
    assert_eq!(
        disks[0].health.evidence,
        ["No health data could be read of this disk: a virtio disk keeps no health data"]
    );
    assert_eq!(
        missed.len(),
        1,
        "a fixed disk without a size is named: {missed:?}"
    );
    assert!(missed[0].starts_with("disk sdz"));
}

#[test]
fn a_multipath_nvme_disk_sits_where_its_controller_sits() {
    let root = tempfile::tempdir().unwrap();
    let subsystem = "devices/virtual/nvme-subsystem/nvme-subsys0";
    let head = format!("{subsystem}/nvme0n1");
    block(root.path(), &head, &[("size", "2048\n"), ("nsid", "1\n")]);
    device(root.path(), &head, subsystem);
    let controller = "devices/pci0000:00/0000:00:07.0/nvme/nvme0";
    let path = format!("{controller}/nvme0c0n1");
    block(root.path(), &path, &[("size", "2048\n"), ("hidden", "1\n")]);
    device(root.path(), &path, controller);
    let sys = root.path().join("sys");
    symlink(sys.join(controller), sys.join(subsystem).join("nvme0")).unwrap();
    std::fs::write(sys.join(subsystem).join("serial"), "GS-MP-1\n").unwrap();
    let (disks, _) = see(root.path());
    assert_eq!(disks.len(), 1);
    assert_eq!(disks[0].slot, "pci-0000:00:07.0-nvme-1");
    assert_eq!(disks[0].serial, "GS-MP-1");
}

#[test]
fn a_machine_without_sysfs_says_so() {
    let root = tempfile::tempdir().unwrap();
    let (disks, missed) = see(root.path());
    assert!(disks.is_empty());
    assert!(missed[0].starts_with("disks: /sys/block: No such file"));
}

#[test]
fn a_volume_of_a_raid_controller_is_not_taken_for_a_disk() {
    let root = tempfile::tempdir().unwrap();
    let scsi = "devices/pci0000:00/0000:00:03.0/0000:01:00.0/host3/target3:2:4/3:2:4:0";
    let path = format!("{scsi}/block/sdc");
    block(
        root.path(),
        &path,
        &[
            ("size", "2048\n"),
            ("../../vendor", "DELL    \n"),
            ("../../model", "PERC H730 Mini  \n"),
        ],
    );
    device(root.path(), &path, scsi);
    let host = root.path().join("sys/class/scsi_host/host3");
    std::fs::create_dir_all(&host).unwrap();
    std::fs::write(host.join("proc_name"), "megaraid_sas\n").unwrap();
    // Looked at without its members: that would run a program of this machine.
    let look = disks(&Tree::at(root.path()));
    let (disk, facts) = &look.disks[0];
    assert_eq!(disk.health.verdict, Verdict::Unknown);
    assert_eq!(
        facts.missed,
        ["a volume of the RAID controller (megaraid_sas): its disks are reported on their own"]
    );
    assert!(disk.health.evidence[0].contains("megaraid_sas"), "{disk:?}");
}

#[test]
fn what_the_kernel_knows_is_in_the_facts_of_a_disk_that_does_not_answer() {
    let root = tempfile::tempdir().unwrap();
    let path = "devices/pci0000:00/0000:00:05.0/nvme/nvme0/nvme0n1";
    block(
        root.path(),
        path,
        &[("size", "2048\n"), ("nsid", "1\n"), ("../serial", "GS-1\n")],
    );
    device(
        root.path(),
        path,
        "devices/pci0000:00/0000:00:05.0/nvme/nvme0",
    );
    let look = disks(&Tree::at(root.path()));
    let (disk, facts) = &look.disks[0];
    assert_eq!(facts.device, "/dev/nvme0n1");
    assert_eq!(facts.slot, disk.slot);
    assert_eq!(facts.identity.serial, "GS-1");
    assert_eq!(facts.identity.size, Some(disk.size));
    assert_eq!(facts.identity.rotation_rpm, Some(0));
    let text = serde_json::to_string(&look.disks[0].1).unwrap();
    let back: DiskFacts = serde_json::from_str(&text).unwrap();
    assert_eq!(back, *facts);
}
