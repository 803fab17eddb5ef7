// SPDX-License-Identifier: Apache-2.0
//! Formats the EFI System Partition with crate `fatfs`. Only formats: the kernel's vfat fills it, because the crate's
//! directories do not pass fsck (rafalh/rust-fatfs#99).

use super::error::DiskError;
use crate::medium::{self, Access, Stream};
use fatfs::{FatType, FormatVolumeOptions};
use std::path::Path;

/// Makes a FAT32 file system and tells what was made.
///
/// # Errors
/// [`DiskError`] naming the partition; a label of more than 11 characters or outside `A-Z 0-9 - _` is refused.
pub fn make_esp(
    partition: &Path,
    sector: u32,
    label: &str,
    volume_id: u32,
) -> Result<Vec<String>, DiskError> {
    let unusable = |what: String| DiskError::Unusable {
        what,
        path: partition.to_path_buf(),
    };
    let allowed = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || matches!(c, '-' | '_');
    if label.is_empty() || label.len() > 11 || !label.chars().all(allowed) {
        return Err(unusable(format!("FAT label `{label}`")));
    }
    let mut padded = [b' '; 11];
    for (to, from) in padded.iter_mut().zip(label.bytes()) {
        *to = from;
    }
    let bytes_per_sector =
        u16::try_from(sector).map_err(|_| unusable(format!("sector size {sector}")))?;
    let medium =
        medium::open(partition, Access::Write).map_err(DiskError::io("opening", partition))?;
    let mut stream = Stream::of(medium.as_ref()).map_err(DiskError::io("sizing", partition))?;
    let options = FormatVolumeOptions::new()
        .fat_type(FatType::Fat32)
        .bytes_per_sector(bytes_per_sector)
        .volume_id(volume_id)
        .volume_label(padded);
    fatfs::format_volume(&mut stream, options).map_err(DiskError::io("formatting", partition))?;
    medium
        .flush()
        .map_err(DiskError::io("flushing", partition))?;
    let (high, low) = (volume_id >> 16, volume_id & 0xffff);
    Ok(vec![format!("FAT32 \"{label}\" {high:04X}-{low:04X}")])
}
