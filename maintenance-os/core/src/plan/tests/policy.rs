// SPDX-License-Identifier: Apache-2.0
//! Rules, consent, sets of VHDs over several disks, and machines with one disk.

use super::*;
use groundstate_api::disk_policy::{DataOnOs, DiskRule, Media, Span};
use groundstate_api::plan::{VhdFormat, VolumeFs};
use groundstate_api::site::Per;

fn policy(text: &str) -> DiskPolicy {
    toml::from_str(text).unwrap()
}

fn sets(text: &str) -> Vec<VhdPolicy> {
    #[derive(serde::Deserialize)]
    struct File {
        vhd: Vec<VhdPolicy>,
    }
    toml::from_str::<File>(text).unwrap().vhd
}

/// Each disk: role, what happens, why; then its VHDs.
fn lines(plan: &Plan) -> String {
    let mut text = String::new();
    for disk in &plan.disks {
        let happens = match &disk.action {
            DiskAction::Wipe { .. } => "wipe",
            DiskAction::Keep { .. } => "keep",
            DiskAction::Erase { .. } => "erase",
            DiskAction::Renew { .. } => "renew",
            DiskAction::LeaveAlone => "leave",
        };
        text += &format!(
            "{} {} {happens}: {}\n",
            disk.serial,
            disk.role.as_str(),
            disk.because
        );
        let (DiskAction::Wipe { table, .. } | DiskAction::Keep { table }) = &disk.action else {
            continue;
        };
        for volume in table.partitions.iter().filter_map(|one| one.holds.volume()) {
            let vhds: Vec<String> = volume
                .vhds
                .iter()
                .map(|vhd| format!("{} {}", vhd.file, vhd.size))
                .collect();
            text += &format!(
                "  {} {}: {}\n",
                volume.fs.as_str(),
                volume.label,
                vhds.join(", ")
            );
        }
    }
    for note in &plan.notes {
        text += &format!("note: {note}\n");
    }
    text
}

/// Twelve bays: two small NVMe, eight hard disks of two sizes, one SATA SSD, one failing.
fn twelve() -> Vec<Disk> {
    (1..=12u64)
        .map(|bay| {
            let (gib, transport) = match bay {
                1 | 2 => (100, Transport::Nvme),
                11 => (400, Transport::Scsi),
                _ => (1_000 + bay % 2 * 500, Transport::Ata),
            };
            let mut one = disk(&format!("S-{bay:02}"), gib, transport);
            one.slot = format!("bay-{bay}");
            one.model = format!("MODEL {}", if bay % 2 == 0 { "EVEN" } else { "ODD" });
            one
        })
        .collect()
}

