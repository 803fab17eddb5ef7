// SPDX-License-Identifier: Apache-2.0
//! Captures that say too little or nonsense where it matters, in both formats: the verdict on each.

use super::{ATTRIBUTES_MAX, smartctl_json, smartctl_text};
use crate::disk::judge;
use groundstate_api::health::Verdict;
use serde_json::{Value, json};

/// The verdict and the codes of the findings.
fn json_says(report: &Value) -> (Verdict, Vec<String>) {
    let facts = smartctl_json(report.to_string().as_bytes(), "x").unwrap();
    let report = judge(&facts, &[]);
    let codes = report.findings.into_iter().map(|one| one.code).collect();
    (report.verdict, codes)
}

fn text_says(text: &str) -> (Verdict, Vec<String>) {
    let facts = smartctl_text(text.as_bytes(), "x").unwrap();
    let report = judge(&facts, &[]);
    let codes = report.findings.into_iter().map(|one| one.code).collect();
    (report.verdict, codes)
}

/// A healthy ATA drive whose attribute of this number has this raw value.
fn ata(id: u8, raw: &Value) -> Value {
    json!({
        "device": {"protocol": "ATA"}, "rotation_rate": 7200, "smart_status": {"passed": true},
        "ata_smart_attributes": {"table": [
            {"id": 9, "name": "Power_On_Hours", "value": 90, "worst": 90, "thresh": 0, "raw": {"value": 9, "string": "9"}},
            {"id": id, "name": "X", "value": 100, "worst": 100, "thresh": 0, "when_failed": "", "raw": raw}
        ]}
    })
}

fn nvme(field: &str, value: Option<Value>) -> Value {
    let mut log = json!({"critical_warning": 0, "percentage_used": 3, "media_errors": 0});
    match value {
        Some(value) => log[field] = value,
        None => drop(log.as_object_mut().unwrap().remove(field)),
    }
    json!({"device": {"protocol": "NVMe"}, "smart_status": {"passed": true}, "nvme_smart_health_information_log": log})
}

const UNREADABLE: &str = "disk-counter-unreadable";

#[test]
fn a_counter_without_a_number_is_no_zero() {
    for id in [187, 197, 198] {
        assert_eq!(
            json_says(&ata(id, &json!({"value": 0, "string": "0"}))).0,
            Verdict::Ok
        );
        assert_eq!(json_says(&ata(id, &json!({"string": "0"}))).0, Verdict::Ok);
        for raw in [
            json!(null),
            json!({}),
            json!([5]),
            json!({"value": -1, "string": "-1"}),
            json!({"value": "abc", "string": "abc"}),
            json!({"value": [], "string": "0"}),
        ] {
            let (verdict, codes) = json_says(&ata(id, &raw));
            assert_eq!(
                (verdict, &*codes[0]),
                (Verdict::Unknown, UNREADABLE),
                "{id} {raw}"
            );
        }
        let huge: Value = serde_json::from_str("{\"value\": 1e30, \"string\": \"x\"}").unwrap();
        assert_eq!(json_says(&ata(id, &huge)).0, Verdict::Warn);
    }
    for (field, value, expected) in [
        ("media_errors", json!(u64::MAX), Verdict::Warn),
        ("media_errors", json!(1.8e19 * 10.0), Verdict::Warn),
        ("media_errors", json!("0x10"), Verdict::Warn),
        ("media_errors", json!(-5), Verdict::Unknown),
        ("media_errors", json!(null), Verdict::Unknown),
        ("media_errors", json!([9]), Verdict::Unknown),
        ("percentage_used", json!(255), Verdict::Warn),
        ("percentage_used", json!(300), Verdict::Unknown),
        ("percentage_used", json!(-1), Verdict::Unknown),
        ("percentage_used", json!(true), Verdict::Unknown),
    ] {
        let (verdict, codes) = json_says(&nvme(field, Some(value.clone())));
        assert_eq!(verdict, expected, "{field} {value}");
        assert_eq!(
            codes.iter().any(|code| code == UNREADABLE),
            expected == Verdict::Unknown
        );
    }
    for field in ["media_errors", "percentage_used"] {
        assert_eq!(json_says(&nvme(field, None)).0, Verdict::Unknown);
    }
    for (uncorrected, wear) in [
        (json!(-3), json!(1)),
        (json!("many"), json!(1)),
        (json!(0), json!(300)),
    ] {
        let report = json!({
            "device": {"protocol": "SCSI"}, "smart_status": {"passed": true}, "scsi_grown_defect_list": 0,
            "scsi_error_counter_log": {"read": {"total_uncorrected_errors": uncorrected}},
            "scsi_percentage_used_endurance_indicator": wear
        });
        assert_eq!(json_says(&report).0, Verdict::Unknown, "{report}");
    }
}

