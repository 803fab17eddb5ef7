// SPDX-License-Identifier: Apache-2.0
//! The three requests that only a block device knows. Everything else goes through files.
#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;

/// `BLKZEROOUT` of linux/fs.h: `_IO(0x12, 127)`, a pair of offset and length in bytes.
const BLKZEROOUT: libc::c_ulong = 0x127f;
/// `BLKFLSBUF` of linux/fs.h: `_IO(0x12, 97)`.
const BLKFLSBUF: libc::c_ulong = 0x1261;
/// `BLKSSZGET` of linux/fs.h: `_IO(0x12, 104)`, an `int`.
const BLKSSZGET: libc::c_ulong = 0x1268;

/// Makes the device read as zero from `from` for `length` bytes; both are multiples of its logical sector.
pub(super) fn zero_out(device: &File, from: u64, length: u64) -> io::Result<()> {
    let range: [u64; 2] = [from, length];
    // SAFETY: BLKZEROOUT reads two u64 at the pointer, which lives until the call returns; the descriptor is open.
    let status = unsafe { libc::ioctl(device.as_raw_fd(), BLKZEROOUT as _, range.as_ptr()) };
    check(status)
}

/// Writes out and drops what the kernel holds of the device.
pub(super) fn drop_cache(device: &File) -> io::Result<()> {
    // SAFETY: BLKFLSBUF takes no argument; the descriptor is open.
    let status = unsafe { libc::ioctl(device.as_raw_fd(), BLKFLSBUF as _, 0) };
    check(status)
}

/// The device's logical sector in bytes.
pub(super) fn logical_sector(device: &File) -> io::Result<u32> {
    let mut size: libc::c_int = 0;
    // SAFETY: BLKSSZGET writes one int at the pointer, which lives until the call returns; the descriptor is open.
    let status = unsafe { libc::ioctl(device.as_raw_fd(), BLKSSZGET as _, &raw mut size) };
    check(status)?;
    u32::try_from(size).map_err(|_| io::Error::other("the kernel names a negative sector size"))
}

fn check(status: libc::c_int) -> io::Result<()> {
    if status == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}
