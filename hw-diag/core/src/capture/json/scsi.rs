// SPDX-License-Identifier: Apache-2.0
//! The SCSI and SAS sections of `smartctl --json`.

use super::node::Node;
use crate::capture::SELF_TESTS_MAX;
use crate::capture::words::{kind, result, scsi_result};
use crate::disk::DiskFacts;
use crate::disk::facts::{
    BackgroundScan, ErrorCounters, ScsiFacts, SelfTest, SelfTestKind, SelfTestLog,
};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// Background scan entries that are read; the log page holds at most 2,048.
const SCAN_ENTRIES_MAX: usize = 2_048;
/// Medium error (SPC-5, 4.4.7).
const MEDIUM_ERROR: u64 = 3;

pub(super) fn read(root: Node<'_>, facts: &mut DiskFacts) {
    let status = root.at("smart_status").at("scsi");
    let codes = (status.at("asc").small(), status.at("ascq").small());
    let errors = root.at("scsi_error_counter_log");
    let number = |names: &[&'static str]| names.iter().find_map(|name| root.at(name).number());
    let wear = root.at("scsi_percentage_used_endurance_indicator");
    let wear = wear.decisive_byte().or_else(|| {
        let current = root.at("endurance_used").at("current_percent");
        current.decisive_byte()
    });
    let trip = root.at("temperature").at("drive_trip").signed();
    let support = root.at("smart_support");
    let enabled = if support.is_boolean() {
        None
    } else {
        support.at("enabled").boolean()
    };
    facts.scsi = Some(ScsiFacts {
        exception: match codes {
            (Some(code), Some(qualifier)) => Some((code, qualifier)),
            _ => None,
        },
        exception_text: status.at("ie_string").text(),
        grown_defects: root.at("scsi_grown_defect_list").number(),
        read: counters(errors.at("read")),
        write: counters(errors.at("write")),
        verify: counters(errors.at("verify")),
        pending_defects: root.at("scsi_pending_defects").at("count").decisive(),
        non_medium_errors: number(&["scsi_non_medium_error_count", "scsi_nonmedium_error_count"]),
        endurance_used_percent: wear,
        background_scan: background_scan(root.at("scsi_background_scan")),
        trip_temperature_c: trip.and_then(|celsius| i16::try_from(celsius).ok()),
        exceptions_disabled: enabled.map(|enabled| !enabled),
    });
    facts.self_tests = self_tests(root);
    // Since 7.4 the environmental page has the temperature where the temperature page has none.
    let reports = root.at("scsi_environmental_reports").at("temperature_1");
    facts.temperature_c = facts.temperature_c.or_else(|| {
        let celsius = reports.at("current").signed();
        celsius.and_then(|celsius| i16::try_from(celsius).ok())
    });
}

fn counters(log: Node<'_>) -> Option<ErrorCounters> {
    if !log.is_there() {
        return None;
    }
    Some(ErrorCounters {
        corrected: log.at("total_errors_corrected").number(),
        uncorrected: log.at("total_uncorrected_errors").decisive(),
        retried: log.at("errors_corrected_by_rereads_rewrites").number(),
        bytes: log
            .at("gigabytes_processed")
            .text()
            .and_then(|text| gigabytes(&text)),
    })
}

/// Gigabytes with three decimals (`176987.332`) as bytes.
pub(in crate::capture) fn gigabytes(text: &str) -> Option<u64> {
    let text = text.replace(',', ".");
    let (whole, part) = text.split_once('.').unwrap_or((&text, ""));
    let thousandths: String = part.chars().take(3).collect();
    let part: u64 = format!("{thousandths:0<3}").parse().ok()?;
    let whole: u64 = whole.parse().ok()?;
    whole
        .checked_mul(1_000)?
        .checked_add(part)?
        .checked_mul(1_000_000)
}

fn background_scan(log: Node<'_>) -> Option<BackgroundScan> {
    if !log.is_there() {
        return None;
    }
    let mut medium_errors = 0;
    let mut not_reassigned = 0;
    let entries = log.keys().filter(|key| key.starts_with("result_"));
    let mut table: Vec<Node<'_>> = entries
        .take(SCAN_ENTRIES_MAX)
        .map(|key| log.numbered("result", key))
        .collect();
    table.extend(log.at("table").items(SCAN_ENTRIES_MAX));
    for entry in table {
        if entry.at("sense_key").at("value").number() == Some(MEDIUM_ERROR) {
            medium_errors += 1;
        }
        let status = entry.at("reassign_status").at("string").text();
        if status.is_some_and(|words| not_moved(&words)) {
            not_reassigned += 1;
        }
    }
    Some(BackgroundScan {
        status: log.at("status").at("string").text().unwrap_or_default(),
        medium_errors: Some(medium_errors),
        not_reassigned: Some(not_reassigned),
    })
}

/// Whether the words of a reassign status say that the block still waits or could not be moved.
pub(in crate::capture) fn not_moved(words: &str) -> bool {
    let words = words.to_ascii_lowercase();
    words.contains("require write") || words.contains("failed") || words.contains("unsuccessful")
}

/// `scsi_self_test_0` is the newest.
fn self_tests(root: Node<'_>) -> Option<SelfTestLog> {
    let mut log = SelfTestLog::default();
    for number in 0..SELF_TESTS_MAX {
        let name = format!("scsi_self_test_{number}");
        let entry = root.numbered("scsi_self_test", &name);
        // An entry that is missing ends nothing: the next may be the one that failed.
        if !entry.is_there() {
            continue;
        }
        let words = entry.at("result").at("string").text().unwrap_or_default();
        let outcome = match entry.at("result").at("value").number() {
            Some(code) => scsi_result(code),
            None => result(&words, None),
        };
        let code = entry.at("code").at("string").text();
        log.entries.push(SelfTest {
            kind: code.map_or(SelfTestKind::Other, |words| kind(&words)),
            result: outcome,
            hours: entry.at("power_on_time").at("hours").number(),
            lba: entry.at("lba_first_failure").at("value").number(),
        });
    }
    let seconds = root.at("scsi_extended_self_test_seconds").number();
    log.extended_minutes = seconds.and_then(|seconds| u32::try_from(seconds.div_ceil(60)).ok());
    (!log.entries.is_empty()).then_some(log)
}
