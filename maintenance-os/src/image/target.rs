// SPDX-License-Identifier: Apache-2.0
//! The partition that takes the image: opened past the page cache, measured before anything is written.
//!
//! It never makes its target larger and never writes past the image's end.

use super::buffer::Aligned;
use crate::medium::{self, Access, Medium};
use groundstate_api::image::Manifest;
use groundstate_api::{Bytes, Reason, ReasonCode};
use image_core::manifest::title;
use std::io;
use std::path::{Path, PathBuf};

/// What a file behaves like where no device tells its sector.
const FILE_SECTOR: u32 = 512;
/// The piece in which zeros are written where the device cannot be told to clear a range.
const ZEROS: usize = 1 << 20;

/// An open target.
pub(super) struct Target {
    medium: Box<dyn Medium>,
    path: PathBuf,
    zeros: Option<Aligned>,
}

impl Target {
    /// Opens `path` for reading and, where `writes`, for writing, and sees that the image fits.
    pub(super) fn open(path: &Path, manifest: &Manifest, writes: bool) -> Result<Self, Reason> {
        let access = if writes {
            Access::WriteAloneDirect
        } else {
            Access::ReadDirect
        };
        let medium = medium::open(path, access)
            .map_err(|error| trouble(path, "opened", &error.to_string(), &error))?;
        let target = Self {
            medium,
            path: path.to_path_buf(),
            zeros: None,
        };
        target.fits(manifest)?;
        Ok(target)
    }

    fn fits(&self, manifest: &Manifest) -> Result<(), Reason> {
        let measured = |error: io::Error| self.failed("measured", &error);
        let size = self.medium.size().map_err(measured)?;
        let image = title(manifest);
        if size < manifest.size.0 {
            return Err(Reason::new(
                ReasonCode::DiskFull,
                format!(
                    "{image} needs {} ({} bytes), {} has {} ({} bytes)",
                    manifest.size,
                    manifest.size.0,
                    self.path.display(),
                    Bytes(size),
                    size
                ),
                "choose a larger disk for the OS in the site file, or a smaller image",
            )
            .seen("nothing was written"));
        }
        let sector = self
            .medium
            .sector()
            .map_err(measured)?
            .unwrap_or(FILE_SECTOR);
        if sector < manifest.sector_size || !manifest.size.0.is_multiple_of(u64::from(sector)) {
            return Err(Reason::new(
                ReasonCode::PlanRefused,
                format!(
                    "{image} is made for sectors of {} bytes, {} has sectors of {sector}",
                    manifest.sector_size,
                    self.path.display()
                ),
                "import an image for this disk's sector size, or choose another disk for the OS",
            )
            .seen("nothing was written"));
        }
        Ok(())
    }

    /// Whether it goes past the page cache.
    pub(super) fn fact(&self) -> String {
        if self.medium.is_direct() {
            format!("{} was opened with O_DIRECT", self.path.display())
        } else {
            format!(
                "{} refuses O_DIRECT and went through the page cache",
                self.path.display()
            )
        }
    }

    pub(super) fn write(&self, bytes: &[u8], at: Bytes) -> Result<(), Reason> {
        medium::write_all(self.medium.as_ref(), bytes, at.0)
            .map_err(|error| self.failed(&format!("written at byte {}", at.0), &error))
    }

    pub(super) fn read(&self, bytes: &mut [u8], at: Bytes) -> Result<(), Reason> {
        medium::read_exact(self.medium.as_ref(), bytes, at.0)
            .map_err(|error| self.failed(&format!("read at byte {}", at.0), &error))
    }

    /// Makes it read as zero from `from` to `to`.
    pub(super) fn zero(&mut self, from: Bytes, to: Bytes) -> Result<(), Reason> {
        match self.medium.zero_out(from.0, to.0 - from.0) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::Unsupported => {}
            Err(error) => {
                return Err(self.failed(&format!("cleared at byte {}", from.0), &error));
            }
        }
        let zeros = self.zeros.take().unwrap_or_else(|| Aligned::zeroed(ZEROS));
        let mut at = from.0;
        while at < to.0 {
            let piece = usize::try_from(to.0 - at).map_or(ZEROS, |left| left.min(ZEROS));
            self.write(&zeros.bytes()[..piece], Bytes(at))?;
            at += piece as u64;
        }
        self.zeros = Some(zeros);
        Ok(())
    }

    /// Waits until the disk has everything, its own cache flushed.
    pub(super) fn flush(&self) -> Result<(), Reason> {
        self.medium
            .flush()
            .map_err(|error| self.failed("flushed", &error))
    }

    /// Makes sure that what is read next comes from the disk.
    pub(super) fn forget(&self) -> Result<(), Reason> {
        self.medium
            .forget(0, None)
            .map_err(|error| self.failed("read past the page cache", &error))
    }

    fn failed(&self, done: &str, error: &io::Error) -> Reason {
        trouble(&self.path, done, &error.to_string(), error)
    }
}

fn trouble(path: &Path, done: &str, said: &str, error: &io::Error) -> Reason {
    let (code, next_step) = match error.raw_os_error() {
        Some(libc::EBUSY) => (
            ReasonCode::DiskInUse,
            "power the machine off and on, then order the run anew",
        ),
        Some(libc::ENOSPC) => (
            ReasonCode::DiskFull,
            "choose a larger disk for the OS in the site file",
        ),
        _ => (
            ReasonCode::DiskError,
            "check the disk's cable and bay, or replace the disk",
        ),
    };
    Reason::new(
        code,
        format!("{} could not be {done}", path.display()),
        next_step,
    )
    .seen(said)
}