#[test]
fn more_attributes_than_a_disk_has_are_not_cleared() {
    let mut report = ata(5, &json!({"value": 0, "string": "0"}));
    let row = report["ata_smart_attributes"]["table"][1].clone();
    report["ata_smart_attributes"]["table"] = vec![row; ATTRIBUTES_MAX + 1].into();
    assert_eq!(json_says(&report).0, Verdict::Unknown);
}

#[test]
fn the_threshold_says_what_the_report_leaves_out() {
    let mut report = ata(9, &json!({"value": 1, "string": "1"}));
    let row = &mut report["ata_smart_attributes"]["table"][1];
    (row["worst"], row["thresh"]) = (1.into(), 5.into());
    assert_eq!(json_says(&report).1, ["ata-attribute-failed-before"]);
    let row = &mut report["ata_smart_attributes"]["table"][1];
    row["value"] = 1.into();
    row["flags"] = json!({"prefailure": true});
    row.as_object_mut().unwrap().remove("when_failed");
    assert_eq!(json_says(&report).0, Verdict::Fail);
    report["ata_smart_attributes"]["table"][1]["when_failed"] = "-".into();
    assert_eq!(json_says(&report).0, Verdict::Ok);
}

#[test]
fn what_contradicts_itself_is_not_ok() {
    let zero = json!({"value": 0, "string": "0"});
    let mut report = ata(197, &zero);
    report["smartctl"] = json!({"exit_status": 8});
    assert_eq!(
        json_says(&report),
        (Verdict::Warn, vec!["disk-contradicts-itself".into()])
    );
    let mut report = ata(197, &zero);
    report["ata_pending_defects_log"] = json!({"count": 5});
    assert_eq!(
        json_says(&report),
        (Verdict::Warn, vec!["ata-pending-sectors".into()])
    );
    let mut report = ata(231, &json!({"value": 97, "string": "97"}));
    report["rotation_rate"] = 0.into();
    let row = &mut report["ata_smart_attributes"]["table"][1];
    (row["name"], row["value"]) = ("SSD_Life_Left".into(), 0.into());
    assert_eq!(
        json_says(&report),
        (Verdict::Ok, vec!["disk-wear-unclear".into()])
    );
    report["ata_smart_attributes"]["table"][1]["raw"] = zero;
    assert_eq!(json_says(&report).1, ["disk-worn-out"]);
}

#[test]
fn a_failed_self_test_counts_wherever_it_stands() {
    let with = |name: &str, log: Value| {
        let mut report = ata(197, &json!({"value": 0, "string": "0"}));
        report[name] = log;
        json_says(&report).1
    };
    let passed = json!({"type": {"string": "Extended offline"}, "status": {"value": 0}, "lifetime_hours": 50});
    let failed = json!({"type": {"string": "Short offline"}, "status": {"value": 121}, "lifetime_hours": 90});
    let log = "ata_smart_self_test_log";
    let only = json!({"extended": {"count": 1, "error_count_total": 1}});
    assert_eq!(with(log, only), ["disk-self-test-failed"]);
    let both = json!({"extended": {"table": [passed]}, "standard": {"table": [failed]}});
    assert_eq!(with(log, both), ["disk-self-test-failed"]);
    let mut report = nvme("media_errors", Some(0.into()));
    for result in [
        json!({"string": "Completed: failed segments"}),
        json!("Completed: failed segments"),
    ] {
        report["nvme_self_test_log"] =
            json!({"table": [{"self_test_code": {"string": "Short"}, "self_test_result": result}]});
        assert_eq!(json_says(&report).1, ["disk-self-test-failed"]);
    }
    let gap = json!({
        "device": {"protocol": "SCSI"}, "smart_status": {"passed": true}, "scsi_grown_defect_list": 0,
        "scsi_self_test_1": {"code": {"string": "Background long"}, "result": {"value": 7}}
    });
    assert_eq!(json_says(&gap).1, ["disk-self-test-failed"]);
}

