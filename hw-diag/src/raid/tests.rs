// SPDX-License-Identifier: Apache-2.0
//! Controllers as sysfs shows them. No program is run here.

use super::*;
use std::path::Path;

fn write(root: &Path, file: &str, text: &str) {
    let file = root.join(file);
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(file, text).unwrap();
}

#[test]
fn only_raid_controllers_are_looked_behind() {
    let root = tempfile::tempdir().unwrap();
    let tree = Tree::at(root.path());
    assert!(controllers(&tree).is_empty());
    for (host, driver) in [(0, "ahci"), (1, "megaraid_sas"), (2, "mpt3sas")] {
        let file = format!("sys/class/scsi_host/host{host}/proc_name");
        write(root.path(), &file, &format!("{driver}\n"));
    }
    let found = controllers(&tree);
    assert_eq!(names(&found), "RAID controller host1 (megaraid_sas)");
    write(
        root.path(),
        "sys/class/raid_devices/2:1:0:0/state",
        "active",
    );
    assert_eq!(controllers(&tree).len(), 2, "mpt3sas with a volume");
    assert!(matches!(
        look(&Tree::at(Path::new("/nowhere")), Instant::now()),
        Behind::Nothing
    ));
}

#[test]
fn a_volume_is_told_from_a_disk_that_is_passed_on() {
    for (driver, vendor, model, expected) in [
        ("megaraid_sas", "DELL", "PERC H730 MINI", true),
        ("megaraid_sas", "AVAGO", "MR9361-8I", true),
        ("megaraid_sas", "ATA", "INTEL SSDSC2BB48", false),
        ("megaraid_sas", "SEAGATE", "ST4000NM0043", false),
        ("hpsa", "HP", "LOGICAL VOLUME", true),
        ("hpsa", "HP", "EG0300FAWHV", false),
        ("smartpqi", "HPE", "LOGICAL VOLUME", true),
        ("mpt3sas", "LSI", "LOGICAL VOLUME", true),
        ("mpt3sas", "HGST", "HUS726040ALS210", false),
        ("aacraid", "ASR8405", "R1", true),
        ("arcmsr", "ARECA", "ARC-1680-VOL#000", true),
        ("3w-9xxx", "AMCC", "9650SE-16M DISK", true),
    ] {
        assert_eq!(
            is_volume(driver, vendor, model),
            expected,
            "{driver} {vendor} {model}"
        );
    }
}

#[test]
fn each_controller_has_its_own_way_to_its_disks() {
    let root = tempfile::tempdir().unwrap();
    let tree = Tree::at(root.path());
    let device = "sys/devices/pci0000:00/0000:00:03.0/host4/target4:3:0/4:3:0:0";
    write(root.path(), &format!("{device}/type"), "12\n");
    let generic = root.path().join("sys/class/scsi_generic/sg7");
    std::fs::create_dir_all(&generic).unwrap();
    std::os::unix::fs::symlink(root.path().join(device), generic.join("device")).unwrap();
    for address in ["4:0:0:0", "4:1:9:2", "5:1:1:0"] {
        write(
            root.path(),
            &format!("sys/class/scsi_device/{address}/x"),
            "",
        );
    }
    let of = |driver: &str| {
        let known = DRIVERS.iter().find(|(name, _)| *name == driver).unwrap();
        let controller = Controller {
            host: 4,
            driver: known.0,
            way: known.1.clone(),
        };
        let (mut queue, mut rows) = (Vec::new(), Vec::new());
        candidates(&tree, &controller, &mut queue, &mut rows);
        let words = |members: &[Member]| {
            let ends = members.first().zip(members.last());
            ends.map(|(a, b)| format!("{a} to {b}"))
        };
        (words(&queue), rows.first().and_then(|row| words(row)))
    };
    assert_eq!(of("megaraid_sas"), (None, None), "the scan names them");
    let row = Some("/dev/sg7 cciss,0 to /dev/sg7 cciss,127".into());
    assert_eq!(of("hpsa"), (None, row));
    let slots = Some("/dev/sg7 areca,1 to /dev/sg7 areca,24".into());
    assert_eq!(of("arcmsr"), (slots, None));
    let ports = Some("/dev/twa0 3ware,0 to /dev/twa0 3ware,31".into());
    assert_eq!(of("3w-9xxx"), (ports, None));
    let one = Some("/dev/null aacraid,4,2,9 to /dev/null aacraid,4,2,9".into());
    assert_eq!(of("aacraid"), (one, None));
}
