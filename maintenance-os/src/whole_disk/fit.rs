// SPDX-License-Identifier: Apache-2.0
//! The fitting: looks, decides, writes in order.

use super::error::FitError;
use super::loader_entries;
use super::names::names;
use super::open_disk::OpenDisk;
use crate::medium::Access;
use groundstate_api::Bytes;
use groundstate_api::image::Manifest;
use mos_core::random_access::ReadAt;
use mos_core::whole_disk::{FixUp, Gpt, Refusal, Request, Table, Wishes, Write, fix_up, look};
use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

/// How long who looks at new disks by himself may keep a partition of this one open. He takes milliseconds.
const PARTITIONS_WAIT: Duration = Duration::from_secs(10);
/// Between two tries.
const PARTITIONS_POLL: Duration = Duration::from_millis(50);

/// What was done.
#[derive(Debug)]
pub struct Fit {
    /// What changed; `None` where there is no GUID table.
    pub fix_up: Option<FixUp>,
    /// Sentences for people and the log.
    pub facts: Vec<String>,
}

/// Whether an image's table can be fitted to a disk of this size and sector. To be asked before anything is written.
///
/// # Errors
/// The reader's, or the refusal.
pub fn look_at_image<R: ReadAt<Error = io::Error>>(
    image: &mut R,
    title: &str,
    disk: Bytes,
    sector: u32,
) -> Result<(), FitError> {
    match look(image, sector).map_err(FitError::look(Path::new(title)))? {
        Table::None | Table::Mbr => Ok(()),
        Table::Gpt(gpt) => {
            let request = Request {
                disk,
                sector,
                image: Bytes(image.len()),
                identity: None,
                grow: false,
                hits: &[],
                in_loader_entries: &BTreeMap::new(),
            };
            fix_up(&gpt, &request).map(drop).map_err(FitError::from)
        }
    }
}

/// The table that a disk carries.
///
/// # Errors
/// It cannot be read, or its table is refused.
pub fn look_at_disk(device: &Path, file_sector: u32) -> Result<Table, FitError> {
    let mut disk = OpenDisk::open(device, Access::Read, file_sector)?;
    let sector = disk.sector();
    look(&mut disk, sector).map_err(FitError::look(device))
}

/// Fits the table of the image that was written to `device`, and read back, to that device. With an identity, every GUID is
/// new but for those that the image names where no name can be changed. Where it is wished, the last partition grows. `file_sector` is what a file that stands in for a
/// disk has for a sector. `on` hears how many bytes were looked through for names, of how many.
///
/// # Errors
/// The table is refused and nothing was written, or the disk failed and does not boot.
pub fn fit<'a>(
    device: &Path,
    manifest: &Manifest,
    file_sector: u32,
    wishes: impl Into<Wishes<'a>>,
    on: &mut dyn FnMut(u64, u64),
) -> Result<Fit, FitError> {
    let mut disk = OpenDisk::open(device, Access::WriteAlone, file_sector)?;
    if disk.sector() != manifest.sector_size {
        return Err(Refusal::SectorSize {
            table: manifest.sector_size,
            disk: disk.sector(),
        }
        .into());
    }
    let sector = disk.sector();
    let gpt = match look(&mut disk, sector).map_err(FitError::look(device))? {
        Table::Gpt(gpt) => gpt,
        Table::Mbr => {
            return Ok(unfitted(
                "the image has a DOS partition table, which is left as it is",
            ));
        }
        Table::None => {
            return Ok(unfitted(
                "the image has no partition table, so there is nothing to fit",
            ));
        }
    };
    let fix = decide(&mut disk, manifest, &gpt, wishes.into(), on)?;
    for write in &fix.writes {
        disk.write(write)?;
    }
    reread(&disk)?;
    Ok(Fit {
        facts: fix.facts(),
        fix_up: Some(fix),
    })
}

/// Every write that fits the table to the disk.
pub(super) fn decide(
    disk: &mut OpenDisk,
    manifest: &Manifest,
    gpt: &Gpt,
    wishes: Wishes<'_>,
    on: &mut dyn FnMut(u64, u64),
) -> Result<FixUp, FitError> {
    let (hits, in_loader_entries) = match wishes.identity {
        Some(_) => (
            names(disk, manifest, gpt, on)?,
            loader_entries::count(disk, gpt),
        ),
        None => (Vec::new(), BTreeMap::new()),
    };
    let request = Request {
        disk: Bytes(disk.size()),
        sector: disk.sector(),
        image: manifest.size,
        identity: wishes.identity,
        grow: wishes.grow,
        hits: &hits,
        in_loader_entries: &in_loader_entries,
    };
    Ok(fix_up(gpt, &request)?)
}

/// Clears the first sector, so that no firmware starts what is not complete. For who has written an image and could not
/// finish what belongs to it.
///
/// # Errors
/// The disk failed.
pub fn shut(device: &Path, file_sector: u32) -> Result<(), FitError> {
    let disk = OpenDisk::open(device, Access::WriteAlone, file_sector)?;
    let sector = usize::try_from(disk.sector()).unwrap_or(0);
    disk.write(&Write {
        at: Bytes(0),
        bytes: vec![0; sector],
        what: "the first sector is cleared",
    })
}

fn unfitted(fact: &str) -> Fit {
    Fit {
        fix_up: None,
        facts: vec![fact.to_owned()],
    }
}

/// Lets the kernel see the new table.
pub(super) fn reread(disk: &OpenDisk) -> Result<(), FitError> {
    let until = Instant::now() + PARTITIONS_WAIT;
    loop {
        match disk.medium().reread_partitions() {
            Ok(()) => return Ok(()),
            // Loop devices without partition scanning have no partitions to show.
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy && Instant::now() < until => {
                thread::sleep(PARTITIONS_POLL);
            }
            Err(error) => return Err(FitError::io("reading the new table of", disk.path())(error)),
        }
    }
}
