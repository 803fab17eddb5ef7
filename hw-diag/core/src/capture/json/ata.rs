// SPDX-License-Identifier: Apache-2.0
//! The ATA sections of `smartctl --json`.

use super::node::Node;
use crate::capture::words::{NOT_DECODED, ata_status, decisive, kind, merged, result};
use crate::capture::{ATTRIBUTES_MAX, DECISIVE, ERRORS_MAX, SELF_TESTS_MAX, STATISTICS_MAX};
use crate::disk::DiskFacts;
use crate::disk::facts::{
    AtaFacts, Attribute, LoggedError, SelfTest, SelfTestKind, SelfTestLog, SelfTestResult,
    Statistic, WhenFailed,
};
use alloc::format;
use alloc::vec::Vec;

/// [`ATTRIBUTES_MAX`] as a count.
const ATTRIBUTES_LIMIT: u64 = 255;
/// Pages of the Device Statistics that are read; the standard has eight.
const PAGES_MAX: usize = 32;

pub(super) fn read(root: Node<'_>, facts: &mut DiskFacts) {
    let table = root.at("ata_smart_attributes").at("table");
    let (smart_available, smart_enabled) = support(root);
    let (error_count, errors) = errors(root);
    if let Some(count) = table.count().filter(|count| *count > ATTRIBUTES_LIMIT) {
        table.unreadable(&format!("has {count} attributes, more than any disk"));
    }
    let items = table.items(ATTRIBUTES_MAX);
    let raw_unread = items
        .iter()
        .filter_map(|entry| raw_unread(*entry))
        .collect();
    facts.ata = Some(AtaFacts {
        smart_available,
        smart_enabled,
        attributes: items.into_iter().filter_map(attribute).collect(),
        raw_unread,
        error_count,
        errors,
        statistics: statistics(root),
        pending_defects: pending_defects(root),
        block_faults: Vec::new(),
    });
    facts.self_tests = self_tests(root);
}

/// The number of an attribute of unreadable sectors whose raw value is missing or makes no sense.
fn raw_unread(entry: Node<'_>) -> Option<u8> {
    let id = entry.at("id").small()?;
    if !DECISIVE.contains(&id) {
        return None;
    }
    let (value, words) = (entry.at("raw").at("value"), entry.at("raw").at("string"));
    let (number, words) = (value.saturating(), words.text());
    let head = words.as_deref().and_then(|words| words.split(' ').next());
    let worded = head.and_then(decisive);
    // The words know how the drive packs its value, so they count where there is none beside them.
    let read = number.is_some() || !value.is_there() && worded.is_some();
    if read || worded.is_some_and(|worded| worded > 0) {
        return None;
    }
    let name = entry.at("name").text().unwrap_or_default();
    entry.unreadable(&format!("{id} {name} has no raw value that can be read"));
    Some(id)
}

/// `smart_support` is an object since 7.1 and was a plain truth value in wrappers of 7.0.
fn support(root: Node<'_>) -> (Option<bool>, Option<bool>) {
    let support = root.at("smart_support");
    if support.is_boolean() {
        (support.boolean(), None)
    } else {
        (
            support.at("available").boolean(),
            support.at("enabled").boolean(),
        )
    }
}

fn attribute(entry: Node<'_>) -> Option<Attribute> {
    let id = entry.at("id").small().filter(|id| *id != 0)?;
    let when = entry.at("when_failed").text();
    let when = when.as_deref().map(str::to_ascii_lowercase);
    let raw = entry.at("raw");
    let raw_text = raw.at("string").text();
    let (current, worst) = (entry.at("value").small(), entry.at("worst").small());
    let threshold = entry.at("thresh").small();
    let normal = |value: Option<u8>| value.filter(|value| (1..=253).contains(value));
    Some(Attribute {
        id,
        name: entry.at("name").text(),
        prefail: entry.at("flags").at("prefailure").boolean() == Some(true),
        current,
        worst,
        threshold,
        raw: raw_value(raw.at("value"), id),
        raw_text,
        when_failed: match when.as_deref() {
            Some("now" | "failing_now") => WhenFailed::Now,
            Some("past" | "in_the_past") => WhenFailed::Past,
            Some(_) => WhenFailed::Never,
            // Not said: the threshold says it, where the values are normalised ones.
            None => WhenFailed::by_threshold(normal(current), normal(worst), threshold),
        },
    })
}

/// A raw value; of a counter that decides one that is too large counts as the largest.
fn raw_value(value: Node<'_>, id: u8) -> u64 {
    let read = if DECISIVE.contains(&id) {
        value.saturating()
    } else {
        value.number()
    };
    read.unwrap_or(0)
}

