// SPDX-License-Identifier: Apache-2.0
//! The one block-device call that rustix does not wrap.
#![allow(unsafe_code)]

use rustix::ioctl::{NoArg, ioctl};
use std::fs::File;
use std::io;

/// `BLKRRPART` of `linux/fs.h`: `_IO(0x12, 95)`.
const BLKRRPART: rustix::ioctl::Opcode = 0x125f;

/// Makes the kernel read the disk's partition table again. `EBUSY` while one of its partitions is in use.
pub(super) fn reread_partitions(disk: &File) -> io::Result<()> {
    // SAFETY: BLKRRPART takes no argument and touches no memory of this process.
    unsafe { ioctl(disk, NoArg::<BLKRRPART>::new()) }.map_err(io::Error::from)
}
