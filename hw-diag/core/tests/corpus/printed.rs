// SPDX-License-Identifier: Apache-2.0
//! The same drive as JSON and as text gives the same facts and the same verdict: each JSON capture is printed the way
//! `smartctl -x` prints it, and read back.
//!
//! There is no capture of one drive in both formats, and smartctl cannot turn one into the other; so the printer here is
//! written after real texts, and knows nothing of the reader.

use crate::corpus;
use crate::disks::files;
use hw_core::capture::{smartctl_json, smartctl_text};
use hw_core::disk::{DiskFacts, judge};
use serde_json::Value;
use std::fmt::Write;

pub(crate) fn print(report: &Value) -> String {
    let mut out = String::from("smartctl 7.3 2022-02-28 r5338 [x86_64-linux] (local build)\n");
    out += "=== START OF INFORMATION SECTION ===\n";
    let protocol = report["device"]["protocol"].as_str().unwrap_or("");
    who(report, protocol, &mut out);
    out += "=== START OF READ SMART DATA SECTION ===\n";
    let passed = report["smart_status"]["passed"].as_bool();
    match (protocol, passed) {
        (_, None) => {}
        ("SCSI", Some(true)) => out += "SMART Health Status: OK\n",
        ("SCSI", Some(false)) => out += "SMART Health Status: FAILURE [asc=5d, ascq=10]\n",
        (_, Some(true)) => out += "SMART overall-health self-assessment test result: PASSED\n",
        (_, Some(false)) => out += "SMART overall-health self-assessment test result: FAILED!\n",
    }
    match protocol {
        "ATA" => ata(report, &mut out),
        "NVMe" => nvme(&report["nvme_smart_health_information_log"], &mut out),
        "SCSI" => scsi(report, &mut out),
        _ => {}
    }
    out
}

fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

fn who(report: &Value, protocol: &str, out: &mut String) {
    let mut line = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            let _ = writeln!(out, "{name:<18}{value}");
        }
    };
    let text = |name: &str| report[name].as_str().map(String::from);
    let model = match protocol {
        "NVMe" => "Model Number:",
        "SCSI" => "Product:",
        _ => "Device Model:",
    };
    line("Vendor:", text("scsi_vendor").or_else(|| text("vendor")));
    line("Model Family:", text("model_family"));
    let product = text("scsi_product").or_else(|| text("product"));
    let scsi = product.filter(|_| protocol == "SCSI");
    line(model, scsi.or_else(|| text("model_name")));
    line("Serial Number:", text("serial_number"));
    let firmware = if protocol == "SCSI" {
        "Revision:"
    } else {
        "Firmware Version:"
    };
    let revision = text("firmware_version")
        .or_else(|| text("scsi_revision"))
        .or_else(|| text("revision"));
    line(firmware, revision);
    let bytes = |value: &Value| value.as_u64().map(|n| format!("{} bytes [x]", grouped(n)));
    line("User Capacity:", bytes(&report["user_capacity"]["bytes"]));
    line("Total NVM Capacity:", bytes(&report["nvme_total_capacity"]));
    line(
        "Rotation Rate:",
        report["rotation_rate"].as_u64().map(|rpm| match rpm {
            0 => "Solid State Device".into(),
            rpm => format!("{rpm} rpm"),
        }),
    );
    let support = &report["smart_support"];
    if let Some(available) = support.as_bool().or_else(|| support["available"].as_bool()) {
        let word = if available {
            "Available - device has"
        } else {
            "Unavailable - device lacks"
        };
        line(
            "SMART support is:",
            Some(format!("{word} SMART capability.")),
        );
    }
    if let Some(enabled) = report["smart_support"]["enabled"].as_bool() {
        let word = if enabled { "Enabled" } else { "Disabled" };
        line("SMART support is:", Some(word.into()));
    }
}

