// SPDX-License-Identifier: Apache-2.0
//! The fitting of a disk whose image stands there without its head: decided while nothing on the disk starts, then written,
//! the first sector last of all.

use super::error::FitError;
use super::fit::{decide, reread};
use super::inside::{Inside, look_inside};
use super::kernel;
use super::open_disk::OpenDisk;
use crate::medium::Access;
use groundstate_api::image::Manifest;
use groundstate_api::{Bytes, Reason};
use mos_core::guid::Guid;
use mos_core::whole_disk::{FixUp, Gpt, Refusal, Table, Wishes, Write, look};
use std::path::{Path, PathBuf};

/// What a table of ours takes at a disk's end: 128 entries of 128 bytes, and the header's sector.
const OUR_ENTRIES: u64 = 16 * 1024;

/// All that is left to be written to a disk that has an image without its head.
#[derive(Debug)]
pub struct Fitting {
    device: PathBuf,
    file_sector: u32,
    sector: u32,
    head: Vec<u8>,
    gpt: Option<Gpt>,
    fix_up: Option<FixUp>,
    /// The remains of our own table behind an image that has no GUID table.
    tail: Option<(u64, u64)>,
    inside: Inside,
}

impl Fitting {
    /// Reads the disk, of which `head` waits, and decides. Nothing is written. `on` hears how many bytes were looked through
    /// for names, of how many.
    ///
    /// # Errors
    /// The table is refused, or the disk failed.
    pub fn prepare<'a>(
        device: &Path,
        manifest: &Manifest,
        head: Vec<u8>,
        file_sector: u32,
        wishes: impl Into<Wishes<'a>>,
        on: &mut dyn FnMut(u64, u64),
    ) -> Result<Self, FitError> {
        let mut disk = OpenDisk::open(device, Access::Read, file_sector)?.with_head(head);
        disk.forget_all()?;
        let sector = disk.sector();
        if sector != manifest.sector_size {
            return Err(Refusal::SectorSize {
                table: manifest.sector_size,
                disk: sector,
            }
            .into());
        }
        let table = look(&mut disk, sector).map_err(FitError::look(device))?;
        let (gpt, fix_up, tail) = match table {
            Table::Gpt(gpt) => {
                let fix = decide(&mut disk, manifest, &gpt, wishes.into(), on)?;
                (Some(gpt), Some(fix), None)
            }
            Table::Mbr | Table::None => {
                let ours = OUR_ENTRIES + u64::from(sector);
                let from = disk.size().saturating_sub(ours).max(manifest.size.0);
                (
                    None,
                    None,
                    (from < disk.size()).then(|| (from, disk.size())),
                )
            }
        };
        let inside = look_inside(&mut disk, manifest.size)?;
        Ok(Self {
            device: device.to_path_buf(),
            file_sector,
            sector,
            head: disk.into_head(),
            gpt,
            fix_up,
            tail,
            inside,
        })
    }

    /// What the image holds.
    #[must_use]
    pub const fn inside(&self) -> &Inside {
        &self.inside
    }

    /// The GUID that a partition will have; none of a DOS table.
    #[must_use]
    pub fn guid_of(&self, number: u32) -> Option<Guid> {
        let renamed = self.fix_up.iter().flat_map(|fix| &fix.renamed);
        let mut of_number = renamed.filter(|one| one.partition == Some(number));
        of_number.next().map(|one| one.new)
    }

    /// The GUIDs that the image had and the disk will not have.
    pub fn renewed(&self) -> impl Iterator<Item = Guid> + '_ {
        let renamed = self.fix_up.iter().flat_map(|fix| &fix.renamed);
        renamed
            .filter(|one| one.stays.is_none() && one.old != one.new)
            .map(|one| one.old)
    }

    /// Lets the kernel see the image's partitions, while no table on the disk tells of them. A file has none in the kernel.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn show(&self) -> Result<(), Reason> {
        kernel::show(&self.device, &self.inside.extents)
    }

    /// Writes the head and the table, each piece read back, and the first sector last. `device` starts then.
    ///
    /// # Errors
    /// The disk failed, and does not start.
    pub fn write(self) -> Result<Vec<String>, FitError> {
        let disk = OpenDisk::open(&self.device, Access::WriteAlone, self.file_sector)?;
        let first = usize::try_from(self.sector).unwrap_or(usize::MAX);
        let (boot, rest) = self.head.split_at(first.min(self.head.len()));
        let zeros = Write {
            at: Bytes(0),
            bytes: vec![0; boot.len()],
            what: "the first sector is cleared",
        };
        disk.write(&zeros)?;
        disk.write(&Write {
            at: Bytes(boot.len() as u64),
            bytes: rest.to_vec(),
            what: "the image's head",
        })?;
        let mut facts = Vec::new();
        if let Some(fix) = &self.fix_up {
            for write in &fix.writes {
                disk.write(write)?;
            }
            facts.extend(fix.facts());
        } else {
            disk.write(&Write {
                at: Bytes(0),
                bytes: boot.to_vec(),
                what: "the first sector",
            })?;
            // By the first sector the image is known from here on, so that our own table can go.
            if let Some((from, to)) = self.tail {
                disk.write(&Write {
                    at: Bytes(from),
                    bytes: vec![0; usize::try_from(to - from).unwrap_or(0)],
                    what: "the plan's own table is cleared",
                })?;
            }
            facts.push(
                "the image's first sector stands as it was made, written after all else of it"
                    .to_owned(),
            );
        }
        if let Some(gpt) = &self.gpt {
            facts.push(format!(
                "{} partitions of the image are there",
                gpt.partitions().len()
            ));
        }
        reread(&disk)?;
        Ok(facts)
    }
}
