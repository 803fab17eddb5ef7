// SPDX-License-Identifier: Apache-2.0
//! Somebody's disks, as files: captures, what the makers here make, and what is written by the formats' documents.

mod corpus;
mod made;
mod written;

use std::path::{Path, PathBuf};
use std::process::Command;

/// One file that stands in for somebody's disk.
#[derive(Debug)]
pub(crate) struct Foreign {
    /// How it came about: the capture's name, the maker's command, or what was written.
    pub(crate) origin: String,
    /// The file.
    pub(crate) path: PathBuf,
    /// What we must call it, where blkid does not say it.
    pub(crate) expected: Option<&'static str>,
}

/// All of them, each in a file below `dir`.
pub(crate) fn all(dir: &Path) -> Vec<Foreign> {
    let mut all = corpus::all(dir);
    all.extend(made::all(dir));
    all.extend(written::all(dir));
    all
}

/// A program, found where administrators' programs are too.
pub(crate) fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    let path = std::env::var("PATH").unwrap_or_default();
    command.env("PATH", format!("{path}:/sbin:/usr/sbin"));
    command
}

/// Tells that something could not be tried here; where CI is set, everything must be.
fn skipped(why: &str) {
    assert!(std::env::var_os("CI").is_none(), "in CI: {why}");
    eprintln!("skipped: {why}");
}