fn ata(report: &Value, out: &mut String) {
    if let Some(status) = report["ata_smart_data"]["self_test"]["status"]["value"].as_u64() {
        let _ = writeln!(
            out,
            "Self-test execution status:      ({status:4})\tThe previous self-test"
        );
    }
    *out += "ID# ATTRIBUTE_NAME          FLAGS    VALUE WORST THRESH FAIL RAW_VALUE\n";
    for row in report["ata_smart_attributes"]["table"]
        .as_array()
        .into_iter()
        .flatten()
    {
        let when = match row["when_failed"].as_str() {
            Some("now") => "NOW",
            Some("past") => "Past",
            _ => "-",
        };
        let number = |name: &str| {
            row[name]
                .as_u64()
                .map_or("---".into(), |n| format!("{n:03}"))
        };
        let _ = writeln!(
            out,
            "{:3} {:<23} {}  {}   {}   {}    {when:<4} {}",
            row["id"],
            row["name"].as_str().unwrap_or("Unknown_Attribute"),
            row["flags"]["string"].as_str().unwrap_or("------ ").trim(),
            number("value"),
            number("worst"),
            number("thresh"),
            row["raw"]["string"].as_str().unwrap_or(""),
        );
    }
    *out += "                            ||||||_ K auto-keep\n";
    *out += "                            |______ P prefailure warning\n\n";
    errors(&report["ata_smart_error_log"], out);
    self_tests(&report["ata_smart_self_test_log"], out);
    statistics(report, out);
    *out += "\n";
}

fn errors(log: &Value, out: &mut String) {
    for which in ["extended", "summary"] {
        let Some(count) = log[which]["count"].as_u64() else {
            continue;
        };
        *out += "SMART Error Log Version: 1\n";
        let _ = match count {
            0 => writeln!(out, "No Errors Logged"),
            count => writeln!(
                out,
                "ATA Error Count: {count} (device log contains only the most recent five errors)"
            ),
        };
        for row in log[which]["table"].as_array().into_iter().flatten() {
            let (number, hours) = (&row["error_number"], &row["lifetime_hours"]);
            let _ = writeln!(
                out,
                "Error {number} occurred at disk power-on lifetime: {hours} hours (x)"
            );
            if let Some(what) = row["error_description"].as_str() {
                let _ = writeln!(out, "  40 51 00 ff ff ff 0f  {what}");
            }
        }
    }
}

fn self_tests(log: &Value, out: &mut String) {
    if !log.is_null() {
        *out += "SMART Self-test log structure revision number 1\n";
        let table = log["extended"]["table"]
            .as_array()
            .or_else(|| log["standard"]["table"].as_array());
        for (index, row) in table.into_iter().flatten().enumerate() {
            let _ = writeln!(
                out,
                "#{:2}  {:<19} {:<29} {:1}0%  {:8}         {}",
                index + 1,
                row["type"]["string"].as_str().unwrap_or(""),
                row["status"]["string"].as_str().unwrap_or(""),
                row["status"]["value"].as_u64().unwrap_or(0) & 0xf,
                row["lifetime_hours"],
                row["lba"]
                    .as_u64()
                    .map_or("-".into(), |lba| lba.to_string()),
            );
        }
    }
}

fn statistics(report: &Value, out: &mut String) {
    *out += "Device Statistics (GP Log 0x04)\n";
    for page in report["ata_device_statistics"]["pages"]
        .as_array()
        .into_iter()
        .flatten()
    {
        for row in page["table"].as_array().into_iter().flatten() {
            let flags = if row["flags"]["normalized"] == true {
                "N--"
            } else {
                "---"
            };
            let value = match row["flags"]["valid"].as_bool() {
                Some(false) => "-".into(),
                _ => row["value"].to_string(),
            };
            let _ = writeln!(
                out,
                "{:#04x}  {:#05x}  {} {value:>15}  {flags}  {}",
                page["number"].as_u64().unwrap(),
                row["offset"].as_u64().unwrap(),
                row["size"],
                row["name"].as_str().unwrap(),
            );
        }
    }
}

fn nvme(log: &Value, out: &mut String) {
    if log.is_null() {
        return;
    }
    *out += "SMART/Health Information (NVMe Log 0x02)\n";
    for (name, field, unit) in [
        ("Temperature", "temperature", " Celsius"),
        ("Available Spare", "available_spare", "%"),
        (
            "Available Spare Threshold",
            "available_spare_threshold",
            "%",
        ),
        ("Percentage Used", "percentage_used", "%"),
        ("Data Units Read", "data_units_read", " [1.2 TB]"),
        ("Data Units Written", "data_units_written", " [1.2 TB]"),
        ("Power Cycles", "power_cycles", ""),
        ("Power On Hours", "power_on_hours", ""),
        ("Unsafe Shutdowns", "unsafe_shutdowns", ""),
        ("Media and Data Integrity Errors", "media_errors", ""),
        ("Error Information Log Entries", "num_err_log_entries", ""),
        ("Warning  Comp. Temperature Time", "warning_temp_time", ""),
        ("Critical Comp. Temperature Time", "critical_comp_time", ""),
    ] {
        if let Some(value) = log[field].as_u64() {
            let _ = writeln!(out, "{:<35} {}{unit}", format!("{name}:"), grouped(value));
        }
    }
    let warning = log["critical_warning"].as_u64().unwrap();
    let _ = writeln!(out, "Critical Warning:                   {warning:#04x}");
}

