// SPDX-License-Identifier: Apache-2.0
//! `leases.log`: each lease is appended and made durable before it is granted; the file is written anew when it has grown.
//!
//! It decides nothing about leases. A full or failing disk does not stop machines from booting: what could not be written
//! is remembered and tried again, and whoever calls says so.

#[path = "lease_log/quick.rs"]
mod quick;
#[path = "lease_log/record.rs"]
mod record;

use crate::lease_file::{self, LeaseFileError};
use pxe_core::dhcp::Lease;
use record::Log;
use record::{HEAD, Kept, WRITE_MAX, to_u64};
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::net::Ipv4Addr;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const NAME: &str = "leases.log";
/// A shorter file is not written anew, in bytes: about 80,000 leases.
const COMPACT_MIN: u64 = 16 << 20;
/// Zeros that are written ahead, in bytes: as much again as there is, within these bounds.
const AHEAD_MIN: u64 = 64 << 10;
const AHEAD_MAX: u64 = 4 << 20;
/// What could not be written is tried again after so long.
pub(crate) const AGAIN: Duration = Duration::from_secs(1);
/// A file is written anew when it has grown to so many times of what it was.
const GROWTH: u64 = 4;

/// The log.
#[derive(Debug)]
pub(crate) struct LeaseLog {
    open: Mutex<Open>,
}

#[derive(Debug)]
struct Open {
    path: PathBuf,
    file: File,
    /// Bytes that are durable. Behind them stand zeros.
    length: u64,
    /// Bytes that the file has on the disk.
    room: u64,
    /// Bytes after it was last written anew.
    fresh: u64,
    /// What could not be written, by address.
    unkept: BTreeMap<Ipv4Addr, Lease>,
    /// When writing failed last, and how: a disk that is full is not asked for each lease.
    failed: Option<(Instant, io::ErrorKind)>,
    compaction: Option<JoinHandle<Result<Fresh, LeaseFileError>>>,
    bytes: Vec<u8>,
}

/// A log that was written anew from the first `covers` bytes of the old one, not in its place yet.
#[derive(Debug)]
struct Fresh {
    path: PathBuf,
    file: File,
    length: u64,
    covers: u64,
}

impl LeaseLog {
    /// Opens it in this folder, and reads what was kept; the first time from `leases.json`, as earlier versions wrote it.
    pub(crate) fn open(state_dir: &Path) -> Result<(Self, Vec<Lease>), LeaseFileError> {
        let path = state_dir.join(NAME);
        let io = |doing, source| LeaseFileError::Io {
            doing,
            path: path.clone(),
            source,
        };
        fs::create_dir_all(state_dir).map_err(|e| io("write", e))?;
        let (open, kept) = match OpenOptions::new().read(true).write(true).open(&path) {
            Ok(file) => Self::read(file, &path)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::begin(state_dir, &path)?,
            Err(error) => return Err(io("read", error)),
        };
        let open = Mutex::new(open);
        Ok((Self { open }, kept.into_leases()))
    }

    /// Begins a log, with what an earlier version has kept.
    fn begin(state_dir: &Path, path: &Path) -> Result<(Open, Kept), LeaseFileError> {
        let mut kept = Kept::default();
        let earlier = lease_file::read(state_dir)?;
        for lease in earlier.iter().flatten() {
            kept.put(*lease);
        }
        let fresh = write_anew(path, &kept)?;
        let open = Open::of(put_in_place(path, fresh)?, path);
        if let Some(earlier) = earlier {
            tracing::info!(leases = earlier.len(), log = %path.display(), "DHCP: leases taken over from leases.json");
            lease_file::set_aside(state_dir)?;
        }
        Ok((open, kept))
    }

    fn read(file: File, path: &Path) -> Result<(Open, Kept), LeaseFileError> {
        let io = |doing, source| LeaseFileError::Io {
            doing,
            path: path.to_path_buf(),
            source,
        };
        lock(&file, path)?;
        let (log, length) = read_log(&file, path)?;
        if log.torn > 0 {
            tracing::warn!(
                log = %path.display(), lines = log.torn, bytes = length - log.whole,
                "DHCP: the end of the lease log was not written whole; its leases were not acknowledged, and are left out"
            );
        }
        // Only a cut-off end can be cut off; what stands behind a hole has to be written again.
        if log.stray > 0 || log.whole == 0 {
            drop(file);
            let fresh = write_anew(path, &log.kept)?;
            return Ok((Open::of(put_in_place(path, fresh)?, path), log.kept));
        }
        if log.torn > 0 {
            file.set_len(log.whole)
                .and_then(|()| file.sync_all())
                .map_err(|e| io("write", e))?;
        }
        let mut open = Open::of(file, path);
        open.length = log.whole;
        // How much of it is out of date is found out when it has grown.
        open.fresh = log.whole;
        Ok((open, log.kept))
    }

