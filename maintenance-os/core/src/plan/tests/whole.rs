// SPDX-License-Identifier: Apache-2.0
//! Plans of images of whole disks: what they say, what they refuse by name, and what they know again.

use super::*;
use crate::guard::guard_contents;
use groundstate_api::disk_policy::DataOnOs;
use groundstate_api::image::{
    BootEntry, ImageKind, ImageTable, LoaderPath, RequiredFirmware, WholeDisk,
};

/// The type of a partition of Linux, and no GUID that a plan gives.
const LINUX: &str = "0FC63DAF-8483-4772-8E79-3D69D8477DE4";

fn loader() -> BootEntry {
    BootEntry::Loader(LoaderPath {
        partition: 1,
        path: "\\EFI\\BOOT\\BOOTX64.EFI".to_string(),
    })
}

fn case() -> Case {
    let mut case = Case::new(rack());
    case.image.kind = ImageKind::WholeDisk;
    case.image.whole = Some(WholeDisk {
        minimum_size: Bytes::gib(2),
        firmware: RequiredFirmware::Uefi,
        boot: loader(),
        table: Some(ImageTable::Gpt {
            disk_guid: "0A0A0A0A-0B0B-4C0C-8D0D-0E0E0E0E0E0E".to_string(),
        }),
    });
    case
}

fn whole(case: &mut Case) -> &mut WholeDisk {
    case.image.whole.as_mut().unwrap()
}

fn os(plan: &Plan) -> &DiskPlan {
    let mut disks = plan.disks.iter();
    disks.find(|disk| disk.role == Role::Os).unwrap()
}

fn os_disk(case: &mut Case) -> &mut Disk {
    let serial = os(&case.plan().unwrap()).serial.clone();
    let mut disks = case.inventory.disks.iter_mut();
    disks.find(|disk| disk.serial == serial).unwrap()
}

#[test]
fn the_os_disk_takes_the_image_whole_and_the_others_are_laid_out_as_ever() {
    let plan = case().plan().unwrap();
    let root_fs = Case::new(rack()).plan().unwrap();
    let (os, seed) = (os(&plan), Digest::of(b"seed"));
    let (table, from, image) = os.whole_disk().unwrap();
    assert_eq!(*from, seed);
    assert!(matches!(image, Some(ImageTable::Gpt { .. })));
    assert_eq!(
        table.disk_guid,
        Guid::derived(&seed, &os.serial, Purpose::Disk).upper(),
        "the fitted table has the same GUID, so that it is known again"
    );
    assert_eq!(table.partitions.len(), 1);
    assert!(check_table(os, table).is_ok());
    let others = |plan: &Plan| -> Vec<DiskPlan> {
        let others = plan.disks.iter().filter(|disk| disk.role != Role::Os);
        others.cloned().collect()
    };
    assert_eq!(others(&plan), others(&root_fs));
    assert_eq!(plan.hand_over, HandOver::Reboot);
    expect![
        "the image is of a whole disk and has its own boot loader: the machine restarts into it"
    ]
    .assert_eq(&plan.notes.join("\n"));
    let page = render(&plan);
    assert!(page.contains("2 GiB, of a whole disk, manifest"), "{page}");
    let lines: Vec<&str> = page
        .lines()
        .filter(|line| line.contains("gs-image"))
        .collect();
    assert!(
        lines[0]
            .ends_with("the image of a whole disk, whose own partition table replaces this one"),
        "{page}"
    );
    assert!(verify(&plan));
}

#[test]
fn the_last_partition_takes_the_rest_of_the_disk_where_the_site_says_so() {
    let grows = |case: &Case| os(&case.plan().unwrap()).grows_image();
    let mut case = case();
    assert!(!grows(&case));
    let text = String::from_utf8(canonical_bytes(&case.plan().unwrap())).unwrap();
    assert!(!text.contains("grow"), "plans of before read as they did");
    case.policy.disks.grow_image = Some(true);
    assert!(grows(&case));
    let plan = case.plan().unwrap();
    assert!(render(&plan).contains("its last partition takes the rest of the disk"));
    assert!(verify(&plan));
    let text = serde_json::to_string(&plan).unwrap();
    assert_eq!(serde_json::from_str::<Plan>(&text).unwrap(), plan);
    case.node.disks.grow_image = Some(false);
    assert!(!grows(&case), "the node's word counts before the policy's");
    case.node.disks.grow_image = None;
    let dos = ImageTable::Dos {
        first_sector: Digest::of(b"first"),
    };
    whole(&mut case).table = Some(dos);
    let plan = case.plan().unwrap();
    assert!(!os(&plan).grows_image());
    assert!(
        plan.notes.iter().any(|note| note.contains("DOS table")),
        "{:?}",
        plan.notes
    );
}

