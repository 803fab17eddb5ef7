// SPDX-License-Identifier: Apache-2.0
//! Makes a plan's virtual disks on a mounted volume: VHD and VHDX, fixed and dynamic, all of their space reserved.
//!
//! What they say of themselves follows from the plan: its ids, what [`Guid::following`](mos_core::guid::Guid::following)
//! makes of them, and no clock. A file that is there already keeps its data where it is the planned disk, is made whole
//! where it bears no mark yet, and is refused where it is another disk.

mod found;
mod frame;
#[cfg(test)]
mod tests;
mod write;

use self::found::Identity;
use self::frame::Frame;
use self::write::Made;
use super::error::DiskError;
use crate::virtual_disk::{How, ReserveError, physical, reserve};
use groundstate_api::SystemUuid;
use groundstate_api::plan::{VhdFormat, VhdPlan};
use mos_core::vhd::{FOOTER_LEN, Footer};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

/// The file of a VHD: what is done to it goes through this, so that power cuts and full volumes are tried on the same code.
pub(super) trait VhdFile {
    /// Takes the space of `length` bytes; what the file holds stays.
    fn reserve(&self, length: u64) -> Result<How, ReserveError>;
    /// Makes it so long.
    fn set_len(&self, length: u64) -> io::Result<()>;
    /// Writes all of `bytes`.
    fn write_all_at(&self, bytes: &[u8], at: u64) -> io::Result<()>;
    /// Waits until the disk has it.
    fn sync_all(&self) -> io::Result<()>;
    /// Its length and what is allocated, in bytes.
    fn lengths(&self) -> io::Result<(u64, u64)>;
    /// Reads exactly `bytes`.
    fn read_exact_at(&self, bytes: &mut [u8], at: u64) -> io::Result<()>;
    /// In how many pieces it lies, where that can be known.
    fn pieces(&self) -> io::Result<Option<u64>>;
}

impl VhdFile for File {
    fn reserve(&self, length: u64) -> Result<How, ReserveError> {
        reserve(self, length)
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        Self::set_len(self, length)
    }

    fn write_all_at(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        FileExt::write_all_at(self, bytes, at)
    }

    fn sync_all(&self) -> io::Result<()> {
        Self::sync_all(self)
    }

    fn lengths(&self) -> io::Result<(u64, u64)> {
        let found = self.metadata()?;
        Ok((found.len(), found.blocks() * 512))
    }

    fn read_exact_at(&self, bytes: &mut [u8], at: u64) -> io::Result<()> {
        FileExt::read_exact_at(self, bytes, at)
    }

    fn pieces(&self) -> io::Result<Option<u64>> {
        Ok(physical(self)?.map(|found| found.extents))
    }
}

/// A plan has no clock: every footer says 2000-01-01, and the same plan gives the same bytes.
const TIMESTAMP: u32 = 0;

/// Makes the VHDs and tells of each. One that is there already keeps its data and gets what it lacks.
///
/// # Errors
/// [`DiskError::Full`] with bytes needed and available; [`DiskError::NotAllocated`] where the file system promised
/// space that it did not give.
pub fn make_vhds(mount: &Path, vhds: &[VhdPlan]) -> Result<Vec<String>, DiskError> {
    let mut facts = Vec::new();
    for vhd in vhds {
        facts.push(make_vhd(mount, vhd, &|| ())?);
    }
    let folder = File::open(mount).map_err(DiskError::io("opening", mount))?;
    folder
        .sync_all()
        .map_err(DiskError::io("flushing", mount))?;
    Ok(facts)
}

/// Makes one VHD and tells of it. `answers` is called whenever the disk has taken a good part of it.
pub(super) fn make_vhd(
    mount: &Path,
    vhd: &VhdPlan,
    answers: &dyn Fn(),
) -> Result<String, DiskError> {
    let path = mount.join(&vhd.file);
    let unusable = |what: &str| DiskError::Unusable {
        what: what.to_owned(),
        path: path.clone(),
    };
    if vhd.file.contains('/') || vhd.file.starts_with('.') || vhd.file.is_empty() {
        return Err(unusable("file name"));
    }
    let id: SystemUuid = vhd.id.parse().map_err(|_| unusable("VHD id"))?;
    match Frame::of(vhd, id, &path)? {
        Some(frame) => make_framed(&open(&path)?, &path, vhd, id, &frame, answers),
        None => {
            let footer = Footer::new(vhd.size, id.0, TIMESTAMP);
            let footer = footer.map_err(|_| unusable("VHD size"))?;
            make_in(&open(&path)?, &path, vhd, &footer)
        }
    }
}

