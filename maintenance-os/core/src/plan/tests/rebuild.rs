// SPDX-License-Identifier: Apache-2.0
//! One data disk is made anew, and no other is touched.

use super::*;
use crate::plan::Rebuild;

/// A rack with a host, and the plan that made it.
fn hosted() -> (Case, Plan) {
    let host = Case::new(rack()).plan().unwrap();
    (used_rack(), host)
}

fn rebuilt(case: &Case, host: &Plan, serial: &str) -> Result<Plan, Reason> {
    plan(&PlanRequest {
        rebuild: Some(Rebuild { serial, host }),
        ..case.request()
    })
}

fn replace(case: &mut Case, gib: u64) {
    let mut new = disk("NEW-1", gib, Transport::Ata);
    new.slot = "bay-DATA-1".to_string();
    case.inventory.disks[1] = new;
}

#[test]
fn a_replaced_disk_is_rebuilt_alone() {
    let (mut case, host) = hosted();
    replace(&mut case, 5);
    case.policy.disks = DiskPolicy::default();
    let plan = rebuilt(&case, &host, "NEW-1").unwrap();
    expect![[r#"
        Plan fbefc92c59348e3eb869aed1aedabc34f5bb4a8f184abb74ba924a2c567fdc98
          node      node-1, machine 11111111-2222-3333-4444-555555555555, UEFI
          run       r-1
          image     debian-host 12.11-1, 2 GiB, manifest 05b3abf2579a
          hand-over kexec, boots from 52:54:00:00:00:01
          rebuild   disk NEW-1 alone; no image is written
          note      disk NEW-1 takes the place of DATA-1, which is not there: its VHDs are made anew and empty

        Disk DATA-2  DATA  6 GiB, 4096-byte sectors, GS Disk, bay-DATA-2
          because only one disk is rebuilt, and this is another
          KEEP: nothing is written
          |DDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDD|
          1  gs-data       5.9 GiB from 1 MiB    ext4 "gs-data-2" at /data/DATA-2
             BC1DE8B4-8070-88D3-A817-33DADB2E3034
             vm-0.vhd        1 GiB  30e6212d-78bf-8784-bd51-f19fec14b877
             vm-1.vhd        1 GiB  90b4d8c7-2a71-8338-97c5-34406052d853

        Disk NEW-1  DATA  5 GiB, 512-byte sectors, GS Disk, bay-DATA-1
          because the order names it to be rebuilt
          WIPE: nothing goes
          |DDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDD|
          1  gs-data       4.9 GiB from 1 MiB    ext4 "gs-data-1" at /data/NEW-1
             CBA09C9B-4B67-80C6-BEF4-56F0C9FD4264
             vm-0.vhd        1 GiB  58655e56-0a53-8d4d-8e4f-90f36ab78520
             vm-1.vhd        1 GiB  6443b8cc-b2cd-8f40-a5df-7154d94f95b0

        Disk OS-1  OS  5 GiB, 512-byte sectors, GS Disk, bay-OS-1
          because only one disk is rebuilt, and this is another
          KEEP: only the host's first-boot data is renewed
          |EEEEE|RRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRR|
          1  gs-esp        512 MiB from 1 MiB    FAT32 "GS-ESP" B384-4E99
             1FD51546-150A-8174-A7BE-EE506D883700
          2  gs-root       4.4 GiB from 513 MiB  the image's root file system
             9E19D1F8-D96A-85F8-8BB3-414681C26DC4

        Disk STICK  SPARE  8 GiB, 512-byte sectors, GS Disk, bay-STICK
          because the host's plan left it alone
          LEFT ALONE: nothing is read or written
    "#]].assert_eq(&render(&plan));
    assert_eq!(guard(&plan, &case.inventory.disks, Some(uuid())), Ok(()));
    let wiped = plan
        .disks
        .iter()
        .filter(|disk| matches!(disk.action, DiskAction::Wipe { .. }));
    assert_eq!(
        wiped.map(|disk| disk.serial.as_str()).collect::<Vec<_>>(),
        ["NEW-1"]
    );
    // Its VHDs are those of the disk whose place it takes, whatever the site says by now.
    case.policy.vhds.clear();
    let plan = rebuilt(&case, &host, "NEW-1").unwrap();
    assert!(render(&plan).contains("vm-1.vhd"));
    // A disk with somebody's data needs its serial number confirmed.
    case.inventory.disks[1].contents = vec![signature("disk", "ntfs", None)];
    let reason = rebuilt(&case, &host, "NEW-1").unwrap_err();
    assert!(
        reason
            .next_step
            .contains("rebuild-disk node-1 NEW-1 --confirm"),
        "{reason}"
    );
    case.confirm = vec!["NEW-1".to_string()];
    assert!(rebuilt(&case, &host, "NEW-1").is_ok());
}

#[test]
fn what_is_not_a_data_disk_or_too_small_is_not_rebuilt() {
    let (mut case, host) = hosted();
    let mut said = String::new();
    let mut refused = |case: &Case, serial: &str| {
        let reason = rebuilt(case, &host, serial).expect_err("it must be refused");
        said += &format!("{}: {}\n", reason.code, reason.what);
    };
    refused(&case, "OS-1");
    refused(&case, "DATA-9");
    case.node.keep = vec!["DATA-1".to_string()];
    refused(&case, "DATA-1");
    case.node.keep.clear();
    replace(&mut case, 1);
    refused(&case, "NEW-1");
    replace(&mut case, 5);
    case.policy.disks.rules =
        toml::from_str::<DiskPolicy>("[[rule]]\nrole = \"spare\"\nslot = \"*\"")
            .unwrap()
            .rules;
    refused(&case, "NEW-1");
    case.policy.disks.rules.clear();
    case.inventory.disks[0].layout = None;
    refused(&case, "NEW-1");
    case.inventory.disks.remove(0);
    refused(&case, "NEW-1");
    expect![[r#"
        plan-refused: Disk OS-1 is the OS disk, and only data disks are rebuilt.
        wrong-disk: Disk DATA-9 is to be rebuilt, but this machine does not have it.
        plan-refused: Disk DATA-1 is to be kept, so it is not rebuilt.
        disk-full: Disk NEW-1 is too small for the VHDs of the disk that it replaces.
        plan-refused: Disk NEW-1 is no data disk: policy.disks.rule[0] gives it another role.
        disk-in-use: The OS disk does not carry the host that the last plan put there.
        wrong-disk: Disk OS-1 holds the host, but this machine does not have it.
    "#]]
    .assert_eq(&said);
}

#[test]
fn another_disk_whose_volume_is_gone_is_left_alone() {
    let (mut case, host) = hosted();
    replace(&mut case, 5);
    case.inventory.disks[2].layout = None;
    let plan = rebuilt(&case, &host, "NEW-1").unwrap();
    let other = plan
        .disks
        .iter()
        .find(|disk| disk.serial == "DATA-2")
        .unwrap();
    assert_eq!(
        (other.role, &other.action),
        (Role::Spare, &DiskAction::LeaveAlone)
    );
}
