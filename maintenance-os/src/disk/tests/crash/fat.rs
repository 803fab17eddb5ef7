// SPDX-License-Identifier: Apache-2.0
//! Stands in for the kernel's vfat: files on a FAT in memory, by crate `fatfs` with a clock that stands still.

use crate::handover::{Fill, Tree};
use crate::medium::{Access, Medium, Stream, open, read_exact, write_all};
use std::io::{self, Read as _};
use std::path::Path;

/// A clock that stands still: the kernel's stamps are the only bytes of an ESP that the plan does not name.
#[derive(Debug)]
struct StandsStill;

static STANDS_STILL: StandsStill = StandsStill;

impl fatfs::TimeProvider for StandsStill {
    fn get_current_date(&self) -> fatfs::Date {
        fatfs::Date {
            year: 2000,
            month: 1,
            day: 1,
        }
    }

    fn get_current_date_time(&self) -> fatfs::DateTime {
        let time = fatfs::Time {
            hour: 0,
            min: 0,
            sec: 0,
            millis: 0,
        };
        fatfs::DateTime {
            date: self.get_current_date(),
            time,
        }
    }
}

type Volume<'a> = fatfs::FileSystem<Stream<'a>>;

pub(super) struct FatTree<'a> {
    medium: &'a dyn Medium,
    volume: Volume<'a>,
}

fn name(path: &Path) -> &str {
    path.to_str().unwrap()
}

impl Tree for FatTree<'_> {
    fn is_dir(&self, path: &Path) -> io::Result<Option<bool>> {
        match self.volume.root_dir().open_dir(name(path)) {
            Ok(_) => Ok(Some(true)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn make_dir(&self, path: &Path, _: u32) -> io::Result<()> {
        self.volume.root_dir().create_dir(name(path)).map(drop)
    }

    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        self.medium.flush()
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.volume.root_dir().remove(name(path))
    }

    fn create(&self, path: &Path, _: u32, fill: Fill<'_>) -> io::Result<()> {
        let mut file = self.volume.root_dir().create_file(name(path))?;
        fill(&mut file)?;
        io::Write::flush(&mut file)?;
        drop(file);
        self.medium.flush()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let root = self.volume.root_dir();
        root.rename(name(from), &root, name(to))
    }
}

/// Mounts the FAT, does `work` in it, and unmounts.
pub(super) fn mounted(
    partition: &Path,
    work: &dyn Fn(&dyn Tree) -> io::Result<()>,
) -> io::Result<()> {
    let medium = open(partition, Access::Write)?;
    let volume = volume(medium.as_ref())?;
    let tree = FatTree {
        medium: medium.as_ref(),
        volume,
    };
    work(&tree)?;
    tree.volume.unmount()?;
    as_the_standard_says(medium.as_ref())?;
    medium.flush()
}

/// A file's bytes; `None` where it is not there or there is no sound FAT.
pub(super) fn file(partition: &Path, path: &str) -> Option<Vec<u8>> {
    let medium = open(partition, Access::Read).unwrap();
    let volume = volume(medium.as_ref()).ok()?;
    let mut bytes = Vec::new();
    let mut file = volume.root_dir().open_file(path).ok()?;
    file.read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

fn volume(medium: &dyn Medium) -> io::Result<Volume<'_>> {
    fatfs::FileSystem::new(
        Stream::of(medium)?,
        fatfs::FsOptions::new()
            .update_accessed_date(false)
            .time_provider(&STANDS_STILL),
    )
}

/// The crate gives the first two entries of a directory long names, and names cluster 2 as the parent of one in the root;
/// the standard, and the kernel, do neither. This makes both right in every directory.
fn as_the_standard_says(medium: &dyn Medium) -> io::Result<()> {
    let fat = Fat::read(medium)?;
    let root = fat.root;
    let mut folders = fat.folders_in(medium, root)?;
    while let Some(cluster) = folders.pop() {
        let place = fat.place(cluster);
        let mut first = [0; 4 * ENTRY];
        read_exact(medium, &mut first, place)?;
        if first[ENTRY] == b'.' && first[3 * ENTRY] == b'.' {
            first.copy_within(ENTRY..2 * ENTRY, 0);
            first.copy_within(3 * ENTRY.., ENTRY);
            first[2 * ENTRY] = DELETED;
            first[3 * ENTRY] = DELETED;
            if cluster_of(&first[ENTRY..2 * ENTRY]) == root {
                first[ENTRY + 20..ENTRY + 22].fill(0);
                first[ENTRY + 26..ENTRY + 28].fill(0);
            }
            write_all(medium, &first, place)?;
        }
        folders.extend(fat.folders_in(medium, cluster)?);
    }
    Ok(())
}

const ENTRY: usize = 32;
const DELETED: u8 = 0xe5;

fn cluster_of(entry: &[u8]) -> u64 {
    let word = |at: usize| u64::from(u16::from_le_bytes([entry[at], entry[at + 1]]));
    word(20) << 16 | word(26)
}

/// Where a FAT32 has what.
struct Fat {
    table: u64,
    data: u64,
    cluster: u64,
    root: u64,
}

impl Fat {
    fn read(medium: &dyn Medium) -> io::Result<Self> {
        let mut first = [0; 512];
        read_exact(medium, &mut first, 0)?;
        let le16 = |at: usize| u64::from(u16::from_le_bytes([first[at], first[at + 1]]));
        let le32 = |at: usize| le16(at) | le16(at + 2) << 16;
        let (sector, table) = (le16(11), le16(14) * le16(11));
        Ok(Self {
            table,
            data: table + u64::from(first[16]) * le32(36) * sector,
            cluster: u64::from(first[13]) * sector,
            root: le32(44),
        })
    }

    fn place(&self, cluster: u64) -> u64 {
        self.data + (cluster - 2) * self.cluster
    }

    /// The first clusters of the directories in a directory.
    fn folders_in(&self, medium: &dyn Medium, mut cluster: u64) -> io::Result<Vec<u64>> {
        let mut folders = Vec::new();
        while cluster < 0x0fff_fff8 {
            let mut entries = vec![0; usize::try_from(self.cluster).unwrap()];
            read_exact(medium, &mut entries, self.place(cluster))?;
            let is_folder =
                |entry: &&[u8]| !matches!(entry[0], 0 | DELETED | b'.') && entry[11] == 0x10;
            folders.extend(entries.chunks(ENTRY).filter(is_folder).map(cluster_of));
            let mut next = [0; 4];
            read_exact(medium, &mut next, self.table + cluster * 4)?;
            cluster = u64::from(u32::from_le_bytes(next)) & 0x0fff_ffff;
        }
        Ok(folders)
    }
}