fn open(path: &Path) -> Result<File, DiskError> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW)
        .open(path)
        .map_err(DiskError::io("making", path))
}

/// Makes the fixed VHD in its open file. What is begun is made whole; what is whole stays as it is.
pub(super) fn make_in(
    file: &dyn VhdFile,
    path: &Path,
    vhd: &VhdPlan,
    footer: &Footer,
) -> Result<String, DiskError> {
    let length = vhd.size.0 + FOOTER_LEN as u64;
    let planned = Identity::planned(vhd, SystemUuid(footer.id));
    // Every byte before the footer is the disk's; only a file without any is too short for one.
    let found = found::found(file, path, &planned, 0)?;
    let how = file
        .reserve(length)
        .map_err(|why| not_reserved(path, why))?;
    file.set_len(length)
        .map_err(DiskError::io("sizing", path))?;
    file.write_all_at(&footer.encode(), vhd.size.0)
        .map_err(DiskError::io("writing", path))?;
    file.sync_all().map_err(DiskError::io("flushing", path))?;
    prove(file, path, length, footer)?;
    let stood = matches!(found, found::Found::Planned(_));
    says(file, path, vhd, &Made { how, stood })
}

/// Makes the virtual disk that has blocks or headers in its open file.
fn make_framed(
    file: &dyn VhdFile,
    path: &Path,
    vhd: &VhdPlan,
    id: SystemUuid,
    frame: &Frame,
    answers: &dyn Fn(),
) -> Result<String, DiskError> {
    let planned = Identity::planned(vhd, id);
    let made = write::make(file, path, &planned, frame, answers)?;
    says(file, path, vhd, &made)
}

/// `vm-0.vhdx 64 GiB dynamic VHDX reserved in 1 piece: set aside, not yet written`.
fn says(file: &dyn VhdFile, path: &Path, vhd: &VhdPlan, made: &Made) -> Result<String, DiskError> {
    let found = file.pieces().map_err(DiskError::io("mapping", path))?;
    let pieces = match found {
        None => String::new(),
        Some(1) => " in 1 piece".to_owned(),
        Some(pieces) => format!(" in {pieces} pieces"),
    };
    let (file, size, kind, format) = (&vhd.file, vhd.size, vhd.kind.as_str(), name(vhd.format));
    let how = if made.stood {
        "it was there and keeps its data"
    } else {
        made.how.says()
    };
    Ok(format!(
        "{file} {size} {kind} {format} reserved{pieces}: {how}"
    ))
}

/// For people.
const fn name(format: VhdFormat) -> &'static str {
    match format {
        VhdFormat::Vhd => "VHD",
        VhdFormat::Vhdx => "VHDX",
    }
}

fn not_reserved(path: &Path, why: ReserveError) -> DiskError {
    match why {
        ReserveError::Full { needed, available } => DiskError::Full {
            path: path.to_path_buf(),
            needed,
            available,
        },
        ReserveError::Io(error) => DiskError::io("reserving", path)(error),
        ReserveError::Unable => {
            DiskError::io("reserving", path)(io::Error::from(io::ErrorKind::Unsupported))
        }
    }
}

/// The file has its length, a block for every byte, and the footer that QEMU will read.
pub(super) fn prove(
    file: &dyn VhdFile,
    path: &Path,
    length: u64,
    footer: &Footer,
) -> Result<(), DiskError> {
    let (found, allocated) = file.lengths().map_err(DiskError::io("sizing", path))?;
    if found != length || allocated < length {
        return Err(DiskError::NotAllocated {
            path: path.to_path_buf(),
            length: found,
            allocated,
        });
    }
    let mut back = [0u8; FOOTER_LEN];
    file.read_exact_at(&mut back, footer.size.0)
        .map_err(DiskError::io("reading back", path))?;
    if Footer::decode(&back).as_ref() == Ok(footer) {
        Ok(())
    } else {
        Err(DiskError::ReadBack {
            path: path.to_path_buf(),
            offset: footer.size.0,
        })
    }
}
