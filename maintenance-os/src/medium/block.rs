// SPDX-License-Identifier: Apache-2.0
//! The block-device calls that rustix does not wrap.
#![allow(unsafe_code)]

use rustix::ioctl::{Getter, NoArg, ioctl};
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;

/// `BLKRRPART` of `linux/fs.h`: `_IO(0x12, 95)`.
const BLKRRPART: rustix::ioctl::Opcode = 0x125f;
/// `BLKFLSBUF` of `linux/fs.h`: `_IO(0x12, 97)`.
const BLKFLSBUF: rustix::ioctl::Opcode = 0x1261;
/// `BLKGETDISKSEQ` of `linux/fs.h`: `_IOR(0x12, 128, __u64)`.
const BLKGETDISKSEQ: rustix::ioctl::Opcode = 0x8008_1280;
/// `BLKZEROOUT` of `linux/fs.h`: `_IO(0x12, 127)`, a pair of offset and length in bytes.
const BLKZEROOUT: libc::c_ulong = 0x127f;

/// The kernel's number of this appearance of a disk; `ENOTTY` from a kernel before 5.15.
pub(super) fn disk_sequence(disk: &File) -> io::Result<u64> {
    // SAFETY: BLKGETDISKSEQ writes one 64-bit number to where its argument points, and the getter has room for it.
    unsafe { ioctl(disk, Getter::<BLKGETDISKSEQ, u64>::new()) }.map_err(io::Error::from)
}

/// Makes the kernel read the disk's partition table again. `EBUSY` while one of its partitions is in use.
pub(super) fn reread_partitions(disk: &File) -> io::Result<()> {
    // SAFETY: BLKRRPART takes no argument and touches no memory of this process.
    unsafe { ioctl(disk, NoArg::<BLKRRPART>::new()) }.map_err(io::Error::from)
}

/// Writes out and drops what the kernel holds of the device.
pub(super) fn drop_cache(device: &File) -> io::Result<()> {
    // SAFETY: BLKFLSBUF takes no argument and touches no memory of this process.
    unsafe { ioctl(device, NoArg::<BLKFLSBUF>::new()) }.map_err(io::Error::from)
}

/// Makes the device read as zero from `from` for `length` bytes; both are multiples of its logical sector.
pub(super) fn zero_out(device: &File, from: u64, length: u64) -> io::Result<()> {
    let range: [u64; 2] = [from, length];
    // SAFETY: BLKZEROOUT reads two u64 at the pointer, which lives until the call returns; the descriptor is open.
    let status = unsafe { libc::ioctl(device.as_raw_fd(), BLKZEROOUT as _, range.as_ptr()) };
    if status == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}
