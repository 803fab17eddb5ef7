// SPDX-License-Identifier: Apache-2.0
//! ATA disks of canned replies: old ones without logs, new ones with all, and those that stop answering.

use super::*;
use crate::disk::fake::{Fake, Reply};
use hw_core::disk::facts::{SelfTestKind, SelfTestResult};

fn block(bytes: &[(usize, &[u8])]) -> Vec<u8> {
    let mut block = vec![0u8; BLOCK];
    for (at, value) in bytes {
        block[*at..at + value.len()].copy_from_slice(value);
    }
    block
}

fn sealed(bytes: &[(usize, &[u8])]) -> Vec<u8> {
    let mut block = block(bytes);
    block[511] = block.iter().fold(0u8, |sum, b| sum.wrapping_sub(*b));
    block
}

fn page(address: u8, page: u16) -> [u8; 16] {
    Command::ReadLogExt { address, page }.cdb()
}

fn log(address: u8, pages: u8) -> [u8; 16] {
    Command::SmartReadLog { address, pages }.cdb()
}

/// IDENTIFY with SMART on; `extension` is word 84.
fn identify_block(extension: u16) -> Vec<u8> {
    block(&[
        (20, b"SG-DTA-AA1          "),
        (164, &[1, 0, 0, 0x40]),
        (168, &extension.to_le_bytes()),
        (170, &[1, 0]),
        (434, &[0x20, 0x1c]),
    ])
}

/// A disk with SMART data: 8 reallocated sectors, 100 hours, 31 °C.
fn smart_disk(extension: u16, status: [u8; 2]) -> Fake {
    let mut sense = vec![0u8; 22];
    (sense[0], sense[7], sense[8], sense[9]) = (0x72, 14, 9, 12);
    (sense[17], sense[19]) = (status[0], status[1]);
    let table = sealed(&[
        (0, &[16, 0, 5, 3, 0, 100, 100, 8]),
        (14, &[9, 0x32, 0, 90, 90, 100]),
        (26, &[194, 2, 0, 60, 50, 31]),
        (363, &[0, 0, 0, 0, 0x7b, 0, 0, 1, 0, 2, 90]),
    ]);
    Fake::default()
        .data(&Command::Identify.cdb(), identify_block(extension))
        .data(&Command::SmartReadData.cdb(), table)
        .data(
            &Command::SmartReadThresholds.cdb(),
            sealed(&[(0, &[16, 0, 5, 10, 0])]),
        )
        .with(&Command::SmartReturnStatus.cdb(), Reply::Status(2, sense))
}

fn seen(disk: &Fake) -> (DiskFacts, Result<(), Over>) {
    let mut facts = DiskFacts::new("/dev/sda", "ioctl", Protocol::Ata);
    let end = gather(disk, &mut facts, &mut |_| {});
    (facts, end)
}

#[test]
fn a_disk_without_a_directory_is_asked_for_what_it_can() {
    let disk = smart_disk(0x4003, [0x4f, 0xc2])
        .data(&log(LOG_SUMMARY_ERRORS, 1), sealed(&[(0, &[1])]))
        .data(
            &log(LOG_SELF_TEST, 1),
            sealed(&[(0, &[1, 0, 1, 0, 50, 0]), (508, &[1])]),
        );
    let (facts, end) = seen(&disk);
    assert_eq!(end, Ok(()));
    assert_eq!(facts.assessment, Assessment::Passed);
    assert_eq!(facts.identity.serial, "GSD-ATA-1A");
    assert_eq!(facts.identity.rotation_rpm, Some(7200));
    assert_eq!(facts.temperature_c, Some(31));
    assert_eq!(facts.power_on_hours, Some(100));
    let ata = facts.ata.unwrap();
    assert_eq!(ata.attributes[0].raw, 8);
    assert_eq!(ata.error_count, Some(0));
    assert!(ata.statistics.is_empty() && ata.pending_defects.is_none());
    let tests = facts.self_tests.unwrap();
    assert_eq!(tests.entries[0].kind, SelfTestKind::Short);
    assert_eq!(tests.entries[0].result, SelfTestResult::Passed);
    assert_eq!(
        (tests.short_minutes, tests.extended_minutes),
        (Some(2), Some(90))
    );
    assert!(facts.missed.is_empty(), "{:?}", facts.missed);
    // READ LOG EXT is not sent to a disk that does not have it.
    assert!(disk.asked().iter().all(|cdb| cdb[14] != 0x2f));
}

#[test]
fn only_logs_that_the_directory_lists_are_read() {
    let there = 3u64 << 62;
    let disk = smart_disk(0x4023, [0xf4, 0x2c])
        .data(
            &page(LOG_DIRECTORY, 0),
            block(&[(0, &[1]), (6, &[2]), (8, &[8]), (14, &[1]), (24, &[1])]),
        )
        .data(
            &log(LOG_DIRECTORY, 1),
            block(&[(0, &[1]), (2, &[1]), (12, &[1])]),
        )
        .data(
            &page(LOG_EXTENDED_ERRORS, 0),
            sealed(&[(0, &[1, 0, 1, 0]), (95, &[0x40]), (500, &[1])]),
        )
        .data(
            &page(LOG_EXTENDED_SELF_TEST, 0),
            sealed(&[(0, &[1, 0, 1, 0, 2, 0x70, 9, 0, 0, 77])]),
        )
        .data(
            &page(LOG_STATISTICS, 0),
            block(&[(0, &[1, 0, 0]), (8, &[2, 1, 7])]),
        )
        .data(
            &page(LOG_STATISTICS, 1),
            block(&[(0, &[1, 0, 1]), (16, &(there | 4_000).to_le_bytes())]),
        )
        .data(
            &page(LOG_STATISTICS, 7),
            block(&[(0, &[1, 0, 7]), (8, &(there | 12).to_le_bytes())]),
        )
        .data(&page(LOG_PENDING_DEFECTS, 0), block(&[(0, &[5])]));
    let (facts, end) = seen(&disk);
    assert_eq!(end, Ok(()));
    assert_eq!(facts.assessment, Assessment::Failed);
    assert_eq!(facts.power_on_hours, Some(4_000));
    let ata = facts.ata.unwrap();
    assert_eq!(ata.error_count, Some(1));
    assert_eq!(ata.errors[0].what, "UNC at LBA 0");
    assert_eq!(ata.statistics.len(), 2);
    assert_eq!(ata.pending_defects, Some(5));
    let test = &facts.self_tests.unwrap().entries[0];
    assert_eq!(test.lba, Some(77));
    assert!(facts.missed.is_empty(), "{:?}", facts.missed);
    // The short logs are listed too, and not needed.
    let short = log(LOG_SELF_TEST, 1).to_vec();
    assert!(!disk.asked().contains(&short));
}

