// SPDX-License-Identifier: Apache-2.0
//! The command as a person or a program runs it.
#![allow(clippy::unwrap_used)]

use groundstate_api::health::DeviceReport;
use serde_json::Value;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::{NamedTempFile, TempDir};

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_hw-diag"))
        .args(arguments)
        .env("NO_COLOR", "1")
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn file(content: &[u8]) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(content).unwrap();
    file
}

fn path(file: &NamedTempFile) -> &str {
    file.path().to_str().unwrap()
}

/// One object per line.
fn lines(output: &Output) -> Vec<Value> {
    let lines = text(&output.stdout);
    lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// A drive with pending sectors that passes its own assessment, as `smartctl --json` prints it.
const PENDING: &str = r#"{
  "json_format_version": [1, 0],
  "smartctl": {"version": [7, 3], "exit_status": 0},
  "device": {"name": "/dev/sda", "type": "sat", "protocol": "ATA"},
  "model_name": "ST4000NM0035", "serial_number": "ZC1", "firmware_version": "TN03",
  "user_capacity": {"bytes": 4000787030016}, "rotation_rate": 7200,
  "smart_support": {"available": true, "enabled": true},
  "smart_status": {"passed": true},
  "ata_smart_attributes": {"revision": 10, "table": [
    {"id": 197, "name": "Current_Pending_Sector", "value": 100, "worst": 100, "thresh": 0, "when_failed": "",
     "flags": {"prefailure": false}, "raw": {"value": 12, "string": "12"}}]}
}"#;

#[test]
fn a_check_prints_one_object_per_device_and_its_status_is_the_gravest() {
    let output = run(&["check", "--json"]);
    let reports = lines(&output);
    let mut gravest = 0;
    for report in &reports {
        assert_eq!(report["schema"], 1);
        let parsed: DeviceReport = serde_json::from_value(report.clone()).unwrap();
        gravest = gravest.max(parsed.verdict as u8);
    }
    assert!(reports.iter().any(|report| report["kind"] == "cpu"));
    // Ok, unknown, warn, fail, as verdicts worsen; 0, 3, 1, 2 as they exit.
    assert_eq!(
        output.status.code(),
        Some([0, 3, 1, 2][usize::from(gravest)])
    );
}

#[test]
fn a_missing_disk_of_the_expectation_fails_and_is_named() {
    let expect = file(b"[[disk]]\nserial = \"NO-SUCH-DISK\"\nslot = \"bay 7\"\nsize = \"4GiB\"\n");
    let output = run(&["check", "--expect", path(&expect)]);
    assert_eq!(output.status.code(), Some(2));
    let text = text(&output.stdout);
    assert!(
        text.contains("NO-SUCH-DISK") && text.contains("bay 7"),
        "{text}"
    );
    assert!(!text.contains('\x1b'), "no colours into a pipe");
}

#[test]
fn smartctl_captures_are_judged_by_the_format_that_is_stated() {
    let json = file(PENDING.as_bytes());
    let output = run(&["judge", "--json", "--smartctl-json", path(&json)]);
    let reports = lines(&output);
    assert_eq!(reports.len(), 1);
    assert_eq!(reports[0]["device"], path(&json));
    assert_eq!(reports[0]["verdict"], "warn");
    assert!(
        reports[0]["findings"][0]["code"]
            .as_str()
            .unwrap()
            .contains("pending")
    );
    assert_eq!(output.status.code(), Some(1));
    // The same file by the wrong option says nothing of a drive, and the others are judged all the same.
    let output = run(&[
        "judge",
        "--json",
        "--smartctl-text",
        path(&json),
        "/no/such/file",
        "--smartctl-json",
        path(&json),
    ]);
    let verdicts: Vec<Value> = lines(&output)
        .iter()
        .map(|r| r["verdict"].clone())
        .collect();
    assert_eq!(verdicts, ["warn", "unknown", "unknown"]);
    assert_eq!(output.status.code(), Some(1));
    let only = run(&["judge", "--smartctl-json", "/no/such/file"]);
    assert_eq!(only.status.code(), Some(3));
    assert!(text(&only.stdout).contains("/no/such/file"));
}

