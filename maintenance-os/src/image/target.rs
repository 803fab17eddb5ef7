// SPDX-License-Identifier: Apache-2.0
//! The device that takes the image: opened past the page cache, measured before anything is written.
//!
//! It never makes its target larger and never writes past the image's end.

use super::hand::{Answer, Hand, Measured, Order, Trouble};
use crate::disk::no_answer;
use crate::medium::Access;
use groundstate_api::image::{ImageKind, Manifest};
use groundstate_api::{Bytes, Reason, ReasonCode};
use image_core::manifest::title;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// What a file behaves like where no device tells its sector.
const FILE_SECTOR: u32 = 512;
/// How long the disk may take for one order, at most 64 MiB of it: the kernel's own way with a disk that does not answer
/// (30 s for a command, five tries, resets of link and controller) ends within five minutes.
pub(super) const REQUEST_MAX: Duration = Duration::from_secs(5 * 60);
/// Orders that the disk gets at once: enough that it is never idle.
const ORDERS: usize = 4;

/// An open target.
pub(super) struct Target {
    hand: Hand,
    measured: Measured,
    path: PathBuf,
    /// What was ordered and is not answered, by number: what is done, and since when.
    open: BTreeMap<u64, (String, Instant)>,
    next: u64,
}

impl Target {
    /// Opens `path` as told and sees that the image fits. No order may take longer than `patience`. Each order's answer
    /// goes to `tell` with its number.
    pub(super) fn open(
        path: &Path,
        manifest: &Manifest,
        access: Access,
        patience: Duration,
        tell: impl Fn(u64, Answer) + Clone + Send + 'static,
    ) -> Result<Self, Reason> {
        let opened = Hand::open(path, access, patience, ORDERS, tell);
        let (hand, measured) = opened.map_err(|(doing, why)| refused(path, doing, why))?;
        let target = Self {
            hand,
            measured,
            path: path.to_path_buf(),
            open: BTreeMap::new(),
            next: 0,
        };
        target.fits(manifest)?;
        Ok(target)
    }

    fn fits(&self, manifest: &Manifest) -> Result<(), Reason> {
        let size = self.measured.size;
        let image = title(manifest);
        let needed = manifest.size.max(manifest.minimum_size);
        if size < needed.0 {
            return Err(Reason::new(
                ReasonCode::DiskFull,
                format!(
                    "{image} needs {needed} ({} bytes), {} has {} ({size} bytes)",
                    needed.0,
                    self.path.display(),
                    Bytes(size),
                ),
                "choose a larger disk for the OS in the site file, or a smaller image",
            )
            .seen("nothing was written"));
        }
        let sector = self.measured.sector.unwrap_or(FILE_SECTOR);
        // A partition table counts in sectors; a file system only must not have smaller ones than the disk.
        let is_right = match (manifest.kind, self.measured.sector) {
            (ImageKind::WholeDisk, Some(sector)) => sector == manifest.sector_size,
            (ImageKind::WholeDisk, None) => true,
            (ImageKind::RootFsExt4, _) => sector >= manifest.sector_size,
        };
        if !is_right || !manifest.size.0.is_multiple_of(u64::from(sector)) {
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

    /// How many bytes it has.
    pub(super) const fn size(&self) -> u64 {
        self.measured.size
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether what was written may be read back while more is written: what is read comes from the disk, which does not
    /// turn.
    pub(super) const fn reads_while_it_writes(&self) -> bool {
        self.measured.is_direct && !self.measured.is_turning
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

    /// Gives an order; `doing` says what is to be done, in the past. Tells its number.
    pub(super) fn order(&mut self, doing: String, order: Order) -> Result<u64, Reason> {
        let number = self.next;
        self.next += 1;
        let given = self.hand.give(number, order);
        given.map_err(|error| refused(&self.path, &doing, Trouble::Io(error)))?;
        self.open.insert(number, (doing, Instant::now()));
        Ok(number)
    }

    /// An order was answered.
    pub(super) fn answered<T>(&mut self, number: u64, done: io::Result<T>) -> Result<T, Reason> {
        let doing = self.open.remove(&number).map(|(doing, _)| doing);
        let doing = doing.unwrap_or_default();
        done.map_err(|error| refused(&self.path, &doing, Trouble::Io(error)))
    }

    /// When the disk has not answered for too long.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let oldest = self.open.values().map(|(_, since)| *since).min()?;
        oldest.checked_add(self.hand.patience())
    }

    /// The disk has not answered for too long.
    pub(super) fn silent(&mut self) -> Reason {
        let oldest = self.open.values().min_by_key(|(_, since)| *since);
        let doing = oldest.map(|(doing, _)| doing.clone()).unwrap_or_default();
        let why = self.hand.leave();
        refused(&self.path, &doing, why)
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
