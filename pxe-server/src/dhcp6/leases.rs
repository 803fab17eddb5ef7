// SPDX-License-Identifier: Apache-2.0
//! `leases6.log`: one lease a line, appended and made durable before its reply leaves; the last line of an address counts.
//!
//! A line that a power cut left half written is the last one, and is left out. Any other line that cannot be read is an
//! error with its number: a lease is never silently forgotten.

use pxe_core::dhcp6::Lease6;
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

const NAME: &str = "leases6.log";
/// The first line: what this file is, and its form.
const HEAD: &str = "groundstate dhcp6 leases, form 1";
/// The log is written anew when it has this many times as many lines as leases, and this many more.
const LINES_PER_LEASE: usize = 4;
const LINES_MORE: usize = 4_096;

/// Why leases cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum Dhcp6LeaseError {
    /// The system refuses.
    #[error("cannot {doing} {}: {source}", path.display())]
    Io {
        /// `read` or `write`.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The file is not what was written.
    #[error("{}: line {line} is not a lease: {what}; move the file away to begin without leases", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        what: String,
    },
}

/// The log.
#[derive(Debug)]
pub(crate) struct LeaseLog6 {
    path: PathBuf,
    file: File,
    lines: usize,
    leases: usize,
}

impl LeaseLog6 {
    /// Reads what was kept and writes it anew, without what is no longer needed.
    pub(crate) fn open(state_dir: &Path) -> Result<(Self, Vec<Lease6>), Dhcp6LeaseError> {
        let path = state_dir.join(NAME);
        let io = |doing, source| Dhcp6LeaseError::Io {
            doing,
            path: path.clone(),
            source,
        };
        fs::create_dir_all(state_dir).map_err(|error| io("write", error))?;
        let leases = kept_leases6(state_dir)?;
        let file = replace(&path, &leases).map_err(|error| io("write", error))?;
        let log = Self {
            file,
            lines: leases.len(),
            leases: leases.len(),
            path,
        };
        Ok((log, leases))
    }

    /// Appends leases; when it returns, they are durable.
    pub(crate) fn append(&mut self, leases: &[Lease6]) -> Result<(), Dhcp6LeaseError> {
        let bytes = lines(leases).map_err(|source| self.error(source))?;
        self.file
            .write_all(&bytes)
            .and_then(|()| self.file.sync_data())
            .map_err(|source| self.error(source))?;
        self.lines += leases.len();
        Ok(())
    }

    /// Whether most of the log is no longer needed.
    pub(crate) const fn is_long(&self) -> bool {
        self.lines > self.leases * LINES_PER_LEASE + LINES_MORE
    }

    /// Replaces the log by these leases; whole or not at all.
    pub(crate) fn rewrite(&mut self, leases: &[Lease6]) -> Result<(), Dhcp6LeaseError> {
        self.file = replace(&self.path, leases).map_err(|source| self.error(source))?;
        (self.lines, self.leases) = (leases.len(), leases.len());
        Ok(())
    }

    fn error(&self, source: io::Error) -> Dhcp6LeaseError {
        Dhcp6LeaseError::Io {
            doing: "write",
            path: self.path.clone(),
            source,
        }
    }
}

/// The leases of DHCPv6 that are kept in a folder, for somebody who only looks: nothing is made or written anew.
///
/// # Errors
/// A log that is there and cannot be read.
pub fn kept_leases6(state_dir: &Path) -> Result<Vec<Lease6>, Dhcp6LeaseError> {
    let path = state_dir.join(NAME);
    match fs::read(&path) {
        Ok(bytes) => read(&path, &bytes),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(source) => Err(Dhcp6LeaseError::Io {
            doing: "read",
            path,
            source,
        }),
    }
}

fn lines(leases: &[Lease6]) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    for lease in leases {
        serde_json::to_writer(&mut bytes, lease)?;
        bytes.push(b'\n');
    }
    Ok(bytes)
}

