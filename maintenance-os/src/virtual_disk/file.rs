// SPDX-License-Identifier: Apache-2.0
//! A file as bytes at an offset.

use mos_core::random_access::{ReadAt, WriteAt};
use rustix::fs::{SeekFrom, seek};
use rustix::io::Errno;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

/// An open file whose length nobody else changes.
#[derive(Debug)]
pub struct DiskFile {
    file: File,
    length: u64,
}

/// Which file it is, under whatever name.
pub(super) type Identity = (u64, u64);

impl DiskFile {
    /// Takes an open regular file.
    ///
    /// # Errors
    /// Where the kernel does not tell its length.
    pub fn new(file: File) -> io::Result<Self> {
        let length = file.metadata()?.len();
        Ok(Self { file, length })
    }

    /// Opens a file to read it; `None` where it is something else, which is not waited for. A block device is taken
    /// where `device` says so.
    ///
    /// # Errors
    /// The kernel's.
    pub fn open(path: &Path, device: bool) -> io::Result<Option<Self>> {
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NONBLOCK)
            .open(path)?;
        let found = file.metadata()?;
        let length = if found.is_file() {
            found.len()
        } else if device && found.file_type().is_block_device() {
            seek(&file, SeekFrom::End(0))?
        } else {
            return Ok(None);
        };
        Ok(Some(Self { file, length }))
    }

    /// The open file.
    #[must_use]
    pub const fn file(&self) -> &File {
        &self.file
    }

    pub(super) fn identity(&self) -> io::Result<Identity> {
        let found = self.file.metadata()?;
        Ok((found.dev(), found.ino()))
    }

    /// Bytes that the file system really gave it.
    pub(super) fn allocated(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.blocks() * 512)
    }

    /// Whether bytes were ever written at `at`, and for how many of at most `most` bytes the same holds. A file system
    /// that does not tell says that all are written.
    pub(super) fn written(&self, at: u64, most: u64) -> io::Result<(bool, u64)> {
        let data = match seek(&self.file, SeekFrom::Data(at)) {
            Ok(data) => data,
            Err(Errno::NXIO) => return Ok((false, most)),
            Err(Errno::INVAL) => return Ok((true, most)),
            Err(errno) => return Err(errno.into()),
        };
        if data > at {
            return Ok((false, (data - at).min(most)));
        }
        let hole = seek(&self.file, SeekFrom::Hole(at))?;
        Ok((true, hole.saturating_sub(at).clamp(1, most)))
    }
}

impl ReadAt for DiskFile {
    type Error = io::Error;

    fn len(&self) -> u64 {
        self.length
    }

    fn read_at(&mut self, at: u64, into: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(into, at)
    }
}

impl WriteAt for DiskFile {
    fn write_at(&mut self, at: u64, from: &[u8]) -> io::Result<()> {
        self.file.write_all_at(from, at)?;
        self.length = self.length.max(at + from.len() as u64);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }
}