#[test]
fn a_capture_of_this_machine_is_judged_like_the_machine() {
    let folder = TempDir::new().unwrap();
    let capture = folder.path().join("capture.json");
    let name = capture.to_str().unwrap();
    let output = run(&["collect", "--output", name]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let again = run(&["collect", "--output", name]);
    assert_eq!(
        again.status.code(),
        Some(70),
        "a file that is there is not overwritten"
    );
    let judged = |arguments: &[&str]| {
        let mut verdicts: Vec<(String, String)> = lines(&run(arguments))
            .iter()
            .map(|r| {
                (
                    r["device"].as_str().unwrap().into(),
                    r["verdict"].as_str().unwrap().into(),
                )
            })
            .collect();
        verdicts.sort();
        verdicts
    };
    assert_eq!(
        judged(&["judge", "--json", name]),
        judged(&["check", "--json"])
    );
}

#[test]
fn a_profile_is_learned_fits_its_machine_and_is_tried_on_captures() {
    let folder = TempDir::new().unwrap();
    let place = |name: &str| -> PathBuf { folder.path().join(name) };
    let capture = place("capture.json");
    assert!(
        run(&["collect", "--output", capture.to_str().unwrap()])
            .status
            .success()
    );
    let learned = run(&[
        "learn",
        "--name",
        "here",
        "--from",
        capture.to_str().unwrap(),
    ]);
    let profile = place("profile.toml");
    std::fs::write(&profile, &learned.stdout).unwrap();
    let fits = |profile: &Path| {
        run(&[
            "back-test",
            profile.to_str().unwrap(),
            capture.to_str().unwrap(),
            "--json",
        ])
    };
    let good = fits(&profile);
    let test: Value = serde_json::from_slice(&good.stdout).unwrap();
    assert_eq!(
        (&test["passed"], &test["failed"]),
        (&Value::from(1), &Value::from(0))
    );
    assert_eq!(good.status.code(), Some(0));
    let stricter = text(&learned.stdout).replace("\n[cpu]\ncount = ", "\n[cpu]\ncount = 9");
    let strict = place("strict.toml");
    std::fs::write(&strict, stricter).unwrap();
    let bad = fits(&strict);
    let test: Value = serde_json::from_slice(&bad.stdout).unwrap();
    assert_eq!(test["rules"][0]["rule"], "cpu.count");
    assert_eq!(bad.status.code(), Some(2));
}

#[test]
fn what_is_no_table_or_no_file_is_an_error_with_its_own_status() {
    let hello = file(b"hello");
    for (arguments, status) in [
        (["smbios", path(&hello)].as_slice(), 65),
        (&["smbios", "/no/such/file"], 66),
        (&["dimms", "--dmidecode-text", "/no/such/file"], 66),
    ] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(status), "{arguments:?}");
        let text = text(&output.stderr);
        assert!(text.contains(arguments.last().unwrap()), "{text}");
    }
    let garbage = run(&["dimms", "--json", "--smbios", path(&hello)]);
    assert_eq!(garbage.status.code(), Some(3), "unknown, never ok");
    let report: Value = serde_json::from_slice(&garbage.stdout).unwrap();
    assert_eq!(report["populated"], 0);
    assert_eq!(run(&["--no-such-option"]).status.code(), Some(64));
    assert_eq!(run(&["--help"]).status.code(), Some(0));
}

#[test]
fn an_unknown_key_is_refused_by_name() {
    let expect = file(b"[[disk]]\nserial = \"S\"\nslto = \"bay 7\"\n");
    let output = run(&["check", "--expect", path(&expect)]);
    assert_eq!(output.status.code(), Some(65));
    assert!(text(&output.stderr).contains("slto"));
    let profile = file(b"schema = 1\nname = \"a\"\n[cpu]\ncuont = 4\n");
    let output = run(&["back-test", path(&profile), "/dev/null"]);
    assert_eq!(output.status.code(), Some(65));
    assert!(text(&output.stderr).contains("cuont"));
}

#[test]
fn every_finding_is_explained_and_a_wrong_name_is_helped() {
    let all = text(&run(&["explain"]).stdout);
    assert!(all.lines().count() > 50, "{all}");
    let code = all
        .lines()
        .next()
        .unwrap()
        .split_whitespace()
        .find(|word| word.contains('-'))
        .unwrap();
    let one = run(&["explain", code]);
    assert!(text(&one.stdout).contains("what to do:"));
    let wrong = run(&["explain", "pending-sector"]);
    assert_eq!(wrong.status.code(), Some(64));
    assert!(text(&wrong.stderr).contains("near it are"));
}

#[test]
fn names_and_captures_do_not_steer_the_terminal() {
    let evil = "/no/evil\n\u{1b}[31mFAIL disk\u{7}.json";
    for arguments in [
        ["judge", "--smartctl-json", evil].as_slice(),
        &["judge", "--metrics", "--smartctl-json", evil],
        &["dimms", "--smbios", evil],
    ] {
        let output = run(arguments);
        for said in [&output.stdout, &output.stderr] {
            assert!(!said.contains(&0x1b) && !said.contains(&7), "{arguments:?}");
        }
        assert!(
            !text(&output.stdout)
                .lines()
                .any(|line| line.contains("[31mFAIL") && line.starts_with("FAIL"))
        );
    }
}

#[test]
fn a_pipe_is_read_and_a_profile_of_single_disks_is_refused() {
    let folder = TempDir::new().unwrap();
    let pipe = folder.path().join("pipe");
    assert!(
        Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    let writer = {
        let pipe = pipe.clone();
        std::thread::spawn(move || std::fs::write(pipe, PENDING).unwrap())
    };
    let output = run(&["judge", "--json", "--smartctl-json", pipe.to_str().unwrap()]);
    writer.join().unwrap();
    assert_eq!(lines(&output)[0]["verdict"], "warn");
    let json = file(PENDING.as_bytes());
    let profile = file(b"schema = 1\nname = \"a\"\n");
    let output = run(&[
        "judge",
        "--smartctl-json",
        path(&json),
        "--profile",
        path(&profile),
    ]);
    assert_eq!(output.status.code(), Some(64));
}

#[test]
fn metrics_are_prometheus_text() {
    let json = file(PENDING.as_bytes());
    let output = text(&run(&["judge", "--metrics", "--smartctl-json", path(&json)]).stdout);
    let wanted = format!(
        "hw_diag_verdict{{device=\"{}\",kind=\"disk\",serial=\"ZC1\"",
        path(&json)
    );
    assert!(output.contains(&wanted), "{output}");
    for line in output.lines().filter(|line| !line.starts_with('#')) {
        let (name, value) = line.rsplit_once(' ').unwrap();
        assert!(
            name.starts_with("hw_diag_") && value.parse::<f64>().is_ok(),
            "{line}"
        );
    }
}

#[test]
fn a_self_test_of_something_else_is_refused_by_name() {
    let output = run(&["self-test", "/dev/null", "--kind", "short"]);
    assert_eq!(output.status.code(), Some(70));
    assert!(text(&output.stderr).contains("/dev/null is not a whole disk"));
}
