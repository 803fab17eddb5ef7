// SPDX-License-Identifier: Apache-2.0
//! The units of `packaging/systemd` as systemd itself reads them.

#![allow(
    clippy::unwrap_used,
    reason = "a test that unwraps what is not there has failed"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// How much of what a service could do it may still do, in tenths, as `systemd-analyze security` counts.
const EXPOSED_MAX: &str = "25";

fn units() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/systemd");
    let mut all: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    all.sort();
    assert!(all.len() >= 6, "{all:?}");
    all
}

/// What `systemd-analyze` says, and whether it is content; `None` where there is none.
fn analyze(command: &mut Command) -> Option<(bool, String)> {
    match command.output() {
        Ok(out) => {
            let said = [out.stdout, out.stderr].concat();
            Some((
                out.status.success(),
                String::from_utf8_lossy(&said).into_owned(),
            ))
        }
        Err(error) => {
            assert!(
                std::env::var_os("CI").is_none(),
                "no systemd-analyze: {error}"
            );
            eprintln!("skipped: no systemd-analyze ({error}); install systemd");
            None
        }
    }
}

#[test]
fn systemd_has_nothing_to_say_against_the_units() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new("systemd-analyze");
    command.args(["verify", "--man=no"]);
    for unit in units() {
        // The program is not installed where this runs, and that it is there is what would be looked at.
        let text = fs::read_to_string(&unit).unwrap();
        let copy = folder.path().join(unit.file_name().unwrap());
        fs::write(&copy, text.replace("/usr/bin/groundstate", "/bin/true")).unwrap();
        command.arg(copy);
    }
    if let Some((content, said)) = analyze(&mut command) {
        assert!(content && said.trim().is_empty(), "{said}");
    }
    // And it would say something.
    fs::write(
        folder.path().join("wrong.service"),
        "[Service]\nExecStart=/bin/true\nNoSuchKey=1\n",
    )
    .unwrap();
    let mut wrong = Command::new("systemd-analyze");
    wrong
        .args(["verify", "--man=no"])
        .arg(folder.path().join("wrong.service"));
    if let Some((_, said)) = analyze(&mut wrong) {
        assert!(said.contains("NoSuchKey"), "{said}");
    }
}

#[test]
fn the_service_may_do_little_besides() {
    for unit in units() {
        if unit.extension().is_none_or(|kind| kind != "service") {
            continue;
        }
        let mut command = Command::new("systemd-analyze");
        command.args(["security", "--offline=true", "--no-pager"]);
        command.arg(format!("--threshold={EXPOSED_MAX}")).arg(&unit);
        if let Some((content, said)) = analyze(&mut command) {
            assert!(content, "{}: {said}", unit.display());
        }
    }
}
