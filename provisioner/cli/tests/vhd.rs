// SPDX-License-Identifier: Apache-2.0
//! `groundstate vhd` as a person types it.

#![allow(
    clippy::unwrap_used,
    reason = "a test that unwraps what is not there has failed"
)]

use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output};

fn vhd(dir: &Path, line: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_groundstate"))
        .arg("vhd")
        .args(line.split_whitespace())
        .current_dir(dir)
        .output()
        .unwrap()
}

/// What it printed; it must succeed.
fn done(dir: &Path, line: &str) -> String {
    let output = vhd(dir, line);
    assert!(output.status.success(), "{line}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn json(dir: &Path, line: &str) -> Value {
    serde_json::from_str(&done(dir, &format!("{line} --json"))).unwrap()
}

/// What it says when it fails, with its exit status.
fn fails(dir: &Path, line: &str) -> (i32, String) {
    let output = vhd(dir, line);
    assert!(!output.status.success(), "{line}: {output:?}");
    let said = String::from_utf8(output.stderr).unwrap();
    (output.status.code().unwrap(), said)
}

#[test]
fn a_disk_is_made_shown_mapped_and_converted() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let text = done(dir, "create --type fixed --size 8MiB a.vhd");
    assert!(text.contains("made a.vhd: fixed VHD"), "{text}");
    assert!(text.contains("8 MiB (8388608 bytes)"), "{text}");
    let made = json(
        dir,
        "create --type dynamic --size 8388608 --preallocate b.vhd",
    );
    assert_eq!(made["size"], 8 << 20);
    assert!(made["allocated"].as_u64() >= made["file_length"].as_u64());
    let made = json(dir, "create --type differencing --parent a.vhd c.vhd");
    assert_eq!(
        (&made["size"], &made["type"]),
        (&(8 << 20).into(), &"differencing".into())
    );
    let info = json(dir, "info c.vhd");
    assert_eq!(info["parent"]["name"], "a.vhd");
    assert_eq!(info["parent"]["found"], "a.vhd");
    let text = done(dir, "info c.vhd");
    assert!(
        text.contains("VHD, differencing") && text.contains(".\\a.vhd"),
        "{text}"
    );
    let text = done(dir, "map c.vhd");
    assert!(text.starts_with(&format!("[{}]", "p".repeat(64))), "{text}");
    assert!(
        !text.contains('\u{1b}'),
        "colour without a terminal: {text}"
    );
    assert_eq!(json(dir, "map c.vhd")["ranges"][0]["holds"], "parent");
    let text = done(dir, "convert c.vhd d.raw --to raw");
    assert!(text.contains("made d.raw: raw, from vhd"), "{text}");
    assert_eq!(std::fs::metadata(dir.join("d.raw")).unwrap().len(), 8 << 20);
    done(dir, "convert d.raw e.vhdx --from raw --to dynamic");
    assert_eq!(json(dir, "info e.vhdx")["format"], "vhdx");
    for file in ["a.vhd", "b.vhd", "c.vhd", "e.vhdx"] {
        let text = done(dir, &format!("check {file}"));
        assert!(text.contains("a sound VHD"), "{text}");
    }
}

#[test]
fn faults_have_exit_status_1_and_a_name() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    done(dir, "create --type dynamic --size 8MiB a.vhd");
    let mut bytes = std::fs::read(dir.join("a.vhd")).unwrap();
    let end = bytes.len();
    bytes[end - 512..].fill(0);
    std::fs::write(dir.join("a.vhd"), &bytes).unwrap();
    let output = vhd(dir, "check a.vhd --json");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(found["faults"][0]["code"], "trailing-footer");
}

#[test]
fn what_harms_nothing_is_told_and_is_no_fault() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    done(dir, "create --type dynamic --size 8MiB a.vhdx");
    let mut bytes = std::fs::read(dir.join("a.vhdx")).unwrap();
    // One of its two headers: the other one has everything.
    bytes[64 << 10..68 << 10].fill(0);
    std::fs::write(dir.join("a.vhdx"), &bytes).unwrap();
    let text = done(dir, "check a.vhdx");
    assert!(
        text.contains("a sound VHDX") && text.contains("it harms nothing"),
        "{text}"
    );
    let found = json(dir, "check a.vhdx");
    assert_eq!(found["faults"][0]["harmless"], true, "{found}");
}

#[test]
fn what_cannot_be_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    std::fs::write(dir.join("raw"), vec![1; 8_192]).unwrap();
    done(dir, "create --type fixed --size 1MiB a.vhd");
    for (line, status, says) in [
        (
            "create --type dynamic --size 3TiB b.vhd",
            1,
            "use VHDX or several VHDs",
        ),
        (
            "create --type fixed --size 4GB b.vhd",
            2,
            "`4GB` is not a size",
        ),
        ("create --type fixed b.vhd", 1, "a size is needed"),
        (
            "create --type differencing b.vhd",
            1,
            "needs `--parent FILE`",
        ),
        (
            "create --type fixed --size 1MiB a.vhd",
            1,
            "`--force` replaces it",
        ),
        ("info raw", 1, "`--from raw`"),
        ("convert raw b.vhd --to fixed", 1, "`--from raw`"),
        ("info nowhere.vhd", 1, "No such file"),
        (
            "create --type fixed --size 0 b.vhd",
            1,
            "one at least, and 0 bytes are not",
        ),
        (
            "create --type differencing --parent a.vhd b.vhdx",
            1,
            "the parent is a VHD",
        ),
    ] {
        let (code, said) = fails(dir, line);
        assert_eq!(code, status, "{line}: {said}");
        assert!(said.contains(says), "{line}: {said}");
        // Once, and not again as its own cause.
        assert_eq!(said.matches(says).count(), 1, "{line}: {said}");
    }
    assert!(!dir.join("b.vhd").exists());
    let help = done(dir, "create --help");
    assert!(
        help.contains("Examples:") && help.contains("always really allocated"),
        "{help}"
    );
}

#[test]
fn no_disk_of_a_chain_is_replaced_by_a_child_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    for (end, kind) in [("vhd", "dynamic"), ("vhdx", "dynamic")] {
        done(dir, &format!("create --type {kind} --size 8MiB a.{end}"));
        done(
            dir,
            &format!("create --type differencing --parent a.{end} b.{end}"),
        );
        done(
            dir,
            &format!("create --type differencing --parent b.{end} c.{end}"),
        );
        let before = std::fs::read(dir.join(format!("a.{end}"))).unwrap();
        for over in ["a", "b", "c"] {
            let line = format!("create --type differencing --parent c.{end} {over}.{end} --force");
            let (code, said) = fails(dir, &line);
            assert_eq!(code, 1, "{line}: {said}");
            assert!(said.contains("cannot be replaced by it"), "{line}: {said}");
        }
        assert_eq!(std::fs::read(dir.join(format!("a.{end}"))).unwrap(), before);
    }
}
