// SPDX-License-Identifier: Apache-2.0
//! The block-device calls that rustix does not wrap.
#![allow(unsafe_code)]

use rustix::ioctl::{Getter, NoArg, ioctl};
use std::fs::File;
use std::io;

/// `BLKRRPART` of `linux/fs.h`: `_IO(0x12, 95)`.
const BLKRRPART: rustix::ioctl::Opcode = 0x125f;

/// `BLKGETDISKSEQ` of `linux/fs.h`: `_IOR(0x12, 128, __u64)`.
const BLKGETDISKSEQ: rustix::ioctl::Opcode = 0x8008_1280;

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
