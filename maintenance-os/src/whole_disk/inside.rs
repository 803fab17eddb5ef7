// SPDX-License-Identifier: Apache-2.0
//! What an image that stands on a disk holds, by the facts that an import shows: where its partitions lie, which of them is
//! the root, what starts it.

use super::error::FitError;
use super::open_disk::OpenDisk;
use crate::customise::Extent;
use crate::medium::Access;
use groundstate_api::Bytes;
use groundstate_api::image::BootEntry;
use image_core::facts::{FileSystemFacts, ImageFacts, PartitionFacts, ReadError, facts};
use mos_core::random_access::ReadAt as _;
use std::io;
use std::path::Path;

/// The file systems that ext4's driver mounts.
const EXT: [&str; 3] = ["ext2", "ext3", "ext4"];

/// What an image holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inside {
    /// Where the partitions lie; one with number 0 where there is no table.
    pub extents: Vec<Extent>,
    /// The partition with the host's root, where it is one that files can be put into.
    pub root: Option<u32>,
    /// What starts it.
    pub boot: BootEntry,
    /// What was found, for people.
    pub found: Vec<String>,
}

/// The same of a disk that carries its image whole.
///
/// # Errors
/// The disk cannot be read.
pub fn look_into(device: &Path, file_sector: u32) -> Result<Inside, FitError> {
    let mut disk = OpenDisk::open(device, Access::Read, file_sector)?;
    disk.forget_all()?;
    let size = Bytes(disk.size());
    look_inside(&mut disk, size)
}

/// What stands in the first `size` bytes of the disk.
pub(super) fn look_inside(disk: &mut OpenDisk, size: Bytes) -> Result<Inside, FitError> {
    let path = disk.path().to_path_buf();
    let failed = |error: ReadError| {
        let source = io::Error::other(error.to_string());
        FitError::io("reading", &path)(source)
    };
    let facts = facts(&mut Looked { disk, size: size.0 }).map_err(failed)?;
    Ok(inside(&facts))
}

/// What an image holds that has these facts.
#[must_use]
pub fn inside(facts: &ImageFacts) -> Inside {
    let whole = facts.file_system.as_ref().map(|_| Extent {
        number: 0,
        start: Bytes(0),
        length: facts.size,
    });
    // The container of logical partitions is none itself: the kernel takes no partition within another one.
    let real = facts.partitions.iter().filter(|one| !is_container(one));
    let partitions = real.map(|one| Extent {
        number: one.number,
        start: one.start,
        length: one.length,
    });
    Inside {
        extents: partitions.chain(whole).collect(),
        root: root(facts),
        boot: facts.manifest_fields().boot,
        found: found(facts),
    }
}

/// Types 0x05, 0x0f and 0x85 of a DOS table.
fn is_container(one: &PartitionFacts) -> bool {
    matches!(one.type_id.as_str(), "0x05" | "0x0f" | "0x85")
}

/// The partition with an operating system, where it is of ext4's kind; else the only one that is.
fn root(facts: &ImageFacts) -> Option<u32> {
    let is_ext = |one: &FileSystemFacts| EXT.contains(&one.kind.as_str());
    let partitions = facts.partitions.iter();
    let of_table = partitions.map(|one| (one.number, one.file_system.as_ref()));
    let alone = facts.file_system.as_ref().map(|one| (0, Some(one)));
    let ext: Vec<u32> = of_table
        .chain(alone)
        .filter(|(_, held)| held.is_some_and(is_ext))
        .map(|(number, _)| number)
        .collect();
    match &facts.os {
        Some(os) => ext.contains(&os.partition).then_some(os.partition),
        None => match ext.as_slice() {
            [only] => Some(*only),
            _ => None,
        },
    }
}

fn found(facts: &ImageFacts) -> Vec<String> {
    let partitions = facts.partitions.iter().map(|one| {
        let held = one.file_system.as_ref().map(|held| held.kind.as_str());
        format!(
            "partition {}: {}, {}, {}",
            one.number,
            one.length,
            one.kind,
            held.unwrap_or("nothing that was recognised")
        )
    });
    let os = facts.os.iter().map(|os| format!("system: {}", os.name));
    partitions.chain(os).collect()
}

/// A disk as far as the image goes.
struct Looked<'a> {
    disk: &'a mut OpenDisk,
    size: u64,
}

impl image_core::facts::ReadAt for Looked<'_> {
    fn size(&self) -> u64 {
        self.size
    }
    fn read_at(&mut self, at: u64, buffer: &mut [u8]) -> Result<(), ReadError> {
        self.disk.read_at(at, buffer).map_err(|error| ReadError {
            at,
            said: error.to_string(),
        })
    }
}
