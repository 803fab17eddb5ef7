// SPDX-License-Identifier: Apache-2.0
//! Which disk gets which role, and which is left alone.

use super::*;
use groundstate_api::site::{ExpectedDisk, Hardware};

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
          seen:      partition 1 holds nothing that was recognised, not our ext4 or XFS
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
fn a_disk_that_nobody_named_is_left_alone() {
    let line = |case: &Case, serial: &str| {
        let plan = case.plan().unwrap();
        let disk = plan.disks.iter().find(|d| d.serial == serial).unwrap();
        format!(
            "{:?} {:?}: {}\n",
            disk.role,
            disk.action == DiskAction::LeaveAlone,
            disk.because
        )
    };
    // The site file lists the node's disks; the foreign one would be the smallest for the OS.
    let mut case = Case::new(rack());
    let named = ["OS-1", "DATA-1", "DATA-2"].map(|serial| ExpectedDisk {
        serial: serial.to_string(),
        slot: None,
        size: None,
    });
    case.node.hardware = Some(Hardware {
        dimms: Vec::new(),
        disks: named.to_vec(),
    });
    case.inventory
        .disks
        .push(disk("FOREIGN", 4, Transport::Nvme));
    let mut lines = line(&case, "FOREIGN") + &line(&case, "OS-1");
    // It lists none: what an earlier plan used is the node's.
    let mut again = used_rack();
    again
        .inventory
        .disks
        .push(disk("FOREIGN", 4, Transport::Nvme));
    lines += &(line(&again, "FOREIGN") + &line(&again, "OS-1") + &line(&again, "DATA-2"));
    // Named to be kept, or for the OS, it is used.
    let mut kept = case.clone();
    kept.node.keep = vec!["FOREIGN".to_string()];
    lines += &line(&kept, "FOREIGN");
    again.node.os_disk = Some("FOREIGN".to_string());
    lines += &line(&again, "FOREIGN");
    expect![[r#"
        Spare true: the site file lists this node's disks and does not name it: it is left alone
        Os false: it is the smallest healthy solid-state disk that is large enough
        Spare true: no earlier plan of this node used it and the site file does not name it: it is left alone
        Os false: it is the smallest healthy solid-state disk that is large enough
        Data false: every disk that is not for the OS holds a data volume
        Data false: the site says to keep it, but it holds no data volume of ours: a new one is made
        Os false: the site names it for the OS
    "#]].assert_eq(&lines);
}

#[test]
fn a_kept_disk_whose_volume_is_no_longer_recognised_is_refused() {
    let mut case = used_rack();
    case.node.keep = vec!["DATA-1".to_string()];
    case.inventory.disks[1].layout = None;
    case.inventory.disks[1].contents = vec![
        signature("disk", "gpt", None),
        signature("partition 1", "xfs", Some("old")),
    ];
    let reason = format!("{}\n", case.plan().expect_err("it must be refused"));
    expect![[r#"
        Disk DATA-1 is to be kept and had a data volume of this node, but what it holds is not recognised as that volume. [disk-in-use]
          part:      disk bay-DATA-1, serial DATA-1, 4 GiB, GS Disk
          seen:      it holds gpt
          seen:      it holds xfs "old" on partition 1
          by itself: nothing: it waits for a person
          do now:    Look at the disk by hand; to give what it holds up, remove its serial number from keep in the site file, and order the run again.
    "#]].assert_eq(&reason);
    // Given up, it goes as any other data disk.
    case.node.keep.clear();
    let plan = case.plan().unwrap();
    assert!(matches!(plan.disks[0].action, DiskAction::Wipe { .. }));
    // Empty, it holds nothing to lose.
    case.node.keep = vec!["DATA-1".to_string()];
    case.inventory.disks[1].contents.clear();
    let plan = case.plan().unwrap();
    assert!(matches!(plan.disks[0].action, DiskAction::Wipe { .. }));
}
