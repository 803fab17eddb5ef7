// SPDX-License-Identifier: Apache-2.0
//! Reports as they should not be.

use crate::capture::{CaptureError, JSON_OBJECTS_MAX, JSON_VALUES_MAX, smartctl_json};
use crate::disk::DiskFacts;
use crate::disk::facts::{Assessment, Protocol, SelfTestResult};
use serde_json::{Value, json};

fn facts(report: &Value) -> DiskFacts {
    smartctl_json(report.to_string().as_bytes(), "x").unwrap()
}

fn refused(text: &str) -> CaptureError {
    smartctl_json(text.as_bytes(), "x.json").unwrap_err()
}

#[test]
fn values_that_make_no_sense_are_left_out_and_told() {
    let facts = facts(&json!({
        "device": {"protocol": "ATA", "info_name": ["/dev/sda"]},
        "model_name": 7,
        "user_capacity": {"bytes": -1},
        "rotation_rate": 4_294_967_296_u64,
        "smart_status": {"passed": "yes"},
        "temperature": {"current": 1e300},
        "power_on_time": {"hours": 1.5},
        "ata_smart_attributes": {"table": [
            {"id": 5, "value": 300, "worst": -1, "thresh": "10", "raw": {"value": [], "string": {}}},
            {"id": 256}, {"id": 0}, 3, null, {}
        ]},
        "ata_smart_error_log": {"summary": {"count": 1, "table": {"a": 1}}},
        "ata_device_statistics": {"pages": [{"number": 7, "table": [
            {"offset": 8, "name": "Percentage Used Endurance Indicator", "value": 101.0, "flags": {"valid": true}},
            {"offset": 65536, "value": 1}, {"offset": 8, "value": 5, "flags": {"valid": false}}
        ]}]}
    }));
    assert_eq!(facts.identity.model, "");
    assert_eq!(
        (facts.identity.size, facts.identity.rotation_rpm),
        (None, None)
    );
    assert_eq!(facts.assessment, Assessment::NotSaid);
    assert_eq!((facts.temperature_c, facts.power_on_hours), (None, None));
    let ata = facts.ata.unwrap();
    assert_eq!(ata.attributes.len(), 1);
    let one = &ata.attributes[0];
    assert_eq!(
        (one.current, one.worst, one.threshold, one.raw),
        (None, None, Some(10), 0)
    );
    assert_eq!(ata.statistics.len(), 1);
    assert_eq!(ata.statistics[0].value, 101);
    for line in [
        "model_name should be text and is another number",
        "user_capacity.bytes should be a count and is another number",
        "smart_status.passed should be true or false and is text",
        "table.value should be a number from 0 to 255 and is another number",
    ] {
        assert!(
            facts.missed.iter().any(|one| one == line),
            "{line}: {:#?}",
            facts.missed
        );
    }
}

#[test]
fn a_report_is_found_in_what_wraps_it_and_only_one() {
    let report = json!({
        "device": {"protocol": "NVMe", "name": "/dev/nvme0"},
        "smart_status": {"passed": true},
        "nvme_namespaces": [{"id": 1, "eui64": {"oui": 9528, "ext_id": 376_106_710_327_u64}}],
        "nvme_smart_health_information_log": {"critical_warning": 0, "temperature": 30}
    });
    for wrapped in [
        report.clone(),
        json!([report]),
        json!({"data": {"output": report}, "success": true}),
        json!({"nvme0": report}),
    ] {
        let facts = facts(&wrapped);
        assert_eq!(
            (facts.protocol, facts.temperature_c),
            (Protocol::Nvme, Some(30))
        );
        assert_eq!(facts.slot, "/dev/nvme0");
        assert_eq!(facts.identity.wwn.as_deref(), Some("eui.0025385791b4f537"));
    }
    let two = json!({"a": report, "b": report}).to_string();
    assert!(matches!(
        refused(&two),
        CaptureError::Several { count: 2, .. }
    ));
    let deep = json!([[[[report]]]]).to_string();
    assert!(matches!(refused(&deep), CaptureError::NotAReport { .. }));
}

#[test]
fn what_is_no_report_is_refused_by_name() {
    let scan = json!({"smartctl": {}, "devices": [{"name": "/dev/sda", "protocol": "ATA"}]});
    assert!(matches!(
        refused(&scan.to_string()),
        CaptureError::Scan { .. }
    ));
    let text = "smartctl 7.3 2022-02-28\n=== START OF INFORMATION SECTION ===\n";
    assert!(matches!(refused(text), CaptureError::TextGiven { .. }));
    assert!(matches!(refused("<html>"), CaptureError::NotJson { .. }));
    assert!(matches!(
        refused("{\"device\": "),
        CaptureError::NotJson { .. }
    ));
    assert!(matches!(
        refused("[1, 2, {\"a\": null}]"),
        CaptureError::NotAReport { .. }
    ));
    assert!(matches!(refused(" \n\t"), CaptureError::Empty { .. }));
    let deep = format!("{}{}", "[".repeat(5_000), "]".repeat(5_000));
    assert!(matches!(refused(&deep), CaptureError::NotJson { .. }));
    let values = format!("[{}0]", "0,".repeat(JSON_VALUES_MAX));
    assert!(matches!(
        refused(&values),
        CaptureError::TooMany { what: "values", .. }
    ));
    let objects = format!("[{}{{}}]", "{},".repeat(JSON_OBJECTS_MAX));
    assert!(matches!(
        refused(&objects),
        CaptureError::TooMany {
            what: "objects",
            ..
        }
    ));
    let words = refused(&scan.to_string()).to_string();
    assert!(
        words.starts_with("x.json is a list of devices (smartctl --scan)"),
        "{words}"
    );
}