    /// Appends leases; when it returns, they are durable, and so is what could not be written earlier.
    ///
    /// # Errors
    /// The disk is full or fails. The leases are remembered, and tried again with the next.
    pub(crate) fn append(&self, leases: &[Lease]) -> Result<(), LeaseFileError> {
        let mut open = self.lock();
        let written = open.retry().and_then(|()| open.write(leases));
        if let Err(error) = written {
            open.remember(leases);
            return Err(error);
        }
        open.compact();
        Ok(())
    }

    /// Leases that could not be written.
    pub(crate) fn unkept(&self) -> usize {
        self.lock().unkept.len()
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open
            .lock()
            .expect("nothing panics while it writes leases")
    }
}

impl Open {
    fn of(file: File, path: &Path) -> Self {
        let length = file.metadata().map_or(0, |meta| meta.len());
        Self {
            path: path.to_path_buf(),
            file,
            length,
            room: length,
            fresh: length,
            unkept: BTreeMap::new(),
            failed: None,
            compaction: None,
            bytes: Vec::new(),
        }
    }

    /// Writes what could not be written, once in [`AGAIN`].
    fn retry(&mut self) -> Result<(), LeaseFileError> {
        if self.unkept.is_empty() {
            return Ok(());
        }
        if let Some((at, kind)) = self.failed
            && at.elapsed() < AGAIN
        {
            return Err(LeaseFileError::Io {
                doing: "write",
                path: self.path.clone(),
                source: kind.into(),
            });
        }
        let unkept: Vec<Lease> = self.unkept.values().copied().collect();
        self.write(&unkept)?;
        self.unkept.clear();
        Ok(())
    }

    fn remember(&mut self, leases: &[Lease]) {
        for lease in leases {
            self.unkept.insert(lease.address, *lease);
        }
    }

    fn write(&mut self, leases: &[Lease]) -> Result<(), LeaseFileError> {
        let mut bytes = std::mem::take(&mut self.bytes);
        let mut written = Ok(());
        for lease in leases {
            record::put(lease, &mut bytes);
            if bytes.len() >= WRITE_MAX / 2 {
                written = self.write_bytes(&mut bytes);
            }
            if written.is_err() {
                break;
            }
        }
        let written = written.and_then(|()| self.write_bytes(&mut bytes));
        bytes.clear();
        self.bytes = bytes;
        written
    }

    fn write_bytes(&mut self, bytes: &mut Vec<u8>) -> Result<(), LeaseFileError> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.make_room(to_u64(bytes.len()));
        let written = self
            .file
            .write_all_at(bytes, self.length)
            .and_then(|()| self.file.sync_data());
        self.failed = None;
        let result = written.map_err(|source| {
            self.failed = Some((Instant::now(), source.kind()));
            // Neither half a line nor lines that may or may not be there: they are written again as a whole.
            let cut = self.file.set_len(self.length);
            self.room = self.length;
            if let Err(error) = cut {
                tracing::error!(%error, log = %self.path.display(), "DHCP: the lease log cannot be cut back");
            }
            LeaseFileError::Io {
                doing: "write",
                path: self.path.clone(),
                source,
            }
        });
        if result.is_ok() {
            self.length += to_u64(bytes.len());
            self.room = self.room.max(self.length);
        }
        bytes.clear();
        result
    }

    /// Writes zeros ahead, so that making a lease durable writes its own bytes and nothing else: a file that grows has its
    /// length in the file system's journal, and waits for all that others have there.
    fn make_room(&mut self, more: u64) {
        if self.length + more <= self.room {
            return;
        }
        let ahead = self.length.clamp(AHEAD_MIN, AHEAD_MAX);
        let zeros = vec![0; usize::try_from(more + ahead).unwrap_or_default()];
        let made = self.file.write_all_at(&zeros, self.length);
        if made.is_ok() {
            self.room = self.length + to_u64(zeros.len());
        } else if self.file.set_len(self.length).is_ok() {
            // The disk is nearly full: then only what is needed.
            self.room = self.length;
        }
    }

    /// Writes the log anew on a thread of its own when it has grown, and puts it in its place when it is ready. What is
    /// appended meanwhile goes to the old one, and is copied.
    fn compact(&mut self) {
        match self.compaction.take_if(|thread| thread.is_finished()) {
            None if self.compaction.is_none()
                && self.length > COMPACT_MIN.max(self.fresh * GROWTH) =>
            {
                let (path, covers) = (self.path.clone(), self.length);
                let thread = std::thread::Builder::new().name("lease-compaction".to_owned());
                match thread.spawn(move || write_from(&path, covers)) {
                    Ok(thread) => self.compaction = Some(thread),
                    Err(error) => self.give_up(&error),
                }
            }
            None => {}
            Some(thread) => {
                let fresh = thread.join().unwrap_or_else(|_| {
                    Err(LeaseFileError::Io {
                        doing: "write",
                        path: self.path.clone(),
                        source: io::Error::other("its thread panicked"),
                    })
                });
                if let Err(error) = fresh.and_then(|fresh| self.change_over(fresh)) {
                    self.give_up(&error);
                }
            }
        }
    }

    /// The old log serves on, and is looked at again when it has grown as much again.
    fn give_up(&mut self, error: &dyn std::error::Error) {
        tracing::error!(%error, log = %self.path.display(), "DHCP: the lease log cannot be written anew and grows on");
        self.fresh = self.length;
    }

    fn change_over(&mut self, fresh: Fresh) -> Result<(), LeaseFileError> {
        let mut fresh = fresh;
        let mut copy = || {
            let mut since = File::open(&self.path)?;
            since.seek(SeekFrom::Start(fresh.covers))?;
            let rest = self.length - fresh.covers;
            let copied = io::copy(&mut since.take(rest), &mut fresh.file)?;
            if copied != rest {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            fresh.file.sync_data()
        };
        copy().map_err(|source| LeaseFileError::Io {
            doing: "write",
            path: fresh.path.clone(),
            source,
        })?;
        let compacted = fresh.length;
        self.file = put_in_place(&self.path, fresh)?;
        self.length = self.file.metadata().map_or(self.length, |meta| meta.len());
        tracing::debug!(bytes = self.length, "DHCP: the lease log was written anew");
        self.fresh = compacted;
        Ok(())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        // Its file is not in place yet, and is written over next time.
        if let Some(thread) = self.compaction.take() {
            let _ = thread.join();
        }
    }
}

