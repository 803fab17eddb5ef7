// SPDX-License-Identifier: Apache-2.0
//! Log pages, mode pages and the defect list of a SCSI disk, as facts.

use super::log_page::{self, Parameter, is, parameters};
use crate::disk::facts::{
    Assessment, BackgroundScan, DiskFacts, ErrorCounters, SelfTest, SelfTestKind, SelfTestLog,
    SelfTestResult,
};
use crate::fields::{be16, be32, be64, byte};
use alloc::format;
use alloc::string::String;

/// Additional sense code 5Dh: failure prediction threshold exceeded.
const FAILURE_PREDICTED: u8 = 0x5d;
/// A temperature that is not known.
const NO_TEMPERATURE: u8 = 0xff;
/// An address that is not valid.
const NO_ADDRESS: u64 = u64::MAX;
/// Sense key MEDIUM ERROR.
const MEDIUM_ERROR: u8 = 3;

/// The results that the Self-Test Results page has (SPC-5, 7.3.19): parameters 1 to 20.
const SELF_TESTS_MAX: usize = 20;

/// Puts a log page into the facts; `false` when the answer is not that page or the page has no facts for us.
pub fn fill_log(facts: &mut DiskFacts, page: u8, answer: &[u8]) -> bool {
    if !is(answer, page) {
        return false;
    }
    let scsi = facts.scsi.get_or_insert_default();
    match page {
        log_page::WRITE_ERRORS => scsi.write = Some(counters(answer, page)),
        log_page::READ_ERRORS => scsi.read = Some(counters(answer, page)),
        log_page::VERIFY_ERRORS => scsi.verify = Some(counters(answer, page)),
        log_page::NON_MEDIUM_ERRORS => {
            scsi.non_medium_errors = first(answer, page, 0).and_then(|p| p.count());
        }
        log_page::TEMPERATURE => temperature(facts, answer),
        log_page::SELF_TESTS => self_tests(facts, answer),
        log_page::SOLID_STATE => {
            scsi.endurance_used_percent = first(answer, page, 1).and_then(|p| byte(p.value, 3));
        }
        log_page::BACKGROUND_SCAN => background_scan(facts, answer),
        log_page::EXCEPTIONS => exceptions(facts, answer),
        _ => return false,
    }
    true
}

fn first(answer: &[u8], page: u8, code: u16) -> Option<Parameter<'_>> {
    parameters(answer, page).find(|p| p.code == code)
}

/// Parameter codes of the error counter pages (SPC-5, table 355).
fn counters(answer: &[u8], page: u8) -> ErrorCounters {
    let count = |code| first(answer, page, code).and_then(|p| p.count());
    ErrorCounters {
        corrected: count(3),
        uncorrected: count(6),
        retried: count(2),
        bytes: count(5),
    }
}

fn temperature(facts: &mut DiskFacts, answer: &[u8]) {
    let celsius = |code| {
        let value = first(answer, log_page::TEMPERATURE, code)?;
        let degrees = byte(value.value, 1).filter(|c| *c != NO_TEMPERATURE)?;
        Some(i16::from(degrees))
    };
    // 0 is what disks without a thermometer return.
    facts.temperature_c = celsius(0).filter(|c| *c != 0).or(facts.temperature_c);
    facts.scsi.get_or_insert_default().trip_temperature_c = celsius(1).filter(|c| *c != 0);
}

/// The page lists the newest self-test as parameter 1 (SPC-5, 7.3.20).
fn self_tests(facts: &mut DiskFacts, answer: &[u8]) {
    let log = facts.self_tests.get_or_insert_default();
    log.entries = parameters(answer, log_page::SELF_TESTS)
        .filter_map(|p| self_test(p.value))
        .take(SELF_TESTS_MAX)
        .collect();
    if let Some(SelfTest {
        result: SelfTestResult::Running { remaining },
        ..
    }) = log.entries.first()
    {
        log.running = Some(*remaining);
    }
}

fn self_test(value: &[u8]) -> Option<SelfTest> {
    let (status, hours) = (byte(value, 0)?, be16(value, 2)?);
    // An entry that was never used is zero.
    if status == 0 && hours == 0 {
        return None;
    }
    let failed = |what: &str| SelfTestResult::Failed(String::from(what));
    let result = match status & 0x0f {
        0 => SelfTestResult::Passed,
        1 | 2 => SelfTestResult::Aborted,
        3 => failed("unknown error, the test did not end"),
        4 => failed("a segment failed, it is not known which"),
        5 => failed("the first segment failed"),
        6 => failed("the second segment failed"),
        7 => failed(&match byte(value, 1) {
            Some(segment) if segment != 0 => format!("segment {segment} failed"),
            _ => String::from("a segment failed"),
        }),
        // How far it is stands in the sense data, not here.
        0x0f => SelfTestResult::Running { remaining: 100 },
        other => SelfTestResult::Unknown(format!("result {other}")),
    };
    let kind = match status >> 5 {
        1 | 5 => SelfTestKind::Short,
        2 | 6 => SelfTestKind::Extended,
        _ => SelfTestKind::Other,
    };
    let is_failed = matches!(result, SelfTestResult::Failed(_));
    Some(SelfTest {
        kind,
        result,
        // All ones: the counter is full.
        hours: Some(u64::from(hours)).filter(|h| *h != 0xffff),
        lba: be64(value, 4).filter(|lba| is_failed && *lba != NO_ADDRESS),
    })
}

