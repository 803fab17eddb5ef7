// SPDX-License-Identifier: Apache-2.0
//! Where a file lies on its device, by the one call that tells it.
#![allow(unsafe_code)]

use rustix::io::Errno;
use rustix::ioctl::{Opcode, Updater, ioctl};
use serde::Serialize;
use std::fs::File;
use std::io;
use std::ops::Range;

/// `FS_IOC_FIEMAP` of `linux/fs.h`: `_IOWR('f', 11, struct fiemap)`.
const FS_IOC_FIEMAP: Opcode = 0xc020_660b;
/// `FIEMAP_FLAG_SYNC`: the file is written out before it is mapped.
const SYNC: u32 = 0x1;
/// `FIEMAP_EXTENT_LAST` of `linux/fiemap.h`.
const LAST: u32 = 0x1;
/// `FIEMAP_EXTENT_UNWRITTEN`: reserved, reads as zero.
const UNWRITTEN: u32 = 0x800;
/// Extents that are asked for at once.
const BATCH: usize = 256;
/// After this many calls it is given up; no file that can be used has 16 million extents.
const CALLS_MAX: u32 = 65_536;

/// How a file lies on its device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Physical {
    /// Pieces that do not lie directly behind one another. 1 is a file that is read without a seek.
    pub extents: u64,
    /// Bytes that have a place on the device.
    pub bytes: u64,
    /// Of these, bytes that were reserved and never written.
    pub unwritten: u64,
}

/// `struct fiemap_extent`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Extent {
    logical: u64,
    physical: u64,
    length: u64,
    reserved64: [u64; 2],
    flags: u32,
    reserved: [u32; 3],
}

/// `struct fiemap` with room for its extents.
#[repr(C)]
struct Request {
    start: u64,
    length: u64,
    flags: u32,
    mapped: u32,
    room: u32,
    reserved: u32,
    extents: [Extent; BATCH],
}

/// How the file lies on its device; `None` where its file system does not tell.
///
/// # Errors
/// The kernel's.
pub fn physical(file: &File) -> io::Result<Option<Physical>> {
    let mut found = Physical::default();
    let mut next = (0, 0);
    let told = each_extent(file, 0, &mut |extent| {
        if (extent.logical, extent.physical) != next || found.extents == 0 {
            found.extents += 1;
        }
        found.bytes += extent.length;
        if extent.flags & UNWRITTEN != 0 {
            found.unwritten += extent.length;
        }
        let physical = extent.physical.saturating_add(extent.length);
        next = (extent.logical.saturating_add(extent.length), physical);
    })?;
    Ok(told.then_some(found))
}

/// The ranges among the first `length` bytes of the file that have no place on the device; `None` where its file system
/// does not tell. What waits to be written is written first.
///
/// # Errors
/// The kernel's.
pub(super) fn gaps(file: &File, length: u64) -> io::Result<Option<Vec<Range<u64>>>> {
    let (mut gaps, mut end) = (Vec::new(), 0);
    let told = each_extent(file, SYNC, &mut |extent| {
        if extent.logical > end && end < length {
            gaps.push(end..extent.logical.min(length));
        }
        end = end.max(extent.logical.saturating_add(extent.length));
    })?;
    if end < length {
        gaps.push(end..length);
    }
    Ok(told.then_some(gaps))
}

/// Gives every extent to `on`, in the file's order; `false` where the file system does not tell.
fn each_extent(file: &File, flags: u32, on: &mut dyn FnMut(&Extent)) -> io::Result<bool> {
    let mut start = 0;
    for _ in 0..CALLS_MAX {
        let mut request = Request {
            start,
            length: u64::MAX - start,
            flags,
            mapped: 0,
            room: 256,
            reserved: 0,
            extents: [Extent::default(); BATCH],
        };
        // SAFETY: FS_IOC_FIEMAP reads and writes a `struct fiemap` and at most `room` extents behind it. `Request` is
        // laid out as these are, and `room` is the length of its array.
        let asked = unsafe { ioctl(file, Updater::<FS_IOC_FIEMAP, _>::new(&mut request)) };
        match asked {
            Ok(()) => {}
            Err(Errno::OPNOTSUPP | Errno::NOTTY | Errno::INVAL) => return Ok(false),
            Err(errno) => return Err(errno.into()),
        }
        let mapped = usize::try_from(request.mapped).unwrap_or(BATCH);
        for extent in request.extents.iter().take(mapped) {
            on(extent);
            start = extent.logical.saturating_add(extent.length);
            if extent.flags & LAST != 0 {
                return Ok(true);
            }
        }
        if mapped == 0 {
            break;
        }
    }
    Ok(true)
}