fn errors(root: Node<'_>) -> (Option<u64>, Vec<LoggedError>) {
    let log = root.at("ata_smart_error_log");
    for which in ["extended", "summary"] {
        let log = log.at(which);
        let Some(count) = log.at("count").number() else {
            continue;
        };
        let entry = |entry: Node<'_>| {
            let what = entry.at("error_description").text();
            let what = what.as_deref().unwrap_or(NOT_DECODED);
            LoggedError {
                number: entry.at("error_number").number(),
                hours: entry.at("lifetime_hours").number(),
                what: what.trim_start_matches("Error: ").into(),
            }
        };
        let table = log.at("table").items(ERRORS_MAX);
        return (Some(count), table.into_iter().map(entry).collect());
    }
    (None, Vec::new())
}

fn statistics(root: Node<'_>) -> Vec<Statistic> {
    let mut out = Vec::new();
    let pages = root.at("ata_device_statistics").at("pages");
    for page in pages.items(PAGES_MAX) {
        let Some(number) = page.at("number").small() else {
            continue;
        };
        for entry in page.at("table").items(STATISTICS_MAX) {
            let flags = entry.at("flags");
            if flags.at("valid").boolean() == Some(false) {
                continue;
            }
            let offset = entry.at("offset").number();
            let offset = offset.and_then(|offset| u16::try_from(offset).ok());
            let value = entry.at("value").signed();
            if let (Some(offset), Some(value)) = (offset, value)
                && out.len() < STATISTICS_MAX
            {
                out.push(Statistic {
                    page: number,
                    offset,
                    name: entry.at("name").text().unwrap_or_default(),
                    value,
                    normalised: flags.at("normalized").boolean() == Some(true),
                });
            }
        }
    }
    out
}

fn pending_defects(root: Node<'_>) -> Option<u64> {
    let log = root.at("ata_pending_defects_log");
    let count = log.at("count").decisive();
    count.or_else(|| log.at("table").count())
}

fn self_tests(root: Node<'_>) -> Option<SelfTestLog> {
    let logs = root.at("ata_smart_self_test_log");
    let data = root.at("ata_smart_data").at("self_test");
    let status = data.at("status").at("value").small().map(ata_status);
    if !logs.is_there() && status.is_none() {
        return None;
    }
    let of = |which| -> Vec<SelfTest> {
        let table = logs.at(which).at("table").items(SELF_TESTS_MAX);
        table.into_iter().map(self_test).collect()
    };
    let entries = merged(of("extended"), of("standard"));
    let counted = ["extended", "standard"].map(|which| logs.at(which).at("error_count_total"));
    let counted = counted.iter().filter_map(|count| count.decisive()).max();
    // Failures that are counted where the entries did not come along.
    let last_status = match (counted, &status) {
        (Some(1..), None | Some(SelfTestResult::Passed)) if entries.is_empty() => {
            let what = "failures counted in the log, whose entries are not there";
            Some(SelfTestResult::Failed(what.into()))
        }
        _ => status.clone(),
    };
    let minutes = |which| {
        let minutes = data.at("polling_minutes").at(which).number();
        minutes.and_then(|minutes| u32::try_from(minutes).ok())
    };
    Some(SelfTestLog {
        entries,
        running: match status {
            Some(SelfTestResult::Running { remaining }) => Some(remaining),
            _ => None,
        },
        last_status,
        short_minutes: minutes("short"),
        extended_minutes: minutes("extended"),
    })
}

fn self_test(entry: Node<'_>) -> SelfTest {
    let status = entry.at("status");
    let words = status.at("string").text().unwrap_or_default();
    let remaining = status.at("remaining_percent").small();
    let outcome = match status.at("value").small() {
        Some(value) => match (ata_status(value), remaining) {
            (SelfTestResult::Running { .. }, Some(remaining)) => {
                SelfTestResult::Running { remaining }
            }
            (other, _) => other,
        },
        None => result(&words, remaining),
    };
    // smartctl's own word on whether it passed outdoes an unknown code.
    let outcome = match (outcome, status.at("passed").boolean()) {
        (SelfTestResult::Unknown(_), Some(false)) => SelfTestResult::Failed(words),
        (other, _) => other,
    };
    SelfTest {
        kind: entry
            .at("type")
            .at("string")
            .text()
            .map_or(SelfTestKind::Other, |words| kind(&words)),
        result: outcome,
        hours: entry.at("lifetime_hours").number(),
        lba: entry.at("lba").number(),
    }
}
