// SPDX-License-Identifier: Apache-2.0
//! Reserves the space of fixed VHDs on a mounted volume and writes their footers.

use super::error::DiskError;
use groundstate_api::SystemUuid;
use groundstate_api::plan::VhdPlan;
use mos_core::vhd::{FOOTER_LEN, Footer};
use rustix::fs::{FallocateFlags, fallocate, fstatvfs};
use rustix::io::Errno;
use std::fs::{File, OpenOptions};
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
    let had = file
        .metadata()
        .map_err(DiskError::io("sizing", &path))?
        .blocks()
        * 512;
    reserve(&file, &path, length, had)?;
    file.set_len(length)
        .map_err(DiskError::io("sizing", &path))?;
    file.write_all_at(&footer.encode(), vhd.size.0)
        .map_err(DiskError::io("writing", &path))?;
    file.sync_all().map_err(DiskError::io("flushing", &path))?;
    prove(&file, &path, length, &footer)?;
    Ok(format!("{} {} reserved", vhd.file, vhd.size))
}

fn reserve(file: &File, path: &Path, length: u64, had: u64) -> Result<(), DiskError> {
    let failed = |errno: Errno| DiskError::io("reserving", path)(errno.into());
    let volume = fstatvfs(file).map_err(failed)?;
    let (needed, available) = (
        length.saturating_sub(had),
        volume.f_bavail * volume.f_frsize,
    );
    let full = || DiskError::Full {
        path: path.to_path_buf(),
        needed,
        available,
    };
    // Asked first: a reservation that fails half-way has filled the volume.
    if needed > available {
        return Err(full());
    }
    match fallocate(file, FallocateFlags::empty(), 0, length) {
        Ok(()) => Ok(()),
        Err(Errno::NOSPC) => Err(full()),
        Err(errno) => Err(failed(errno)),
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
