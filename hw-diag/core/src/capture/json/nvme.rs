// SPDX-License-Identifier: Apache-2.0
//! The NVMe sections of `smartctl --json`.

use super::node::Node;
use crate::capture::words::{kind, nvme_result, result};
use crate::capture::{ERRORS_MAX, SELF_TESTS_MAX};
use crate::disk::DiskFacts;
use crate::disk::facts::{LoggedError, NvmeFacts, SelfTest, SelfTestKind, SelfTestLog};
use alloc::format;
use alloc::vec::Vec;

pub(super) fn read(root: Node<'_>, facts: &mut DiskFacts) {
    let log = root.at("nvme_smart_health_information_log");
    facts.power_on_hours = facts
        .power_on_hours
        .or_else(|| log.at("power_on_hours").number());
    let celsius = |node: Node<'_>| node.signed().and_then(|c| i16::try_from(c).ok());
    facts.temperature_c = facts
        .temperature_c
        .or_else(|| celsius(log.at("temperature")));
    facts.self_tests = self_tests(root);
    if !log.is_there() {
        return;
    }
    let limits = root.at("nvme_composite_temperature_threshold");
    let common = root.at("temperature");
    facts.nvme = Some(NvmeFacts {
        critical_warning: log.at("critical_warning").decisive_byte(),
        available_spare: log.at("available_spare").small(),
        available_spare_threshold: log.at("available_spare_threshold").small(),
        percentage_used: always(log.at("percentage_used")).decisive_byte(),
        media_errors: always(log.at("media_errors")).decisive(),
        error_log_entries: log.at("num_err_log_entries").number(),
        unsafe_shutdowns: log.at("unsafe_shutdowns").number(),
        power_cycles: log.at("power_cycles").number(),
        data_units_read: log.at("data_units_read").number(),
        data_units_written: log.at("data_units_written").number(),
        warning_temperature_minutes: log.at("warning_temp_time").number(),
        critical_temperature_minutes: log.at("critical_comp_time").number(),
        // The name changed with the versions.
        warning_temperature_c: celsius(limits.at("warning"))
            .or_else(|| celsius(common.at("op_limit_max"))),
        critical_temperature_c: celsius(limits.at("critical"))
            .or_else(|| celsius(common.at("critical_limit_max"))),
        errors: errors(root),
    });
}

/// A counter that every health log has.
fn always(place: Node<'_>) -> Node<'_> {
    if !place.is_there() {
        place.unreadable("is missing");
    }
    place
}

fn errors(root: Node<'_>) -> Vec<LoggedError> {
    let table = root.at("nvme_error_information_log").at("table");
    let entry = |entry: Node<'_>| {
        let status = entry.at("status_field");
        let what = match (status.at("string").text(), status.at("value").number()) {
            (Some(text), _) => text,
            (None, Some(value)) => format!("status {value:#06x}"),
            (None, None) => return None,
        };
        Some(LoggedError {
            number: entry.at("error_count").number(),
            hours: None,
            what,
        })
    };
    let entries = table.items(ERRORS_MAX).into_iter();
    entries.filter_map(entry).collect()
}

fn self_tests(root: Node<'_>) -> Option<SelfTestLog> {
    let log = root.at("nvme_self_test_log");
    if !log.is_there() {
        return None;
    }
    let entry = |entry: Node<'_>| {
        let outcome = entry.at("self_test_result");
        let outcome = match (outcome.at("value").number(), outcome.at("string").text()) {
            (Some(code), _) => nvme_result(code)?,
            (None, Some(words)) => result(&words, None),
            // Without an object around it: the words alone.
            (None, None) if outcome.is_text() => result(&outcome.text()?, None),
            (None, None) => return None,
        };
        let words = entry.at("self_test_code").at("string").text();
        Some(SelfTest {
            kind: words.map_or(SelfTestKind::Other, |words| kind(&words)),
            result: outcome,
            hours: entry.at("power_on_hours").number(),
            lba: entry.at("lba").number(),
        })
    };
    let table = log.at("table").items(SELF_TESTS_MAX);
    let running = log.at("current_self_test_operation").at("value").number();
    let done = log.at("current_self_test_completion_percent").small();
    Some(SelfTestLog {
        entries: table.into_iter().filter_map(entry).collect(),
        running: running
            .filter(|operation| *operation != 0)
            .map(|_| 100u8.saturating_sub(done.unwrap_or(0))),
        ..SelfTestLog::default()
    })
}
