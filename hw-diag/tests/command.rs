// SPDX-License-Identifier: Apache-2.0
//! The command as a person runs it.
#![allow(clippy::unwrap_used)]

use std::io::Write as _;
use std::process::{Command, Output};

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_hw-diag"))
        .args(arguments)
        .output()
        .unwrap()
}

#[test]
fn json_holds_inventory_and_findings_and_the_status_follows_them() {
    let output = run(&["--json"]);
    let value: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let inventory: groundstate_api::inventory::Inventory =
        serde_json::from_value(value["inventory"].clone()).unwrap();
    assert!(inventory.system.cpus > 0);
    assert!(inventory.memory.available.0 > 0);
    let stops = value["findings"]
        .as_array()
        .unwrap()
        .iter()
        .any(|f| f["gravity"] == "stop");
    assert_eq!(output.status.code(), Some(if stops { 3 } else { 0 }));
}

#[test]
fn a_missing_disk_stops_by_status_3_and_names_it() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(
        b"[[disk]]
serial = \"NO-SUCH-DISK\"
slot = \"bay 7\"
size = \"4GiB\"
",
    )
    .unwrap();
    let output = run(&["--expect", file.path().to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(3));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.starts_with("STOP: "), "{text}");
    assert!(
        text.contains("part:      disk bay 7, serial NO-SUCH-DISK, 4 GiB"),
        "{text}"
    );
    assert!(!text.contains('\x1b'), "no colours into a pipe");
}

#[test]
fn what_is_no_table_or_no_file_is_an_error() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"hello").unwrap();
    for arguments in [
        ["smbios", file.path().to_str().unwrap()],
        ["smbios", "/no/such/file"],
    ] {
        let output = run(&arguments);
        assert_eq!(output.status.code(), Some(1));
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(text.contains(arguments[1]), "{text}");
    }
    assert_eq!(run(&["--no-such-option"]).status.code(), Some(2));
}

#[test]
fn an_unknown_key_of_an_expectation_is_refused_by_name() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"[[disk]]\nserial = \"S\"\nslto = \"bay 7\"\n")
        .unwrap();
    let output = run(&["--expect", file.path().to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stderr).unwrap().contains("slto"));
}

/// An inventory that was taken in a QEMU guest (q35, SeaBIOS, an NVMe disk with `smart_critical_warning=4`) as a person
/// reads it.
#[test]
fn the_page_of_a_machine_with_a_failing_disk() {
    let json = include_str!("golden/qemu-q35.json");
    let seen: groundstate_api::inventory::Inventory = serde_json::from_str(json).unwrap();
    let findings = hw_core::judge(None, None, &seen);
    let page = hw_diag::page::page(&seen, &findings, &[], hw_diag::page::Ink::Plain);
    expect_test::expect_file!["golden/qemu-q35.txt"].assert_eq(&page);
}
