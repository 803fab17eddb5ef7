// SPDX-License-Identifier: Apache-2.0
//! An open disk: its size, its sectors, and reads and writes that are whole or an error.

use super::block::{disk_sequence, reread_partitions};
use super::error::{DiskError, same_size};
use groundstate_api::plan::DiskPlan;
use rustix::fs::{Advice, fadvise, ioctl_blksszget};
use std::fmt::Display;
use std::fs::{File, OpenOptions};
use std::io::{self, Seek as _, SeekFrom};
use std::num::NonZeroU64;
use std::os::unix::fs::{FileExt as _, FileTypeExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

/// How long the kernel may take to let go of a partition and to show a new one. It takes milliseconds; a controller
/// that resets takes seconds.
const NODE_WAIT: Duration = Duration::from_secs(10);
/// Between two looks.
const NODE_POLL: Duration = Duration::from_millis(20);
/// One write of zeros: small, because every disk has a thread of its own.
const ZERO_PIECE: usize = 64 * 1_024;
/// The sectors of a file that stands in for a disk, where nothing else is said.
const FILE_SECTOR: u32 = 512;

/// `/dev/sda1` for `sda`, `/dev/nvme0n1p1` for `nvme0n1`: a `p` stands between two digits.
#[must_use]
pub fn partition_device(kernel_name: &str, number: impl Display) -> PathBuf {
    let between = if kernel_name.ends_with(|c: char| c.is_ascii_digit()) {
        "p"
    } else {
        ""
    };
    Path::new("/dev").join(format!("{kernel_name}{between}{number}"))
}

/// An open disk, or a file that stands in for one.
#[derive(Debug)]
pub(super) struct Device {
    file: File,
    path: PathBuf,
    size: u64,
    sector: u32,
    is_block: bool,
}

impl Device {
    /// Opens a disk for reading.
    pub(super) fn open_to_read(path: &Path, file_sector: Option<u32>) -> io::Result<Self> {
        Self::from_file(File::open(path)?, path, file_sector.unwrap_or(FILE_SECTOR))
    }

    /// Opens the planned disk for writing, alone (`O_EXCL`): a disk that is mounted or in use is refused by the
    /// kernel, one of another size by us.
    pub(super) fn open_to_write(path: &Path, plan: &DiskPlan) -> Result<Self, DiskError> {
        let is_block = std::fs::metadata(path)
            .map_err(DiskError::io("looking at", path))?
            .file_type()
            .is_block_device();
        let flags = if is_block { libc::O_EXCL } else { 0 };
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(flags)
            .open(path);
        let file = file.map_err(|source| match source.kind() {
            io::ErrorKind::ResourceBusy => DiskError::Busy {
                path: path.to_path_buf(),
            },
            _ => DiskError::io("opening", path)(source),
        })?;
        let device = Self::from_file(file, path, plan.logical_sector)
            .map_err(DiskError::io("sizing", path))?;
        same_size(path, device.size, device.sector, plan)?;
        Ok(device)
    }

    fn from_file(mut file: File, path: &Path, file_sector: u32) -> io::Result<Self> {
        let is_block = file.metadata()?.file_type().is_block_device();
        let sector = if is_block {
            ioctl_blksszget(&file)?
        } else {
            file_sector
        };
        let size = file.seek(SeekFrom::End(0))?;
        Ok(Self {
            file,
            path: path.to_path_buf(),
            size,
            sector,
            is_block,
        })
    }

    /// Whether size and sectors are the planned ones.
    pub(super) fn check_size(&self, plan: &DiskPlan) -> Result<(), DiskError> {
        same_size(&self.path, self.size, self.sector, plan)
    }

    /// The kernel's number of this appearance of the disk; none of a file, and from a kernel that does not count.
    pub(super) fn sequence(&self) -> io::Result<Option<u64>> {
        if !self.is_block {
            return Ok(None);
        }
        match disk_sequence(&self.file) {
            Ok(number) => Ok(Some(number)),
            Err(error) if error.raw_os_error() == Some(libc::ENOTTY) => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(super) const fn size(&self) -> u64 {
        self.size
    }

    pub(super) const fn sector(&self) -> u32 {
        self.sector
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Exactly `length` bytes.
    pub(super) fn read(&self, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        self.file.read_exact_at(&mut bytes, offset)?;
        Ok(bytes)
    }

    /// Writes, waits until the disk has it, and reads it back from the disk.
    pub(super) fn write_proved(&self, offset: u64, bytes: &[u8]) -> Result<(), DiskError> {
        self.write(offset, bytes)?;
        self.flush(offset, bytes.len() as u64)?;
        self.compare(offset, bytes)
    }

    /// Zeroes from `start` to `end`, waits until the disk has it, and reads it back from the disk.
    pub(super) fn zero_proved(&self, start: u64, end: u64) -> Result<(), DiskError> {
        let zeros = [0u8; ZERO_PIECE];
        let pieces = || {
            let starts = (start..end).step_by(ZERO_PIECE);
            starts.map(|at| {
                (
                    at,
                    usize::try_from(end - at).map_or(ZERO_PIECE, |left| left.min(ZERO_PIECE)),
                )
            })
        };
        for (at, length) in pieces() {
            self.write(at, zeros.get(..length).unwrap_or_default())?;
        }
        self.flush(start, end - start)?;
        for (at, length) in pieces() {
            self.compare(at, zeros.get(..length).unwrap_or_default())?;
        }
        Ok(())
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> Result<(), DiskError> {
        self.file
            .write_all_at(bytes, offset)
            .map_err(DiskError::io("writing to", self.path()))
    }

    /// Waits until the disk has it, and drops the cached pages so that the next read comes from the disk.
    fn flush(&self, offset: u64, length: u64) -> Result<(), DiskError> {
        let path = self.path();
        self.file
            .sync_all()
            .map_err(DiskError::io("flushing", path))?;
        fadvise(
            &self.file,
            offset,
            NonZeroU64::new(length),
            Advice::DontNeed,
        )
        .map_err(|errno| DiskError::io("dropping the cache of", path)(errno.into()))
    }

    fn compare(&self, offset: u64, bytes: &[u8]) -> Result<(), DiskError> {
        let back = self
            .read(offset, bytes.len())
            .map_err(DiskError::io("reading back", self.path()))?;
        if back == bytes {
            return Ok(());
        }
        match back.iter().zip(bytes).position(|(is, should)| is != should) {
            None => Ok(()),
            Some(at) => Err(DiskError::ReadBack {
                path: self.path.clone(),
                offset: offset + at as u64,
            }),
        }
    }

    /// Lets the kernel read the table again. A file has no partitions in the kernel.
    pub(super) fn reread_partitions(&self) -> Result<(), DiskError> {
        if !self.is_block {
            return Ok(());
        }
        let until = Instant::now() + NODE_WAIT;
        loop {
            match reread_partitions(&self.file) {
                Ok(()) => return Ok(()),
                Err(error)
                    if error.kind() == io::ErrorKind::ResourceBusy && Instant::now() < until =>
                {
                    thread::sleep(NODE_POLL);
                }
                Err(error) => {
                    return Err(DiskError::io("reading the new table of", &self.path)(error));
                }
            }
        }
    }

    /// Waits until partition `number` is there with `length` bytes.
    pub(super) fn wait_for_partition(&self, number: usize, length: u64) -> Result<(), DiskError> {
        if !self.is_block {
            return Ok(());
        }
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        let path = partition_device(&name, number);
        let until = Instant::now() + NODE_WAIT;
        loop {
            let found = Self::open_to_read(&path, None).map(|partition| partition.size);
            match found {
                Ok(found) if found == length => return Ok(()),
                Ok(_) | Err(_) if Instant::now() < until => thread::sleep(NODE_POLL),
                Ok(_) | Err(_) => {
                    let waited_ms = u64::try_from(NODE_WAIT.as_millis()).unwrap_or(u64::MAX);
                    return Err(DiskError::NoNode { path, waited_ms });
                }
            }
        }
    }
}