#[test]
fn rules_give_roles_by_everything_but_the_kernels_name() {
    let mut case = Case::new(twelve());
    case.inventory.disks[11].health.verdict = Verdict::Warn;
    case.policy.disks = policy(
        r#"
        fs = "xfs"
        wipe = "any"
        [[rule]]
        role = "os"
        slot = ["bay-2"]
        [[rule]]
        role = "spare"
        health = ["warn", "unknown"]
        [[rule]]
        role = "refuse"
        serial = "S-03"
        [[rule]]
        role = "keep"
        wwn = "naa.5000S-04"
        [[rule]]
        role = "vhd"
        media = "hdd"
        size_min = "1200GiB"
        [[rule]]
        role = "data"
        model = "MODEL E*"
        size_max = "1200GiB"
        "#,
    );
    case.inventory.disks[3].contents = vec![signature("disk", "zfs", None)];
    let plan = case.plan().unwrap();
    expect![[r#"
        S-01 data wipe: every disk that is not for the OS holds a data volume
          xfs gs-data-1: 
        S-02 os wipe: policy.disks.rule[0] gives it to the OS
        S-03 refuse leave: policy.disks.rule[2] refuses it
        S-04 keep leave: policy.disks.rule[3] keeps it, and what it holds is not ours
        S-05 vhd wipe: policy.disks.rule[4] gives it this role
          xfs gs-data-2: vm-0.vhd 1 GiB, vm-1.vhd 1 GiB
        S-06 data wipe: policy.disks.rule[5] gives it this role
          xfs gs-data-3: 
        S-07 vhd wipe: policy.disks.rule[4] gives it this role
          xfs gs-data-4: vm-0.vhd 1 GiB, vm-1.vhd 1 GiB
        S-08 data wipe: policy.disks.rule[5] gives it this role
          xfs gs-data-5: 
        S-09 vhd wipe: policy.disks.rule[4] gives it this role
          xfs gs-data-6: vm-0.vhd 1 GiB, vm-1.vhd 1 GiB
        S-10 data wipe: policy.disks.rule[5] gives it this role
          xfs gs-data-7: 
        S-11 data wipe: every disk that is not for the OS holds a data volume
          xfs gs-data-8: 
        S-12 spare leave: policy.disks.rule[1] makes it a spare
    "#]]
    .assert_eq(&lines(&plan));
    // The kernel gives other names and another order: the same plan.
    let mut permuted = case.clone();
    permuted.inventory.disks.rotate_left(5);
    for (at, disk) in permuted.inventory.disks.iter_mut().enumerate() {
        disk.kernel_name = format!("sd{}", char::from(b'a' + u8::try_from(at).unwrap()));
    }
    assert_eq!(permuted.plan().unwrap(), plan);
    // The node's word counts before the policy's.
    case.node.disks = policy("fs = \"ext4\"\n[[rule]]\nrole = \"spare\"\nslot = \"bay-?\"");
    let spares = case.plan().unwrap_err();
    assert_eq!(spares.code, ReasonCode::DiskMissing, "{spares}");
    case.node.disks.rules[0].slot = vec!["bay-5".to_string()];
    let plan = case.plan().unwrap();
    assert_eq!(plan.disks[4].role, Role::Spare);
    assert!(lines(&plan).contains("ext4 gs-data-1"));
}

#[test]
fn a_rule_that_contradicts_a_name_is_refused_and_unknown_keys_are_named() {
    let mut case = Case::new(rack());
    case.node.os_disk = Some("OS-1".to_string());
    case.policy.disks.rules = vec![DiskRule {
        role: Role::Refuse,
        media: vec![Media::Nvme],
        ..policy("[[rule]]\nrole = \"refuse\"").rules.remove(0)
    }];
    case.refused(&expect![[r#"
        Disk OS-1 is named in os_disk, and policy.disks.rule[0] refuses it. [plan-refused]
          part:      field node.node-1.os_disk
          by itself: nothing: it waits for a person
          do now:    Remove the serial number, or narrow the rule in the site file.
    "#]]);
    for (text, word) in [
        ("kernel_name = \"sda\"", "kernel_name"),
        ("[[rule]]\nrole = \"data\"\nname = \"sda\"", "name"),
        ("[[rule]]\nrole = \"boot\"", "boot"),
        ("[[rule]]\nrole = \"data\"\nmedia = \"tape\"", "media"),
        ("[[rule]]\nserial = \"x\"", "role"),
    ] {
        let said = toml::from_str::<DiskPolicy>(text).unwrap_err().to_string();
        assert!(said.contains(word), "{text}: {said}");
    }
}

#[test]
fn what_is_not_ours_needs_its_serial_number_confirmed() {
    let mut case = Case::new(rack());
    case.policy.disks = DiskPolicy::default();
    case.refused(&expect![[r#"
        A disk would be wiped, and it holds something that is not this node's. [disk-in-use]
          part:      disk bay-DATA-1, serial DATA-1, 4 GiB, GS Disk
          seen:      DATA-1 in bay-DATA-1 holds gpt, ext4 "old" on partition 1, unknown data on partition 2
          by itself: nothing: it waits for a person
          do now:    Look at what they hold. If it may go, order again and say so: groundstate node provision node-1 --confirm DATA-1 (or reprovision); or let a rule of the site file say it: wipe = "any".
    "#]]);
    case.confirm = vec!["DATA-1".to_string()];
    assert!(case.plan().is_ok());
    // A standing rule for this disk, and for no other.
    case.confirm.clear();
    case.policy.disks = policy("[[rule]]\nrole = \"data\"\nserial = \"DATA-1\"\nwipe = \"any\"");
    assert!(case.plan().is_ok());
    case.inventory.disks[0].contents = vec![signature("disk", "LVM2 PV", None)];
    let reason = case.plan().unwrap_err();
    assert_eq!(reason.part.unwrap().token(), "disk:OS-1");
    // What our plans wrote may go; the same layout of another node's plan may not, nor what somebody put on ours.
    let mut again = used_rack();
    again.policy.disks = DiskPolicy::default();
    assert!(again.plan().is_ok());
    let mut foreign = again.clone();
    foreign.earlier.tables.clear();
    let reason = foreign.plan().unwrap_err();
    assert_eq!(reason.evidence.len(), 3, "{reason}");
    assert!(reason.evidence[0].contains("a Groundstate layout that no plan of this node wrote"));
    let mut luks = again.clone();
    luks.inventory.disks[1]
        .contents
        .push(signature("partition 1", "LUKS2", None));
    let reason = luks.plan().unwrap_err();
    assert_eq!(
        reason.evidence,
        ["DATA-1 in bay-DATA-1 holds LUKS2 on partition 1"]
    );
}

#[test]
fn a_node_set_goes_where_the_room_is_and_spans_only_if_needed() {
    let mut case = Case::new(twelve());
    case.inventory.disks.truncate(5);
    case.policy.vhds = sets(
        r#"
        [[vhd]]
        name = "vm"
        size = "300GiB"
        count = 5
        per = "node"
        [[vhd]]
        name = "big"
        sizes = ["10GiB", "1600GiB"]
        per = "node"
        format = "vhdx"
        [[vhd]]
        name = "rest"
        count = 3
        fill = true
        reserve = "10GiB"
        per = "node"
        "#,
    );
    let plan = case.plan().unwrap();
    expect![[r#"
        S-01 os wipe: it is the smallest healthy solid-state disk that is large enough
        S-02 data wipe: every disk that is not for the OS holds a data volume
          ext4 gs-data-1: 
        S-03 data wipe: every disk that is not for the OS holds a data volume
          ext4 gs-data-2: vm-0.vhd 300 GiB, vm-2.vhd 300 GiB, big-0.vhdx 10 GiB, big-1.part2.vhdx 706.5 GiB
        S-04 data wipe: every disk that is not for the OS holds a data volume
          ext4 gs-data-3: vm-4.vhd 300 GiB, rest-0.vhd 229.3 GiB, rest-1.vhd 229.3 GiB, rest-2.vhd 229.3 GiB
        S-05 data wipe: every disk that is not for the OS holds a data volume
          ext4 gs-data-4: vm-1.vhd 300 GiB, vm-3.vhd 300 GiB, big-1.part1.vhdx 893.4 GiB
        note: big-1 of 1.5 TiB is made as 2 VHDs, because it fits on no single disk (the most room is 896.9 GiB): 893.4 GiB on S-05, 706.5 GiB on S-03
    "#]].assert_eq(&lines(&plan));
    case.policy.disks.span = Some(Span::Never);
    case.refused(&expect![[r#"
        big-1 of 1.5 TiB fits on no single data disk, and span is never. [disk-full]
          part:      field policy.vhd[1]
          seen:      S-02 has 99.7 GiB left for files
          seen:      S-03 has 886.9 GiB left for files
          seen:      S-04 has 697.9 GiB left for files
          seen:      S-05 has 896.9 GiB left for files
          by itself: nothing: it waits for a person
          do now:    Make the VHDs smaller or fewer in the site file, or put in more or larger disks.
    "#]]);
    case.policy.disks.span = None;
    case.policy.vhds[1].sizes[1] = "9TiB".to_string();
    case.refused(&expect![[r#"
        big-1 of 9 TiB does not fit on all data disks together. [disk-full]
          part:      field policy.vhd[1]
          seen:      S-02 has 99.7 GiB left for files
          seen:      S-03 has 886.9 GiB left for files
          seen:      S-04 has 697.9 GiB left for files
          seen:      S-05 has 896.9 GiB left for files
          by itself: nothing: it waits for a person
          do now:    Make the VHDs smaller or fewer in the site file, or put in more or larger disks.
    "#]]);
}

#[test]
fn sets_fill_volumes_and_larger_than_a_vhd_holds_is_said() {
    let mut case = Case::new(twelve());
    case.inventory.disks.truncate(4);
    for disk in &mut case.inventory.disks[2..] {
        disk.size = Bytes::gib(8_000);
    }
    case.policy.vhds = sets(
        r#"
        [[vhd]]
        name = "large"
        size = "3TiB"
        count = 1
        [[vhd]]
        name = "x"
        size = "2500GiB"
        count = 1
        format = "vhdx"
        kind = "dynamic"
        [[vhd]]
        name = "many"
        size = "500GiB"
        fill = true
        reserve = "100GiB"
        "#,
    );
    case.policy.disks.rules = policy("[[rule]]\nrole = \"spare\"\nslot = \"bay-2\"").rules;
    let plan = case.plan().unwrap();
    expect![[r#"
        S-01 os wipe: it is the smallest healthy solid-state disk that is large enough
        S-02 spare leave: policy.disks.rule[0] makes it a spare
        S-03 data wipe: every disk that is not for the OS holds a data volume
          ext4 gs-data-1: large-0.part1.vhd 1.9 TiB, large-0.part2.vhd 1 TiB, x-0.vhdx 2.4 TiB, many-0.vhd 500 GiB, many-1.vhd 500 GiB, many-2.vhd 500 GiB, many-3.vhd 500 GiB
        S-04 data wipe: every disk that is not for the OS holds a data volume
          ext4 gs-data-2: large-0.part1.vhd 1.9 TiB, large-0.part2.vhd 1 TiB, x-0.vhdx 2.4 TiB, many-0.vhd 500 GiB, many-1.vhd 500 GiB, many-2.vhd 500 GiB, many-3.vhd 500 GiB
        note: large-0 of 3 TiB on S-03 is made as 2 VHDs: one holds at most 2,040 GiB
        note: large-0 of 3 TiB on S-04 is made as 2 VHDs: one holds at most 2,040 GiB
    "#]].assert_eq(&lines(&plan));
    let DiskAction::Wipe { table, .. } = &plan.disks[2].action else {
        panic!("{:?}", plan.disks[2])
    };
    let volume = table.partitions[0].holds.volume().unwrap();
    assert!(
        volume
            .vhds
            .iter()
            .all(|vhd| vhd.format == VhdFormat::Vhdx || vhd.size <= Bytes::gib(2_040))
    );
    assert_eq!(volume.vhds[0].part.as_ref().unwrap().parts, 2);
}

#[test]
fn sets_that_say_two_things_are_refused_by_their_field() {
    let said = |text: &str| {
        let mut case = Case::new(rack());
        case.policy.vhds = sets(&format!("[[vhd]]\nname = \"vm\"\n{text}"));
        let reason = case.plan().unwrap_err();
        format!("{}: {}\n", reason.part.unwrap().token(), reason.what)
    };
    let text = [
        "fill = true",
        "fill = true\nsize = \"1GiB\"\ncount = 1",
        "sizes = [\"1GiB\"]\ncount = 1",
        "sizes = [\"1GiB\", \"1.5GiB\"]",
        "fill = true\ncount = 1\nreserve = \"much\"",
        "fill = true\ncount = 1\nreserve = \"100GiB\"",
    ]
    .map(said)
    .concat();
    expect![[r#"
        field:policy.vhd[0].fill: `fill` goes with `size` (as many as fit) or with `count` (as large as fit), not with both or neither.
        field:policy.vhd[0].fill: `fill` goes with `size` (as many as fit) or with `count` (as large as fit), not with both or neither.
        field:policy.vhd[0].sizes: A set has `sizes`, or `size` and `count`, or `fill`, and not two of them.
        field:policy.vhd[0].sizes[1]: `1.5GiB` is not a size; for example `64GiB` is.
        field:policy.vhd[0].reserve: `much` is not a size; for example `10GiB` is.
        disk:DATA-1: No VHD of policy.vhd[0] fits on disk DATA-1.
    "#]].assert_eq(&text);
}

#[test]
fn one_disk_holds_the_os_and_a_data_volume_where_there_is_room() {
    let mut case = Case::new(vec![disk("ONLY", 200, Transport::Nvme)]);
    let plan = case.plan().unwrap();
    expect![[r#"
        Plan b8379521e0b373f0797d7ae52d944efda746436290712be5307db7326e084679
          node      node-1, machine 11111111-2222-3333-4444-555555555555, UEFI
          run       r-1
          image     debian-host 12.11-1, 2 GiB, manifest 05b3abf2579a
          hand-over kexec, boots from 52:54:00:00:00:01

        Disk ONLY  OS  200 GiB, 512-byte sectors, GS Disk, bay-ONLY
          because it is the smallest healthy solid-state disk that is large enough
          WIPE: nothing goes
          |EEE|RRRRRRRR|DDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDD|
          1  gs-esp        512 MiB from 1 MiB    FAT32 "GS-ESP" 172C-89FF
             50636AD4-137A-88A3-9274-CC93180C32F6
          2  gs-root        32 GiB from 513 MiB  the image's root file system
             469D92D8-A77C-864E-94BB-4BBC18B91A0D
          3  gs-data     167.4 GiB from 32.5 GiB ext4 "gs-data-1" at /data/ONLY
             0082DB31-16B5-8235-9645-BA04CDB10C63
             vm-0.vhd        1 GiB  1295d8f8-2153-802f-bb9e-f601a0d66887
             vm-1.vhd        1 GiB  4fa05d74-1949-8a92-8bf4-f74f70569f69
    "#]]
    .assert_eq(&render(&plan));
    assert_eq!(guard(&plan, &case.inventory.disks, Some(uuid())), Ok(()));
    case.policy.disks.root_size = Some("190GiB".to_string());
    case.policy.disks.fs = Some(VolumeFs::Xfs);
    assert!(lines(&case.plan().unwrap()).contains("xfs gs-data-1: vm-0.vhd 1 GiB"));
    case.policy.disks.root_size = Some("1GiB".to_string());
    assert_eq!(case.plan().unwrap_err().code, ReasonCode::PlanRefused);
    case.policy.disks.root_size = None;
    case.policy.disks.data_on_os_disk = Some(DataOnOs::Never);
    assert!(!lines(&case.plan().unwrap()).contains("gs-data"));
    // Too small for both: the whole disk is the host's, as the plan says; unless the site insists.
    case.inventory.disks[0].size = Bytes::gib(3);
    case.policy.disks.data_on_os_disk = None;
    case.policy.vhds[0].count = 3;
    let said = lines(&case.plan().unwrap());
    assert!(
        said.contains("note: the only disk holds no data volume beside the OS"),
        "{said}"
    );
    case.policy.disks.data_on_os_disk = Some(DataOnOs::Always);
    assert_eq!(case.plan().unwrap_err().code, ReasonCode::DiskFull);
}

#[test]
fn kept_disks_may_be_missing_as_far_as_the_site_lets_them() {
    let mut case = used_rack();
    case.node.keep = vec!["DATA-1".to_string(), "DATA-2".to_string()];
    case.inventory.disks.retain(|disk| disk.serial != "DATA-1");
    assert_eq!(case.plan().unwrap_err().code, ReasonCode::WrongDisk);
    case.policy.disks.missing_data_disks = Some(1);
    expect![[r#"
        DATA-2 data keep: the site says to keep it, and it holds a data volume of ours
          ext4 gs-data-2: vm-0.vhd 1 GiB, vm-1.vhd 1 GiB
        OS-1 os wipe: it is the smallest healthy solid-state disk that is large enough
        STICK spare leave: it is connected by USB and the site does not name it
        note: disk DATA-1 is to be kept and is not there: what lay on it is not
    "#]]
    .assert_eq(&lines(&case.plan().unwrap()));
    case.inventory.disks[1].health.verdict = Verdict::Fail;
    let reason = case.plan().unwrap_err();
    assert!(
        reason
            .to_string()
            .contains("the site lets 1 data disks be missing, 2 are"),
        "{reason}"
    );
    case.node.disks.missing_data_disks = Some(2);
    expect![[r#"
        DATA-2 spare leave: the site says to keep it, but it reports that it is failing
        OS-1 os wipe: it is the smallest healthy solid-state disk that is large enough
        STICK spare leave: it is connected by USB and the site does not name it
        note: disk DATA-1 is to be kept and is not there: what lay on it is not
        note: disk DATA-2 is to be kept, but it reports that it is failing: it is left alone
    "#]]
    .assert_eq(&lines(&case.plan().unwrap()));
}

#[test]
fn a_set_of_the_node_that_is_on_kept_disks_is_not_made_again() {
    let mut case = Case::new(rack());
    case.policy.vhds = sets("[[vhd]]\nname = \"vm\"\nsize = \"3GiB\"\ncount = 2\nper = \"node\"");
    let first = case.plan().unwrap();
    for planned in &first.disks {
        if let DiskAction::Wipe { table, .. } = &planned.action {
            let mut disks = case.inventory.disks.iter_mut();
            let disk = disks.find(|disk| disk.serial == planned.serial).unwrap();
            carried_out(disk, table, planned.role);
            case.earlier.used.insert(planned.serial.clone());
            case.earlier
                .tables
                .insert(planned.serial.clone(), vec![table.clone()]);
        }
    }
    case.node.keep = vec!["DATA-1".to_string()];
    let text = lines(&case.plan().unwrap());
    expect![[r#"
        DATA-1 data keep: the site says to keep it, and it holds a data volume of ours
          ext4 gs-data-1: vm-1.vhd 3 GiB
        DATA-2 data wipe: every disk that is not for the OS holds a data volume
          ext4 gs-data-2: vm-0.vhd 3 GiB
        OS-1 os wipe: it is the smallest healthy solid-state disk that is large enough
        STICK spare leave: it is connected by USB and the site does not name it
    "#]]
    .assert_eq(&text);
    assert_eq!(case.policy.vhds[0].per, Per::Node);
}
