// SPDX-License-Identifier: Apache-2.0
//! Each rule of the verdict, and what a disk leaves unsaid.

use super::*;
use groundstate_api::inventory::Verdict;

fn block(attributes: &[(u8, u16, u8, u8, u64)]) -> Vec<u8> {
    let mut block = vec![0u8; BLOCK];
    block[0] = 1;
    for (index, (id, flags, current, worst, raw)) in attributes.iter().enumerate() {
        let entry = &mut block[2 + index * 12..14 + index * 12];
        entry[0] = *id;
        entry[1..3].copy_from_slice(&flags.to_le_bytes());
        (entry[3], entry[4]) = (*current, *worst);
        entry[5..11].copy_from_slice(&raw.to_le_bytes()[..6]);
    }
    seal(&mut block);
    block
}

fn seal(block: &mut [u8]) {
    block[511] = 0;
    block[511] = block.iter().fold(0u8, |s, b| s.wrapping_sub(*b));
}

fn check(attributes: &[(u8, u16, u8, u8, u64)], expect: expect_test::Expect) {
    // Every threshold is 10.
    let limits: Vec<_> = attributes.iter().map(|a| (a.0, 10, 0, 0, 0)).collect();
    let found = health(
        SelfAssessment::Passed,
        &block(attributes),
        &block(&limits),
        &[],
        true,
    );
    expect.assert_eq(&format!("{:?} {:?}", found.verdict, found.evidence));
}

#[test]
fn the_verdict_is_more_than_passed() {
    use expect_test::expect;
    let healthy = [
        (5, 3, 100, 100, 0),
        (197, 0x12, 100, 100, 0),
        (194, 2, 64, 40, 36),
    ];
    check(&healthy, expect!["Ok []"]);
    check(
        &[(5, 3, 100, 100, 8)],
        expect![[r#"Warn ["8 reallocated sectors (attribute 5)"]"#]],
    );
    check(
        &[(197, 2, 100, 100, 63)],
        expect![[r#"Warn ["63 sectors pending reallocation (attribute 197)"]"#]],
    );
    check(
        &[(197, 2, 100, 100, 64)],
        expect![[r#"Fail ["64 sectors pending reallocation (attribute 197)"]"#]],
    );
    check(
        &[(5, 3, 10, 10, 0)],
        expect![[
            r#"Fail ["attribute 5 (reallocated sectors) is 10, at or below its threshold 10"]"#
        ]],
    );
    check(
        &[(233, 2, 10, 10, 0)],
        expect![[r#"Warn ["attribute 233 (wear) is 10, at or below its threshold 10"]"#]],
    );
    check(
        &[(7, 3, 60, 9, 0)],
        expect![[
            r#"Warn ["attribute 7 (seek error rate) was 9 once, at or below its threshold 10"]"#
        ]],
    );
    check(
        &[(199, 2, 200, 200, 99), (188, 2, 100, 100, 7)],
        expect![[r#"Ok ["7 command time-outs (attribute 188)"]"#]],
    );
    check(
        &[(199, 2, 200, 200, 100)],
        expect![[r#"Warn ["100 interface CRC errors (attribute 199)"]"#]],
    );
    check(
        &[(194, 2, 40, 40, 0x0010_0020_003c)],
        expect![[r#"Warn ["60 °C; 60 and more are too hot"]"#]],
    );
}

#[test]
fn what_a_disk_does_not_say_is_unknown() {
    let data = block(&[(5, 3, 100, 100, 0)]);
    let limits = block(&[(5, 10, 0, 0, 0)]);
    let of = |assessment, data: &[u8], limits: &[u8]| {
        health(assessment, data, limits, &[], false).verdict
    };
    assert_eq!(of(SelfAssessment::Passed, &data, &limits), Verdict::Ok);
    assert_eq!(
        of(SelfAssessment::NotSaid, &data, &limits),
        Verdict::Unknown
    );
    assert_eq!(of(SelfAssessment::Failed, &data, &limits), Verdict::Fail);
    assert_eq!(
        of(SelfAssessment::Passed, &[0; BLOCK], &limits),
        Verdict::Unknown
    );
    assert_eq!(
        of(SelfAssessment::Passed, &data, &[0; BLOCK]),
        Verdict::Unknown
    );
    assert_eq!(of(SelfAssessment::Passed, &[], &[]), Verdict::Unknown);
    assert_eq!(of(SelfAssessment::Failed, &[], &[]), Verdict::Fail);
    assert_eq!(
        of(SelfAssessment::Passed, &block(&[]), &limits),
        Verdict::Unknown
    );
    let mut torn = data.clone();
    torn[400] ^= 1;
    assert_eq!(of(SelfAssessment::Passed, &torn, &limits), Verdict::Warn);
}

#[test]
fn a_failed_self_test_is_never_ok() {
    let mut data = block(&[(5, 3, 100, 100, 0)]);
    data[363] = 7 << 4;
    seal(&mut data);
    let limits = block(&[(5, 10, 0, 0, 0)]);
    let found = health(SelfAssessment::Passed, &data, &limits, &[], true);
    assert_eq!(found.verdict, Verdict::Warn);
    assert_eq!(
        found.evidence,
        ["the last self-test failed: the read element failed"]
    );

    let mut log = vec![0u8; BLOCK];
    log[508] = 2;
    (log[2], log[3]) = (2, 7 << 4);
    (log[26], log[27]) = (1, 0);
    assert_eq!(
        failed_self_tests(&log),
        1,
        "a short test takes nothing back"
    );
    (log[26], log[27]) = (2, 0);
    assert_eq!(failed_self_tests(&log), 0, "a later extended one does");
    log[508] = 200;
    assert_eq!(failed_self_tests(&log), 0);
}
