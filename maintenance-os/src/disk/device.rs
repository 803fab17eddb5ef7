// SPDX-License-Identifier: Apache-2.0
//! An open disk: its size, its sectors, and reads and writes that are whole or an error.

use super::error::{DiskError, same_size};
use crate::medium::{self, Access, Medium};
use groundstate_api::plan::DiskPlan;
use std::fmt::Display;
use std::io;
use std::num::NonZeroU64;
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
    medium: Box<dyn Medium>,
    path: PathBuf,
    size: u64,
    sector: u32,
}

impl Device {
    /// Opens a disk for reading.
    pub(super) fn open_to_read(path: &Path, file_sector: Option<u32>) -> io::Result<Self> {
        let medium = medium::open(path, Access::Read)?;
        Self::of(medium, path, file_sector.unwrap_or(FILE_SECTOR))
    }

    /// Opens the planned disk for writing, alone (`O_EXCL`): a disk that is mounted or in use is refused by the
    /// kernel, one of another size by us.
    pub(super) fn open_to_write(path: &Path, plan: &DiskPlan) -> Result<Self, DiskError> {
        let opened = medium::open(path, Access::WriteAlone);
        let medium = opened.map_err(|source| match source.kind() {
            io::ErrorKind::ResourceBusy => DiskError::Busy {
                path: path.to_path_buf(),
            },
            _ => DiskError::io("opening", path)(source),
        })?;
        let device =
            Self::of(medium, path, plan.logical_sector).map_err(DiskError::io("sizing", path))?;
        same_size(path, device.size, device.sector, plan)?;
        Ok(device)
    }

    fn of(medium: Box<dyn Medium>, path: &Path, file_sector: u32) -> io::Result<Self> {
        let sector = medium.sector()?.unwrap_or(file_sector);
        let size = medium.size()?;
        Ok(Self {
            medium,
            path: path.to_path_buf(),
            size,
            sector,
        })
    }

    /// Whether size and sectors are the planned ones.
    pub(super) fn check_size(&self, plan: &DiskPlan) -> Result<(), DiskError> {
        same_size(&self.path, self.size, self.sector, plan)
    }

    /// The kernel's number of this appearance of the disk; none of a file, and from a kernel that does not count.
    pub(super) fn sequence(&self) -> io::Result<Option<u64>> {
        self.medium.sequence()
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
        medium::read_exact(self.medium.as_ref(), &mut bytes, offset)?;
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
        medium::write_all(self.medium.as_ref(), bytes, offset)
            .map_err(DiskError::io("writing to", self.path()))
    }

    /// Waits until the disk has it, and drops the cached pages so that the next read comes from the disk.
    fn flush(&self, offset: u64, length: u64) -> Result<(), DiskError> {
        let path = self.path();
        self.medium
            .flush()
            .map_err(DiskError::io("flushing", path))?;
        let Some(length) = NonZeroU64::new(length) else {
            return Ok(());
        };
        self.medium
            .forget(offset, Some(length))
            .map_err(DiskError::io("dropping the cache of", path))
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
        let until = Instant::now() + NODE_WAIT;
        loop {
            match self.medium.reread_partitions() {
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
        if !self.medium.is_block() {
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
