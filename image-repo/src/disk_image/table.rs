// SPDX-License-Identifier: Apache-2.0
//! Writes a GUID partition table and copies file systems to their places.

use crate::roots::RootsError;
use crate::sparse::next_data;
use gpt::disk::LogicalBlockSize;
use gpt::mbr::ProtectiveMBR;
use gpt::partition::Partition;
use gpt::partition_types::{OperatingSystem, Type};
use groundstate_api::Bytes;
use groundstate_api::units::MIB;
use mos_core::guid::Guid;
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use uuid::Uuid;

/// Partitions begin at a multiple of this, in bytes, and so much stays free at both ends for the tables.
pub(crate) const ALIGN: u64 = MIB;
/// What is copied at once, in bytes.
const PIECE: u64 = MIB;

/// A partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) name: &'static str,
    pub(crate) type_guid: Guid,
    pub(crate) length: Bytes,
    /// The file whose bytes it holds; `None`: it is empty.
    pub(crate) content: Option<PathBuf>,
}

/// The partition's own GUID on a disk of that GUID.
pub(crate) fn part_guid(disk: Guid, number: u32) -> Guid {
    disk.following(&format!("partition {number}"))
}

/// Makes the disk as the new file `path`; its length.
pub(crate) fn assemble(
    path: &Path,
    disk: Guid,
    sector_size: u32,
    parts: &[Part],
) -> Result<Bytes, RootsError> {
    let failed =
        |error: gpt::GptError| RootsError::file("partitioned", path)(io::Error::other(error));
    let file = File::options()
        .read(true)
        .write(true)
        .create_new(true)
        .open(path)
        .map_err(RootsError::file("made", path))?;
    let mut at = ALIGN;
    let mut entries = BTreeMap::new();
    let sector = u64::from(sector_size);
    for (part, number) in parts.iter().zip(1u32..) {
        let length = part.length.0.next_multiple_of(ALIGN);
        if let Some(content) = &part.content {
            copy(content, &file, at, path)?;
        }
        let entry = Partition {
            part_type_guid: Type {
                guid: Uuid::from_bytes(part.type_guid.0),
                os: OperatingSystem::None,
            },
            part_guid: Uuid::from_bytes(part_guid(disk, number).0),
            first_lba: at / sector,
            last_lba: (at + length) / sector - 1,
            flags: 0,
            name: part.name.into(),
        };
        entries.insert(number, entry);
        at += length;
    }
    let size = at + ALIGN;
    file.set_len(size)
        .map_err(RootsError::file("lengthened", path))?;
    let mut device = Box::new(file);
    let sectors = u32::try_from(size / sector - 1).unwrap_or(u32::MAX);
    ProtectiveMBR::with_lb_size(sectors)
        .overwrite_lba0(&mut device)
        .map_err(|error| RootsError::file("partitioned", path)(io::Error::other(error)))?;
    let block = if sector_size == 512 {
        LogicalBlockSize::Lb512
    } else {
        LogicalBlockSize::Lb4096
    };
    let mut table = gpt::GptConfig::new()
        .writable(true)
        .logical_block_size(block)
        .create_from_device(device, Some(Uuid::from_bytes(disk.0)))
        .map_err(failed)?;
    table.update_partitions(entries).map_err(failed)?;
    table.write().map_err(failed)?;
    Ok(Bytes(size))
}

/// Copies a file's data to that place, holes left out.
fn copy(from: &Path, to: &File, place: u64, path: &Path) -> Result<(), RootsError> {
    let read = |source| RootsError::file("read", from)(source);
    let file = File::open(from).map_err(read)?;
    let length = file.metadata().map_err(read)?.len();
    let mut piece = vec![0; usize::try_from(PIECE).unwrap_or(0)];
    let mut at = 0;
    while let Some(data) = next_data(&file, at, length, 4096).map_err(read)? {
        let count = PIECE.min(length - data);
        let bytes = &mut piece[..usize::try_from(count).unwrap_or(0)];
        file.read_exact_at(bytes, data).map_err(read)?;
        for (block, offset) in bytes.chunks(4096).zip((data..).step_by(4096)) {
            if block.iter().any(|byte| *byte != 0) {
                to.write_all_at(block, place + offset)
                    .map_err(RootsError::file("written", path))?;
            }
        }
        at = data + count;
    }
    Ok(())
}
