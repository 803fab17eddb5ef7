// SPDX-License-Identifier: Apache-2.0
//! SMART data as the standard lays it out.

use super::super::fixture::{seal, smart_block};
use super::*;
use crate::disk::facts::Protocol;
use expect_test::expect;

fn facts_of(data: &[u8], thresholds: &[u8]) -> DiskFacts {
    let mut facts = DiskFacts::new("sda", "ioctl", Protocol::Ata);
    fill(&mut facts, data, thresholds);
    facts
}

#[test]
fn attributes_have_value_worst_threshold_raw_and_when_they_failed() {
    let data = smart_block(&[
        (5, 3, 100, 100, 8),
        (197, 0x12, 9, 9, 0xffff_1234_5678),
        (7, 3, 60, 9, 1 << 40),
        (199, 0x32, 200, 200, 3),
    ]);
    let limits = smart_block(&[(5, 10, 0, 0, 0), (197, 9, 0, 0, 0), (7, 30, 0, 0, 0)]);
    let lines: Vec<_> = attributes(&data, &limits)
        .iter()
        .map(|a| {
            format!(
                "{} prefail {} {:?}/{:?}/{:?} raw {:#x} {:?}",
                a.id, a.prefail, a.current, a.worst, a.threshold, a.raw, a.when_failed
            )
        })
        .collect();
    expect![[r#"
        5 prefail true Some(100)/Some(100)/Some(10) raw 0x8 Never
        197 prefail false Some(9)/Some(9)/Some(9) raw 0xffff12345678 Now
        7 prefail true Some(60)/Some(9)/Some(30) raw 0x10000000000 Past
        199 prefail false Some(200)/Some(200)/None raw 0x3 Never"#]]
    .assert_eq(&lines.join("\n"));
}

#[test]
fn a_running_self_test_has_its_rest_and_its_minutes() {
    let mut data = smart_block(&[(5, 3, 100, 100, 0)]);
    (data[363], data[367], data[370]) = (0xf3, 0x7b, 1);
    (data[372], data[373], data[375], data[376]) = (2, 0xff, 0x2c, 0x05);
    seal(&mut data);
    let facts = facts_of(&data, &smart_block(&[(5, 10, 0, 0, 0)]));
    let log = facts.self_tests.unwrap();
    assert_eq!(log.running, Some(30));
    assert_eq!(log.short_minutes, Some(2));
    assert_eq!(log.extended_minutes, Some(0x052c));
    let abilities = Abilities::read(&data).unwrap();
    assert!(abilities.self_test && abilities.conveyance && abilities.error_log);
    assert_eq!(abilities.conveyance_minutes, None);
    assert!(facts.missed.is_empty());
    assert!(facts.ata.unwrap().block_faults.is_empty());
}

#[test]
fn what_is_torn_or_absent_is_told() {
    let mut data = smart_block(&[(5, 3, 100, 100, 0)]);
    data[400] ^= 1;
    let facts = facts_of(&data, &[0; BLOCK]);
    assert_eq!(facts.missed, ["the disk returned no SMART thresholds"]);
    assert_eq!(
        facts.ata.unwrap().block_faults,
        ["the SMART data block has a wrong checksum"]
    );
    let none = facts_of(&[0; BLOCK], &[]);
    assert_eq!(none.missed, ["the disk returned no SMART data"]);
    assert!(none.ata.unwrap().attributes.is_empty());
    assert_eq!(facts_of(&data[..511], &data).missed, none.missed);
}

#[test]
fn without_a_log_the_last_self_test_is_not_lost() {
    let mut data = smart_block(&[(5, 3, 100, 100, 0)]);
    let last = |data: &[u8]| facts_of(data, data).self_tests.unwrap().last_status;
    assert_eq!(last(&data), Some(SelfTestResult::Passed));
    data[363] = 0x70;
    seal(&mut data);
    assert_eq!(
        last(&data),
        Some(SelfTestResult::Failed("read failure".into()))
    );
}