/// Parameter 0 is the status, the others are entries (SBC-4, 6.4.3).
fn background_scan(facts: &mut DiskFacts, answer: &[u8]) {
    let mut scan = BackgroundScan::default();
    let (mut medium, mut open) = (0u64, 0u64);
    for parameter in parameters(answer, log_page::BACKGROUND_SCAN) {
        let value = parameter.value;
        match parameter.code {
            0 => {
                // Power-on minutes, then the status.
                let minutes = be32(value, 0).map(u64::from);
                facts.power_on_hours = minutes.map(|m| m / 60).or(facts.power_on_hours);
                scan.status = scan_status(byte(value, 5));
            }
            1..=0x0800 => {
                let state = byte(value, 4).unwrap_or(0);
                medium += u64::from(state & 0x0f == MEDIUM_ERROR);
                // 1: wants a write or REASSIGN BLOCKS. 4: the disk's own reassignment failed. 8: the host's failed.
                open += u64::from(matches!(state >> 4, 1 | 4 | 8));
            }
            _ => {}
        }
    }
    scan.medium_errors = Some(medium);
    scan.not_reassigned = Some(open);
    facts.scsi.get_or_insert_default().background_scan = Some(scan);
}

fn scan_status(status: Option<u8>) -> String {
    match status {
        None => "not said".into(),
        Some(0) => "no scan active".into(),
        Some(1) => "scan active".into(),
        Some(2) => "pre-scan active".into(),
        Some(3) => "halted due to fatal error".into(),
        Some(4) => "halted due to a vendor-specific pattern of errors".into(),
        Some(5) => "halted due to a medium formatted without P-list".into(),
        Some(6) => "halted for a vendor-specific cause".into(),
        Some(7) => "halted due to temperature out of range".into(),
        Some(8) => "waiting for the next interval".into(),
        Some(other) => format!("status {other}"),
    }
}

/// Pending Defects (subpage 01h of the background scan; SBC-4, 6.4.8): parameter 0 counts them.
pub fn fill_pending(facts: &mut DiskFacts, answer: &[u8]) -> bool {
    const SUBPAGE_FORMAT: u8 = 0x40;
    let is_subpage = byte(answer, 0).is_some_and(|b| b & SUBPAGE_FORMAT != 0)
        && byte(answer, 1) == Some(log_page::PENDING_SUBPAGE);
    if !is_subpage {
        return false;
    }
    let count = first(answer, log_page::BACKGROUND_SCAN, 0).and_then(|p| p.count());
    facts.scsi.get_or_insert_default().pending_defects = count;
    count.is_some()
}

/// Parameter 0: additional sense code, qualifier, temperature (SPC-5, 7.3.10).
fn exceptions(facts: &mut DiskFacts, answer: &[u8]) {
    let Some(parameter) = first(answer, log_page::EXCEPTIONS, 0) else {
        return;
    };
    let celsius = byte(parameter.value, 2).filter(|c| *c != NO_TEMPERATURE && *c != 0);
    facts.temperature_c = facts.temperature_c.or(celsius.map(i16::from));
    if let (Some(code), Some(qualifier)) = (byte(parameter.value, 0), byte(parameter.value, 1)) {
        exception(facts, code, qualifier);
    }
}

/// Puts an informational exception into the facts: 5Dh predicts a failure; a warning (0Bh) is no failure.
pub fn exception(facts: &mut DiskFacts, code: u8, qualifier: u8) {
    facts.scsi.get_or_insert_default().exception = Some((code, qualifier));
    facts.assessment = if code == FAILURE_PREDICTED {
        Assessment::Failed
    } else {
        Assessment::Passed
    };
}

/// How many bytes lie before the page in a MODE SENSE (6) or (10) answer.
fn mode_page(answer: &[u8], ten: bool, page: u8) -> Option<&[u8]> {
    let start = if ten {
        8 + usize::from(be16(answer, 6)?)
    } else {
        4 + usize::from(byte(answer, 3)?)
    };
    let found = answer.get(start..)?;
    (byte(found, 0)? & 0x3f == page).then_some(found)
}

/// Puts the Informational Exceptions Control page (1Ch) into the facts: whether failure prediction is switched off.
pub fn fill_exceptions_control(facts: &mut DiskFacts, answer: &[u8], ten: bool) -> bool {
    const DISABLED: u8 = 1 << 3;
    let Some(flags) = mode_page(answer, ten, 0x1c).and_then(|page| byte(page, 2)) else {
        return false;
    };
    facts.scsi.get_or_insert_default().exceptions_disabled = Some(flags & DISABLED != 0);
    true
}

/// Puts the extended self-test's expected time, from the Control page (0Ah), into the facts.
pub fn fill_extended_minutes(facts: &mut DiskFacts, answer: &[u8], ten: bool) -> bool {
    let seconds = mode_page(answer, ten, 0x0a).and_then(|page| be16(page, 10));
    // All ones: longer than the field can say.
    let Some(seconds) = seconds.filter(|s| *s != 0 && *s != 0xffff) else {
        return false;
    };
    facts
        .self_tests
        .get_or_insert_with(SelfTestLog::default)
        .extended_minutes = Some(u32::from(seconds).div_ceil(60));
    true
}

/// The number of elements in the grown defect list, from the head of READ DEFECT DATA (12) or (10); `None` when the answer
/// is not about the grown list or its format has no known element size.
#[must_use]
pub fn grown_defects(answer: &[u8], twelve: bool) -> Option<u64> {
    const GROWN: u8 = 1 << 3;
    let flags = byte(answer, 1)?;
    let bytes = if twelve {
        be32(answer, 4)?
    } else {
        u32::from(be16(answer, 2)?)
    };
    // Short block format has four bytes each, all other known ones eight.
    let element = match flags & 0x07 {
        0 => 4,
        1..=5 => 8,
        _ => return None,
    };
    (flags & GROWN != 0).then(|| u64::from(bytes / element))
}

#[cfg(test)]
mod tests;
