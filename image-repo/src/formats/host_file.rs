// SPDX-License-Identifier: Apache-2.0
//! A file of the one who imports, as bytes at an offset. Nothing that is not a file or a block device is waited for.

use super::error::FormatError;
use image_core::disk_file::{DiskFile, ReadError};
use rustix::fs::{OFlags, SeekFrom, seek};
use rustix::io::Errno;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, FileTypeExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// An open file whose length nobody else changes. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct HostFile {
    file: Arc<File>,
    path: PathBuf,
    length: u64,
}

impl HostFile {
    /// Opens what the user named: a file or a block device.
    pub(super) fn open(path: &Path) -> Result<Self, FormatError> {
        Self::open_with(path, OFlags::NONBLOCK, true)
    }

    /// Opens what an image names, beside it: a file, and no symbolic link.
    pub(super) fn open_beside(path: &Path) -> Result<Self, FormatError> {
        Self::open_with(path, OFlags::NONBLOCK | OFlags::NOFOLLOW, false)
    }

    fn open_with(path: &Path, flags: OFlags, device: bool) -> Result<Self, FormatError> {
        let flags = i32::try_from(flags.bits()).unwrap_or(0);
        let mut options = OpenOptions::new();
        let file = options.read(true).custom_flags(flags).open(path);
        let file = file.map_err(|error| match error.raw_os_error() {
            Some(code) if !device && code == Errno::LOOP.raw_os_error() => FormatError::Link {
                path: path.to_path_buf(),
            },
            _ => FormatError::file("opened", path)(error),
        })?;
        let measuring = || FormatError::file("measured", path);
        let found = file.metadata().map_err(measuring())?;
        let length = if found.is_file() {
            found.len()
        } else if device && found.file_type().is_block_device() {
            seek(&file, SeekFrom::End(0)).map_err(|errno| measuring()(errno.into()))?
        } else {
            let path = path.to_path_buf();
            return Err(FormatError::NotAFile { path });
        };
        Ok(Self::of(file, path, length))
    }

    /// Takes an open file.
    pub(super) fn of(file: File, path: &Path, length: u64) -> Self {
        Self {
            file: Arc::new(file),
            path: path.to_path_buf(),
            length,
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) const fn length(&self) -> u64 {
        self.length
    }

    /// The first bytes, as many as there are.
    pub(super) fn head(&self, most: usize) -> Result<Vec<u8>, FormatError> {
        let there = usize::try_from(self.length).map_or(most, |length| length.min(most));
        let mut bytes = vec![0; there];
        self.read(0, &mut bytes)?;
        Ok(bytes)
    }

    /// The last bytes, as many as there are.
    pub(super) fn tail(&self, most: u32) -> Result<Vec<u8>, FormatError> {
        let there = self.length.min(u64::from(most));
        let mut bytes = vec![0; usize::try_from(there).unwrap_or(0)];
        self.read(self.length - there, &mut bytes)?;
        Ok(bytes)
    }

    pub(super) fn read(&self, at: u64, into: &mut [u8]) -> Result<(), FormatError> {
        self.file
            .read_exact_at(into, at)
            .map_err(FormatError::file("read", &self.path))
    }

    /// Reads what the file has; beyond its end are zeros.
    pub(super) fn read_padded(&self, at: u64, into: &mut [u8]) -> Result<(), FormatError> {
        let there = usize::try_from(self.length.saturating_sub(at)).unwrap_or(usize::MAX);
        let (now, beyond) = into.split_at_mut(there.min(into.len()));
        beyond.fill(0);
        self.read(at, now)
    }

    /// Whether the bytes at `at` are a hole, and for how many of at most `most` bytes the same holds. A file system that
    /// knows no holes has none.
    pub(super) fn hole(&self, at: u64, most: u64) -> Result<(bool, u64), FormatError> {
        let failed = |errno: Errno| FormatError::file("read", &self.path)(errno.into());
        if at >= self.length {
            return Ok((true, most));
        }
        match seek(&*self.file, SeekFrom::Data(at)) {
            Ok(data) if data > at => Ok((true, (data - at).min(most))),
            Ok(_) => match seek(&*self.file, SeekFrom::Hole(at)) {
                Ok(hole) => Ok((false, hole.saturating_sub(at).clamp(1, most))),
                Err(errno) => Err(failed(errno)),
            },
            Err(Errno::NXIO) => Ok((true, most)),
            Err(Errno::INVAL) => Ok((false, most)),
            Err(errno) => Err(failed(errno)),
        }
    }

    /// The file from its start on, once: clones and offsets are shared, so that it is read at offsets here as well.
    pub(super) fn into_reader(self) -> impl io::Read + Send {
        FromStart { file: self, at: 0 }
    }
}

struct FromStart {
    file: HostFile,
    at: u64,
}

impl io::Read for FromStart {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.file.file.read_at(into, self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}

impl DiskFile for HostFile {
    fn size(&self) -> u64 {
        self.length
    }

    fn read_at(&mut self, at: u64, into: &mut [u8]) -> Result<(), ReadError> {
        let read = self.file.read_exact_at(into, at);
        read.map_err(|error| ReadError {
            at,
            said: error.to_string(),
        })
    }
}

impl mos_core::random_access::ReadAt for HostFile {
    type Error = io::Error;

    fn len(&self) -> u64 {
        self.length
    }

    fn read_at(&mut self, at: u64, into: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(into, at)
    }
}