#[test]
fn smartctls_own_words_and_exit_status_count() {
    let facts = facts(&json!({
        "smartctl": {"exit_status": 2 + 8, "messages": [{"string": "Open failed\u{1b}[31m", "severity": "error"}]},
        "device": {"protocol": "ATA"}
    }));
    assert_eq!(facts.assessment, Assessment::Failed);
    let lines = [
        "smartctl: Open failed?[31m",
        "smartctl could not open the device, or it is asleep",
    ];
    assert_eq!(facts.missed, lines);
}

#[test]
fn self_tests_of_every_protocol_are_read() {
    let ata = facts(&json!({
        "device": {"protocol": "ATA"},
        "ata_smart_data": {"self_test": {"status": {"value": 249}, "polling_minutes": {"short": 2, "extended": 300}}},
        "ata_smart_self_test_log": {"standard": {"table": [
            {"type": {"string": "Extended offline"}, "status": {"value": 121, "passed": false}, "lifetime_hours": 9, "lba": 5},
            {"type": {"string": "Short offline"}, "status": {"string": "Completed without error", "passed": true}}
        ]}}
    }));
    let log = ata.self_tests.unwrap();
    assert_eq!(log.running, Some(90));
    assert_eq!(
        log.entries[0].result,
        SelfTestResult::Failed("read failure".into())
    );
    assert_eq!(log.entries[1].result, SelfTestResult::Passed);
    assert_eq!(log.extended_minutes, Some(300));
    let scsi = facts(&json!({
        "device": {"protocol": "SCSI"},
        "scsi_self_test_0": {"code": {"string": "Background long"}, "result": {"value": 7}, "power_on_time": {"hours": 4}},
        "scsi_self_test_1": {"code": {"string": "Background short"}, "result": {"string": "Completed"}},
        "scsi_extended_self_test_seconds": 600
    }));
    let log = scsi.self_tests.unwrap();
    assert_eq!(
        log.entries[0].result,
        SelfTestResult::Failed("failed in segment".into())
    );
    assert_eq!(log.entries[1].result, SelfTestResult::Passed);
    assert_eq!(log.extended_minutes, Some(10));
    let nvme = facts(&json!({
        "device": {"protocol": "NVMe"},
        "nvme_self_test_log": {
            "current_self_test_operation": {"value": 2},
            "current_self_test_completion_percent": 40,
            "table": [
                {"self_test_code": {"value": 2, "string": "Extended"}, "self_test_result": {"value": 7}, "power_on_hours": 3},
                {"self_test_result": {"value": 15}}
            ]
        }
    }));
    let log = nvme.self_tests.unwrap();
    assert_eq!((log.running, log.entries.len()), (Some(60), 1));
    assert_eq!(
        log.entries[0].result,
        SelfTestResult::Failed("failed segments".into())
    );
}

#[test]
fn a_failing_sas_disk_says_why() {
    let facts = facts(&json!({
        "device": {"protocol": "SCSI"},
        "smart_status": {"passed": false, "scsi": {"asc": 93, "ascq": 16, "ie_string": "HARDWARE IMPENDING FAILURE"}},
        "temperature": {"current": 0, "drive_trip": 0},
        "scsi_environmental_reports": {"temperature_1": {"current": 38}},
        "scsi_grown_defect_list": 12,
        "scsi_pending_defects": {"count": 4},
        "scsi_background_scan": {
            "status": {"value": 3, "string": "halted due to fatal error"},
            "result_1": {"sense_key": {"value": 3}, "reassign_status": {"string": "Reassignment by disk failed"}},
            "result_2": {"sense_key": {"value": 1}, "reassign_status": {"string": "Successfully reassigned"}}
        },
        "scsi_error_counter_log": {"read": {"total_uncorrected_errors": 9, "gigabytes_processed": "386.568"}}
    }));
    assert_eq!(
        (facts.assessment, facts.temperature_c),
        (Assessment::Failed, Some(38))
    );
    let scsi = facts.scsi.unwrap();
    assert_eq!(scsi.exception, Some((0x5d, 0x10)));
    assert_eq!(
        (scsi.grown_defects, scsi.pending_defects),
        (Some(12), Some(4))
    );
    let scan = scsi.background_scan.unwrap();
    assert_eq!(
        (scan.medium_errors, scan.not_reassigned),
        (Some(1), Some(1))
    );
    assert_eq!(scsi.read.unwrap().uncorrected, Some(9));
    assert_eq!(scsi.read.unwrap().bytes, Some(386_568_000_000));
}

/// Found by fuzzing: the third byte of the decimals lies inside a character.
#[test]
fn gigabytes_with_other_than_digits_are_not_counted() {
    use super::scsi::gigabytes;
    assert_eq!(gigabytes("176987.3324"), Some(176_987_332_000_000));
    assert_eq!(gigabytes("12,5"), Some(12_500_000_000));
    for text in ["1.ab\u{e9}", "1.12\u{fffd}", "1.\u{fffd}", "\u{fffd}.1", ""] {
        assert_eq!(gigabytes(text), None, "{text}");
    }
}
