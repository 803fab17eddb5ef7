// SPDX-License-Identifier: Apache-2.0
//! The classes of bad image: each is refused with its reason by the command itself, nothing of it is in the repository
//! afterwards, and a disk that it was for is as it was.
#![allow(clippy::unwrap_used)]

mod deploys;
mod imports;

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

/// A folder with a repository in it.
struct Bench {
    dir: TempDir,
}

impl Bench {
    fn new() -> Self {
        Self {
            dir: TempDir::new().unwrap(),
        }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_groundstate"));
        command
            .arg("image")
            .args(words)
            .env("GROUNDSTATE_STATE_DIR", self.at("state"))
            .env("NO_COLOR", "1")
            .current_dir(self.dir.path())
            .stdin(Stdio::null());
        command
    }

    fn run(&self, words: &[&str]) -> Output {
        self.command(words).output().unwrap()
    }

    /// Runs it, and it must do what it is asked to.
    fn done(&self, words: &[&str]) -> String {
        let out = self.run(words);
        assert!(out.status.success(), "{words:?}: {}", said(&out));
        String::from_utf8(out.stdout).unwrap()
    }

    /// Another tool of this machine.
    fn tool(&self, program: &str, words: &[&str]) {
        let out = Command::new(program)
            .args(words)
            .current_dir(self.dir.path())
            .stdin(Stdio::null())
            .output()
            .unwrap_or_else(|error| panic!("{program}: {error}"));
        assert!(out.status.success(), "{program} {words:?}: {}", said(&out));
    }

    /// A line of the shell, for what is made by a pipe.
    fn shell(&self, line: &str) {
        self.tool("/bin/sh", &["-ec", line]);
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.at(name), bytes).unwrap();
    }

    /// Changes bytes of a file where they stand.
    fn patch(&self, name: &str, at: u64, bytes: &[u8]) {
        let file = File::options().write(true).open(self.at(name)).unwrap();
        file.write_all_at(bytes, at).unwrap();
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.at(name)).unwrap()
    }
}

/// What a command said, for people and for a failed test.
fn said(out: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    format!("{} {}{}", out.status, text(&out.stdout), text(&out.stderr))
}

/// Where a text stands in a file.
fn find(path: &Path, text: &[u8]) -> u64 {
    let bytes = fs::read(path).unwrap();
    let at = bytes.windows(text.len()).position(|part| part == text);
    u64::try_from(at.expect("the text is in the file")).unwrap()
}
