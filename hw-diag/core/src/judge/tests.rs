// SPDX-License-Identifier: Apache-2.0
//! Every rule by what a person reads of it.

use super::{judge, judge_node};
use expect_test::{Expect, expect};
use groundstate_api::inventory::{
    Dimm, Disk, Finding, Gravity, Health, Inventory, MemoryInfo, Signature, SystemInfo, Transport,
    Verdict,
};
use groundstate_api::plan::EarlierDisks;
use groundstate_api::site::{ExpectedDimm, ExpectedDisk, Hardware, Node};
use groundstate_api::units::{Bytes, Millis};

fn dimm(slot: &str, gib: u64, serial: &str) -> Dimm {
    Dimm {
        slot: slot.into(),
        bank: "BANK 0".into(),
        size: (gib > 0).then(|| Bytes::gib(gib)),
        populated: gib > 0,
        kind: "DDR4".into(),
        speed: 3200,
        manufacturer: "Maker".into(),
        part_number: "P-1".into(),
        serial: serial.into(),
        errors: None,
    }
}

fn disk(serial: &str, port: u32, gib: u64) -> Disk {
    Disk {
        kernel_name: format!("sd{port}"),
        slot: format!("pci-0000:00:1f.2-ata-{port}"),
        serial: serial.into(),
        wwn: None,
        model: "M-1".into(),
        revision: "1".into(),
        size: Bytes::gib(gib),
        logical_sector: 512,
        physical_sector: 4096,
        transport: Transport::Ata,
        rotational: false,
        removable: false,
        read_only: false,
        attachment: groundstate_api::inventory::Attachment::default(),
        contents: vec![],
        layout: None,
        health: Health {
            verdict: Verdict::Ok,
            source: "ATA SMART".into(),
            evidence: vec![],
            temperature_c: None,
            power_on_hours: None,
            findings: Vec::new(),
            figures: std::collections::BTreeMap::new(),
        },
    }
}

/// Two DIMMs of 16 GiB, three disks, all well.
fn good() -> Inventory {
    Inventory {
        schema: 1,
        boot_id: "564d1234-5678-9abc-def0-123456789abc".parse().unwrap(),
        first_line_after: Millis(0),
        complete_after: Millis(0),
        system: SystemInfo {
            manufacturer: "Maker".into(),
            product: "P".into(),
            serial: "SYS-1".into(),
            uuid: None,
            firmware_version: "F 1".into(),
            firmware: None,
            uefi: true,
            cpus: 2,
            cpu_model: "C".into(),
        },
        memory: MemoryInfo {
            available: Bytes::mib(31 * 1024),
            configured: Bytes::gib(32),
            dimms: vec![
                dimm("A1", 16, "D-1"),
                dimm("A2", 16, "D-2"),
                dimm("B1", 0, ""),
            ],
        },
        disks: vec![disk("S-1", 1, 4), disk("S-2", 2, 8), disk("S-3", 3, 8)],
        nics: vec![],
        devices: Vec::new(),
        could_not_look: vec![],
    }
}

fn hardware() -> Hardware {
    let dimm = |slot: &str, serial: Option<&str>| ExpectedDimm {
        slot: slot.into(),
        size: "16GiB".into(),
        serial: serial.map(Into::into),
    };
    let disk = |serial: &str, port: Option<u32>, size: &str| ExpectedDisk {
        serial: serial.into(),
        slot: port.map(|p| format!("pci-0000:00:1f.2-ata-{p}")),
        size: Some(size.into()),
    };
    Hardware {
        dimms: vec![dimm("A1", Some("D-1")), dimm("A2", None)],
        disks: vec![
            disk("S-1", Some(1), "4GiB"),
            disk("S-2", None, "8589934592"),
            disk("S-3", Some(3), "8GiB"),
        ],
    }
}

