// SPDX-License-Identifier: Apache-2.0
//! SCSI disks of canned replies.

use super::*;
use crate::disk::fake::{Fake, Reply};
use hw_core::ata::Command;
use hw_core::disk::facts::SelfTestResult;

/// With a log page, by its head and then whole.
fn with_log(disk: Fake, page: u8, subpage: u8, parameters: &[(u16, &[u8])]) -> Fake {
    let mut body = Vec::new();
    for (code, value) in parameters {
        body.extend(code.to_be_bytes());
        body.extend([3, u8::try_from(value.len()).unwrap()]);
        body.extend(*value);
    }
    let format = if subpage == 0 { 0 } else { 0x40 };
    raw_log(disk, page, subpage, format, &body)
}

fn raw_log(disk: Fake, page: u8, subpage: u8, format: u8, body: &[u8]) -> Fake {
    let length = u16::try_from(body.len()).unwrap();
    let mut answer = vec![page | format, subpage];
    answer.extend(length.to_be_bytes());
    answer.extend(body);
    let whole = (length + 4).next_multiple_of(2);
    disk.data(&scsi::log_sense(page, subpage, HEAD), answer.clone())
        .data(&scsi::log_sense(page, subpage, whole), answer)
}

fn vital(disk: Fake, page: u8, body: &[u8]) -> Fake {
    let mut answer = vec![0, page, 0, u8::try_from(body.len()).unwrap()];
    answer.extend(body);
    disk.data(&scsi::inquiry_page(page), answer)
}

fn disk(pages: &[u8]) -> Fake {
    let mut standard = vec![0u8; 8];
    standard.extend(b"SEAGATE ST4000NM0043    MS03");
    let disk = Fake::default().data(&scsi::inquiry(), standard);
    vital(vital(disk, 0, pages), 0x80, b"  Z1Z5DWJK  ")
}

fn seen(disk: &Fake) -> (DiskFacts, Result<(), Over>) {
    let mut facts = DiskFacts::new("/dev/sda", "ioctl", Protocol::Scsi);
    let end = gather(disk, &mut facts, &mut |_| {});
    (facts, end)
}

#[test]
fn a_sas_disk_says_what_it_keeps() {
    let disk = vital(disk(&[0, 0x80, 0xb1]), 0xb1, &[0x1c, 0x20]);
    let disk = raw_log(disk, 0, 0, 0, &[0, 3, 0x0d, 0x10, 0x15, 0x2f]);
    let disk = with_log(disk, 3, 0, &[(3, &[9]), (6, &[2])]);
    let disk = with_log(disk, 0x0d, 0, &[(0, &[0, 34]), (1, &[0, 68])]);
    let mut failed = [0u8; 16];
    (failed[0], failed[3]) = (0x27, 9);
    let disk = with_log(disk, 0x10, 0, &[(1, &failed)]);
    let disk = with_log(disk, 0x15, 0, &[(0, &[0, 0, 0x0e, 0x10, 0, 1, 0, 0])]);
    let disk = with_log(disk, 0x15, 1, &[(0, &[0, 0, 0, 6])]);
    let disk = with_log(disk, 0x2f, 0, &[(0, &[0x5d, 0x10, 40])])
        .data(&scsi::mode_sense_6(0x1c), vec![0, 0, 0, 0, 0x1c, 10, 0, 0])
        .with(
            &scsi::read_defects_12(),
            // The defect list is not found as asked, and comes all the same.
            Reply::Status(2, vec![0x72, 1, 0x1c, 0]),
        )
        .data(&scsi::read_defects_10(), vec![0, 0x0c, 0, 0x18]);
    let (facts, end) = seen(&disk);
    assert_eq!(end, Ok(()));
    assert_eq!(facts.identity.serial, "Z1Z5DWJK");
    assert_eq!(facts.identity.model, "ST4000NM0043");
    assert_eq!(facts.identity.rotation_rpm, Some(7200));
    assert_eq!(facts.assessment, Assessment::Failed);
    assert_eq!(facts.temperature_c, Some(34));
    assert_eq!(facts.power_on_hours, Some(60));
    let scsi = facts.scsi.unwrap();
    assert_eq!(scsi.exception, Some((0x5d, 0x10)));
    assert_eq!(scsi.read.unwrap().uncorrected, Some(2));
    assert_eq!(scsi.pending_defects, Some(6));
    assert_eq!(scsi.grown_defects, Some(3));
    assert_eq!(scsi.exceptions_disabled, Some(false));
    assert_eq!(scsi.background_scan.unwrap().status, "scan active");
    let test = &facts.self_tests.unwrap().entries[0];
    assert_eq!(
        test.result,
        SelfTestResult::Failed("a segment failed".into())
    );
    assert!(facts.missed.is_empty(), "{:?}", facts.missed);
    // Page 02h is not listed, page 83h neither.
    let asked = disk.asked();
    assert!(!asked.contains(&scsi::log_sense(2, 0, HEAD).to_vec()));
    assert!(!asked.contains(&scsi::inquiry_page(0x83).to_vec()));
}

