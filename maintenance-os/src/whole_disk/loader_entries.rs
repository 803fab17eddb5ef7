// SPDX-License-Identifier: Apache-2.0
//! Counts the names of GUIDs in the text of the boot loader's entries, on the file systems that firmware and boot loader
//! read: FAT on an EFI system partition or an extended boot loader partition (UAPI.1, Boot Loader Specification).
//!
//! Nothing is written: files are only read, within bounds. What cannot be read as FAT counts as none.

use super::open_disk::OpenDisk;
use mos_core::guid::Guid;
use mos_core::random_access::ReadAt as _;
use mos_core::whole_disk::{Form, Gpt, Needles};
use std::collections::BTreeMap;
use std::io::{self, Read, Seek, SeekFrom, Write};

/// An EFI system partition, and an extended boot loader partition.
const TYPES: [&str; 2] = [
    mos_core::plan::TYPE_ESP,
    "BC13C2FF-59E6-4262-A352-B275FD6F7172",
];
/// What the entries of systemd-boot and the configuration of GRUB end with.
const ENDS: [&str; 2] = [".conf", ".cfg"];
/// The largest file that is taken for such text.
const FILE_MAX: u64 = 256 * 1_024;
/// So many files and folders are looked at on one partition: a directory may be a loop.
const ENTRIES_MAX: usize = 4_096;
/// So deep are folders looked into.
const DEPTH_MAX: usize = 8;

/// How often each GUID is named there.
pub(super) fn count(disk: &mut OpenDisk, gpt: &Gpt) -> BTreeMap<Guid, usize> {
    let guids = gpt.partitions().iter().map(|one| one.guid);
    let needles = Needles::new(guids.chain([gpt.disk_guid()]));
    let mut counts = BTreeMap::new();
    for partition in gpt.partitions() {
        if !TYPES.contains(&partition.type_guid.upper().as_str()) {
            continue;
        }
        let (start, length) = gpt.place(partition);
        let slice = Slice {
            disk,
            start: start.0,
            length: length.0,
            at: 0,
        };
        // A file system that is not FAT, or a broken one, has no entries that can be changed; its names are found elsewhere.
        let Ok(volume) = fatfs::FileSystem::new(slice, fatfs::FsOptions::new()) else {
            continue;
        };
        let mut left = ENTRIES_MAX;
        let mut found = Vec::new();
        if folder(
            &volume.root_dir(),
            &needles,
            DEPTH_MAX,
            &mut left,
            &mut found,
        )
        .is_err()
        {
            continue;
        }
        for guid in found {
            *counts.entry(guid).or_default() += 1;
        }
    }
    counts
}

type Folder<'a, 'b> = fatfs::Dir<'a, Slice<'b>>;

fn folder(
    folder_: &Folder<'_, '_>,
    needles: &Needles,
    depth: usize,
    left: &mut usize,
    found: &mut Vec<Guid>,
) -> io::Result<()> {
    for entry in folder_.iter() {
        let entry = entry?;
        *left = left
            .checked_sub(1)
            .ok_or_else(|| io::Error::other("more entries than are looked at"))?;
        let name = entry.file_name().to_ascii_lowercase();
        if matches!(name.as_str(), "." | "..") {
            continue;
        }
        if entry.is_dir() {
            if depth > 0 {
                folder(&entry.to_dir(), needles, depth - 1, left, found)?;
            }
        } else if entry.len() <= FILE_MAX && ENDS.iter().any(|end| name.ends_with(end)) {
            let mut text = Vec::new();
            entry.to_file().take(FILE_MAX).read_to_end(&mut text)?;
            let mut hits = Vec::new();
            needles.scan(&text, 0, &mut hits);
            let texts = hits.iter().filter(|hit| hit.form != Form::Binary);
            found.extend(texts.map(|hit| hit.guid));
        }
    }
    Ok(())
}

/// A partition as a stream that refuses writes.
struct Slice<'a> {
    disk: &'a mut OpenDisk,
    start: u64,
    length: u64,
    at: u64,
}

impl Read for Slice<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let left = self.length.saturating_sub(self.at);
        let count = usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len()));
        let Some(bytes) = bytes.get_mut(..count) else {
            return Ok(0);
        };
        self.disk.read_at(self.start + self.at, bytes)?;
        self.at += count as u64;
        Ok(count)
    }
}

impl Write for Slice<'_> {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::Error::other("boot loader entries are only read"))
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Slice<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.length.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = at.ok_or_else(|| io::Error::other("a seek to before the start"))?;
        Ok(self.at)
    }
}