fn text(expected: Option<&Hardware>, last: Option<&Inventory>, seen: &Inventory) -> String {
    let findings = judge(expected, last, seen);
    let mut lines = Vec::new();
    for finding in findings {
        let reason = &finding.reason;
        let part = reason
            .part
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default();
        lines.push(format!(
            "{:?} {} | {} | {part} | {}",
            finding.gravity,
            reason.code,
            reason.what,
            reason.evidence.join("; ")
        ));
        assert!(!reason.next_step.is_empty());
        assert_eq!(
            reason.next_automatic.starts_with("the run goes on"),
            finding.gravity == Gravity::Warn
        );
    }
    lines.join("\n")
}

/// The good machine after `change`, judged by the site file.
fn check(change: impl FnOnce(&mut Inventory), expect: Expect) {
    let mut seen = good();
    change(&mut seen);
    expect.assert_eq(&text(Some(&hardware()), Some(&good()), &seen));
}

/// The good machine after `change`, judged by its last good report alone.
fn check_last(change: impl FnOnce(&mut Inventory), expect: Expect) {
    let mut seen = good();
    change(&mut seen);
    expect.assert_eq(&text(None, Some(&good()), &seen));
}

#[test]
fn a_good_machine_has_no_finding() {
    check(|_| {}, expect![""]);
    check_last(|_| {}, expect![""]);
    expect![""].assert_eq(&text(None, None, &good()));
}

#[test]
fn dimms() {
    let empty = |seen: &mut Inventory| {
        seen.memory.dimms[1] = dimm("A2", 0, "");
        seen.memory.configured = Bytes::gib(16);
        seen.memory.available = Bytes::mib(15_600);
    };
    check(
        empty,
        expect![
            "Stop dimm-missing | the DIMM in slot A2 is missing | DIMM A2, 16 GiB, serial D-2 | the site file expects 16 GiB in slot A2, serial D-2; SMBIOS says slot A2 is empty; the node's last good report had Maker P-1 in slot A2"
        ],
    );
    check_last(
        empty,
        expect![
            "Stop dimm-missing | the DIMM in slot A2 is missing | DIMM A2, 16 GiB, serial D-2 | the node's last good report expects 16 GiB in slot A2, serial D-2, Maker P-1; SMBIOS says slot A2 is empty"
        ],
    );
    check(
        |seen| {
            seen.memory.dimms.remove(0);
        },
        expect![
            "Stop dimm-missing | the DIMM of slot A1 is missing | DIMM A1, 16 GiB, serial D-1 | the site file expects 16 GiB in slot A1, serial D-1; SMBIOS lists no slot of that name; the node's last good report had Maker P-1 in slot A1"
        ],
    );
    check(
        |seen| seen.memory.dimms[0].size = Some(Bytes::gib(8)),
        expect![
            "Stop dimm-missing | the DIMM in slot A1 has 8 GiB instead of 16 GiB | DIMM A1, 16 GiB, serial D-1 | the site file expects 16 GiB in slot A1, serial D-1; SMBIOS says slot A1 holds 8 GiB, serial D-1, Maker P-1; the node's last good report had Maker P-1 in slot A1"
        ],
    );
    check(
        |seen| seen.memory.dimms[0].size = None,
        expect![
            "Warn dimm-missing | the size of the DIMM in slot A1 is unknown | DIMM A1, serial D-1 | the site file expects 16 GiB in slot A1, serial D-1; SMBIOS says slot A1 holds unknown size, serial D-1, Maker P-1"
        ],
    );
    check(
        |seen| seen.memory.dimms[0].serial = "D-9".into(),
        expect![
            "Warn dimm-missing | the DIMM in slot A1 is serial D-9 instead of D-1 | DIMM A1, 16 GiB, serial D-9 | the site file expects 16 GiB in slot A1, serial D-1; SMBIOS says slot A1 holds 16 GiB, serial D-9, Maker P-1"
        ],
    );
    check(
        |seen| seen.memory.dimms[0].serial = "Unknown".into(),
        expect![[""]],
    );
    check(
        |seen| {
            seen.memory.dimms.clear();
            seen.memory.configured = Bytes(0);
            seen.could_not_look.push("SMBIOS: not there".into());
        },
        expect![
            "Stop dimm-missing | the firmware's SMBIOS tables list no memory slot, so the 2 expected DIMMs cannot be found | machine SYS-1 | SMBIOS: not there"
        ],
    );
    let mut bare = good();
    bare.memory.dimms.clear();
    bare.memory.configured = Bytes(0);
    expect!["Warn dimm-missing | the firmware's SMBIOS tables list no memory slot, so the DIMMs cannot be checked | machine SYS-1 | "].assert_eq(&text(None, None, &bare));
}