fn read(path: &Path, bytes: &[u8]) -> Result<Vec<Lease6>, Dhcp6LeaseError> {
    let content = |line: usize, what: String| Dhcp6LeaseError::Content {
        path: path.to_owned(),
        line,
        what,
    };
    // What follows the last line's end was cut off in the middle of being written.
    let whole = bytes.iter().rposition(|byte| *byte == b'\n');
    let Some(whole) = whole.and_then(|end| bytes.get(..end)) else {
        return Ok(Vec::new());
    };
    let mut all = whole.split(|byte| *byte == b'\n').zip(1..);
    match all.next() {
        Some((head, _)) if head == HEAD.as_bytes() => {}
        Some(_) | None => return Err(content(1, format!("it must be {HEAD:?}"))),
    }
    let mut leases = BTreeMap::new();
    for (line, number) in all {
        let lease: Lease6 =
            serde_json::from_slice(line).map_err(|error| content(number, error.to_string()))?;
        leases.insert(lease.address, lease);
    }
    Ok(leases.into_values().collect())
}

/// Written beside the old one, made durable, renamed over it, and open for more.
fn replace(path: &Path, leases: &[Lease6]) -> io::Result<File> {
    let fresh = path.with_extension("log.new");
    fs::write(&fresh, format!("{HEAD}\n"))?;
    let mut file = OpenOptions::new().append(true).open(&fresh)?;
    file.write_all(&lines(leases)?)?;
    file.sync_all()?;
    fs::rename(&fresh, path)?;
    if let Some(dir) = path.parent() {
        File::open(dir)?.sync_all()?;
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use groundstate_api::{MacAddr, Millis};
    use pxe_core::dhcp6::{Duid, LeaseState6};

    fn lease(last: u16, until: u64) -> Lease6 {
        Lease6 {
            address: [0xfd77, 0, 0, 0, 0, 0xd6, 0, last].into(),
            duid: Duid::of_server(MacAddr([2, 0, 0, 0, 0, 1]), 1),
            iaid: 7,
            state: LeaseState6::Bound,
            until: Millis(until),
            mac: None,
            uuid: None,
            firmware: None,
        }
    }

    #[test]
    fn what_was_appended_is_there_after_a_restart_and_half_a_line_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let (mut log, kept) = LeaseLog6::open(dir.path()).unwrap();
        assert!(kept.is_empty());
        let looked_at = fs::read(dir.path().join(NAME)).unwrap();
        assert!(kept_leases6(dir.path()).unwrap().is_empty());
        assert!(kept_leases6(&dir.path().join("none")).unwrap().is_empty());
        assert!(!dir.path().join("none").exists());
        assert_eq!(fs::read(dir.path().join(NAME)).unwrap(), looked_at);
        log.append(&[lease(1, 5), lease(2, 6)]).unwrap();
        log.append(&[lease(1, 9)]).unwrap();
        drop(log);
        let path = dir.path().join(NAME);
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(b"{\"address\":\"fd77::d6:0:3\",\"du")
            .unwrap();
        let (mut log, kept) = LeaseLog6::open(dir.path()).unwrap();
        assert_eq!(kept, [lease(1, 9), lease(2, 6)]);
        // What was cut off is gone from the file too, so that the next line is a line.
        log.append(&[lease(3, 1)]).unwrap();
        let (_, kept) = LeaseLog6::open(dir.path()).unwrap();
        assert_eq!(kept, [lease(1, 9), lease(2, 6), lease(3, 1)]);
    }

    #[test]
    fn a_line_that_is_no_lease_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(NAME);
        for (text, line) in [
            (format!("{HEAD}\n{{}}\n"), "line 2"),
            ("something else\n".to_owned(), "line 1"),
        ] {
            fs::write(&path, text).unwrap();
            let error = kept_leases6(dir.path()).unwrap_err().to_string();
            assert!(error.contains(line) && error.contains(NAME), "{error}");
            let error = LeaseLog6::open(dir.path()).unwrap_err().to_string();
            assert!(error.contains(line) && error.contains(NAME), "{error}");
        }
    }

    #[test]
    fn a_log_of_repeats_becomes_short_again() {
        let dir = tempfile::tempdir().unwrap();
        let (mut log, _) = LeaseLog6::open(dir.path()).unwrap();
        log.append(&vec![lease(1, 5); LINES_MORE + 1]).unwrap();
        assert!(log.is_long());
        log.rewrite(&[lease(1, 5)]).unwrap();
        assert!(!log.is_long());
        log.append(&[lease(2, 5)]).unwrap();
        drop(log);
        let (_, kept) = LeaseLog6::open(dir.path()).unwrap();
        assert_eq!(kept, [lease(1, 5), lease(2, 5)]);
    }
}
