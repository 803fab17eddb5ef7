// SPDX-License-Identifier: Apache-2.0
//! Refusals as technicians read them.

use super::*;

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
            ..VhdPolicy::default()
        }];
        let reason = case.plan().unwrap_err();
        format!("{}: {}", reason.part.unwrap().token(), reason.what)
    };
    let lines = [
        refused("1GB", "vm", 1),
        refused("1000", "vm", 1),
        refused("0", "vm", 1),
        refused("65537GiB", "vm", 1),
        refused("1MiB", "../vm", 1),
        refused("1MiB", "", 1),
        refused("1MiB", "vm", 257),
    ];
    expect![[r#"
        field:policy.vhd[0].size: `1GB` is not a size; for example `64GiB` is.
        field:policy.vhd[0].size: `1000` is not a whole number of MiB.
        field:policy.vhd[0].size: `0` is not a whole number of MiB.
        field:policy.vhd[0].size: `65537GiB` is more than 64 TiB, the most that a vhd set can hold.
        field:policy.vhd[0].name: `../vm` is not 1 to 32 of a-z, 0-9 and '-'.
        field:policy.vhd[0].name: `` is not 1 to 32 of a-z, 0-9 and '-'.
        field:policy.vhd[0].count: A volume would get more than 256 VHDs."#]]
    .assert_eq(&lines.join("\n"));
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
