// SPDX-License-Identifier: Apache-2.0
//! Reserves the space of fixed VHDs on a mounted volume and writes their footers.

use super::error::DiskError;
use crate::virtual_disk::{ReserveError, physical, reserve};
use groundstate_api::SystemUuid;
use groundstate_api::plan::VhdPlan;
use mos_core::vhd::{FOOTER_LEN, Footer};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

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
        facts.push(make_vhd(mount, vhd)?);
    }
    let folder = File::open(mount).map_err(DiskError::io("opening", mount))?;
    folder
        .sync_all()
        .map_err(DiskError::io("flushing", mount))?;
    Ok(facts)
}

pub(super) fn make_vhd(mount: &Path, vhd: &VhdPlan) -> Result<String, DiskError> {
    let path = mount.join(&vhd.file);
    let unusable = |what: &str| DiskError::Unusable {
        what: what.to_owned(),
        path: path.clone(),
    };
    if vhd.file.contains('/') || vhd.file.starts_with('.') || vhd.file.is_empty() {
        return Err(unusable("file name"));
    }
    let id: SystemUuid = vhd.id.parse().map_err(|_| unusable("VHD id"))?;
    let footer = Footer::new(vhd.size, id.0, TIMESTAMP).map_err(|_| unusable("VHD size"))?;
    let length = vhd.size.0 + FOOTER_LEN as u64;
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW)
        .open(&path)
        .map_err(DiskError::io("making", &path))?;
    let how = reserve(&file, length).map_err(|why| not_reserved(&path, why))?;
    file.set_len(length)
        .map_err(DiskError::io("sizing", &path))?;
    file.write_all_at(&footer.encode(), vhd.size.0)
        .map_err(DiskError::io("writing", &path))?;
    file.sync_all().map_err(DiskError::io("flushing", &path))?;
    prove(&file, &path, length, &footer)?;
    let found = physical(&file).map_err(DiskError::io("mapping", &path))?;
    let pieces = match found.map(|found| found.extents) {
        None => String::new(),
        Some(1) => " in 1 piece".to_owned(),
        Some(pieces) => format!(" in {pieces} pieces"),
    };
    let (name, size, how) = (&vhd.file, vhd.size, how.says());
    Ok(format!("{name} {size} reserved{pieces}: {how}"))
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
fn prove(file: &File, path: &Path, length: u64, footer: &Footer) -> Result<(), DiskError> {
    let found = file.metadata().map_err(DiskError::io("sizing", path))?;
    let allocated = found.blocks() * 512;
    if found.len() != length || allocated < length {
        return Err(DiskError::NotAllocated {
            path: path.to_path_buf(),
            length: found.len(),
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
