// SPDX-License-Identifier: Apache-2.0
//! Pages as the standards lay them out.

use super::*;
use crate::disk::facts::Protocol;
use alloc::vec::Vec;

fn facts() -> DiskFacts {
    DiskFacts::new("sda", "ioctl", Protocol::Scsi)
}

/// A log page with these parameters.
fn page(number: u8, parameters: &[(u16, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (code, value) in parameters {
        body.extend(code.to_be_bytes());
        body.extend([3, u8::try_from(value.len()).unwrap()]);
        body.extend(*value);
    }
    let mut page = vec![number, 0];
    page.extend(u16::try_from(body.len()).unwrap().to_be_bytes());
    page.extend(body);
    page
}

#[test]
fn counters_temperature_wear_and_non_medium_errors() {
    let mut facts = facts();
    let read = page(
        3,
        &[
            (2, &[7]),
            (3, &[1, 0]),
            (5, &[0, 0, 0, 0, 0, 0, 2, 0]),
            (6, &[0, 0, 0, 4]),
        ],
    );
    assert!(fill_log(&mut facts, 3, &read));
    assert!(fill_log(&mut facts, 2, &page(2, &[])));
    assert!(fill_log(&mut facts, 6, &page(6, &[(0, &[0, 9])])));
    assert!(fill_log(
        &mut facts,
        0x0d,
        &page(0x0d, &[(0, &[0, 34]), (1, &[0, 68])])
    ));
    assert!(fill_log(
        &mut facts,
        0x11,
        &page(0x11, &[(1, &[0, 0, 0, 12])])
    ));
    assert!(!fill_log(&mut facts, 2, &read), "another page came");
    assert!(!fill_log(&mut facts, 5, &[]));
    let scsi = facts.scsi.unwrap();
    assert_eq!(
        scsi.read,
        Some(ErrorCounters {
            corrected: Some(256),
            uncorrected: Some(4),
            retried: Some(7),
            bytes: Some(512)
        })
    );
    assert_eq!(scsi.write, Some(ErrorCounters::default()));
    assert_eq!(scsi.verify, None);
    assert_eq!(scsi.non_medium_errors, Some(9));
    assert_eq!(scsi.endurance_used_percent, Some(12));
    assert_eq!(scsi.trip_temperature_c, Some(68));
    assert_eq!(facts.temperature_c, Some(34));
}

#[test]
fn self_tests_are_listed_newest_first() {
    let mut failed = [0xffu8; 16];
    (failed[0], failed[1], failed[2], failed[3]) = (0x47, 5, 1, 0);
    let mut found = failed;
    found[4..12].copy_from_slice(&0x1234u64.to_be_bytes());
    let mut running = [0u8; 16];
    running[0] = 0x2f;
    let answer = page(
        0x10,
        &[(1, &running), (2, &found), (3, &failed), (4, &[0; 16])],
    );
    let mut facts = facts();
    assert!(fill_log(&mut facts, 0x10, &answer));
    let log = facts.self_tests.unwrap();
    let lines: Vec<_> = log
        .entries
        .iter()
        .map(|t| format!("{:?} {:?} {:?} {:?}", t.kind, t.result, t.hours, t.lba))
        .collect();
    assert_eq!(
        lines,
        [
            "Short Running { remaining: 100 } Some(0) None",
            "Extended Failed(\"segment 5 failed\") Some(256) Some(4660)",
            "Extended Failed(\"segment 5 failed\") Some(256) None",
        ]
    );
    assert_eq!(log.running, Some(100));
}

#[test]
fn a_page_with_more_self_tests_than_the_standard_has_gives_the_first_twenty() {
    let aborted = [0x21u8, 0, 0, 9];
    let parameters: Vec<(u16, &[u8])> = (1..=2_000).map(|code| (code, &aborted[..])).collect();
    let mut facts = facts();
    assert!(fill_log(&mut facts, 0x10, &page(0x10, &parameters)));
    assert_eq!(facts.self_tests.unwrap().entries.len(), SELF_TESTS_MAX);
}

#[test]
fn the_background_scan_counts_what_is_still_open() {
    let mut status = [0u8; 12];
    (status[2], status[3], status[5]) = (0x0e, 0x10, 3);
    let entry = |state: u8| {
        let mut entry = [0u8; 20];
        entry[4] = state;
        entry
    };
    let (wanted, done, failed, recovered) = (entry(0x13), entry(0x23), entry(0x43), entry(0x51));
    let answer = page(
        0x15,
        &[
            (0, &status),
            (1, &wanted),
            (2, &done),
            (3, &failed),
            (4, &recovered),
            (0x8001, &wanted),
        ],
    );
    let mut facts = facts();
    assert!(fill_log(&mut facts, 0x15, &answer));
    assert_eq!(
        facts.scsi.as_ref().unwrap().background_scan,
        Some(BackgroundScan {
            status: "halted due to fatal error".into(),
            medium_errors: Some(3),
            not_reassigned: Some(2),
        })
    );
    assert_eq!(facts.power_on_hours, Some(60));
    let mut pending = page(0x55, &[(0, &[0, 0, 0, 5])]);
    assert!(!fill_pending(&mut facts, &pending), "the subpage is 00h");
    pending[1] = 1;
    assert!(fill_pending(&mut facts, &pending));
    assert_eq!(facts.scsi.unwrap().pending_defects, Some(5));
}

#[test]
fn an_exception_is_a_failure_only_when_it_predicts_one() {
    let of = |code, qualifier| {
        let mut facts = facts();
        assert!(fill_log(
            &mut facts,
            0x2f,
            &page(0x2f, &[(0, &[code, qualifier, 33])])
        ));
        let exception = facts.scsi.unwrap().exception;
        (facts.assessment, exception, facts.temperature_c)
    };
    assert_eq!(of(0, 0), (Assessment::Passed, Some((0, 0)), Some(33)));
    assert_eq!(of(0x5d, 0x10).0, Assessment::Failed);
    assert_eq!(of(0x0b, 1), (Assessment::Passed, Some((0x0b, 1)), Some(33)));
    let mut none = facts();
    assert!(fill_log(&mut none, 0x2f, &page(0x2f, &[])));
    assert_eq!(none.assessment, Assessment::NotSaid);
}

#[test]
fn mode_pages_and_the_grown_list() {
    let mut facts = facts();
    let control = |flags| [0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0x9c, 10, flags, 0];
    assert!(fill_exceptions_control(&mut facts, &control(0x08), false));
    assert_eq!(facts.scsi.as_ref().unwrap().exceptions_disabled, Some(true));
    let ten = [0, 0, 0, 0, 0, 0, 0, 0, 0x1c, 10, 0, 0];
    assert!(fill_exceptions_control(&mut facts, &ten, true));
    assert_eq!(
        facts.scsi.as_ref().unwrap().exceptions_disabled,
        Some(false)
    );
    assert!(!fill_exceptions_control(&mut facts, &[0, 0, 0, 200], false));
    let time = [0, 0, 0, 0, 0x0a, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0x1c, 0x21];
    assert!(fill_extended_minutes(&mut facts, &time, false));
    assert_eq!(facts.self_tests.unwrap().extended_minutes, Some(121));
    assert_eq!(
        grown_defects(&[0, 0x0c, 0, 0, 0, 0, 1, 0xc0], true),
        Some(56)
    );
    assert_eq!(grown_defects(&[0, 0x08, 0, 8], false), Some(2));
    assert_eq!(
        grown_defects(&[0, 0x04, 0, 8], false),
        None,
        "not the grown list"
    );
    assert_eq!(grown_defects(&[0, 0x0e, 0, 8], false), None);
    assert_eq!(grown_defects(&[], true), None);
}