fn scsi(report: &Value, out: &mut String) {
    let number = |value: &Value| value.as_u64();
    if let Some(celsius) = number(&report["temperature"]["current"]) {
        let _ = writeln!(out, "Current Drive Temperature:     {celsius} C");
    }
    if let Some(celsius) = number(&report["temperature"]["drive_trip"]) {
        let _ = writeln!(out, "Drive Trip Temperature:        {celsius} C");
    }
    if let Some(hours) = number(&report["power_on_time"]["hours"]) {
        let _ = writeln!(out, "Accumulated power on time, hours:minutes {hours}:07");
    }
    if let Some(count) = number(&report["scsi_grown_defect_list"]) {
        let _ = writeln!(out, "Elements in grown defect list: {count}");
    }
    *out += "Error counter log:\n";
    for way in ["read", "write", "verify"] {
        let log = &report["scsi_error_counter_log"][way];
        if log.is_null() {
            continue;
        }
        let of = |name: &str| number(&log[name]).unwrap();
        let _ = writeln!(
            out,
            "{:<7} {:9} {:9} {:9} {:9} {:9} {:>14} {:11}",
            format!("{way}:"),
            of("errors_corrected_by_eccfast"),
            of("errors_corrected_by_eccdelayed"),
            of("errors_corrected_by_rereads_rewrites"),
            of("total_errors_corrected"),
            of("correction_algorithm_invocations"),
            log["gigabytes_processed"].as_str().unwrap(),
            of("total_uncorrected_errors"),
        );
    }
    *out += "\n";
}

#[test]
fn printed_reports_are_the_same_drives() {
    let Some(root) = corpus("smart") else {
        return;
    };
    let mut same = 0;
    let mut contradict = Vec::new();
    for folder in ["smartctl_exporter-json", "scrutiny-json"] {
        for path in files(&root.join(folder), "json") {
            let bytes = std::fs::read(&path).unwrap();
            let Ok(json) = smartctl_json(&bytes, "drive") else {
                continue;
            };
            let report: Value = serde_json::from_slice(&bytes).unwrap();
            if report["device"].is_null() {
                continue;
            }
            let text = print(&report);
            let mut text = smartctl_text(text.as_bytes(), "drive").unwrap();
            // What a text says otherwise or not at all.
            text.source.clone_from(&json.source);
            text.slot.clone_from(&json.slot);
            text.missed.clone_from(&json.missed);
            text.identity.wwn.clone_from(&json.identity.wwn);
            text.identity.logical_sector = json.identity.logical_sector;
            if let (Some(text), Some(json)) = (&mut text.self_tests, &json.self_tests) {
                (text.short_minutes, text.extended_minutes) =
                    (json.short_minutes, json.extended_minutes);
            }
            if let (Some(text), Some(json)) = (&mut text.ata, &json.ata) {
                text.pending_defects = json.pending_defects;
                for (one, other) in text.attributes.iter_mut().zip(&json.attributes) {
                    // The text has the raw value only as it is worded.
                    one.raw = other.raw;
                }
            }
            let name = path.display();
            assert_eq!(text.ata, json.ata, "{name}");
            assert_eq!(text.nvme, json.nvme, "{name}");
            assert_eq!(text.scsi, json.scsi, "{name}");
            assert_eq!(text.self_tests, json.self_tests, "{name}");
            assert_eq!(text.identity, json.identity, "{name}");
            // One capture was edited by hand, and its attributes contradict its summary.
            let figures = |facts: &DiskFacts| (facts.power_on_hours, facts.temperature_c);
            if figures(&text) != figures(&json) {
                contradict.push(name.to_string());
                (text.power_on_hours, text.temperature_c) = figures(&json);
            }
            let (text, json) = (judge(&text, &[]), judge(&json, &[]));
            assert_eq!(text, json, "{name}");
            same += 1;
        }
    }
    println!("{same} drives are the same as JSON and as text");
    assert!(same > 100, "{same}");
    assert!(contradict.len() <= 1, "{contradict:#?}");
}
