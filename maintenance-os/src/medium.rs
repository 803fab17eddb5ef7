// SPDX-License-Identifier: Apache-2.0
//! What the executors read and write: a block device, or a file that stands in for one.
//!
//! Everything that reaches a disk goes through [`Medium`], so that power cuts and bad disks are tried on the same code.
//! It chooses nothing and hides nothing: every error is the kernel's.

mod block;
mod nowhere;
mod turning;

use std::fmt::Debug;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::num::NonZeroU64;
use std::os::unix::fs::{FileExt as _, FileTypeExt as _, OpenOptionsExt as _};
use std::path::Path;

/// An open disk or partition.
pub(crate) trait Medium: Debug + Send + Sync {
    /// Its size in bytes.
    fn size(&self) -> io::Result<u64>;
    /// Its logical sector in bytes; none of a file that stands in for a disk.
    fn sector(&self) -> io::Result<Option<u32>>;
    /// Whether the kernel has partitions of it.
    fn is_block(&self) -> bool;
    /// Whether it goes past the page cache.
    fn is_direct(&self) -> bool;
    /// Whether it is a disk that turns, or may be one: going to and fro costs it more than it gains.
    fn is_turning(&self) -> bool;
    /// Reads up to all of `bytes` and tells how many.
    fn read_at(&self, bytes: &mut [u8], at: u64) -> io::Result<usize>;
    /// Writes up to all of `bytes` and tells how many.
    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<usize>;
    /// Makes it read as zero by a request of the device's own; `Unsupported` where it has none.
    fn zero_out(&self, from: u64, length: u64) -> io::Result<()>;
    /// Waits until the disk has everything, its own cache flushed.
    fn flush(&self) -> io::Result<()>;
    /// Makes sure that what is read next of this range comes from the disk; no length is all of it.
    fn forget(&self, at: u64, length: Option<NonZeroU64>) -> io::Result<()>;
    /// The kernel's number of this appearance of the disk; none of a file, and from a kernel that does not count.
    fn sequence(&self) -> io::Result<Option<u64>>;
    /// Lets the kernel read the partition table again.
    fn reread_partitions(&self) -> io::Result<()>;
}

