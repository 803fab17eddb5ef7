// SPDX-License-Identifier: Apache-2.0
//! The facts of an image: what the core finds, and for file systems that it does not look into the name by which
//! everything else here knows them.

mod file;

pub use file::FileBytes;

use crate::error::RepoError;
use groundstate_api::Bytes;
use image_core::facts::{FileSystemFacts, ImageFacts, ReadAt, ReadError, TableKind, facts};
use mos_core::signature::{Recognised, Window, recognise};
use std::path::Path;

/// The most that is read of a partition to name what it holds, in bytes: both its ends and a superblock or two.
const PARTITION_MAX: u64 = 1 << 20;
/// How many partitions are named; a table has 128 at most in practice, and a hostile one more.
const PARTITIONS_MAX: usize = 128;

/// The facts of an image.
///
/// # Errors
/// The reader failed.
pub fn of(reader: &mut dyn ReadAt) -> Result<ImageFacts, ReadError> {
    let mut found = facts(reader)?;
    let sector = found.sector_size.unwrap_or(512);
    if found.table == TableKind::None && found.file_system.is_none() {
        let size = found.size.0;
        found.file_system = name(reader, 0, size, sector)?;
    }
    let size = found.size.0;
    for partition in found.partitions.iter_mut().take(PARTITIONS_MAX) {
        let (start, length) = (partition.start.0, partition.length.0);
        let is_inside = start.checked_add(length).is_some_and(|end| end <= size);
        if partition.file_system.is_none() && is_inside && length > 0 {
            partition.file_system = name(reader, start, length, sector)?;
        }
    }
    Ok(found)
}

/// The facts of a file or a block device of raw bytes.
///
/// # Errors
/// It cannot be read.
pub fn of_file(path: &Path) -> Result<ImageFacts, RepoError> {
    let mut bytes = FileBytes::open(path).map_err(RepoError::file("opened", path))?;
    of(&mut bytes).map_err(|error| RepoError::file("read", path)(std::io::Error::other(error)))
}

/// The file system, swap or member of something larger that a region holds.
fn name(
    reader: &mut dyn ReadAt,
    start: u64,
    length: u64,
    sector: u32,
) -> Result<Option<FileSystemFacts>, ReadError> {
    let mut read = |at: u64, length: usize| {
        let mut bytes = vec![0; length];
        reader.read_at(start + at, &mut bytes)?;
        Ok(bytes)
    };
    let mut window = Window::new(length, sector, &mut read)
        .partition()
        .may_read(PARTITION_MAX);
    let found = recognise(&mut window)?;
    let known = |one: &&Recognised| one.what != mos_core::guard::UNKNOWN_DATA && one.what != "mbr";
    let file_system = found.iter().find(|one| one.is_file_system);
    Ok(file_system
        .or_else(|| found.iter().find(known))
        .map(|one| FileSystemFacts {
            kind: one.what.clone(),
            label: one.label.clone(),
            uuid: one.uuid.clone(),
            size: None::<Bytes>,
        }))
}