#[test]
fn without_an_exceptions_page_the_sense_data_have_the_disks_word() {
    let of = |flags: u8, sense: Vec<u8>| {
        let disk = raw_log(disk(&[0, 0x80]), 0, 0, 0, &[0, 3])
            .data(&scsi::mode_sense_10(0x1c), {
                let mut answer = vec![0u8; 8];
                answer.extend([0x1c, 10, flags, 0]);
                answer
            })
            .data(&scsi::request_sense(), sense);
        seen(&disk).0.assessment
    };
    let sense = |code: u8| vec![0x70, 0, 0, 0, 0, 0, 0, 10, 0, 0, 0, 0, code, 0, 0, 0, 0, 0];
    assert_eq!(of(0, sense(0)), Assessment::Passed);
    assert_eq!(of(0, sense(0x5d)), Assessment::Failed);
    assert_eq!(of(8, sense(0)), Assessment::NotSaid, "switched off");
}

#[test]
fn a_self_test_that_runs_has_its_rest_from_the_sense_data() {
    let mut running = [0u8; 16];
    running[0] = 0x4f;
    let disk = raw_log(disk(&[0]), 0, 0, 0, &[0, 0x10]);
    let disk = with_log(disk, 0x10, 0, &[(1, &running)]).data(
        &scsi::request_sense(),
        vec![
            0x70, 0, 2, 0, 0, 0, 0, 10, 0, 0, 0, 0, 4, 9, 0, 0x80, 0xc0, 0,
        ],
    );
    let log = seen(&disk).0.self_tests.unwrap();
    assert_eq!(log.running, Some(25));
}

#[test]
fn a_page_of_any_length_is_asked_for_within_the_bound() {
    for (claimed, asked) in [(0xfffb_u16, 0xfffc), (0xffff, 0xfffc), (5, 10), (0, 4)] {
        let [high, low] = claimed.to_be_bytes();
        let head = scsi::log_sense(3, 0, HEAD);
        let disk = Fake::default().data(&head, vec![3, 0, high, low]);
        let _ = log(&disk, 3, 0);
        let last = disk.asked().pop().unwrap();
        assert_eq!(last, scsi::log_sense(3, 0, asked), "{claimed:#x}");
    }
}

#[test]
fn an_ata_disk_behind_a_translation_is_asked_as_what_it_is() {
    let mut identify = vec![0u8; 512];
    identify[20..40].copy_from_slice(b"SG-DTA-AA1          ");
    let disk = disk(&[0, 0x80, 0x89]).data(&Command::Identify.cdb(), identify);
    let (facts, end) = seen(&disk);
    assert_eq!(end, Ok(()));
    assert_eq!(facts.protocol, Protocol::Ata);
    assert_eq!(facts.identity.serial, "GSD-ATA-1A");
    assert_eq!(facts.missed, ["the disk has no SMART"]);
}

#[test]
fn a_disk_that_refuses_everything_says_so() {
    let (facts, end) = seen(&Fake::default());
    assert_eq!(end, Ok(()));
    assert_eq!(
        facts.missed,
        [
            "INQUIRY: illegal request (5/20/00)",
            "INQUIRY page 00h: illegal request (5/20/00)",
            "LOG SENSE 00h: illegal request (5/20/00)",
        ]
    );
    let hangs = disk(&[0]).with(&scsi::log_sense(0, 0, HEAD), Reply::Host(3));
    let end = seen(&hangs).1.unwrap_err().0;
    assert_eq!(end, "LOG SENSE 00h: the disk did not answer in time");
}
