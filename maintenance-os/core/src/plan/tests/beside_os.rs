// SPDX-License-Identifier: Apache-2.0
//! A data volume beside the OS, on a machine with one disk: it stays where the site says so, and is never taken for
//! something else.

use super::*;
use groundstate_api::disk_policy::DataOnOs;

/// A machine with one disk after its first run; its site keeps that disk.
fn used() -> Case {
    let mut case = Case::new(vec![disk("ONLY", 200, Transport::Nvme)]);
    case.node.keep = vec!["ONLY".to_string()];
    case.policy.disks.wipe = None;
    let first = case.plan().unwrap();
    let DiskAction::Wipe { table, .. } = &first.disks[0].action else {
        panic!("{:?}", first.disks[0])
    };
    case.earlier.used.insert("ONLY".to_string());
    case.earlier.os.insert("ONLY".to_string());
    case.earlier
        .tables
        .insert("ONLY".to_string(), vec![table.clone()]);
    carried_out(&mut case.inventory.disks[0], table, Role::Os);
    let found = &mut case.inventory.disks[0].contents;
    found.push(signature("partition 1", "vfat", Some("GS-ESP")));
    found.push(signature("partition 2", "ext4", None));
    found.push(signature("partition 3", "ext4", Some("gs-data-1")));
    case.seed = Digest::of(b"second");
    case
}