#[test]
fn slots_with_the_same_name_stand_for_one_dimm_each() {
    let mut seen = good();
    seen.memory.dimms = vec![dimm("DIMM 0", 0, ""), dimm("DIMM 0", 16, "D-2")];
    seen.memory.configured = Bytes::gib(16);
    seen.memory.available = Bytes::gib(16);
    let mut wanted = hardware();
    wanted.dimms.truncate(1);
    wanted.dimms[0] = ExpectedDimm {
        slot: "DIMM 0".into(),
        size: "16GiB".into(),
        serial: None,
    };
    expect![""].assert_eq(&text(Some(&wanted), None, &seen));
    wanted.dimms.push(wanted.dimms[0].clone());
    expect!["Stop dimm-missing | the DIMM in slot DIMM 0 (number 1) is missing | DIMM DIMM 0 (number 1), 16 GiB | the site file expects 16 GiB in slot DIMM 0; SMBIOS says slot DIMM 0 (number 1) is empty"].assert_eq(&text(Some(&wanted), None, &seen));
}

#[test]
fn available_memory_against_configured() {
    let with = |configured: u64, available: u64| {
        let mut seen = good();
        seen.memory.configured = Bytes::mib(configured);
        seen.memory.available = Bytes::mib(available);
        text(None, None, &seen)
    };
    // A guest of 2 GiB and a server of 1 TiB as the kernel really shows them.
    expect![""].assert_eq(&with(2_048, 1_966));
    expect![""].assert_eq(&with(1_048_576, 1_031_000));
    expect![""].assert_eq(&with(2_048, 2_048 - 256));
    expect!["Stop memory-short | 257 MiB of 2 GiB memory is missing from what the kernel can use | DIMM A1+A2, 2 GiB, serial D-1+D-2 | 2 populated DIMMs add up to 2 GiB; the kernel has 1.7 GiB; up to 256 MiB may be kept by firmware and kernel"].assert_eq(&with(2_048, 2_048 - 257));
    // One DIMM of sixteen.
    expect!["Stop memory-short | 64 GiB of 1 TiB memory is missing from what the kernel can use | DIMM A1+A2, 1 TiB, serial D-1+D-2 | 2 populated DIMMs add up to 1 TiB; the kernel has 960 GiB; up to 51.1 GiB may be kept by firmware and kernel"].assert_eq(&with(1_048_576, 983_040));
    expect!["Warn memory-short | the kernel has more memory than the firmware's tables list |  | 2 populated DIMMs add up to 2 GiB; the kernel has 2 GiB"].assert_eq(&with(2_048, 2_049));
}

