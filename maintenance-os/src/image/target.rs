// SPDX-License-Identifier: Apache-2.0
//! The partition that takes the image: opened past the page cache, measured before anything is written.
//!
//! It never makes its target larger and never writes past the image's end.

use super::buffer::Aligned;
use super::hand::{Hand, Measured, Order, Trouble};
use crate::disk::no_answer;
use crate::medium::Access;
use groundstate_api::image::Manifest;
use groundstate_api::{Bytes, Reason, ReasonCode};
use image_core::manifest::title;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What a file behaves like where no device tells its sector.
const FILE_SECTOR: u32 = 512;
/// The piece in which zeros are written where the device cannot be told to clear a range.
const ZEROS: usize = 1 << 20;
/// How long the disk may take for one request, at most 64 MiB of it: the kernel's own way with a disk that does not answer
/// (30 s for a command, five tries, resets of link and controller) ends within five minutes.
pub(super) const REQUEST_MAX: Duration = Duration::from_secs(5 * 60);

/// An open target.
pub(super) struct Target {
    hand: Hand,
    measured: Measured,
    path: PathBuf,
    zeros: Option<Aligned>,
}

impl Target {
    /// Opens `path` for reading and, where `writes`, for writing, and sees that the image fits. No request may take longer
    /// than `patience`.
    pub(super) fn open(
        path: &Path,
        manifest: &Manifest,
        writes: bool,
        patience: Duration,
    ) -> Result<Self, Reason> {
        let access = if writes {
            Access::WriteAloneDirect
        } else {
            Access::ReadDirect
        };
        let opened = Hand::open(path, access, patience);
        let (hand, measured) = opened.map_err(|(doing, why)| refused(path, doing, why))?;
        let target = Self {
            hand,
            measured,
            path: path.to_path_buf(),
            zeros: None,
        };
        target.fits(manifest)?;
        Ok(target)
    }

    fn fits(&self, manifest: &Manifest) -> Result<(), Reason> {
        let size = self.measured.size;
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
        let sector = self.measured.sector.unwrap_or(FILE_SECTOR);
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
        if self.measured.is_direct {
            format!("{} was opened with O_DIRECT", self.path.display())
        } else {
            format!(
                "{} refuses O_DIRECT and went through the page cache",
                self.path.display()
            )
        }
    }

    /// Writes the buffer's first `length` bytes and gives it back.
    pub(super) fn write(
        &mut self,
        buffer: Aligned,
        length: usize,
        at: Bytes,
    ) -> Result<Aligned, Reason> {
        let done = || format!("written at byte {}", at.0);
        self.lend(Order::Write(buffer, length, at.0), done)
    }

    /// Reads `length` bytes into the buffer and gives it back.
    pub(super) fn read(
        &mut self,
        buffer: Aligned,
        length: usize,
        at: Bytes,
    ) -> Result<Aligned, Reason> {
        let done = || format!("read at byte {}", at.0);
        self.lend(Order::Read(buffer, length, at.0), done)
    }

    /// An order that gives its buffer back.
    fn lend(&mut self, order: Order, done: impl Fn() -> String) -> Result<Aligned, Reason> {
        let lent = self.hand.carry_out(order);
        let lent = lent.and_then(|buffer| {
            buffer.ok_or_else(|| Trouble::Io(io::Error::other("the buffer did not come back")))
        });
        lent.map_err(|why| refused(&self.path, &done(), why))
    }

    /// Makes it read as zero from `from` to `to`.
    pub(super) fn zero(&mut self, from: Bytes, to: Bytes) -> Result<(), Reason> {
        match self.hand.carry_out(Order::ZeroOut(from.0, to.0)) {
            Ok(_) => return Ok(()),
            Err(Trouble::Io(error)) if error.kind() == io::ErrorKind::Unsupported => {}
            Err(why) => {
                let done = format!("cleared at byte {}", from.0);
                return Err(refused(&self.path, &done, why));
            }
        }
        let mut zeros = self.zeros.take().unwrap_or_else(|| Aligned::zeroed(ZEROS));
        let mut at = from.0;
        while at < to.0 {
            let piece = usize::try_from(to.0 - at).map_or(ZEROS, |left| left.min(ZEROS));
            zeros = self.write(zeros, piece, Bytes(at))?;
            at += piece as u64;
        }
        self.zeros = Some(zeros);
        Ok(())
    }

    /// Waits until the disk has everything, its own cache flushed.
    pub(super) fn flush(&mut self) -> Result<(), Reason> {
        let done = self.hand.carry_out(Order::Flush);
        done.map(drop)
            .map_err(|why| refused(&self.path, "flushed", why))
    }

    /// Makes sure that what is read next comes from the disk.
    pub(super) fn forget(&mut self) -> Result<(), Reason> {
        let done = self.hand.carry_out(Order::Forget);
        done.map(drop)
            .map_err(|why| refused(&self.path, "read past the page cache", why))
    }
}

fn refused(path: &Path, done: &str, why: Trouble) -> Reason {
    match why {
        Trouble::Io(error) => trouble(path, done, &error.to_string(), &error),
        Trouble::Silent(limit) => {
            no_answer(limit).seen(format!("{} was to be {done}", path.display()))
        }
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
