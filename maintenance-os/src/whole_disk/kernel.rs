// SPDX-License-Identifier: Apache-2.0
//! Tells the kernel where partitions lie on a disk whose own table does not say so yet (`BLKPG` of `linux/blkpg.h`).
#![allow(unsafe_code)]

use crate::customise::Extent;
use crate::disk::partition_device;
use groundstate_api::{Reason, ReasonCode};
use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

/// `BLKPG` of `linux/blkpg.h`: `_IO(0x12, 105)`.
const BLKPG: libc::c_ulong = 0x1269;
const ADD: libc::c_int = 1;
const DELETE: libc::c_int = 2;
/// The most partitions that the kernel is told of: as many as a table of ours has entries.
const NUMBERS: u32 = 128;
/// How long a node may take to appear. It takes milliseconds.
const NODE_WAIT: Duration = Duration::from_secs(10);
/// Between two looks.
const NODE_POLL: Duration = Duration::from_millis(20);

#[repr(C)]
struct Partition {
    start: i64,
    length: i64,
    number: libc::c_int,
    device: [u8; 64],
    volume: [u8; 64],
}

#[repr(C)]
struct Argument {
    operation: libc::c_int,
    flags: libc::c_int,
    length: libc::c_int,
    data: *mut Partition,
}

/// Gives the kernel exactly these partitions of the disk, and waits until their nodes are there. A file has none.
pub(super) fn show(disk: &Path, extents: &[Extent]) -> Result<(), Reason> {
    let refused = |error: io::Error| {
        Reason::new(
            ReasonCode::DiskError,
            format!(
                "the kernel does not take the image's partitions of {}",
                disk.display()
            ),
            "order the run again; if it happens again, report it with the node's log",
        )
        .seen(error.to_string())
    };
    let is_block = fs::metadata(disk)
        .map_err(refused)?
        .file_type()
        .is_block_device();
    if !is_block {
        return Ok(());
    }
    let file = File::open(disk).map_err(refused)?;
    for number in 1..=NUMBERS {
        match tell(&file, DELETE, number, 0, 0) {
            Err(error) if error.raw_os_error() != Some(libc::ENXIO) => return Err(refused(error)),
            Ok(()) | Err(_) => {}
        }
    }
    let name = disk.file_name().unwrap_or_default().to_string_lossy();
    for extent in extents.iter().filter(|extent| extent.number > 0) {
        tell(&file, ADD, extent.number, extent.start.0, extent.length.0).map_err(refused)?;
        let node = partition_device(&name, usize::try_from(extent.number).unwrap_or(usize::MAX));
        let until = Instant::now() + NODE_WAIT;
        while !node.exists() {
            if Instant::now() >= until {
                let late = format!("{} does not appear", node.display());
                return Err(refused(io::Error::new(io::ErrorKind::TimedOut, late)));
            }
            thread::sleep(NODE_POLL);
        }
    }
    Ok(())
}

fn tell(
    disk: &File,
    operation: libc::c_int,
    number: u32,
    start: u64,
    length: u64,
) -> io::Result<()> {
    let wrong = |_| io::Error::from(io::ErrorKind::InvalidInput);
    let mut partition = Partition {
        start: i64::try_from(start).map_err(wrong)?,
        length: i64::try_from(length).map_err(wrong)?,
        number: libc::c_int::try_from(number).map_err(wrong)?,
        device: [0; 64],
        volume: [0; 64],
    };
    let argument = Argument {
        operation,
        flags: 0,
        length: libc::c_int::try_from(size_of::<Partition>()).map_err(wrong)?,
        data: &raw mut partition,
    };
    // SAFETY: BLKPG reads one `blkpg_ioctl_arg` and the `blkpg_partition` that it points to; both live until the call
    // returns and are laid out as linux/blkpg.h has them; the descriptor is open.
    let status = unsafe { libc::ioctl(disk.as_raw_fd(), BLKPG as _, &raw const argument) };
    if status == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}