const HEAD: &str = "smartctl 7.3 2022-02-28 r5338 [x86_64-linux] (local build)\n\
    === START OF INFORMATION SECTION ===\nDevice Model:     X\n\
    === START OF READ SMART DATA SECTION ===\n\
    SMART overall-health self-assessment test result: PASSED\n";
const OLD_TABLE: &str = "SMART Attributes Data Structure revision number: 10\n\
    Vendor Specific SMART Attributes with Thresholds:\n\
    ID# ATTRIBUTE_NAME          FLAG     VALUE WORST THRESH TYPE      UPDATED  WHEN_FAILED RAW_VALUE\n\
    197 Current_Pending_Sector  0x0012   100   100   000    Old_age   Always       -       RAW\n";

#[test]
fn a_text_that_ends_in_the_middle_is_not_ok() {
    let table = OLD_TABLE.replace("RAW", "0");
    // -H -i -A, and -a: whole.
    assert_eq!(text_says(&format!("{HEAD}\n{table}\n")).0, Verdict::Ok);
    let tests = "SMART Self-test log structure revision number 1\nNo self-tests have been logged.  [To run self-tests, use: smartctl -t]\n\n";
    let general = format!("{HEAD}\nGeneral SMART Values:\n{table}\n");
    assert_eq!(text_says(&format!("{general}{tests}")).0, Verdict::Ok);
    let directory = "General Purpose Log Directory Version 1\n0x11       GPL     R/O      1  SATA Phy Event Counters log\n\n";
    let brief = "ID# ATTRIBUTE_NAME          FLAGS    VALUE WORST THRESH FAIL RAW_VALUE\n\
        197 Current_Pending_Sector  -O--CK   100   100   000    -    0\n";
    for cut in [
        general.clone(),
        format!("{HEAD}\n{table}"),
        format!("{HEAD}\n{table}198 Offl"),
        format!("{HEAD}\n{}", table.split("197").next().unwrap()),
        format!("{general}SMART Self-test log structure revision number 1\n"),
        format!("{general}{directory}{tests}"),
        format!("{HEAD}\n{brief}       ||||||_ K auto-keep\n       |||||__ C event count\n"),
        format!(
            "{HEAD}\n{brief}       ||||||_ K auto-keep\n       |______ P prefailure warning\n\n"
        ),
    ] {
        let (verdict, codes) = text_says(&cut);
        assert_eq!(verdict, Verdict::Unknown, "{cut}");
        assert!(codes.iter().any(|code| code == "disk-capture-cut"), "{cut}");
    }
}

#[test]
fn a_text_counter_without_a_number_is_no_zero() {
    for (raw, expected) in [
        ("0", Verdict::Ok),
        ("0 (12 0)", Verdict::Ok),
        ("0x000000000000", Verdict::Ok),
        ("-8", Verdict::Unknown),
        ("abc", Verdict::Unknown),
        ("", Verdict::Unknown),
        ("999999999999999999999999999", Verdict::Warn),
    ] {
        let text = format!("{HEAD}\n{}\n", OLD_TABLE.replace("RAW", raw));
        assert_eq!(text_says(&text).0, expected, "{raw}");
    }
    for (used, media, expected) in [
        ("3%", "0", Verdict::Ok),
        ("3%", "18,446,744,073,709,551,616", Verdict::Warn),
        ("3%", "-1", Verdict::Unknown),
        ("3%", "abc", Verdict::Unknown),
        ("3%", "", Verdict::Unknown),
        ("300%", "0", Verdict::Unknown),
        ("", "0", Verdict::Unknown),
    ] {
        let text = format!(
            "{HEAD}SMART/Health Information (NVMe Log 0x02)\nCritical Warning:    0x00\nPercentage Used:     {used}\nMedia and Data Integrity Errors:    {media}\n"
        );
        assert_eq!(text_says(&text).0, expected, "{used} {media}");
    }
    let short = format!(
        "{HEAD}SMART/Health Information (NVMe Log 0x02)\nCritical Warning:    0x00\nPercentage Used:     3%\n"
    );
    assert_eq!(text_says(&short).0, Verdict::Unknown);
}