/// The leases that are kept in a folder, for somebody who only looks: nothing is locked, made or mended.
///
/// # Errors
/// A log that is there and cannot be read.
pub fn kept_leases(state_dir: &Path) -> Result<Vec<Lease>, LeaseFileError> {
    let path = state_dir.join(NAME);
    match File::open(&path) {
        Ok(file) => Ok(read_log(&file, &path)?.0.kept.into_leases()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(source) => {
            let doing = "read";
            Err(LeaseFileError::Io {
                doing,
                path,
                source,
            })
        }
    }
}

/// What a log says, and its length in bytes without the zeros that were written ahead.
fn read_log(file: &File, path: &Path) -> Result<(Log, u64), LeaseFileError> {
    let room = file.metadata().map(|about| about.len());
    let length = room.and_then(|room| record::end(file, room));
    let length = length.map_err(|source| LeaseFileError::Io {
        doing: "read",
        path: path.to_path_buf(),
        source,
    })?;
    let reader = BufReader::with_capacity(1 << 18, file.take(length));
    Ok((record::read(reader, length, path)?, length))
}

fn lock(file: &File, path: &Path) -> Result<(), LeaseFileError> {
    file.try_lock().map_err(|error| LeaseFileError::Io {
        doing: "write",
        path: path.to_path_buf(),
        source: match error {
            TryLockError::WouldBlock => {
                io::Error::other("another boot service keeps its leases there")
            }
            TryLockError::Error(error) => error,
        },
    })
}

fn write_from(path: &Path, covers: u64) -> Result<Fresh, LeaseFileError> {
    let io = |source| LeaseFileError::Io {
        doing: "read",
        path: path.to_path_buf(),
        source,
    };
    let old = File::open(path).map_err(io)?;
    let log = record::read(BufReader::new(old.take(covers)), covers, path)?;
    let mut fresh = write_anew(path, &log.kept)?;
    fresh.covers = covers;
    Ok(fresh)
}

/// Writes a log with these leases beside the one at `path`.
fn write_anew(path: &Path, kept: &Kept) -> Result<Fresh, LeaseFileError> {
    let beside = path.with_extension("log.new");
    let io = |source| LeaseFileError::Io {
        doing: "write",
        path: beside.clone(),
        source,
    };
    let write = || {
        // What a cut has left there goes.
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(true)
            .write(true)
            .open(&beside)?;
        let mut bytes = HEAD.to_vec();
        for lease in kept.leases() {
            record::put(lease, &mut bytes);
            if bytes.len() >= WRITE_MAX {
                file.write_all(&bytes)?;
                bytes.clear();
            }
        }
        file.write_all(&bytes)?;
        file.sync_all()?;
        Ok(file)
    };
    let file = write().map_err(io)?;
    lock(&file, path)?;
    let length = file.metadata().map_err(io)?.len();
    Ok(Fresh {
        path: beside.clone(),
        file,
        length,
        covers: 0,
    })
}

fn put_in_place(path: &Path, fresh: Fresh) -> Result<File, LeaseFileError> {
    let place = || {
        fs::rename(&fresh.path, path)?;
        match path.parent() {
            Some(folder) => File::open(folder)?.sync_all(),
            None => Ok(()),
        }
    };
    place().map_err(|source| LeaseFileError::Io {
        doing: "write",
        path: path.to_path_buf(),
        source,
    })?;
    Ok(fresh.file)
}

#[cfg(test)]
fn test_lease() -> Lease {
    Lease {
        address: [10, 77, 0, 100].into(),
        mac: groundstate_api::MacAddr([2, 0, 0, 0, 0, 1]),
        state: pxe_core::dhcp::LeaseState::Bound,
        since: groundstate_api::Millis(5),
        until: groundstate_api::Millis(7),
        uuid: None,
        firmware: None,
    }
}

#[cfg(test)]
#[path = "lease_log/tests.rs"]
mod tests;
