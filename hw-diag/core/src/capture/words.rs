// SPDX-License-Identifier: Apache-2.0
//! What both formats share: the words and codes of self-tests and self-assessments, and text made safe.

use crate::disk::facts::{SelfTest, SelfTestKind, SelfTestResult};
use crate::fields::clean;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// What stands for an error that smartctl did not put into words.
pub(super) const NOT_DECODED: &str = "not decoded";

/// Separators of thousands in one locale or another.
pub(super) const SEPARATORS: [char; 7] = [',', '.', '\'', ' ', '\u{2019}', '\u{a0}', '\u{202f}'];

/// Text of a capture, made safe for reports and screens.
pub(super) fn safe(text: &str) -> String {
    clean(text.as_bytes())
}

/// A counter that decides, in text: digits, in groups of three or not, or hexadecimal, and nothing else but a percent sign
/// or an explanation in square brackets. `None` for anything else; the largest number for one that does not fit.
pub(super) fn decisive(text: &str) -> Option<u64> {
    let text = text.split('[').next().unwrap_or_default().trim();
    let text = text.strip_suffix('%').unwrap_or(text).trim_end();
    if let Some(hex) = text.strip_prefix("0x") {
        let digits = !hex.is_empty() && hex.chars().all(|c| c.is_ascii_hexdigit());
        return digits.then(|| u64::from_str_radix(hex, 16).unwrap_or(u64::MAX));
    }
    let mut groups = text.split(SEPARATORS);
    let first = groups.next().unwrap_or_default();
    let plain = |group: &str| group.bytes().all(|byte| byte.is_ascii_digit());
    if first.is_empty() || !plain(first) {
        return None;
    }
    let mut digits = String::from(first);
    for group in groups {
        if group.len() != 3 || !plain(group) {
            return None;
        }
        digits.push_str(group);
    }
    Some(digits.parse().unwrap_or(u64::MAX))
}

/// A self-test's kind from how smartctl calls it.
pub(super) fn kind(words: &str) -> SelfTestKind {
    let words = words.to_ascii_lowercase();
    let has = |part: &str| words.contains(part);
    if has("vendor") || has("reserved") {
        SelfTestKind::Other
    } else if has("short") {
        SelfTestKind::Short
    } else if has("extended") || has("long") {
        SelfTestKind::Extended
    } else if has("conveyance") {
        SelfTestKind::Conveyance
    } else if has("selective") {
        SelfTestKind::Selective
    } else {
        SelfTestKind::Other
    }
}

/// The self-test execution status of ATA (ACS-4, table A.22): the result in the upper half of the byte, the tenths that
/// remain in the lower.
pub(super) fn ata_status(status: u8) -> SelfTestResult {
    let failed = |what: &str| SelfTestResult::Failed(what.into());
    match status >> 4 {
        0 => SelfTestResult::Passed,
        1 | 2 => SelfTestResult::Aborted,
        3 => failed("fatal or unknown error"),
        4 => failed("unknown failure"),
        5 => failed("electrical failure"),
        6 => failed("servo/seek failure"),
        7 => failed("read failure"),
        8 => failed("handling damage"),
        15 => SelfTestResult::Running {
            remaining: (status & 0x0f).saturating_mul(10).min(100),
        },
        code => SelfTestResult::Unknown(format!("status {code:#x}")),
    }
}

/// A result of the SCSI Self-Test Results page (SPC-5, 7.3.22).
pub(super) fn scsi_result(code: u64) -> SelfTestResult {
    let failed = |what: &str| SelfTestResult::Failed(what.into());
    match code {
        0 => SelfTestResult::Passed,
        1 | 2 => SelfTestResult::Aborted,
        3 => failed("unknown error, incomplete"),
        4 => failed("segment failed"),
        5 => failed("failed in first segment"),
        6 => failed("failed in second segment"),
        7 => failed("failed in segment"),
        15 => SelfTestResult::Running { remaining: 100 },
        code => SelfTestResult::Unknown(format!("result {code}")),
    }
}

/// A result of the NVMe Device Self-test log (NVM Express Base 2.0, figure 213); `None` for an unused entry.
pub(super) fn nvme_result(code: u64) -> Option<SelfTestResult> {
    let failed = |what: &str| SelfTestResult::Failed(what.into());
    Some(match code & 0x0f {
        0 => SelfTestResult::Passed,
        1..=4 | 8 | 9 => SelfTestResult::Aborted,
        5 => failed("fatal or unknown test error"),
        6 => failed("unknown failed segment"),
        7 => failed("failed segments"),
        15 => return None,
        code => SelfTestResult::Unknown(format!("result {code}")),
    })
}

