// SPDX-License-Identifier: Apache-2.0
//! Reserves the space of a file so that it is really there and reads as zero, without writing it.
//!
//! Two ways: written zeroes, where the file system and its device have a command for that (Linux 6.17,
//! `FALLOC_FL_WRITE_ZEROES`), so that the first write costs what every other costs; else unwritten extents. A file that
//! holds something already only ever gets the second, which leaves what is there.

use super::fiemap::gaps;
use rustix::fs::{FallocateFlags, fallocate, fstatvfs};
use rustix::io::Errno;
use serde::Serialize;
use std::fs::File;
use std::os::unix::fs::MetadataExt as _;
use std::{io, iter};
use thiserror::Error;

/// `FALLOC_FL_WRITE_ZEROES` of `linux/falloc.h`.
const WRITE_ZEROES: FallocateFlags = FallocateFlags::from_bits_retain(0x80);

/// How space was reserved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum How {
    /// The device wrote zeroes by a command of its own; a first write is like any other.
    WriteZeroes,
    /// The file system set the space aside; the first write to a place also marks it as written.
    Unwritten,
}

impl How {
    /// For people.
    #[must_use]
    pub const fn says(self) -> &'static str {
        match self {
            Self::WriteZeroes => "zeroes written by the device",
            Self::Unwritten => "set aside, not yet written",
        }
    }
}

/// Why space was not reserved.
#[derive(Debug, Error)]
pub enum ReserveError {
    /// The volume is too small.
    #[error("{needed} bytes are needed and the volume has {available} left")]
    Full {
        /// Bytes still needed.
        needed: u64,
        /// Bytes left.
        available: u64,
    },
    /// The file system cannot set space aside.
    #[error("this file system cannot reserve space (no fallocate); ext4, xfs and btrfs can")]
    Unable,
    /// The kernel's.
    #[error("reserving space: {0}")]
    Io(#[from] io::Error),
}

/// Reserves the first `length` bytes of the file, which is then at least so long. What it holds stays as it is.
///
/// # Errors
/// [`ReserveError::Full`] before anything is taken where it can be seen before.
pub fn reserve(file: &File, length: u64) -> Result<How, ReserveError> {
    let found = file.metadata()?;
    let had = found.blocks() * 512;
    let volume = fstatvfs(file).map_err(io::Error::from)?;
    let needed = length.saturating_sub(had);
    let available = volume.f_bavail * volume.f_frsize;
    let full = ReserveError::Full { needed, available };
    // Asked first: a reservation that fails half-way has filled the volume.
    if needed > available {
        return Err(full);
    }
    // An empty file holds nothing that zeroes could destroy.
    if found.len() == 0 && fallocate(file, WRITE_ZEROES, 0, length).is_ok() {
        return Ok(How::WriteZeroes);
    }
    // XFS wants as much free space as it is asked for, also where the file has its space already: only what it lacks.
    let lacks = gaps(file, length)?.unwrap_or_else(|| iter::once(0..length).collect());
    for gap in lacks {
        match fallocate(
            file,
            FallocateFlags::empty(),
            gap.start,
            gap.end - gap.start,
        ) {
            Ok(()) => {}
            Err(Errno::NOSPC) => return Err(full),
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => return Err(ReserveError::Unable),
            Err(errno) => return Err(io::Error::from(errno).into()),
        }
    }
    if found.len() < length {
        file.set_len(length)?;
    }
    Ok(How::Unwritten)
}