#[test]
fn disks_by_serial() {
    let replaced = |seen: &mut Inventory| seen.disks[2] = disk("X-9", 3, 8);
    check(
        replaced,
        expect![
            "Stop wrong-disk | expected serial S-3 in slot pci-0000:00:1f.2-ata-3, found X-9 | disk pci-0000:00:1f.2-ata-3, serial X-9, 8 GiB, M-1 | the site file expects serial S-3 in slot pci-0000:00:1f.2-ata-3, 8 GiB; slot pci-0000:00:1f.2-ata-3 holds serial X-9, 8 GiB, M-1"
        ],
    );
    check_last(
        replaced,
        expect![
            "Stop wrong-disk | expected serial S-3 in slot pci-0000:00:1f.2-ata-3, found X-9 | disk pci-0000:00:1f.2-ata-3, serial X-9, 8 GiB, M-1 | the node's last good report expects serial S-3 in slot pci-0000:00:1f.2-ata-3, 8 GiB; slot pci-0000:00:1f.2-ata-3 holds serial X-9, 8 GiB, M-1"
        ],
    );
    // Another size in the slot is the wrong disk too.
    check(
        |seen| seen.disks[2] = disk("X-9", 3, 16),
        expect![
            "Stop wrong-disk | expected serial S-3 in slot pci-0000:00:1f.2-ata-3, found X-9 | disk pci-0000:00:1f.2-ata-3, serial X-9, 16 GiB, M-1 | the site file expects serial S-3 in slot pci-0000:00:1f.2-ata-3, 8 GiB; slot pci-0000:00:1f.2-ata-3 holds serial X-9, 16 GiB, M-1"
        ],
    );
    // The same size elsewhere, and it is the only one.
    check(
        |seen| seen.disks[1] = disk("X-9", 7, 8),
        expect![
            "Stop wrong-disk | expected serial S-2 in slot pci-0000:00:1f.2-ata-2, found X-9 | disk pci-0000:00:1f.2-ata-7, serial X-9, 8 GiB, M-1 | the site file expects serial S-2 in slot pci-0000:00:1f.2-ata-2, 8 GiB; slot pci-0000:00:1f.2-ata-7 holds serial X-9, 8 GiB, M-1"
        ],
    );
    // Two of that size elsewhere: nobody can say which replaced it.
    check(
        |seen| {
            seen.disks.remove(1);
            seen.disks.push(disk("X-8", 7, 8));
            seen.disks.push(disk("X-9", 8, 8));
        },
        expect![[r#"
            Stop disk-missing | disk S-2 is missing | disk pci-0000:00:1f.2-ata-2, serial S-2, 8 GiB, M-1 | the site file expects serial S-2 in slot pci-0000:00:1f.2-ata-2, 8 GiB; disks that are there: S-1, S-3, X-8, X-9
            Warn wrong-disk | slot pci-0000:00:1f.2-ata-7 holds serial X-8, 8 GiB: a disk that the site file does not name; it is left alone | disk pci-0000:00:1f.2-ata-7, serial X-8, 8 GiB, M-1 | 
            Warn wrong-disk | slot pci-0000:00:1f.2-ata-8 holds serial X-9, 8 GiB: a disk that the site file does not name; it is left alone | disk pci-0000:00:1f.2-ata-8, serial X-9, 8 GiB, M-1 | "#]],
    );
    check(
        |seen| {
            seen.disks.remove(2);
        },
        expect![
            "Stop disk-missing | disk S-3 is missing | disk pci-0000:00:1f.2-ata-3, serial S-3, 8 GiB, M-1 | the site file expects serial S-3 in slot pci-0000:00:1f.2-ata-3, 8 GiB; disks that are there: S-1, S-2"
        ],
    );
    check_last(
        |seen| {
            seen.disks.remove(2);
        },
        expect![
            "Stop disk-missing | disk S-3 is missing | disk pci-0000:00:1f.2-ata-3, serial S-3, 8 GiB, M-1 | the node's last good report expects serial S-3 in slot pci-0000:00:1f.2-ata-3, 8 GiB; disks that are there: S-1, S-2"
        ],
    );
    // An additional disk is no fault, and nobody writes to it.
    check(
        |seen| seen.disks.push(disk("X-9", 7, 8)),
        expect![
            "Warn wrong-disk | slot pci-0000:00:1f.2-ata-7 holds serial X-9, 8 GiB: a disk that the site file does not name; it is left alone | disk pci-0000:00:1f.2-ata-7, serial X-9, 8 GiB, M-1 | "
        ],
    );
    check(
        |seen| seen.disks[0].size = Bytes::gib(5),
        expect![
            "Stop wrong-disk | disk S-1 has 5 GiB (5368709120 bytes) instead of 4 GiB (4294967296 bytes) | disk pci-0000:00:1f.2-ata-1, serial S-1, 5 GiB, M-1 | the site file expects serial S-1 in slot pci-0000:00:1f.2-ata-1, 4 GiB"
        ],
    );
    check(
        |seen| seen.disks[2].slot = "pci-0000:00:1f.2-ata-6".into(),
        expect![
            "Warn wrong-disk | disk S-3 sits in slot pci-0000:00:1f.2-ata-6 instead of pci-0000:00:1f.2-ata-3 | disk pci-0000:00:1f.2-ata-6, serial S-3, 8 GiB, M-1 | the site file expects serial S-3 in slot pci-0000:00:1f.2-ata-3, 8 GiB"
        ],
    );
}

#[test]
fn a_disk_that_nobody_named_is_told_and_left_alone() {
    let mut seen = good();
    seen.disks.push(disk("X-9", 7, 8));
    seen.disks[3].contents = vec![Signature {
        at: "partition 1".into(),
        what: "ntfs".into(),
        label: Some("books".into()),
    }];
    let node = |hardware: Option<Hardware>| Node {
        hardware,
        ..Node::new(
            "node-1".parse().unwrap(),
            "52:54:00:00:00:01".parse().unwrap(),
            "564d1234-5678-9abc-def0-123456789abc".parse().unwrap(),
            "SYS-1",
        )
    };
    let lines = |node: &Node, earlier: &EarlierDisks| {
        let findings = judge_node(node, Some(&good()), earlier, &seen);
        let line = |f: &Finding| format!("{:?} {}\n", f.gravity, f.reason);
        findings.iter().map(line).collect::<String>()
    };
    let first = EarlierDisks::default();
    let mut listed = node(Some(hardware()));
    expect![[r#"
        Warn slot pci-0000:00:1f.2-ata-7 holds serial X-9, 8 GiB: a disk that the site file does not name; it is left alone [wrong-disk]
          part:      disk pci-0000:00:1f.2-ata-7, serial X-9, 8 GiB, M-1
          seen:      it holds ntfs "books" on partition 1
          by itself: the run goes on; the report says it
          do now:    take the disk out; or, to use it, list X-9 with the node's other disks in the site file, and order the run again
    "#]].assert_eq(&lines(&listed, &first));
    // Where the site file lists no disks: never planned for, then a node whose plan did not use it, then one that did.
    assert_eq!(lines(&node(None), &first), "");
    let mut later = first.clone();
    later.used.insert("S-1".into());
    assert_eq!(lines(&node(None), &later), lines(&listed, &first));
    later.used.insert("X-9".into());
    assert_eq!(lines(&node(None), &later), "");
    listed.keep = vec!["X-9".into()];
    assert_eq!(lines(&listed, &first), "");
    listed.keep.clear();
    listed.os_disk = Some("X-9".into());
    assert_eq!(lines(&listed, &first), "");
}

#[test]
fn a_stick_that_is_gone_is_not_missed() {
    let mut before = good();
    before.disks[2].transport = Transport::Usb;
    before.disks[1].removable = true;
    let mut seen = good();
    seen.disks.truncate(1);
    expect![""].assert_eq(&text(None, Some(&before), &seen));
}

#[test]
fn disks_that_cannot_be_told_apart() {
    let twin = |seen: &mut Inventory| seen.disks.push(disk("S-1", 7, 4));
    check(
        twin,
        expect![
            "Stop wrong-disk | 2 disks have the serial number S-1, so they cannot be told apart | disk pci-0000:00:1f.2-ata-1, serial S-1, 4 GiB, M-1 | pci-0000:00:1f.2-ata-1: 4 GiB, WWN none; pci-0000:00:1f.2-ata-7: 4 GiB, WWN none"
        ],
    );
    let nameless = |seen: &mut Inventory| seen.disks.push(disk("", 7, 4));
    check(
        nameless,
        expect![
            "Stop wrong-disk | the disk in pci-0000:00:1f.2-ata-7 has no serial number, so it cannot be told apart | disk pci-0000:00:1f.2-ata-7, serial , 4 GiB, M-1 | "
        ],
    );
    for change in [
        |d: &mut Disk| d.removable = true,
        |d: &mut Disk| d.read_only = true,
        |d: &mut Disk| d.size = Bytes(0),
    ] {
        check(
            |seen| {
                nameless(seen);
                change(seen.disks.last_mut().unwrap());
            },
            expect![""],
        );
    }
    check(
        |seen| {
            nameless(seen);
            seen.disks.last_mut().unwrap().transport = Transport::Usb;
        },
        expect![
            "Warn wrong-disk | the disk in pci-0000:00:1f.2-ata-7 has no serial number, so it cannot be told apart | disk pci-0000:00:1f.2-ata-7, serial , 4 GiB, M-1 | "
        ],
    );
}

#[test]
fn health() {
    let sick = |verdict: Verdict| {
        move |seen: &mut Inventory| {
            seen.disks[1].health.verdict = verdict;
            seen.disks[1].health.evidence = vec!["saw it".into()];
        }
    };
    check(
        sick(Verdict::Fail),
        expect![
            "Stop disk-failing | disk S-2 in pci-0000:00:1f.2-ata-2 is failing | disk pci-0000:00:1f.2-ata-2, serial S-2, 8 GiB, M-1 | source: ATA SMART; saw it"
        ],
    );
    check(
        sick(Verdict::Warn),
        expect![
            "Warn disk-failing | disk S-2 in pci-0000:00:1f.2-ata-2 shows signs of wear or errors | disk pci-0000:00:1f.2-ata-2, serial S-2, 8 GiB, M-1 | source: ATA SMART; saw it"
        ],
    );
    check(
        sick(Verdict::Unknown),
        expect![
            "Warn disk-error | the health of disk S-2 in pci-0000:00:1f.2-ata-2 is unknown | disk pci-0000:00:1f.2-ata-2, serial S-2, 8 GiB, M-1 | source: ATA SMART; saw it"
        ],
    );
    check(
        |seen| {
            sick(Verdict::Fail)(seen);
            seen.disks[1].removable = true;
        },
        expect![
            "Warn disk-failing | disk S-2 in pci-0000:00:1f.2-ata-2 is failing | disk pci-0000:00:1f.2-ata-2, serial S-2, 8 GiB, M-1 | source: ATA SMART; saw it"
        ],
    );
}

#[test]
fn the_gravest_comes_first() {
    let mut seen = good();
    seen.memory.dimms[0].serial = "D-9".into();
    seen.disks[0].health.verdict = Verdict::Unknown;
    seen.disks[1].health.verdict = Verdict::Fail;
    let gravity: Vec<Gravity> = judge(Some(&hardware()), None, &seen)
        .iter()
        .map(|finding| finding.gravity)
        .collect();
    assert_eq!(gravity, [Gravity::Stop, Gravity::Warn, Gravity::Warn]);
}

#[test]
fn a_size_that_is_no_size_is_refused_by_name() {
    let mut wanted = hardware();
    wanted.dimms[0].size = "16 GB".into();
    wanted.disks[0].size = Some("big".into());
    expect![[r#"
        Stop plan-refused | the site file's size `16 GB` is not a size | field hardware.dimm[0].size | 
        Stop plan-refused | the site file's size `big` is not a size | field hardware.disk[0].size | "#]].assert_eq(&text(Some(&wanted), None, &good()));
}