#[test]
fn the_volume_stays_and_the_os_is_made_anew() {
    let case = used();
    let plan = case.plan().unwrap();
    expect![[r#"
        Plan 88a9ada80c21be1a889dba363360a9516d913628768a191234976088efb223a6
          node      node-1, machine 11111111-2222-3333-4444-555555555555, UEFI
          run       r-1
          image     debian-host 12.11-1, 2 GiB, manifest 05b3abf2579a
          hand-over kexec, boots from 52:54:00:00:00:01

        Disk ONLY  OS  200 GiB, 512-byte sectors, GS Disk, bay-ONLY
          because the site says to keep it, and beside the OS it holds a data volume of ours
          RENEW: vfat "GS-ESP" on partition 1, ext4 on partition 2 goes; the table and the data volume stay
          |EEE|RRRRRRRR|DDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDD|
          1  gs-esp        512 MiB from 1 MiB    FAT32 "GS-ESP" DB18-8E02
             50636AD4-137A-88A3-9274-CC93180C32F6
          2  gs-root        32 GiB from 513 MiB  the image's root file system
             469D92D8-A77C-864E-94BB-4BBC18B91A0D
          3  gs-data     167.4 GiB from 32.5 GiB ext4 "gs-data-1" at /data/ONLY
             0082DB31-16B5-8235-9645-BA04CDB10C63
             vm-0.vhd        1 GiB  1295d8f8-2153-802f-bb9e-f601a0d66887
             vm-1.vhd        1 GiB  4fa05d74-1949-8a92-8bf4-f74f70569f69
    "#]].assert_eq(&render(&plan));
    assert_eq!(guard(&plan, &case.inventory.disks, Some(uuid())), Ok(()));
    let DiskAction::Renew { table, .. } = &plan.disks[0].action else {
        panic!("{:?}", plan.disks[0])
    };
    let before = &case.earlier.tables["ONLY"][0];
    assert_eq!(table.disk_guid, before.disk_guid);
    assert_eq!(table.partitions[2], before.partitions[2]);
    assert_eq!(table.partitions[1], before.partitions[1]);
    // The preview is the same plan, and what a node reports after it is what it reported before.
    let preview = preview(&case.request()).unwrap();
    assert!(preview.needs_confirm.is_empty());
    assert_eq!(preview.plan, without_identities(&plan));
    let after = crate::plan::carried_out(&case.inventory, &plan);
    let (is, was) = (&after.disks[0].layout, &case.inventory.disks[0].layout);
    let volume = |layout: &Option<FoundLayout>| layout.as_ref().unwrap().partitions[2].clone();
    assert_eq!(volume(is), volume(was));
}

#[test]
fn the_same_site_serves_the_first_run_and_every_later_one() {
    let mut case = used();
    // With os_disk, too.
    case.node.os_disk = Some("ONLY".to_string());
    let is_renewed = |case: &Case| {
        let plan = case.plan().unwrap();
        matches!(plan.disks[0].action, DiskAction::Renew { .. })
    };
    assert!(is_renewed(&case));
    // A blank disk gets a new volume.
    case.inventory.disks[0].layout = None;
    case.inventory.disks[0].contents.clear();
    let plan = case.plan().unwrap();
    let DiskAction::Wipe { table, .. } = &plan.disks[0].action else {
        panic!("{:?}", plan.disks[0])
    };
    assert_eq!(table.partitions.len(), 3);
    // Nobody kept it: it is made anew, as ever.
    let mut case = used();
    case.node.keep.clear();
    assert!(!is_renewed(&case));
}

/// The code and the words of a refusal, or what is done to the disk.
fn said(case: &Case) -> String {
    match case.plan() {
        Ok(plan) => format!("{:?}", plan.disks[0].action),
        Err(reason) => format!("{}: {}", reason.code, reason.what),
    }
}

#[test]
fn what_is_not_that_volume_is_refused_and_never_wiped() {
    let refused = |change: &dyn Fn(&mut Case)| {
        let mut case = used();
        change(&mut case);
        said(&case)
    };
    let layout = |case: &mut Case, change: &dyn Fn(&mut FoundLayout)| {
        change(case.inventory.disks[0].layout.as_mut().unwrap());
    };
    let lines = [
        // Its file system is gone, or another's.
        refused(&|case| layout(case, &|found| found.partitions[2].file_system = None)),
        refused(&|case| {
            layout(case, &|found| {
                let on = found.partitions[2].file_system.as_mut().unwrap();
                on.what = "btrfs".to_string();
            });
        }),
        // The table is no longer recognised.
        refused(&|case| {
            case.inventory.disks[0].layout = None;
            case.inventory.disks[0].contents = vec![signature("disk", "damaged gpt", None)];
        }),
        // The partitions have other numbers or kinds.
        refused(&|case| layout(case, &|found| found.partitions[2].number = 4)),
        refused(&|case| {
            layout(case, &|found| {
                found.partitions[1].type_guid = TYPE_DATA.to_string()
            });
        }),
        // A larger image has no room before the volume.
        refused(&|case| case.image.size = Bytes::gib(32)),
        // The table is one that no plan of this node wrote.
        refused(&|case| case.earlier.tables.clear()),
        // A data disk that is kept is no OS disk, also where it is alone.
        refused(&|case| {
            layout(case, &|found| {
                found.role = Role::Data;
                found.partitions.drain(..2);
            });
        }),
        // The site lets the OS disk hold no volume, and none is there.
        refused(&|case| {
            case.node.os_disk = Some("ONLY".to_string());
            case.policy.disks.data_on_os_disk = Some(DataOnOs::Never);
            layout(case, &|found| drop(found.partitions.pop()));
        }),
    ];
    expect![[r#"
        disk-in-use: A disk is to be kept and carries our partition, but its volume was not recognised.
        disk-in-use: A disk is to be kept and carries our partition, but its volume was not recognised.
        disk-in-use: Disk ONLY is to be kept and had a data volume of this node, but what it holds is not recognised as that volume.
        disk-in-use: A disk is to be kept and carries our partition, but its volume was not recognised.
        disk-in-use: A disk is to be kept and carries our partition, but its volume was not recognised.
        disk-full: Beside the data volume to be kept there is too little room for image debian-host 12.11-1.
        disk-in-use: A disk would be wiped, and it holds something that is not this node's.
        disk-missing: No disk of this machine can hold the OS.
        plan-refused: Disk ONLY is named both for the OS and to be kept."#]].assert_eq(&lines.join("\n"));
}

#[test]
fn the_guard_refuses_a_volume_or_a_table_that_changed() {
    let case = used();
    let plan = case.plan().unwrap();
    let code = |change: &dyn Fn(&mut Disk)| {
        let mut disks = case.inventory.disks.clone();
        change(&mut disks[0]);
        guard(&plan, &disks, Some(uuid())).unwrap_err().code
    };
    let uuid_of_another = code(&|disk| {
        let layout = disk.layout.as_mut().unwrap();
        let on = layout.partitions[2].file_system.as_mut().unwrap();
        on.uuid = Some("00000000-0000-4000-8000-000000000000".to_string());
    });
    let moved = code(&|disk| {
        let layout = disk.layout.as_mut().unwrap();
        layout.partitions[2].start.0 += 1 << 20;
    });
    let gone = code(&|disk| disk.layout = None);
    let used = code(&|disk| disk.attachment.used_by.push("md0 holds it".to_string()));
    let removable = code(&|disk| disk.removable = true);
    assert_eq!(
        [uuid_of_another, moved, gone, used],
        [ReasonCode::DiskInUse; 4]
    );
    assert_eq!(removable, ReasonCode::WrongDisk);
}
