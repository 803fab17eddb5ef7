// SPDX-License-Identifier: Apache-2.0
//! What every disk is read for, whatever its protocol: its own word, self-tests, heat, and what did not come through.

use super::facts::{Assessment, DiskFacts, Protocol, SelfTest, SelfTestKind, SelfTestResult};
use super::measure::{Measure, Reading};
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

/// A temperature limit that a disk names is believed in this range, in degrees Celsius; firmware also says 0 and 255.
const LIMIT_C: core::ops::RangeInclusive<i16> = 50..=110;
/// How many degrees the sensor of an ATA disk, which sits inside, may read above the limit, which is the case's.
const INSIDE_C: i16 = 5;

/// Whether it was read at all, and what it says of itself. `counters` tells whether any counter came through, `explained`
/// whether another reading already says why it fails.
pub(super) fn own_word(facts: &DiskFacts, counters: bool, explained: bool) -> Vec<Reading> {
    let mut out = Vec::new();
    if let Some(why) = &facts.no_answer {
        let detail = format!(": {why}");
        out.push(Reading::detailed(
            Measure::NoAnswer,
            1,
            detail,
            vec![why.clone()],
        ));
        if facts.assessment == Assessment::NotSaid && !counters {
            return out;
        }
    }
    match facts.assessment {
        Assessment::Failed if explained => {}
        Assessment::Failed => {
            let line = match facts.scsi.as_ref().and_then(|s| s.exception_text.as_ref()) {
                Some(text) => format!("health status: {text}"),
                None => "health assessment: FAILED".into(),
            };
            out.push(Reading::new(Measure::SaysFailed, 1, vec![line]));
        }
        Assessment::Passed if !counters => {
            let line = "health assessment: PASSED, and nothing else".into();
            out.push(Reading::new(Measure::OnlyOwnWord, 1, vec![line]));
        }
        Assessment::NotSaid if counters => {
            // An NVMe drive's critical warning is its assessment.
            if facts.protocol != Protocol::Nvme {
                let line = "no health assessment in what was read".into();
                out.push(Reading::new(Measure::NoOwnWord, 1, vec![line]));
            }
        }
        Assessment::NotSaid => {
            let reason = facts.missed.first().map(|line| format!(": {line}"));
            out.push(Reading::detailed(
                Measure::NothingRead,
                1,
                reason.unwrap_or_default(),
                facts.missed.clone(),
            ));
            return out;
        }
        Assessment::Passed => {}
    }
    if !facts.missed.is_empty() {
        let count = u64::try_from(facts.missed.len()).unwrap_or(u64::MAX);
        out.push(Reading::new(
            Measure::PartlyRead,
            count,
            facts.missed.clone(),
        ));
    }
    out
}

/// What makes the capture itself doubtful: its end, counters without a number, words against each other.
pub(super) fn doubts(facts: &DiskFacts) -> Vec<Reading> {
    let mut out = Vec::new();
    if let Some(cut) = &facts.cut {
        let lines = vec![cut.clone()];
        out.push(Reading::detailed(Measure::Cut, 1, cut.clone(), lines));
    }
    for (measure, lines) in [
        (Measure::Unreadable, &facts.unreadable),
        (Measure::Contradicted, &facts.contradictions),
    ] {
        if let Some(first) = lines.first() {
            let count = u64::try_from(lines.len()).unwrap_or(u64::MAX);
            out.push(Reading::detailed(
                measure,
                count,
                first.clone(),
                lines.clone(),
            ));
        }
    }
    out
}

/// The temperature against the limit that the disk names, or against the media's where it names none.
pub(super) fn heat(facts: &DiskFacts, limit: Option<i16>) -> Option<Reading> {
    let celsius = facts.temperature_c.filter(|celsius| *celsius > 0)?;
    let value = u64::try_from(celsius).ok()?;
    let limit = limit.filter(|limit| LIMIT_C.contains(limit));
    let inside = if facts.protocol == Protocol::Ata {
        INSIDE_C
    } else {
        0
    };
    match limit {
        Some(limit) if celsius.saturating_sub(inside) >= limit => Some(Reading::detailed(
            Measure::CelsiusAtLimit,
            value,
            format!(", and its own limit is {limit} °C"),
            vec![format!("{celsius} °C now, limit {limit} °C")],
        )),
        Some(_) => None,
        // NVMe drives run hot by design and raise a warning of their own.
        None if facts.protocol == Protocol::Nvme => None,
        None => Some(Reading::new(
            Measure::Celsius,
            value,
            vec![format!("{celsius} °C now")],
        )),
    }
}

/// The failed self-tests: those that no later whole test took back, and those before one.
pub(super) fn self_tests(facts: &DiskFacts) -> Vec<Reading> {
    let Some(log) = &facts.self_tests else {
        return Vec::new();
    };
    let mut read = Vec::new();
    let mut part = Vec::new();
    let mut vendor = Vec::new();
    let mut before = Vec::new();
    let mut parts: Vec<String> = Vec::new();
    let mut whole_since = false;
    for test in &log.entries {
        match &test.result {
            SelfTestResult::Passed => whole_since |= test.kind == SelfTestKind::Extended,
            SelfTestResult::Failed(what) if whole_since => before.push(in_words(test, what)),
            SelfTestResult::Failed(what) => {
                let line = in_words(test, what);
                match test.kind {
                    SelfTestKind::Other => vendor.push(line),
                    _ if is_part(what) => {
                        parts.push(format!(": {what}"));
                        part.push(line);
                    }
                    SelfTestKind::Short
                    | SelfTestKind::Extended
                    | SelfTestKind::Conveyance
                    | SelfTestKind::Selective => read.push(line),
                }
            }
            SelfTestResult::Running { .. }
            | SelfTestResult::Aborted
            | SelfTestResult::Unknown(_) => {}
        }
    }
    // The status byte says the same of the newest test; it counts where the log has none that failed.
    let logged = read.len() + part.len() + vendor.len() + before.len() > 0;
    if let (Some(SelfTestResult::Failed(what)), false) = (&log.last_status, logged) {
        let line = format!("the last self-test's status: {what}");
        if is_part(what) {
            parts.push(format!(": {what}"));
            part.push(line);
        } else {
            read.push(line);
        }
    }
    let reading = |measure, detail: Option<&String>, lines: Vec<String>| {
        let count = u64::try_from(lines.len()).unwrap_or(u64::MAX);
        Reading::detailed(measure, count, detail.cloned().unwrap_or_default(), lines)
    };
    vec![
        reading(Measure::SelfTestRead, None, read),
        reading(Measure::SelfTestPart, parts.first(), part),
        reading(Measure::SelfTestVendor, None, vendor),
        reading(Measure::SelfTestBefore, None, before),
    ]
}

/// Whether a part of the drive failed, not a read. An unknown element may be a block, so it counts as a read.
fn is_part(what: &str) -> bool {
    let what = what.to_ascii_lowercase();
    ["electrical", "servo", "seek", "handling"]
        .iter()
        .any(|part| what.contains(part))
}

fn in_words(test: &SelfTest, what: &str) -> String {
    let kind = match test.kind {
        SelfTestKind::Short => "short",
        SelfTestKind::Extended => "extended",
        SelfTestKind::Conveyance => "conveyance",
        SelfTestKind::Selective => "selective",
        SelfTestKind::Other => "vendor's",
    };
    let hours = test.hours.map(|hours| format!(" at {hours} h"));
    let lba = test.lba.map(|lba| format!(", first at block {lba}"));
    let (hours, lba) = (hours.unwrap_or_default(), lba.unwrap_or_default());
    format!("{kind} self-test{hours}: {what}{lba}")
}
