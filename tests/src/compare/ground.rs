// SPDX-License-Identifier: Apache-2.0
//! Where figures are taken: a folder, other programs, time, and a list of places that is the same for everybody.

use anyhow::{Context as _, Result, bail};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

/// Pairs that count; one more goes before them.
pub(super) const PAIRS: usize = 5;
/// Bytes of one request in every comparison of random access.
pub(super) const PIECE: u64 = 64 << 10;
/// Buffers for requests past the page cache begin at a multiple of this.
const PAGE: usize = 4_096;

/// A folder of ours on the file system that is measured.
#[derive(Debug)]
pub struct Ground {
    folder: tempfile::TempDir,
    say: fn(&str),
}

impl Ground {
    /// A new folder below this one, removed at the end; `say` hears what is done.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn new(below: &Path, say: fn(&str)) -> Result<Self> {
        fs::create_dir_all(below).with_context(|| format!("cannot make {}", below.display()))?;
        let folder = tempfile::Builder::new()
            .prefix("bench-")
            .tempdir_in(below)
            .with_context(|| format!("cannot make a folder in {}", below.display()))?;
        Ok(Self { folder, say })
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(super) fn say(&self, what: &str) {
        (self.say)(what);
    }

    /// Removes a file that may be there, and waits until the file system has nothing left to write.
    pub(super) fn settle(&self, gone: &[&Path]) -> Result<()> {
        for path in gone {
            match fs::remove_file(path) {
                Ok(()) => {}
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => bail!("cannot remove {}: {error}", path.display()),
            }
        }
        let folder = File::open(self.folder()).context("opening the bench's folder")?;
        rustix::fs::syncfs(&folder).context("writing the file system out")?;
        Ok(())
    }
}

/// How long it took, in milliseconds.
pub(super) fn timed<T>(work: impl FnOnce() -> Result<T>) -> Result<(f64, T)> {
    let begin = Instant::now();
    let made = work()?;
    Ok((begin.elapsed().as_secs_f64() * 1_000.0, made))
}

/// Runs a program without a word from it; what it said stands in the error.
pub(super) fn run(program: &str, arguments: &[&str]) -> Result<String> {
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot run {program}"))?;
    let mut said = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        said.push_str(&String::from_utf8_lossy(&output.stderr));
        bail!("{program} {} failed: {}", arguments.join(" "), said.trim());
    }
    Ok(said)
}

/// A path as an argument.
pub(super) fn text(path: &Path) -> Result<&str> {
    path.to_str()
        .with_context(|| format!("{} is no UTF-8", path.display()))
}

/// Makes a file and its name durable, as our own tool does before it returns.
pub(super) fn durable(path: &Path) -> Result<()> {
    File::open(path)?.sync_all()?;
    let folder = path.parent().context("a path without a folder")?;
    Ok(File::open(folder)?.sync_all()?)
}

/// Numbers that look random and are the same in every run (xorshift).
#[derive(Clone, Debug)]
pub(super) struct Places(u64);

impl Places {
    pub(super) const fn new(seed: u64) -> Self {
        Self(0x9e37_79b9_7f4a_7c15 ^ seed)
    }

    pub(super) const fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }

    /// `0..count` in an order that looks random.
    pub(super) fn shuffled(&mut self, count: u64) -> Vec<u64> {
        let mut all: Vec<u64> = (0..count).collect();
        for at in (1..all.len()).rev() {
            let other = self.below(at as u64 + 1);
            all.swap(at, usize::try_from(other).unwrap_or_default());
        }
        all
    }
}

/// A buffer that a request past the page cache can use.
#[derive(Debug)]
pub(super) struct Aligned {
    bytes: Vec<u8>,
    from: usize,
    length: usize,
}

impl Aligned {
    pub(super) fn new(length: u64) -> Self {
        let length = usize::try_from(length).unwrap_or_default();
        let bytes = vec![0; length + PAGE];
        let from = bytes.as_ptr().align_offset(PAGE);
        Self {
            bytes,
            from,
            length,
        }
    }

    pub(super) fn get(&mut self) -> &mut [u8] {
        self.bytes
            .get_mut(self.from..self.from + self.length)
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_comes_once() {
        let mut all = Places::new(7).shuffled(1_000);
        assert_ne!(all, (0..1_000).collect::<Vec<_>>());
        assert_eq!(all, Places::new(7).shuffled(1_000));
        all.sort_unstable();
        assert_eq!(all, (0..1_000).collect::<Vec<_>>());
    }

    #[test]
    fn a_buffer_begins_at_a_page() {
        let mut buffer = Aligned::new(PIECE);
        let bytes = buffer.get();
        assert_eq!(bytes.len() as u64, PIECE);
        assert_eq!(bytes.as_ptr().align_offset(PAGE), 0);
    }
}
