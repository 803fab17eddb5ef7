// SPDX-License-Identifier: Apache-2.0
//! The image before is named where the new one takes its place, and nowhere else.

use super::*;
use groundstate_api::image::{BootEntry, ImageTable, RequiredFirmware, WholeDisk};

/// A rack with a host of version 12.11-1 that is to get another version, and the plan that made the host.
fn next_version() -> (Case, Plan) {
    let host = Case::new(rack()).plan().unwrap();
    let mut case = used_rack();
    case.image.version = "12.12-1".to_string();
    case.image.manifest = Digest::of(b"the next manifest");
    (case, host)
}

fn over(case: &Case, host: &Plan) -> Plan {
    let request = PlanRequest {
        host: Some(host),
        ..case.request()
    };
    plan(&request).unwrap()
}

#[test]
fn the_image_of_the_host_is_named_and_the_page_says_so() {
    let (case, host) = next_version();
    let plan = over(&case, &host);
    assert_eq!(plan.previous.as_ref(), Some(&host.image));
    assert!(verify(&plan));
    let page = render(&plan);
    let lines: Vec<&str> = page.lines().skip(3).take(2).collect();
    assert_eq!(
        lines,
        [
            "  image     debian-host 12.12-1, 2 GiB, manifest 389db8cdeba4",
            "  before    debian-host 12.11-1 lies there, manifest 05b3abf2579a: its chunks are looked for on the disk",
        ]
    );
    // A second host, whose plan had one before it, is one before the third.
    assert_eq!(over(&case, &plan).previous, Some(plan.image));
    // What a preview says is what the order does.
    let request = PlanRequest {
        host: Some(&host),
        ..case.request()
    };
    assert_eq!(preview(&request).unwrap().plan.previous, Some(host.image));
}

#[test]
fn a_plan_without_one_reads_as_it_did() {
    let (case, host) = next_version();
    assert_eq!(case.plan().unwrap().previous, None);
    let text = String::from_utf8(canonical_bytes(&host)).unwrap();
    assert!(!text.contains("previous"), "{text}");
    let read: Plan = serde_json::from_str(&text).unwrap();
    assert_eq!(read.previous, None);
    let plan = over(&case, &host);
    let text = serde_json::to_string(&plan).unwrap();
    assert_eq!(serde_json::from_str::<Plan>(&text).unwrap(), plan);
}

#[test]
fn another_disk_another_place_or_another_kind_of_image_is_none() {
    let (case, host) = next_version();
    let mut elsewhere = case.clone();
    elsewhere.node.os_disk = Some("DATA-2".to_string());
    assert_eq!(over(&elsewhere, &host).previous, None);
    let changed = |change: fn(&mut DiskPlan)| {
        let mut host = host.clone();
        let mut disks = host.disks.iter_mut();
        change(disks.find(|disk| disk.role == Role::Os).unwrap());
        over(&case, &host).previous
    };
    assert!(changed(|_| ()).is_some());
    assert_eq!(changed(|disk| disk.size.0 += 1), None);
    assert_eq!(changed(|disk| disk.wwn = None), None);
    assert_eq!(changed(|disk| disk.serial.push('x')), None);
    assert_eq!(changed(|disk| disk.logical_sector = 4096), None);
    let moved = changed(|disk| {
        let DiskAction::Wipe { table, .. } = &mut disk.action else {
            panic!("{disk:?}")
        };
        table.partitions[1].start.0 += 1 << 20;
    });
    assert_eq!(moved, None);
    assert_eq!(changed(|disk| disk.action = DiskAction::LeaveAlone), None);
    let mut whole = case;
    whole.image.whole = Some(WholeDisk {
        firmware: RequiredFirmware::Any,
        boot: BootEntry::BootCode,
        minimum_size: Bytes::gib(2),
        table: Some(ImageTable::Dos {
            first_sector: Digest::of(b"first"),
        }),
    });
    whole.inventory.system.uefi = false;
    let first = over(&whole, &host);
    assert_eq!(first.previous, None, "a partition is no disk");
    assert_eq!(over(&whole, &first).previous, Some(first.image));
}

#[test]
fn what_writes_no_image_names_none() {
    let (case, host) = next_version();
    let request = PlanRequest {
        rebuild: Some(Rebuild {
            serial: "DATA-1",
            host: &host,
        }),
        host: Some(&host),
        image: &host.image,
        ..case.request()
    };
    let rebuilt = plan(&request).unwrap();
    assert_eq!(rebuilt.previous, None);
    // The host that stayed through it has its image still where it was.
    assert_eq!(over(&case, &rebuilt).previous, Some(host.image));
}
