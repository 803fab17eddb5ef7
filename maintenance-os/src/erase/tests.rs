// SPDX-License-Identifier: Apache-2.0
//! The erase of files that stand in for disks, from the guard to the record: the shell's own way, with real reads and writes
//! past the page cache.

use super::{Shop, carry_out};
use crate::disk::{Bench, Look, contents};
use groundstate_api::erase::{EraseClass, EraseMethod, EraseOutcome, EraseRecord};
use groundstate_api::inventory::{Attachment, Disk, Health, Transport, Verdict};
use groundstate_api::plan::{DiskAction, DiskPlan, HandOver, Plan, Role};
use groundstate_api::units::MIB;
use groundstate_api::{Bytes, Digest, Reason, ReasonCode, SCHEMA};
use mos_core::guard::described;
use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Mutex;

/// More than a few pieces, and an end that no piece reaches.
const SIZE: u64 = 9 * MIB + 512 * 3;

fn disk(folder: &Path, serial: &str) -> Disk {
    let (contents, layout) = contents(&folder.join(serial)).unwrap();
    Disk {
        kernel_name: serial.to_owned(),
        slot: format!("bay-{serial}"),
        serial: serial.to_owned(),
        wwn: None,
        model: "file".to_owned(),
        revision: "1".to_owned(),
        size: Bytes(fs::metadata(folder.join(serial)).unwrap().len()),
        logical_sector: 512,
        physical_sector: 512,
        transport: Transport::Virtio,
        rotational: true,
        removable: false,
        read_only: false,
        contents,
        layout,
        health: Health {
            verdict: Verdict::Ok,
            source: "none".to_owned(),
            evidence: Vec::new(),
            temperature_c: None,
            power_on_hours: None,
            findings: Vec::new(),
            figures: std::collections::BTreeMap::new(),
        },
        attachment: Attachment::default(),
    }
}

fn plan(disks: &[Disk], erased: &[&str], level: EraseClass) -> Plan {
    let planned = |disk: &Disk| DiskPlan {
        serial: disk.serial.clone(),
        wwn: None,
        slot: disk.slot.clone(),
        model: disk.model.clone(),
        size: disk.size,
        logical_sector: 512,
        role: Role::Spare,
        because: "it is a test".to_owned(),
        action: if erased.contains(&disk.serial.as_str()) {
            let goes = disk.contents.iter().map(described).collect();
            DiskAction::Erase { goes, level }
        } else {
            DiskAction::LeaveAlone
        },
        named: false,
    };
    Plan {
        schema: SCHEMA,
        id: "0".repeat(64).parse().unwrap(),
        run: "r-1".parse().unwrap(),
        node: "node-1".parse().unwrap(),
        machine: "11111111-2222-3333-4444-555555555555".parse().unwrap(),
        hand_over: HandOver::Kexec,
        uefi: true,
        boot_mac: "52:54:00:00:00:01".parse().unwrap(),
        image: groundstate_api::image::ImageRef {
            name: "none".to_owned(),
            version: "none".to_owned(),
            kind: groundstate_api::image::ImageKind::RootFsExt4,
            manifest: Digest([0; 32]),
            size: Bytes(0),
            sector_size: 512,
            whole: None,
        },
        disks: disks.iter().map(planned).collect(),
        files: Vec::new(),
        rebuild: None,
        previous: None,
        notes: Vec::new(),
    }
}

/// Every sector begins with a canary of its own.
fn fill(path: &Path) {
    let sectors = (0..SIZE / 512).flat_map(|sector| {
        let mut bytes = format!("bird {sector:08}").into_bytes();
        bytes.resize(512, b'!');
        bytes
    });
    fs::write(path, sectors.collect::<Vec<u8>>()).unwrap();
}

type Erased = (
    Result<Vec<String>, Reason>,
    Vec<EraseRecord>,
    Vec<(Bytes, Bytes)>,
);

fn erase(folder: &Path, plan: &Plan, look: &(dyn Fn(Look) -> Vec<Disk> + Sync)) -> Erased {
    let records = Mutex::new(Vec::new());
    let report = |record: &EraseRecord| {
        records.lock().unwrap().push(record.clone());
        Ok(())
    };
    let bench = Bench {
        plan,
        look,
        image_begun: false,
    };
    let shop = Shop {
        bench: &bench,
        devices: folder,
        report: &report,
    };
    let mut told = Vec::new();
    let ended = carry_out(&shop, &mut |done, total| told.push((done, total)));
    (ended, records.into_inner().unwrap(), told)
}

