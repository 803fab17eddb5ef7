// SPDX-License-Identifier: Apache-2.0
//! One bad thing in a healthy drive's capture is found, on every drive, as JSON and as text; one harmless thing is not.

use crate::corpus;
use crate::disks::files;
use crate::labels::{Label, of_json};
use crate::printed::print;
use groundstate_api::health::Verdict;
use hw_core::capture::{smartctl_json, smartctl_text};
use hw_core::disk::judge;
use serde_json::{Value, json};

/// What is done to a capture; `false` where it has no such thing.
type Change = fn(&mut Value) -> bool;

fn attribute(report: &mut Value, ids: &[u64], change: impl Fn(&mut Value)) -> bool {
    let table = report.pointer_mut("/ata_smart_attributes/table");
    let rows = table.and_then(Value::as_array_mut);
    let mut rows = rows.into_iter().flatten();
    let row = rows.find(|row| row["id"].as_u64().is_some_and(|id| ids.contains(&id)));
    row.map(change).is_some()
}

fn raw(report: &mut Value, id: u64, value: u64) -> bool {
    attribute(report, &[id], |row| {
        row["raw"] = json!({"value": value, "string": value.to_string()});
    })
}

fn when_failed(report: &mut Value, when: &str, prefail: bool) -> bool {
    attribute(report, &[1, 5, 9, 190, 194], |row| {
        row["when_failed"] = when.into();
        row["flags"]["prefailure"] = prefail.into();
        let letters = row["flags"]["string"].as_str().unwrap_or("------");
        let first = if prefail { "P" } else { "-" };
        row["flags"]["string"] = format!("{first}{}", &letters[1..]).into();
    })
}

fn self_test(report: &mut Value, status: u64, words: &str, passed: bool) -> bool {
    let ata = report["device"]["protocol"] == "ATA";
    if ata {
        report["ata_smart_self_test_log"] = json!({"standard": {"table": [
            {"type": {"string": "Short offline"}, "status": {"value": 0, "string": "Completed without error", "passed": true}, "lifetime_hours": 9},
            {"type": {"string": "Extended offline"}, "status": {"value": status, "string": words, "passed": passed}, "lifetime_hours": 8, "lba": 77}
        ]}});
    }
    ata
}

fn nvme(report: &mut Value, field: &str, value: u64) -> bool {
    let log = &mut report["nvme_smart_health_information_log"];
    let there = log.is_object();
    if there {
        log[field] = value.into();
    }
    there
}

fn uncorrected(report: &mut Value, way: &str) -> bool {
    let log = report.pointer_mut(&format!("/scsi_error_counter_log/{way}"));
    log.map(|log| log["total_uncorrected_errors"] = 2.into())
        .is_some()
}

fn says_failed(report: &mut Value) -> bool {
    report["smart_status"]["passed"] = false.into();
    true
}

/// The least verdict that each change must bring.
const BAD: &[(&str, Verdict, Change)] = &[
    ("says that it fails", Verdict::Fail, says_failed),
    ("pre-fail now", Verdict::Fail, |r| {
        when_failed(r, "now", true)
    }),
    ("old age now", Verdict::Warn, |r| {
        when_failed(r, "now", false)
    }),
    ("pre-fail once", Verdict::Warn, |r| {
        when_failed(r, "past", true)
    }),
    ("old age once", Verdict::Warn, |r| {
        when_failed(r, "past", false)
    }),
    ("a pending sector", Verdict::Warn, |r| raw(r, 197, 1)),
    ("many pending sectors", Verdict::Warn, |r| {
        raw(r, 197, 5_000)
    }),
    ("pending beyond reason", Verdict::Warn, |r| {
        raw(r, 197, 1 << 47)
    }),
    ("an offline uncorrectable", Verdict::Warn, |r| {
        raw(r, 198, 1)
    }),
    ("a reported uncorrectable", Verdict::Warn, |r| {
        raw(r, 187, 1)
    }),
    ("a failed self-test", Verdict::Warn, |r| {
        self_test(r, 121, "Completed: read failure", false)
    }),
    ("a broken part", Verdict::Fail, |r| {
        self_test(r, 105, "Completed: servo/seek failure", false)
    }),
    ("a media error", Verdict::Warn, |r| {
        nvme(r, "media_errors", 1)
    }),
    ("worn out", Verdict::Warn, |r| {
        nvme(r, "percentage_used", 100)
    }),
    ("critical warning", Verdict::Fail, |r| {
        nvme(r, "critical_warning", 4)
    }),
    ("uncorrected reads", Verdict::Warn, |r| {
        uncorrected(r, "read")
    }),
    ("uncorrected writes", Verdict::Warn, |r| {
        uncorrected(r, "write")
    }),
];

/// What healthy drives also have.
const HARMLESS: &[(&str, Change)] = &[
    ("CRC errors", |r| raw(r, 199, 900)),
    ("a few reallocated sectors", |r| raw(r, 5, 12)),
    ("spin retries", |r| raw(r, 10, 3)),
    ("time-outs in three counters", |r| {
        raw(r, 188, 0x0007_0003_0002)
    }),
    ("a seek error rate", |r| raw(r, 7, 402_819_024)),
    ("reallocation events", |r| raw(r, 196, 18_248)),
    ("an aborted self-test", |r| {
        self_test(r, 25, "Aborted by host", true)
    }),
    ("an unsafe shutdown", |r| nvme(r, "unsafe_shutdowns", 5_000)),
    ("error log entries", |r| {
        nvme(r, "num_err_log_entries", 8_382)
    }),
    ("warm minutes", |r| nvme(r, "warning_temp_time", 500)),
    ("a grown defect list", |r| {
        let scsi = r["device"]["protocol"] == "SCSI";
        if scsi {
            r["scsi_grown_defect_list"] = 56.into();
        }
        scsi
    }),
];

/// The verdicts on a report as JSON and as text.
fn verdicts(report: &Value) -> [Verdict; 2] {
    let json = smartctl_json(report.to_string().as_bytes(), "drive").unwrap();
    let text = smartctl_text(print(report).as_bytes(), "drive").unwrap();
    [judge(&json, &[]).verdict, judge(&text, &[]).verdict]
}

#[test]
fn one_thing_is_told_from_another_on_every_drive() {
    let Some(root) = corpus("smart") else {
        return;
    };
    let (mut bad, mut harmless) = (0, 0);
    for folder in ["smartctl_exporter-json", "scrutiny-json"] {
        for path in files(&root.join(folder), "json") {
            let report: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
            let judged = || verdicts(&report) == [Verdict::Ok, Verdict::Ok];
            if report["device"].is_null() || of_json(&report) != Label::PassedHealthy || !judged() {
                continue;
            }
            for (name, least, change) in BAD {
                let mut changed = report.clone();
                if change(&mut changed) {
                    let seen = verdicts(&changed);
                    assert!(
                        seen.iter().all(|v| v >= least),
                        "{name}, {}: {seen:?}",
                        path.display()
                    );
                    bad += 1;
                }
            }
            for (name, change) in HARMLESS {
                let mut changed = report.clone();
                if change(&mut changed) {
                    let seen = verdicts(&changed);
                    assert_eq!(seen, [Verdict::Ok; 2], "{name}, {}", path.display());
                    harmless += 1;
                }
            }
        }
    }
    println!("{bad} bad things were found and {harmless} harmless ones passed over");
    assert!(bad > 600 && harmless > 300, "{bad} {harmless}");
}
