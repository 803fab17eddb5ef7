// SPDX-License-Identifier: Apache-2.0
//! The disk: read anywhere, written in pieces that are each on the disk and read back before the next.

use super::error::FitError;
use crate::medium::{self, Access, Medium};
use mos_core::random_access::ReadAt;
use mos_core::whole_disk::Write;
use std::io;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};

/// An open disk, or a file that stands in for one.
pub(super) struct OpenDisk {
    medium: Box<dyn Medium>,
    path: PathBuf,
    size: u64,
    sector: u32,
    /// What reads in place of the disk's first bytes: what is to stand there.
    head: Vec<u8>,
}

impl OpenDisk {
    /// Opens it; a file has sectors of `file_sector`.
    pub(super) fn open(path: &Path, access: Access, file_sector: u32) -> Result<Self, FitError> {
        let medium = medium::open(path, access).map_err(FitError::io("opening", path))?;
        let size = medium.size().map_err(FitError::io("measuring", path))?;
        let sector = medium.sector().map_err(FitError::io("measuring", path))?;
        Ok(Self {
            medium,
            path: path.to_path_buf(),
            size,
            sector: sector.unwrap_or(file_sector),
            head: Vec::new(),
        })
    }

    /// The same with other first bytes.
    pub(super) fn with_head(self, head: Vec<u8>) -> Self {
        Self { head, ..self }
    }

    pub(super) fn into_head(self) -> Vec<u8> {
        self.head
    }

    /// Reads exactly so much.
    pub(super) fn read(&self, at: u64, into: &mut [u8]) -> io::Result<()> {
        medium::read_exact(self.medium.as_ref(), into, at)?;
        let from = usize::try_from(at).unwrap_or(usize::MAX);
        let waits = self.head.get(from..).unwrap_or_default();
        for (byte, waits) in into.iter_mut().zip(waits) {
            *byte = *waits;
        }
        Ok(())
    }

    /// Makes sure that all that is read next comes from the disk.
    pub(super) fn forget_all(&self) -> Result<(), FitError> {
        self.medium
            .forget(0, None)
            .map_err(FitError::io("dropping the cache of", &self.path))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
    pub(super) const fn size(&self) -> u64 {
        self.size
    }
    pub(super) const fn sector(&self) -> u32 {
        self.sector
    }
    pub(super) fn medium(&self) -> &dyn Medium {
        self.medium.as_ref()
    }

    /// Writes, waits until the disk has it, and reads it back from the disk.
    pub(super) fn write(&self, write: &Write) -> Result<(), FitError> {
        let (path, at) = (self.path(), write.at.0);
        medium::write_all(self.medium(), &write.bytes, at)
            .map_err(FitError::io("writing to", path))?;
        self.medium
            .flush()
            .map_err(FitError::io("flushing", path))?;
        self.forget(at, write.bytes.len() as u64)?;
        let mut back = vec![0; write.bytes.len()];
        medium::read_exact(self.medium(), &mut back, at)
            .map_err(FitError::io("reading back", path))?;
        if back == write.bytes {
            Ok(())
        } else {
            Err(FitError::ReadBack {
                path: path.to_path_buf(),
                at,
            })
        }
    }

    /// Makes sure that what is read next of this range comes from the disk.
    pub(super) fn forget(&self, at: u64, length: u64) -> Result<(), FitError> {
        let Some(length) = NonZeroU64::new(length) else {
            return Ok(());
        };
        self.medium
            .forget(at, Some(length))
            .map_err(FitError::io("dropping the cache of", &self.path))
    }
}

impl ReadAt for OpenDisk {
    type Error = io::Error;
    fn len(&self) -> u64 {
        self.size
    }
    fn read_at(&mut self, at: u64, into: &mut [u8]) -> Result<(), io::Error> {
        self.read(at, into)
    }
}