#[test]
fn statistics_come_by_the_small_command_set_too() {
    let there = 3u64 << 62;
    let mut whole = vec![0u8; BLOCK * 8];
    whole[8..11].copy_from_slice(&[2, 1, 5]);
    (whole[BLOCK + 2], whole[BLOCK * 5 + 2]) = (1, 5);
    whole[BLOCK * 5 + 8..BLOCK * 5 + 16].copy_from_slice(&(there | 44).to_le_bytes());
    let disk = smart_disk(0x4003, [0x4f, 0xc2])
        .data(&log(LOG_DIRECTORY, 1), block(&[(0, &[1]), (8, &[200])]))
        .data(&log(LOG_STATISTICS, 8), whole);
    let ata = seen(&disk).0.ata.unwrap();
    let values: Vec<_> = ata.statistics.iter().map(|s| (s.page, s.value)).collect();
    assert_eq!(values, [(5, 44)]);
    assert_eq!(
        ata.error_count, None,
        "the directory does not list the error log"
    );
}

#[test]
fn an_assessment_that_an_adapter_drops_is_read_from_sct_status() {
    // The registers come back as zeros.
    let listed = block(&[(0, &[1]), (0x1c0, &[1])]);
    let sct = block(&[(0, &[3]), (214, &[0xf4, 0x2c])]);
    let disk = smart_disk(0x4003, [0, 0])
        .data(&log(LOG_DIRECTORY, 1), listed.clone())
        .data(&log(LOG_SCT_STATUS, 1), sct);
    assert_eq!(seen(&disk).0.assessment, Assessment::Failed);
    // Where they came, it is not asked.
    let told = smart_disk(0x4003, [0x4f, 0xc2]).data(&log(LOG_DIRECTORY, 1), listed);
    let (facts, _) = seen(&told);
    assert_eq!(facts.assessment, Assessment::Passed);
    assert!(!told.asked().contains(&log(LOG_SCT_STATUS, 1).to_vec()));
}

#[test]
fn a_disk_without_smart_is_not_asked_for_it() {
    for (word_85, why) in [
        (None, "the disk has no SMART"),
        (Some(0), "SMART is switched off on this disk"),
    ] {
        let mut identify = identify_block(0);
        match word_85 {
            None => identify[164] = 0,
            Some(off) => identify[170] = off,
        }
        let disk = Fake::default().data(&Command::Identify.cdb(), identify);
        let (facts, end) = seen(&disk);
        assert_eq!((facts.missed, end), (vec![why.to_owned()], Ok(())));
        assert_eq!(disk.asked().len(), 1);
    }
}

#[test]
fn what_is_refused_is_told_and_what_hangs_ends_the_asking() {
    // Status and thresholds are refused, the rest goes on.
    let disk = smart_disk(0, [0, 0])
        .with(
            &Command::SmartReadThresholds.cdb(),
            Reply::Status(2, crate::disk::fake::REFUSED.to_vec()),
        )
        .with(&Command::SmartReturnStatus.cdb(), Reply::Host(7));
    let (facts, end) = seen(&disk);
    assert_eq!(end, Ok(()));
    assert_eq!(facts.assessment, Assessment::NotSaid);
    assert_eq!(
        facts.missed[..3],
        [
            "SMART RETURN STATUS: host adapter status 0x0007",
            "SMART READ ATTRIBUTE THRESHOLDS: illegal request (5/20/00)",
            "the disk returned no SMART thresholds"
        ]
    );
    // A time-out in the middle: what came before is kept, nothing is asked after.
    let hangs =
        smart_disk(0, [0x4f, 0xc2]).with(&Command::SmartReadThresholds.cdb(), Reply::Host(3));
    let (facts, end) = seen(&hangs);
    let why = "SMART READ ATTRIBUTE THRESHOLDS: the disk did not answer in time";
    assert_eq!(end, Err(Over(why.into())));
    assert_eq!(facts.assessment, Assessment::Passed);
    assert_eq!(hangs.asked().len(), 4);
    // Without the right nothing is asked twice.
    let denied = Fake::default().with(&Command::Identify.cdb(), Reply::Errno(libc::EPERM));
    let (_, end) = seen(&denied);
    assert_eq!(
        end,
        Err(Over(
            "IDENTIFY DEVICE: Operation not permitted (os error 1): run as root".into()
        ))
    );
    let gone = Fake::default().with(&Command::Identify.cdb(), Reply::Errno(libc::ENODEV));
    assert!(seen(&gone).1.unwrap_err().0.ends_with("the device is gone"));
}
