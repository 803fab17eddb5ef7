// SPDX-License-Identifier: Apache-2.0
//! Files of the store, read without waiting where the kernel has them in memory: no thread is asked and none is woken.
//! Where it has not, a thread that may wait does it.

use super::metrics::{Count, Metrics};
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};
use rustix::io::{Errno, ReadWriteFlags, preadv2};
use std::fs::File;
use std::io::{self, IoSliceMut};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What the kernel of this machine cannot do is not asked twice.
#[derive(Debug, Default)]
pub(super) struct Files {
    no_open: AtomicBool,
    no_read: AtomicBool,
}

/// An open file and its length.
#[derive(Clone, Debug)]
pub(super) struct Opened {
    pub(super) file: Arc<File>,
    pub(super) length: u64,
}

impl Files {
    /// Opens a regular file.
    pub(super) async fn open(&self, path: PathBuf) -> io::Result<Opened> {
        if let Some(opened) = self.open_now(&path) {
            return opened;
        }
        let opened = tokio::task::spawn_blocking(move || File::open(path).and_then(measured));
        opened.await.map_err(io::Error::other)?
    }

    /// None where the kernel would have to wait for the disk.
    fn open_now(&self, path: &Path) -> Option<io::Result<Opened>> {
        if self.no_open.load(Ordering::Relaxed) {
            return None;
        }
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        match openat2(CWD, path, flags, Mode::empty(), ResolveFlags::CACHED) {
            Ok(file) => Some(measured(File::from(file))),
            Err(Errno::AGAIN) => None,
            // An old kernel, or a sandbox that does not know the call.
            Err(Errno::NOSYS | Errno::INVAL | Errno::PERM) => {
                self.no_open.store(true, Ordering::Relaxed);
                None
            }
            Err(error) => Some(Err(error.into())),
        }
    }

    /// Fills `buffer` from byte `at`; false where the kernel would have to wait for the disk, and then `buffer` is
    /// anything.
    pub(super) fn read_now(
        &self,
        file: &File,
        buffer: &mut [u8],
        at: u64,
        metrics: &Metrics,
    ) -> io::Result<bool> {
        if self.no_read.load(Ordering::Relaxed) {
            return Ok(false);
        }
        let mut done = 0;
        while let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) {
            let mut slices = [IoSliceMut::new(rest)];
            match preadv2(file, &mut slices, at + done as u64, ReadWriteFlags::NOWAIT) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(read) => done += read,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => {
                    metrics.count(Count::CacheMisses);
                    return Ok(false);
                }
                Err(Errno::OPNOTSUPP | Errno::NOSYS) => {
                    self.no_read.store(true, Ordering::Relaxed);
                    return Ok(false);
                }
                Err(error) => return Err(error.into()),
            }
        }
        metrics.count(Count::CacheHits);
        Ok(true)
    }
}

/// The same by a thread that waits.
pub(super) fn read_waiting(file: &File, buffer: &mut [u8], at: u64) -> io::Result<()> {
    file.read_exact_at(buffer, at)
}

impl Opened {
    pub(super) fn of(file: File) -> io::Result<Self> {
        measured(file)
    }
}

fn measured(file: File) -> io::Result<Opened> {
    let about = file.metadata()?;
    if !about.is_file() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    Ok(Opened {
        file: Arc::new(file),
        length: about.len(),
    })
}