/// Reads exactly `bytes`.
pub(crate) fn read_exact(medium: &dyn Medium, bytes: &mut [u8], at: u64) -> io::Result<()> {
    let mut done = 0;
    while let Some(rest) = bytes.get_mut(done..).filter(|rest| !rest.is_empty()) {
        match medium.read_at(rest, at + done as u64) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => done += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Writes all of `bytes`.
pub(crate) fn write_all(medium: &dyn Medium, bytes: &[u8], at: u64) -> io::Result<()> {
    let mut done = 0;
    while let Some(rest) = bytes.get(done..).filter(|rest| !rest.is_empty()) {
        match medium.write_at(rest, at + done as u64) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => done += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// How to open a medium.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// To look at it.
    Read,
    /// To look at it past the page cache, where it can be.
    ReadDirect,
    /// To write to it, alone: the kernel refuses a device that is mounted or held by another.
    WriteAlone,
    /// The same past the page cache, where it can be.
    WriteAloneDirect,
    /// To write to a partition of a disk that is held.
    Write,
    /// To write to nothing at all, which is so large: what is written is let go, and reads as zero.
    Nowhere(u64),
}

/// Opens a device, or a file that stands in for one.
///
/// # Errors
/// What the kernel says.
pub(crate) fn open(path: &Path, access: Access) -> io::Result<Box<dyn Medium>> {
    #[cfg(test)]
    if let Some(opened) = stand_in::open(path, access) {
        return opened;
    }
    if let Access::Nowhere(size) = access {
        return Ok(Box::new(nowhere::Nowhere(size)));
    }
    Opened::new(path, access).map(|opened| Box::new(opened) as Box<dyn Medium>)
}

/// A medium of the kernel's.
#[derive(Debug)]
struct Opened {
    file: File,
    is_block: bool,
    is_direct: bool,
}

impl Opened {
    fn new(path: &Path, access: Access) -> io::Result<Self> {
        let is_block = std::fs::metadata(path)?.file_type().is_block_device();
        let (writes, alone, direct) = match access {
            Access::Read | Access::Nowhere(_) => (false, false, false),
            Access::ReadDirect => (false, false, true),
            Access::Write => (true, false, false),
            Access::WriteAlone => (true, true, false),
            Access::WriteAloneDirect => (true, true, true),
        };
        let alone = if alone && is_block { libc::O_EXCL } else { 0 };
        let open = |flags: i32| {
            OpenOptions::new()
                .read(true)
                .write(writes)
                .custom_flags(flags | alone | libc::O_CLOEXEC)
                .open(path)
        };
        let (file, is_direct) = if direct {
            match open(libc::O_DIRECT) {
                Ok(file) => (file, true),
                Err(error) if error.raw_os_error() == Some(libc::EINVAL) => (open(0)?, false),
                Err(error) => return Err(error),
            }
        } else {
            (open(0)?, false)
        };
        Ok(Self {
            file,
            is_block,
            is_direct,
        })
    }
}

impl Medium for Opened {
    fn size(&self) -> io::Result<u64> {
        (&self.file).seek(SeekFrom::End(0))
    }

    fn sector(&self) -> io::Result<Option<u32>> {
        if !self.is_block {
            return Ok(None);
        }
        Ok(Some(rustix::fs::ioctl_blksszget(&self.file)?))
    }

    fn is_block(&self) -> bool {
        self.is_block
    }

    fn is_direct(&self) -> bool {
        self.is_direct
    }

    fn is_turning(&self) -> bool {
        self.is_block && turning::is_turning(&self.file)
    }

    fn read_at(&self, bytes: &mut [u8], at: u64) -> io::Result<usize> {
        self.file.read_at(bytes, at)
    }

    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<usize> {
        self.file.write_at(bytes, at)
    }

    fn zero_out(&self, from: u64, length: u64) -> io::Result<()> {
        if !self.is_block {
            return Err(io::ErrorKind::Unsupported.into());
        }
        match block::zero_out(&self.file, from, length) {
            Err(error) if matches!(error.raw_os_error(), Some(libc::ENOTTY | libc::EINVAL)) => {
                Err(io::ErrorKind::Unsupported.into())
            }
            other => other,
        }
    }

    fn flush(&self) -> io::Result<()> {
        self.file.sync_all()
    }

    fn forget(&self, at: u64, length: Option<NonZeroU64>) -> io::Result<()> {
        if self.is_direct {
            return Ok(());
        }
        if self.is_block && length.is_none() {
            return block::drop_cache(&self.file);
        }
        let advice = rustix::fs::Advice::DontNeed;
        rustix::fs::fadvise(&self.file, at, length, advice).map_err(io::Error::from)
    }

    fn sequence(&self) -> io::Result<Option<u64>> {
        if !self.is_block {
            return Ok(None);
        }
        match block::disk_sequence(&self.file) {
            Ok(number) => Ok(Some(number)),
            Err(error) if error.raw_os_error() == Some(libc::ENOTTY) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn reread_partitions(&self) -> io::Result<()> {
        if !self.is_block {
            return Ok(());
        }
        block::reread_partitions(&self.file)
    }
}

/// A medium as a stream, for who reads and writes at a place that moves. It ends where the medium ends.
#[derive(Debug)]
pub(crate) struct Stream<'a> {
    medium: &'a dyn Medium,
    size: u64,
    at: u64,
}

impl<'a> Stream<'a> {
    /// From its start.
    ///
    /// # Errors
    /// It does not tell its size.
    pub(crate) fn of(medium: &'a dyn Medium) -> io::Result<Self> {
        let size = medium.size()?;
        Ok(Self {
            medium,
            size,
            at: 0,
        })
    }

    fn room(&self, wanted: usize) -> usize {
        let left = self.size.saturating_sub(self.at);
        usize::try_from(left).map_or(wanted, |left| left.min(wanted))
    }
}

impl Read for Stream<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let room = self.room(bytes.len());
        let bytes = bytes.get_mut(..room).unwrap_or_default();
        if bytes.is_empty() {
            return Ok(0);
        }
        let count = self.medium.read_at(bytes, self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}

impl Write for Stream<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = self.room(bytes.len());
        let bytes = bytes.get(..room).unwrap_or_default();
        if bytes.is_empty() {
            return Ok(0);
        }
        let count = self.medium.write_at(bytes, self.at)?;
        self.at += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Stream<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.size.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = at.ok_or_else(|| io::Error::other("a seek to before the start"))?;
        Ok(self.at)
    }
}

#[cfg(test)]
pub(crate) mod stand_in;
