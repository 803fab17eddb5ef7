// SPDX-License-Identifier: Apache-2.0
//! Writes the planned partition table with crate `gpt`, and waits until the kernel shows its partitions.
//!
//! The crate writes into memory first: the disk then gets the backup table, the primary and the protective MBR in
//! that order, each flushed, so that an interrupted write leaves nothing or a table with our GUID.

use super::device::Device;
use super::error::DiskError;
use super::wipe::guard_open;
use gpt::disk::LogicalBlockSize;
use gpt::mbr::ProtectiveMBR;
use gpt::partition_types::{OperatingSystem, Type};
use groundstate_api::plan::{DiskAction, DiskPlan, PartitionPlan, TablePlan};
use groundstate_api::units::MIB;
use mos_core::guid::Guid;
use std::collections::BTreeMap;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use uuid::Uuid;

/// 128 entries of 128 bytes (UEFI 2.10, section 5.3.2).
const ENTRIES: u64 = 16 * 1_024;

/// Writes the table and tells what was written. The same plan gives the same bytes, however often.
///
/// # Errors
/// [`DiskError`] naming the device.
pub fn partition(device: &Path, plan: &DiskPlan) -> Result<Vec<String>, DiskError> {
    let DiskAction::Wipe { table, .. } = &plan.action else {
        return Err(DiskError::NotToBeWiped {
            path: device.to_path_buf(),
        });
    };
    let refused = |what: String| DiskError::Table {
        path: device.to_path_buf(),
        what,
    };
    let disk = Device::open_to_write(device, plan)?;
    guard_open(&disk, plan)?;
    let sector = disk.sector();
    let ends = table_bytes(disk.size(), sector, table).map_err(refused)?;
    let first = usize::try_from(sector).map_err(|_| refused("sector size".to_owned()))?;
    let (mbr, primary) = ends.head.split_at(first);
    disk.write_proved(ends.tail_at, &ends.tail)?;
    disk.write_proved(u64::from(sector), primary)?;
    disk.write_proved(0, mbr)?;
    disk.reread_partitions()?;
    for (index, partition) in table.partitions.iter().enumerate() {
        disk.wait_for_partition(index + 1, partition.length.0)?;
    }
    let partitions = table.partitions.iter();
    let names = partitions.map(|one| format!("{} {}", one.name, one.length));
    Ok(vec![format!(
        "GPT {} with {}",
        table.disk_guid,
        names.collect::<Vec<_>>().join(", ")
    )])
}

/// The bytes of the planned table at both ends of a disk.
pub(super) fn table_bytes(size: u64, sector: u32, table: &TablePlan) -> Result<Ends, String> {
    let mut ends = Ends::of(size, sector);
    let block = LogicalBlockSize::try_from(u64::from(sector)).map_err(|error| error.to_string())?;
    let sectors = ends.size / u64::from(sector);
    ProtectiveMBR::with_lb_size(u32::try_from(sectors - 1).unwrap_or(u32::MAX))
        .overwrite_lba0(&mut ends)
        .map_err(|error| error.to_string())?;
    let guid = uuid(&table.disk_guid)?;
    let partitions = table
        .partitions
        .iter()
        .zip(1u32..)
        .map(|(partition, number)| Ok((number, entry(partition, u64::from(sector))?)))
        .collect::<Result<BTreeMap<_, _>, String>>()?;
    let mut made = gpt::GptConfig::new()
        .writable(true)
        .logical_block_size(block)
        .create_from_device(ends, Some(guid))
        .map_err(|error| error.to_string())?;
    made.update_partitions(partitions)
        .map_err(|error| error.to_string())?;
    made.write().map_err(|error| error.to_string())
}

fn entry(plan: &PartitionPlan, sector: u64) -> Result<gpt::partition::Partition, String> {
    let (first, sectors) = (plan.start.0 / sector, plan.length.0 / sector);
    Ok(gpt::partition::Partition {
        part_type_guid: Type {
            guid: uuid(&plan.type_guid)?,
            os: OperatingSystem::None,
        },
        part_guid: uuid(&plan.guid)?,
        first_lba: first,
        last_lba: (first + sectors)
            .checked_sub(1)
            .ok_or_else(|| format!("{} is empty", plan.name))?,
        flags: 0,
        name: plan.name.clone(),
    })
}

fn uuid(text: &str) -> Result<Uuid, String> {
    Guid::parse(text)
        .map(|guid| Uuid::from_bytes(guid.0))
        .ok_or_else(|| format!("`{text}` is not a GUID"))
}

/// Both ends of a disk in memory. What is written between them is an error.
#[derive(Debug)]
pub(super) struct Ends {
    size: u64,
    at: u64,
    pub(super) head: Vec<u8>,
    pub(super) tail_at: u64,
    pub(super) tail: Vec<u8>,
}

impl Ends {
    fn of(size: u64, sector: u32) -> Self {
        let bytes = |length: u64| vec![0; usize::try_from(length).unwrap_or(0)];
        let tail = (ENTRIES + u64::from(sector)).min(size);
        Self {
            size,
            at: 0,
            head: bytes(MIB.min(size - tail)),
            tail_at: size - tail,
            tail: bytes(tail),
        }
    }

    /// What stands before the first partition: the protective MBR, the header and the entries.
    pub(super) fn primary(&self, sector: u32) -> &[u8] {
        let length = usize::try_from(2 * u64::from(sector) + ENTRIES).unwrap_or(usize::MAX);
        self.head.get(..length).unwrap_or(&self.head)
    }

    fn slice(&mut self, length: usize) -> io::Result<&mut [u8]> {
        let outside = || io::Error::other("outside the places of a partition table");
        let (bytes, from) = if self.at < self.tail_at {
            (&mut self.head, 0)
        } else {
            (&mut self.tail, self.tail_at)
        };
        let from = usize::try_from(self.at - from).map_err(|_| outside())?;
        let to = from.checked_add(length).ok_or_else(outside)?;
        self.at += length as u64;
        bytes.get_mut(from..to).ok_or_else(outside)
    }
}

impl Read for Ends {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = buffer.len();
        buffer.copy_from_slice(self.slice(length)?);
        Ok(length)
    }
}

impl Write for Ends {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.slice(bytes.len())?.copy_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Ends {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.size.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = at.ok_or_else(|| io::Error::other("a seek to before the disk's start"))?;
        Ok(self.at)
    }
}
