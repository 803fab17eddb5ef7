// SPDX-License-Identifier: Apache-2.0
//! `smartctl -x` reports of real server drives: our verdict on the values that smartctl printed.

use crate::corpus;
use groundstate_api::inventory::{Health, Verdict};
use hw_core::ata::{self, Attribute, SelfAssessment, Smart};
use hw_core::nvme;
use std::path::Path;

fn number(text: &str) -> u64 {
    let digits: String = text
        .chars()
        .filter(|c| *c != ',')
        .take_while(char::is_ascii_digit)
        .collect();
    digits.parse().unwrap_or(0)
}

/// `  5 Reallocated_Sector_Ct   PO--CK   100   100   005    -    0`
fn attribute(line: &str) -> Option<Attribute> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let [id, _, flags, current, worst, threshold, _, raw, ..] = fields[..] else {
        return None;
    };
    let small = |text: &str| text.parse::<u8>().ok();
    if flags.len() != 6 {
        return None;
    }
    Some(Attribute {
        id: small(id)?,
        prefail: flags.starts_with('P'),
        current: small(current)?,
        worst: small(worst)?,
        threshold: small(threshold).unwrap_or(0),
        raw: number(raw),
    })
}

fn ata(text: &str) -> Health {
    let assessment = if text.contains("test result: FAILED") {
        SelfAssessment::Failed
    } else if text.contains("test result: PASSED") {
        SelfAssessment::Passed
    } else {
        SelfAssessment::NotSaid
    };
    let failed = |line: &&str| {
        line.starts_with('#') && line.contains("Completed: ") && line.contains("failure")
    };
    ata::verdict(&Smart {
        assessment,
        attributes: text.lines().filter_map(attribute).collect(),
        last_self_test: 0,
        failed_self_tests: text.lines().filter(failed).count(),
        rotational: text.contains("rpm"),
    })
}

/// Builds the log page from the report's lines.
fn nvme(text: &str) -> Health {
    let field = |name: &str| {
        let line = text.lines().find(|line| line.starts_with(name));
        line.and_then(|line| line.split_once(':'))
            .map(|(_, value)| value.trim())
    };
    let Some(warning) = field("Critical Warning") else {
        return nvme::health(&[], None);
    };
    let small = |name: &str| u8::try_from(number(field(name).unwrap_or("0"))).unwrap_or(u8::MAX);
    let mut log = [0u8; nvme::LOG_LENGTH];
    log[0] = u8::from_str_radix(warning.trim_start_matches("0x"), 16).unwrap();
    let kelvin = u16::from(small("Temperature")) + 273;
    log[1..3].copy_from_slice(&kelvin.to_le_bytes());
    log[3] = small("Available Spare:");
    log[4] = small("Available Spare Threshold");
    log[5] = small("Percentage Used");
    let errors = number(field("Media and Data Integrity Errors").unwrap_or("0"));
    log[160..168].copy_from_slice(&errors.to_le_bytes());
    nvme::health(&log, None)
}

fn verdicts(folder: &str) -> Option<Vec<(String, Health)>> {
    let folder = corpus("smart/linuxhw-enterprise")?.join(folder);
    let judge = |path: &Path| {
        let text = String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let health = if name.starts_with("NVMe") {
            nvme(&text)
        } else {
            ata(&text)
        };
        (name, health)
    };
    let mut all: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| judge(&entry.unwrap().path()))
        .collect();
    all.sort_by(|a, b| a.0.cmp(&b.0));
    Some(all)
}

fn check(folder: &str, count: usize, good: impl Fn(Verdict) -> bool) {
    let Some(all) = verdicts(folder) else {
        return;
    };
    assert_eq!(all.len(), count);
    for (name, health) in all {
        assert!(
            good(health.verdict),
            "{name}: {:?} {:?}",
            health.verdict,
            health.evidence
        );
    }
}

#[test]
fn drives_that_call_themselves_failed_fail() {
    check("failed", 20, |verdict| verdict == Verdict::Fail);
}

#[test]
fn drives_that_pass_and_are_bad_are_never_ok() {
    check("passed-but-bad", 20, |verdict| verdict >= Verdict::Warn);
}

#[test]
fn healthy_drives_are_ok() {
    check("passed-healthy", 25, |verdict| verdict == Verdict::Ok);
}

#[test]
fn drives_without_a_verdict_are_unknown() {
    check("no-verdict", 2, |verdict| verdict == Verdict::Unknown);
}