#[test]
fn what_would_not_start_is_refused_by_name() {
    let mut bios = case();
    bios.inventory.system.uefi = false;
    bios.refused(&expect![[r#"
        Image debian-host 12.11-1 needs UEFI, and this machine runs on legacy BIOS. [plan-refused]
          part:      field policy.image
          seen:      the image's manifest is sha256:05b3abf2579a5eb66403cd78be557fd860633a1fe2103c7642030defe32c657f
          seen:      the image starts by \EFI\BOOT\BOOTX64.EFI on partition 1
          by itself: nothing: it waits for a person
          do now:    Switch the machine's firmware, or name an image for it in the site file.
    "#]]);
    let mut uefi = case();
    whole(&mut uefi).firmware = RequiredFirmware::Bios;
    whole(&mut uefi).boot = BootEntry::BootCode;
    uefi.refused(&expect![[r#"
        Image debian-host 12.11-1 needs legacy BIOS, and this machine runs on UEFI. [plan-refused]
          part:      field policy.image
          seen:      the image's manifest is sha256:05b3abf2579a5eb66403cd78be557fd860633a1fe2103c7642030defe32c657f
          seen:      the image starts by boot code in its first sector
          by itself: nothing: it waits for a person
          do now:    Switch the machine's firmware, or name an image for it in the site file.
    "#]]);
    let mut nothing = case();
    whole(&mut nothing).boot = BootEntry::None;
    nothing.refused(&expect![[r#"
        Image debian-host 12.11-1 holds nothing that a machine's firmware starts. [plan-refused]
          part:      field policy.image
          seen:      the image's manifest is sha256:05b3abf2579a5eb66403cd78be557fd860633a1fe2103c7642030defe32c657f
          by itself: nothing: it waits for a person
          do now:    Import an image with a boot loader on an EFI system partition, or with boot code in its first sector.
    "#]]);
    let mut unknown = case();
    unknown.image.whole = None;
    unknown.refused(&expect![[r#"
        Image debian-host 12.11-1 is of a whole disk, and nothing more is known of it. [plan-refused]
          part:      field policy.image
          seen:      the image's manifest is sha256:05b3abf2579a5eb66403cd78be557fd860633a1fe2103c7642030defe32c657f
          by itself: nothing: it waits for a person
          do now:    Import the image again, then order again.
    "#]]);
}

#[test]
fn an_image_for_either_firmware_starts_on_both() {
    for uefi in [true, false] {
        let mut case = case();
        whole(&mut case).firmware = RequiredFirmware::Any;
        case.inventory.system.uefi = uefi;
        assert_eq!(case.plan().unwrap().hand_over, HandOver::Reboot);
        case.hand_over = HandOver::Reboot;
        assert!(case.plan().unwrap().notes.is_empty());
    }
}

#[test]
fn a_disk_of_another_sector_size_or_too_small_is_refused_with_both_numbers() {
    let mut sectors = case();
    sectors.node.os_disk = Some("OS-1".to_string());
    sectors.image.sector_size = 4096;
    sectors.refused(&expect![[r#"
        Image debian-host 12.11-1 does not fit the disk's sectors. [plan-refused]
          part:      disk bay-OS-1, serial OS-1, 5 GiB, GS Disk
          seen:      the image's partition table is for sectors of 4096 bytes, the disk's have 512
          by itself: nothing: it waits for a person
          do now:    Choose an image for this sector size, or another disk for the OS.
    "#]]);
    let mut large = case();
    whole(&mut large).minimum_size = Bytes::gib(512);
    large.refused(&expect![[r#"
        The disk is too small for image debian-host 12.11-1. [disk-full]
          part:      disk bay-DATA-1, serial DATA-1, 4 GiB, GS Disk
          seen:      the image needs a disk of 512 GiB (549755813888 bytes), this one has 4 GiB (4294967296 bytes)
          by itself: nothing: it waits for a person
          do now:    Put in a larger disk, or name another with os_disk in the site file.
    "#]]);
    // Of two disks the one with the right sectors is taken, where nobody names one.
    let mut other = case();
    other.image.sector_size = 4096;
    assert_eq!(os(&other.plan().unwrap()).logical_sector, 4096);
    // To the byte: what is exactly as large is large enough.
    let mut exact = case();
    exact.node.os_disk = Some("OS-1".to_string());
    let size = os_disk(&mut exact).size;
    whole(&mut exact).minimum_size = size;
    exact.image.size = size;
    assert!(exact.plan().is_ok());
    whole(&mut exact).minimum_size = Bytes(size.0 + 1);
    assert_eq!(exact.plan().unwrap_err().code, ReasonCode::DiskFull);
}

#[test]
fn partitions_of_ours_never_stand_beside_it() {
    let mut always = case();
    always.policy.disks.data_on_os_disk = Some(DataOnOs::Always);
    always.refused(&expect![[r#"
        The site wants a data volume on the OS disk, and the image takes the whole disk. [plan-refused]
          part:      field policy.disks.data_on_os_disk
          by itself: nothing: it waits for a person
          do now:    Set data_on_os_disk to never in the site file, or name an image of a root file system.
    "#]]);
    let mut alone = case();
    alone.policy.disks.data_on_os_disk = Some(DataOnOs::IfAlone);
    alone.policy.disks.root_size = Some("8GiB".to_string());
    let plan = alone.plan().unwrap();
    assert_eq!(os(&plan).whole_disk().unwrap().0.partitions.len(), 1);
    assert!(
        plan.notes
            .iter()
            .any(|note| note.starts_with("root_size is not used"))
    );
}

#[test]
fn the_disk_of_an_earlier_run_is_ours_by_its_guid_and_another_one_is_confirmed() {
    let mut case = case();
    case.policy.disks.wipe = None;
    for disk in &mut case.inventory.disks {
        disk.contents.clear();
        disk.layout = None;
    }
    let first = case.plan().unwrap();
    let planned = os(&first).clone();
    let (table, ..) = planned.whole_disk().unwrap();
    let mut tables = std::collections::BTreeMap::new();
    tables.insert(planned.serial.clone(), vec![table.clone()]);
    case.earlier.tables = tables;
    case.earlier.used.insert(planned.serial.clone());
    let guid = table.disk_guid.clone();
    let disk = os_disk(&mut case);
    disk.contents = vec![
        signature("disk", "gpt", None),
        signature("partition 1", "vfat", Some("ESP")),
        signature("partition 2", "ext4", Some("root")),
    ];
    let found = |number: u32, guid: &str| FoundPartition {
        number,
        name: "of the image".to_string(),
        type_guid: LINUX.to_string(),
        guid: guid.to_string(),
        start: Bytes::mib(64 * u64::from(number)),
        length: Bytes::mib(64),
        file_system: None,
    };
    disk.layout = Some(FoundLayout {
        role: Role::Os,
        disk_guid: guid.clone(),
        partition_guids: Vec::new(),
        partitions: vec![found(1, &guid), found(2, &guid)],
    });
    // The run that was cut goes on, and the next run asks nobody.
    assert!(guard_contents(&planned, disk).is_ok());
    assert!(case.plan().is_ok());
    // What somebody made behind the image is nobody's to wipe: its GUID is none of ours.
    let disk = os_disk(&mut case);
    disk.contents.push(signature("partition 3", "xfs", None));
    let layout = disk.layout.as_mut().unwrap();
    layout.partitions.push(found(3, LINUX));
    let refused = case.plan().unwrap_err();
    assert_eq!(refused.code, ReasonCode::DiskInUse);
    assert!(refused.to_string().contains("xfs"), "{refused}");
    let mut disks = case.inventory.disks.iter_mut();
    let disk = disks.find(|disk| disk.serial == planned.serial).unwrap();
    disk.contents.pop();
    disk.layout = None;
    assert_eq!(
        guard_contents(&planned, disk).unwrap_err().code,
        ReasonCode::DiskInUse
    );
    assert_eq!(case.plan().unwrap_err().code, ReasonCode::DiskInUse);
}

#[test]
fn a_disk_that_is_to_be_kept_and_one_data_disk_alone_are_refused() {
    let mut keep = case();
    let serial = os_disk(&mut keep).serial.clone();
    keep.node.os_disk = Some(serial.clone());
    keep.node.keep = vec![serial];
    assert_eq!(keep.plan().unwrap_err().code, ReasonCode::PlanRefused);
    let case = case();
    let host = case.plan().unwrap();
    let request = PlanRequest {
        rebuild: Some(Rebuild {
            serial: "DATA-1",
            host: &host,
        }),
        ..case.request()
    };
    let reason = plan(&request).unwrap_err();
    assert!(reason.what.contains("is not made anew alone"), "{reason}");
}

#[test]
fn a_preview_and_the_order_after_it_say_the_same() {
    let case = case();
    let preview = preview(&case.request()).unwrap().plan;
    assert_eq!(preview, without_identities(&case.plan().unwrap()));
    let mut other = case;
    other.seed = Digest::of(b"another run");
    assert_eq!(preview, without_identities(&other.plan().unwrap()));
}
