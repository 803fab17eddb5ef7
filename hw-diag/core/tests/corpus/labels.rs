// SPDX-License-Identifier: Apache-2.0
//! What a capture's drive is by the plain rule, read from the raw capture and by nothing that the product has: a drive is
//! bad when an attribute fails now or did ever, when sectors are pending, offline or reported uncorrectable, when a
//! self-test failed, when there are media errors, or when 100 % of its endurance is used. CRC errors are not bad.

use serde_json::Value;

/// What a drive is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Label {
    /// It says that it fails.
    Failed,
    /// It says that it is well, and the rule says that it is bad.
    PassedBad,
    /// It says that it is well, and so says the rule.
    PassedHealthy,
    /// It does not say.
    NoVerdict,
}

fn label(passed: Option<bool>, bad: bool) -> Label {
    match (passed, bad) {
        (Some(false), _) => Label::Failed,
        (Some(true), true) => Label::PassedBad,
        (Some(true), false) => Label::PassedHealthy,
        (None, _) => Label::NoVerdict,
    }
}

fn leading(text: &str) -> u64 {
    let digits: String = text
        .trim()
        .chars()
        .filter(|c| *c != ',')
        .take_while(char::is_ascii_digit)
        .collect();
    digits.parse().unwrap_or(0)
}

/// Of a `smartctl --json` report.
pub(crate) fn of_json(report: &Value) -> Label {
    let count = |pointer: &str| report.pointer(pointer).and_then(Value::as_u64).unwrap_or(0);
    let list = |pointer: &str| {
        let items = report.pointer(pointer).and_then(Value::as_array);
        items.cloned().unwrap_or_default()
    };
    let mut bad = list("/ata_smart_attributes/table").iter().any(|row| {
        let unreadable = matches!(row["id"].as_u64(), Some(187 | 197 | 198));
        let failed = row["when_failed"]
            .as_str()
            .is_some_and(|when| !when.is_empty());
        failed || unreadable && leading(row["raw"]["string"].as_str().unwrap_or("")) > 0
    });
    for log in ["standard", "extended"] {
        bad |= list(&format!("/ata_smart_self_test_log/{log}/table"))
            .iter()
            .any(|row| row["status"]["passed"] == Value::Bool(false));
    }
    bad |= count("/nvme_smart_health_information_log/media_errors") > 0;
    bad |= count("/nvme_smart_health_information_log/percentage_used") >= 100;
    bad |= count("/scsi_percentage_used_endurance_indicator") >= 100;
    for way in ["read", "write", "verify"] {
        bad |= count(&format!(
            "/scsi_error_counter_log/{way}/total_uncorrected_errors"
        )) > 0;
    }
    bad |= list("/ata_device_statistics/pages").iter().any(|page| {
        page["table"].as_array().is_some_and(|rows| {
            rows.iter().any(|row| {
                row["name"] == "Percentage Used Endurance Indicator"
                    && row["value"].as_u64() >= Some(100)
            })
        })
    });
    label(
        report
            .pointer("/smart_status/passed")
            .and_then(Value::as_bool),
        bad,
    )
}

/// Of a `smartctl -x` text.
pub(crate) fn of_text(text: &str) -> Label {
    let passed = text.lines().find_map(|line| {
        let (_, ata) = line.split_once("self-assessment test result: ").unzip();
        let (_, scsi) = line.split_once("SMART Health Status: ").unzip();
        ata.or(scsi)
            .map(|word| word.starts_with("PASSED") || word.starts_with("OK"))
    });
    label(passed, text.lines().any(bad_line))
}

fn bad_line(line: &str) -> bool {
    let fields: Vec<&str> = line.split_whitespace().collect();
    if let Some(id) = fields.first().and_then(|id| id.parse::<u16>().ok())
        && let (Some(flags), Some(value)) = (fields.get(2), fields.get(3))
        && value.len() == 3
    {
        // Brief tables have six flag letters, old ones a number and two more columns.
        let at = if flags.starts_with("0x") { 8 } else { 6 };
        let failed = fields.get(at).is_some_and(|when| *when != "-");
        let raw = fields.get(at + 1).map_or(0, |raw| leading(raw));
        return failed || matches!(id, 187 | 197 | 198) && raw > 0;
    }
    let self_test = line.trim_start().starts_with('#');
    if self_test
        && ["failure", "damage", "Fatal", "ailed"]
            .iter()
            .any(|word| line.contains(word))
    {
        return true;
    }
    let value = |name: &str| {
        let rest = line.trim_start().strip_prefix(name)?.strip_prefix(':')?;
        Some(leading(rest))
    };
    value("Media and Data Integrity Errors") > Some(0)
        || value("Percentage Used") >= Some(100)
        || value("Percentage used endurance indicator") >= Some(100)
        || line.contains("Percentage Used Endurance Indicator")
            && fields.get(3).is_some_and(|value| leading(value) >= 100)
}
