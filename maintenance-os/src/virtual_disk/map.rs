// SPDX-License-Identifier: Apache-2.0
//! Where everything of a disk lies.

use super::chain::Parents;
use super::disk::{Disk, Format, Holds};
use super::error::VirtualDiskError;
use super::fiemap::{Physical, physical};
use mos_core::random_access::ReadAt as _;
use rustix::fs::{Advice, fadvise};
use serde::Serialize;
use std::num::NonZeroU64;
use std::path::Path;

/// What opening a file reads at its ends, with what the kernel reads ahead.
const ENDS: u64 = 256 << 10;

/// A range of the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Range {
    /// Where it begins on the disk, in bytes.
    pub offset: u64,
    /// How long it is, in bytes.
    pub length: u64,
    /// What it holds.
    pub holds: Holds,
    /// Where it begins in the file. A range of zeros has a place where its space is reserved.
    pub file_offset: Option<u64>,
}

/// A disk as ranges, without a gap and in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Map {
    /// The format.
    pub format: Format,
    /// Size of the disk in bytes.
    pub size: u64,
    /// The ranges.
    pub ranges: Vec<Range>,
    /// How the file lies on its device; absent where its file system does not tell.
    pub physical: Option<Physical>,
}

/// Maps the disk in a file. Parents are not opened.
///
/// # Errors
/// By name, whatever is wrong with the file.
pub fn map(path: &Path, stated: Option<Format>) -> Result<Map, VirtualDiskError> {
    let mut disk = Disk::open(path, stated, &Parents::default(), true)?;
    let size = disk.size();
    // The kernel counts reserved pages that were read into memory as written. Those that opening read are let go; that
    // it does not do so would only make the map show a little more data.
    let length = disk.file().len();
    for at in [0, length.saturating_sub(ENDS)] {
        let _advised = fadvise(
            disk.file().file(),
            at,
            NonZeroU64::new(ENDS),
            Advice::DontNeed,
        );
    }
    let mut ranges: Vec<Range> = Vec::new();
    let mut offset = 0;
    while offset < size {
        let stretch = disk.stretch(offset)?;
        let range = Range {
            offset,
            length: stretch.length,
            holds: stretch.holds,
            file_offset: stretch.at,
        };
        match ranges.last_mut() {
            Some(last) if continues(last, &range) => last.length += range.length,
            Some(_) | None => ranges.push(range),
        }
        offset += stretch.length;
    }
    let physical = physical(disk.file().file()).map_err(VirtualDiskError::io("mapping", path))?;
    Ok(Map {
        format: disk.format(),
        size,
        ranges,
        physical,
    })
}

fn continues(last: &Range, next: &Range) -> bool {
    let place = match (last.file_offset, next.file_offset) {
        (Some(one), Some(other)) => one + last.length == other,
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    };
    last.holds == next.holds && place
}
