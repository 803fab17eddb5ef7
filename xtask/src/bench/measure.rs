// SPDX-License-Identifier: Apache-2.0
//! Builds the program that measures and runs it, part by part, until the time is over.

use crate::command::{command, stream};
use crate::layout::Layout;
use crate::product;
use crate::progress::{note, step};
use anyhow::{Context as _, Result};
use groundstate_tests::compare::{Figure, Line};
use std::ffi::OsString;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Instant;

/// How much of what a failed part said is kept, in bytes.
const SAID_MAX: usize = 2_048;

/// One part of a bench.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    /// As `compare` and `--only` know it.
    pub(super) name: &'static str,
    /// For people.
    pub(super) title: &'static str,
}

impl Part {
    /// A part of this name.
    pub(super) const fn new(name: &'static str, title: &'static str) -> Self {
        Self { name, title }
    }
}

/// Builds `compare` as the product is built: for speed.
pub(super) fn build(layout: &Layout) -> Result<PathBuf> {
    step("build what measures (release)", || {
        let arguments = [
            "build",
            "--release",
            "--quiet",
            "--locked",
            "-p",
            "groundstate-tests",
            "--bin",
            "compare",
            "--features",
            "compare",
        ];
        let mut cargo = command(product::program(), arguments);
        cargo
            .current_dir(layout.source(""))
            .env("CARGO_PROFILE_RELEASE_LTO", "off")
            .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16");
        stream(&mut cargo)
    })?;
    let program = layout.target().join("release/compare");
    program
        .canonicalize()
        .with_context(|| format!("cargo left no {}", program.display()))
}

/// Runs one part and returns its figures. One that fails, or that is not over at `until`, is one missing figure.
pub(super) fn part(program: &Path, part: Part, folder: &Path, until: Instant) -> Vec<Figure> {
    part_in(&[], program, part, folder, until)
}

/// As [`part`], with these variables in its environment.
pub(super) fn part_in(
    environment: &[(&'static str, OsString)],
    program: &Path,
    part: Part,
    folder: &Path,
    until: Instant,
) -> Vec<Figure> {
    let mut figures = Vec::new();
    let mut command = command(program, [part.name, "--folder"]);
    command.arg(folder).envs(environment.iter().cloned());
    if let Err(error) = take(&mut command, until, &mut figures) {
        figures.push(Figure::missing(part.title, format!("{error:#}")));
    }
    figures
}

fn take(command: &mut Command, until: Instant, figures: &mut Vec<Figure>) -> Result<()> {
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot start what measures")?;
    let output = child.stdout.take().context("it has no output")?;
    let errors = child.stderr.take().context("it has no error output")?;
    let (send, lines) = channel();
    let reader = thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            // Nobody listens any more when the time is over.
            if send.send(line).is_err() {
                break;
            }
        }
    });
    let words = thread::spawn(move || {
        let mut said = Vec::new();
        // What cannot be read cannot be shown.
        let _read = BufReader::new(errors).read_to_end(&mut said);
        String::from_utf8_lossy(&said).into_owned()
    });
    let mut is_late = false;
    loop {
        match lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(line) => match serde_json::from_str(&line) {
                Ok(Line::Doing(what)) => note(&what),
                Ok(Line::Figure(figure)) => figures.push(figure),
                Err(error) => note(&format!("not understood ({error}): {line}")),
            },
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {
                is_late = true;
                child.kill().context("ending what measures")?;
                break;
            }
        }
    }
    let status = child.wait().context("waiting for what measures")?;
    // Both end with the process.
    let (_, said) = (reader.join(), words.join().unwrap_or_default());
    anyhow::ensure!(!is_late, "the time was over");
    let from = said.len().saturating_sub(SAID_MAX);
    let said = said.get(from..).unwrap_or_default().trim();
    anyhow::ensure!(status.success(), "{status}: {said}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use groundstate_tests::compare::Verdict;
    use std::os::unix::fs::PermissionsExt as _;
    use std::time::Duration;

    fn script(folder: &Path, text: &str) -> PathBuf {
        let path = folder.join("compare");
        std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
        path
    }

    const PART: Part = Part {
        name: "x",
        title: "the part",
    };

    #[test]
    fn figures_are_taken_and_a_failure_is_a_missing_one() {
        let folder = tempfile::tempdir().unwrap();
        let line =
            serde_json::to_string(&Line::Figure(Figure::new("a", "ms", "us", vec![1.0]))).unwrap();
        let later = Instant::now() + Duration::from_secs(60);
        let good = script(folder.path(), &format!("echo '{line}'"));
        let figures = part(&good, PART, folder.path(), later);
        assert_eq!(figures.len(), 1);
        assert_eq!(figures[0].verdict(), Verdict::Reported);
        let bad = script(
            folder.path(),
            &format!("echo '{line}'; echo 'cannot run qemu-io' >&2; exit 1"),
        );
        let figures = part(&bad, PART, folder.path(), later);
        assert_eq!(figures.len(), 2);
        assert_eq!(figures[1].verdict(), Verdict::Short);
        assert!(
            figures[1]
                .missing
                .as_ref()
                .unwrap()
                .contains("cannot run qemu-io")
        );
    }

    #[test]
    fn what_is_not_over_in_time_is_missing() {
        let folder = tempfile::tempdir().unwrap();
        let slow = script(folder.path(), "exec sleep 600");
        let figures = part(&slow, PART, folder.path(), Instant::now());
        assert_eq!(figures[0].missing.as_deref(), Some("the time was over"));
    }
}