#[test]
fn files_full_of_canaries_are_zeros_afterwards_and_the_others_are_as_they_were() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path();
    for serial in ["A", "B", "C"] {
        fill(&folder.join(serial));
    }
    let look = |_| ["A", "B", "C"].map(|serial| disk(folder, serial)).to_vec();
    let plan = plan(&look(Look::Contents), &["A", "C"], EraseClass::Clear);
    let (ended, records, told) = erase(folder, &plan, &look);
    let facts = ended.unwrap();
    assert_eq!(facts.len(), 2, "{facts:?}");
    assert!(
        facts[0].starts_with("A: erased by overwrite (clear), "),
        "{facts:?}"
    );
    for serial in ["A", "C"] {
        let bytes = fs::read(folder.join(serial)).unwrap();
        assert!(
            bytes.len() as u64 == SIZE && bytes.iter().all(|byte| *byte == 0),
            "{serial}"
        );
    }
    let kept = fs::read(folder.join("B")).unwrap();
    assert!(
        kept.starts_with(b"bird 00000000!") && kept.chunks(512).all(|one| one.starts_with(b"bird"))
    );
    assert_eq!(records.len(), 2);
    for record in &records {
        let (method, class) = (EraseMethod::Overwrite, EraseClass::Clear);
        assert_eq!(record.outcome, EraseOutcome::Erased { method, class });
        let sample = &record.sample;
        assert!(sample.whole && sample.planted == 0 && sample.zeros == sample.blocks);
        assert_eq!(sample.sectors, SIZE / 512);
        assert_eq!(sample.witnesses, SIZE.div_ceil(4_096));
    }
    let last = told.last().copied().unwrap_or_default();
    assert!(last.1 == Bytes(2 * SIZE) && told.is_sorted(), "{told:?}");
}

#[test]
fn a_blank_disk_gets_witnesses_and_one_that_must_be_purged_is_not_touched() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path();
    fs::File::create(folder.join("A"))
        .unwrap()
        .set_len(SIZE)
        .unwrap();
    let look = |_| vec![disk(folder, "A")];
    let (ended, records, _) = erase(
        folder,
        &plan(&look(Look::Contents), &["A"], EraseClass::Clear),
        &look,
    );
    ended.unwrap();
    assert!(records[0].sample.planted >= 1_024, "{:?}", records[0]);
    assert!(
        fs::read(folder.join("A"))
            .unwrap()
            .iter()
            .all(|byte| *byte == 0)
    );

    fill(&folder.join("A"));
    let (ended, records, _) = erase(
        folder,
        &plan(&look(Look::Contents), &["A"], EraseClass::Purge),
        &look,
    );
    let reason = ended.unwrap_err();
    assert_eq!(reason.code, ReasonCode::EraseFailed);
    assert!(
        reason
            .evidence
            .iter()
            .any(|line| line.contains("purge is wanted")),
        "{reason}"
    );
    assert!(
        reason
            .next_automatic
            .contains("never leaves quarantine by itself")
    );
    assert!(matches!(
        records[0].outcome,
        EraseOutcome::Quarantine { method: None, .. }
    ));
    assert!(
        fs::read(folder.join("A"))
            .unwrap()
            .starts_with(b"bird 00000000")
    );
}

#[test]
fn another_disk_under_the_name_or_other_contents_are_not_erased_and_the_rest_is() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path();
    for serial in ["A", "B", "C"] {
        fill(&folder.join(serial));
    }
    let before = ["A", "B", "C"].map(|serial| disk(folder, serial)).to_vec();
    let plan = plan(&before, &["A", "B", "C"], EraseClass::Clear);
    // B has another size than was planned, and C got a table since.
    fs::OpenOptions::new()
        .write(true)
        .open(folder.join("B"))
        .unwrap()
        .set_len(SIZE - 512)
        .unwrap();
    let table = fs::OpenOptions::new()
        .write(true)
        .open(folder.join("C"))
        .unwrap();
    table
        .write_all_at(b"\x31\xc0\x5a\xa5LUKS\xba\xbe\x00\x02", 0)
        .unwrap();
    table.write_all_at(b"LUKS\xba\xbe\x00\x01", 0).unwrap();
    let look = |_| ["A", "B", "C"].map(|serial| disk(folder, serial)).to_vec();
    let (ended, records, _) = erase(folder, &plan, &look);
    let reason = ended.unwrap_err();
    assert_eq!(reason.code, ReasonCode::WrongDisk, "{reason}");
    assert!(
        reason
            .evidence
            .iter()
            .any(|line| line.starts_with("also disk bay-C")),
        "{reason}"
    );
    assert_eq!(
        records
            .iter()
            .map(|one| one.serial.as_str())
            .collect::<Vec<_>>(),
        ["A"]
    );
    assert!(
        fs::read(folder.join("A"))
            .unwrap()
            .iter()
            .all(|byte| *byte == 0)
    );
    for serial in ["B", "C"] {
        let bytes = fs::read(folder.join(serial)).unwrap();
        assert!(bytes[512..].starts_with(b"bird 00000001"), "{serial}");
    }
}

#[test]
fn a_record_that_nobody_takes_is_a_disk_in_quarantine() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path();
    fill(&folder.join("A"));
    let look = |_| vec![disk(folder, "A")];
    let plan = plan(&look(Look::Contents), &["A"], EraseClass::Clear);
    let bench = Bench {
        plan: &plan,
        look: &look,
        image_begun: false,
    };
    let refused = || Reason::new(ReasonCode::PlanRefused, "the run is over", "order again");
    let shop = Shop {
        bench: &bench,
        devices: folder,
        report: &|_| Err(refused()),
    };
    assert_eq!(carry_out(&shop, &mut |_, _| ()).unwrap_err(), refused());
}
