// SPDX-License-Identifier: Apache-2.0
//! A profile on the inventory of a real (virtual) machine.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use super::{Profile, back_test, judge, learn};
use expect_test::{Expect, expect};
use groundstate_api::health::{Verdict, page};
use groundstate_api::inventory::{Disk, Inventory};
use groundstate_api::units::Bytes;

/// Taken in a QEMU guest.
fn good() -> Inventory {
    let json = include_str!("../../../tests/golden/qemu-q35.json");
    let mut good: Inventory = serde_json::from_str(json).unwrap();
    good.nics[0].link = true;
    good.nics[0].speed_mbps = Some(25_000);
    good
}

fn check(change: fn(&mut Inventory), expect: Expect) {
    let profile = learn("q35", &good());
    let mut seen = good();
    change(&mut seen);
    expect.assert_eq(&page(&[judge(&profile, &seen)]).join("\n"));
}

#[test]
fn a_machine_fits_what_was_learned_from_it() {
    check(
        |_| {},
        expect![[r#"
        ok: 1 ok

        ok      machine profile q35"#]],
    );
}

#[test]
fn what_is_missing_is_named_with_its_rule() {
    check(
        |seen| {
            seen.disks.pop();
            seen.memory.dimms[0].populated = false;
            seen.memory.dimms[0].size = None;
            seen.memory.configured = Bytes::mib(512);
            seen.nics[0].link = false;
        },
        expect![[r#"
            FAIL: 1 fail

            FAIL    machine profile q35
              the DIMMs add up to 512 MiB, not 2 GiB [profile-memory]
                seen:     rule of the profile: memory.total
                how sure: certain
                do now:   power the machine off, and reseat or replace the DIMM of the empty or differing slot
              0 of 1 DIMMs are there (2 GiB, RAM) [profile-dimm-count]
                seen:     rule of the profile: dimm[0].count
                seen:     empty slots: DIMM_A 0
                how sure: certain
                do now:   power the machine off, and reseat or replace the DIMM of the empty or differing slot
              0 of 1 disks are there (64 MiB, rotating) [profile-disk-count]
                seen:     rule of the profile: disk[3].count
                seen:     there: none
                how sure: certain
                do now:   look which bay is empty or dark, reseat that disk and its cable, and check again
              eth0 (52:54:00:aa:bb:01) has no link [profile-nic-link]
                seen:     rule of the profile: nic[0].link
                how sure: certain
                do now:   look at the cable, the transceiver and the switch port"#]],
    );
}

#[test]
fn what_differs_is_a_warning() {
    check(
        |seen| {
            seen.system.firmware_version = "1.0".into();
            seen.nics[0].speed_mbps = Some(10_000);
            let sata = |disk: &&mut Disk| disk.model == "GSATA";
            let disk = seen.disks.iter_mut().find(sata).unwrap();
            disk.revision = "old".into();
            let mut more = disk.clone();
            more.serial = "MORE".into();
            more.size = Bytes::gib(900);
            seen.disks.push(more);
        },
        expect![[r#"
            FAIL: 1 fail

            FAIL    machine profile q35
              eth0 (52:54:00:aa:bb:01) runs at 10000 Mb/s, below 25000 [profile-nic-speed]
                seen:     rule of the profile: nic[0].speed_min_mbps
                how sure: certain
                do now:   look at the cable, the transceiver and the switch port's speed
              the firmware is `1.0`, not `SeaBIOS 1.16.3-debian-1.16.3-2~bpo12+1` [profile-firmware]
                seen:     rule of the profile: machine.firmware
                how sure: certain
                do now:   update the machine's firmware, or add this version to the profile
              disk GS-ATA-1 in pci-0000:00:03.0-ata-3 has firmware `old`, not `2.5+` [profile-disk-firmware]
                seen:     rule of the profile: disk[0].firmware
                how sure: certain
                do now:   update the disk's firmware, or add this version to the profile
              disk MORE in pci-0000:00:03.0-ata-3 (900 GiB, GSATA) is in no group of the profile [profile-disk-other]
                seen:     rule of the profile: disk
                how sure: certain
                do now:   take it out, or write it into the profile"#]],
    );
}

#[test]
fn the_file_reads_back_and_refuses_what_it_does_not_know() {
    let profile = learn("q35", &good());
    let text = toml::to_string(&profile).unwrap();
    expect![[r#"
        schema = 1
        name = "q35"

        [machine]
        manufacturer = "Maker"
        product = "Prod"
        firmware = ["SeaBIOS 1.16.3-debian-1.16.3-2~bpo12+1"]
        uefi = false

        [cpu]
        count = 1
        model = "QEMU Virtual CPU version 2.5+"

        [memory]
        total = "2GiB"

        [[dimm]]
        count = 1
        size = "2GiB"
        type = "RAM"

        [[disk]]
        count = 1
        model = "GSATA"
        size = "64MiB"
        rotational = true
        transport = "ata"
        firmware = ["2.5+"]

        [[disk]]
        count = 3
        model = "QEMU NVMe Ctrl"
        size = "64MiB"
        rotational = false
        transport = "nvme"
        firmware = ["10.0.2"]

        [[disk]]
        count = 1
        model = "QEMU HARDDISK"
        size = "64MiB"
        rotational = true
        transport = "scsi"
        firmware = ["2.5+"]

        [[disk]]
        count = 1
        size = "64MiB"
        rotational = true
        transport = "virtio"

        [[nic]]
        count = 1
        driver = "e1000e"
        link = true
        speed_min_mbps = 25000
    "#]]
    .assert_eq(&text);
    assert_eq!(toml::from_str::<Profile>(&text).unwrap(), profile);
    let error = |text: &str| toml::from_str::<Profile>(text).unwrap_err().to_string();
    assert!(error("schema = 1\nname = \"a\"\n[cpu]\ncuont = 1\n").contains("cuont"));
    let size = error("schema = 1\nname = \"a\"\n[memory]\ntotal = \"4 GB\"\n");
    assert!(size.contains("`4 GB` is not a size"), "{size}");
}

#[test]
fn a_rule_that_would_fail_good_machines_is_seen_before_it_is_switched_on() {
    let mut other = good();
    other.disks.pop();
    let mut slow = good();
    slow.system.firmware_version = "older".into();
    let profile = learn("q35", &good());
    let test = back_test(&profile, [("a", &good()), ("b", &other), ("c", &slow)]);
    assert_eq!((test.reports, test.passed, test.failed), (3, 1, 1));
    let rules: Vec<(&str, Verdict, usize)> = test
        .rules
        .iter()
        .map(|r| (r.rule.as_str(), r.verdict, r.spoke_on.len()))
        .collect();
    expect![[r#"[("disk[3].count", Fail, 1), ("machine.firmware", Warn, 1)]"#]]
        .assert_eq(&format!("{rules:?}"));
}
