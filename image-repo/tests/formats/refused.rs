// SPDX-License-Identifier: Apache-2.0
//! Every class of file that is refused, with its reason as a person reads it.

mod disks;
mod streams;

use crate::{noise, read_file, run, text};
use groundstate_api::image::ImageFormat;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A folder for the files of one table, and the table.
struct Table {
    dir: TempDir,
    rows: String,
}

impl Table {
    fn new() -> Self {
        Self {
            dir: TempDir::new().unwrap(),
            rows: String::new(),
        }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A disk that `qemu-img` makes of a MiB of noise and a MiB of nothing.
    fn made(&self, qemu: &str, arguments: &[&str]) -> Vec<u8> {
        let mut bytes = noise(1, 1 << 20);
        bytes.resize(2 << 20, 0);
        self.made_of(&bytes, qemu, arguments)
    }

    fn made_of(&self, bytes: &[u8], qemu: &str, arguments: &[&str]) -> Vec<u8> {
        let (raw, file) = (self.at("raw"), self.at("made"));
        std::fs::write(&raw, bytes).unwrap();
        let mut all = vec!["convert", "-f", "raw", "-O", qemu];
        all.extend_from_slice(arguments);
        all.extend([text(&raw), text(&file)]);
        run("qemu-img", &all);
        std::fs::read(file).unwrap()
    }

    /// Writes the file, which must be refused, and notes why.
    fn refused(&mut self, class: &str, format: ImageFormat, bytes: &[u8]) {
        let path = self.at("FILE");
        std::fs::write(&path, bytes).unwrap();
        self.refused_at(class, format, &path);
    }

    fn refused_at(&mut self, class: &str, format: ImageFormat, path: &Path) {
        let reason = match read_file(format, path) {
            Ok((bytes, _)) => panic!("{class}: taken, {} bytes", bytes.len()),
            Err(error) => error.to_string(),
        };
        let folder = format!("{}/", text(self.dir.path()));
        let reason = without_sums(reason.replace(&folder, ""));
        writeln!(self.rows, "{class}: {reason}").unwrap();
    }
}

/// Sums hang on the identities that `qemu-img` makes anew each time.
fn without_sums(mut reason: String) -> String {
    for before in ["add up to ", "its bytes have "] {
        let mut from = 0;
        while let Some(at) = reason[from..].find(before) {
            let start = from + at + before.len();
            reason.replace_range(start..start + 8, "SUM");
            from = start;
        }
    }
    reason
}

/// The bytes with others at a place.
fn with(bytes: &[u8], at: usize, other: &[u8]) -> Vec<u8> {
    let mut all = bytes.to_vec();
    if all.len() < at + other.len() {
        all.resize(at + other.len(), 0);
    }
    all[at..at + other.len()].copy_from_slice(other);
    all
}

fn be32(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap())
}

fn be64(bytes: &[u8], at: usize) -> u64 {
    u64::from_be_bytes(bytes[at..at + 8].try_into().unwrap())
}

fn le32(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

fn le64(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
}

fn index(number: u64) -> usize {
    usize::try_from(number).unwrap()
}