/// A self-test's result from how smartctl words it, for every protocol. `remaining` is the percentage beside it.
pub(super) fn result(words: &str, remaining: Option<u8>) -> SelfTestResult {
    let lower = words.trim().to_ascii_lowercase();
    let has = |part: &str| lower.contains(part);
    if has("in progress") {
        return SelfTestResult::Running {
            remaining: remaining.unwrap_or(100),
        };
    }
    if has("aborted") || has("interrupted") {
        return SelfTestResult::Aborted;
    }
    if has("without error") || lower == "completed" {
        return SelfTestResult::Passed;
    }
    if has("fail") || has("damage") || has("fatal") || has("unknown error") || has("error") {
        let what = words.trim().trim_start_matches("Completed:");
        let what = what.trim_start_matches("Completed,").trim_end_matches('?');
        return SelfTestResult::Failed(safe(what));
    }
    SelfTestResult::Unknown(safe(words))
}

/// The standard and the extended self-test log as one, newest first: the longer of them, and the failures that only the
/// other holds at the place of their hours. A failure without hours counts as the newest.
pub(super) fn merged(one: Vec<SelfTest>, other: Vec<SelfTest>) -> Vec<SelfTest> {
    let (mut all, shorter) = if one.len() >= other.len() {
        (one, other)
    } else {
        (other, one)
    };
    for test in shorter {
        let failed = |test: &SelfTest| matches!(test.result, SelfTestResult::Failed(_));
        let same = |known: &SelfTest| {
            failed(known) && known.kind == test.kind && known.hours == test.hours
        };
        if !failed(&test) || all.iter().any(same) {
            continue;
        }
        let older = |known: &SelfTest| known.hours < test.hours || test.hours.is_none();
        let at = all.iter().position(older).unwrap_or(all.len());
        all.insert(at, test);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_that_decides_is_a_number_and_nothing_else() {
        for (text, expected) in [
            ("0", Some(0)),
            ("1.234.567 [x]", Some(1_234_567)),
            ("1\u{202f}234", Some(1_234)),
            ("100%", Some(100)),
            ("0x10", Some(16)),
            ("18446744073709551616", Some(u64::MAX)),
            ("", None),
            ("-1", None),
            ("0.5", None),
            ("0x", None),
            ("abc", None),
            ("12 of 13", None),
        ] {
            assert_eq!(decisive(text), expected, "{text}");
        }
    }

    #[test]
    fn a_failure_in_either_log_counts_at_its_place() {
        let test = |result: SelfTestResult, hours| SelfTest {
            kind: SelfTestKind::Extended,
            result,
            hours,
            lba: None,
        };
        let failed = || SelfTestResult::Failed("read failure".into());
        let passed = || SelfTestResult::Passed;
        let long = vec![test(passed(), Some(90)), test(failed(), Some(50))];
        let hours = |all: Vec<SelfTest>| all.iter().map(|one| one.hours).collect::<Vec<_>>();
        let same = merged(long.clone(), vec![test(failed(), Some(50))]);
        assert_eq!(hours(same), [Some(90), Some(50)]);
        let other = merged(vec![test(failed(), Some(70))], long.clone());
        assert_eq!(hours(other), [Some(90), Some(70), Some(50)]);
        let newest = merged(long, vec![test(failed(), None)]);
        assert_eq!(hours(newest), [None, Some(90), Some(50)]);
    }

    #[test]
    fn results_are_told_apart_as_smartctl_words_them() {
        let failed = |what: &str| SelfTestResult::Failed(what.into());
        for (words, expected) in [
            ("Completed without error", SelfTestResult::Passed),
            ("Completed", SelfTestResult::Passed),
            ("Aborted by host", SelfTestResult::Aborted),
            ("Aborted (device reset ?)", SelfTestResult::Aborted),
            ("Aborted: Controller Reset", SelfTestResult::Aborted),
            ("Interrupted (host reset)", SelfTestResult::Aborted),
            ("Completed: read failure", failed("read failure")),
            ("Completed: handling damage??", failed("handling damage")),
            ("Fatal or unknown error", failed("Fatal or unknown error")),
            ("Completed, segment failed", failed("segment failed")),
            ("Failed in segment -->", failed("Failed in segment -->")),
            ("Completed: failed segments", failed("failed segments")),
        ] {
            assert_eq!(result(words, None), expected, "{words}");
        }
        let running = SelfTestResult::Running { remaining: 90 };
        assert_eq!(result("Self-test routine in progress", Some(90)), running);
        assert_eq!(ata_status(0xf9), running);
        assert_eq!(ata_status(121), failed("read failure"));
        assert_eq!(nvme_result(15), None);
        assert_eq!(kind("Vendor (0x75)"), SelfTestKind::Other);
        assert_eq!(kind("Background long"), SelfTestKind::Extended);
    }
}
