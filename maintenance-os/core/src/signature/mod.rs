// SPDX-License-Identifier: Apache-2.0
//! Recognises by magic what a disk or a partition holds, so that nothing is wiped that nobody named.
//!
//! It reads and never writes, and it is not a format probe for images (those are never guessed): a false name here
//! costs a question, not data. What it does not know but is not blank is `unknown data`.

mod fat;
mod filesystem;
mod firmware_raid;
mod gpt;
mod magic;
mod mbr;
mod member;
mod names;
mod table;
mod window;

pub use gpt::{GptPartition, GptTable, read_gpt, read_gpt_header};
pub use mbr::{MbrPartition, read_mbr};
pub use names::{ALIASES, is_same_name};
pub use table::DAMAGED_GPT;
pub use window::{READ_MAX, Read, Window};

use crate::guard::UNKNOWN_DATA;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use window::is_blank;

/// Something that was recognised in a region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recognised {
    /// Its common name.
    pub what: String,
    /// Its label, where it has one.
    pub label: Option<String>,
    /// Its UUID, as its own tools print it.
    pub uuid: Option<String>,
    /// Whether it is a file system that can be mounted from this region.
    pub is_file_system: bool,
}

impl Recognised {
    pub(crate) fn named(what: &str) -> Self {
        Self {
            what: what.to_string(),
            label: None,
            uuid: None,
            is_file_system: false,
        }
    }

    pub(crate) fn file_system(what: &str, label: Option<String>, uuid: Option<String>) -> Self {
        Self {
            what: what.to_string(),
            label,
            uuid,
            is_file_system: true,
        }
    }
}

/// Everything recognised in a region, in a fixed order. Blank (all zeros or all ones at both ends) is nothing.
///
/// # Errors
/// What the window's reader fails with; a region is never called blank because it could not be read.
pub fn recognise<E>(window: &mut Window<'_, E>) -> Result<Vec<Recognised>, E> {
    let mut found = Vec::new();
    if read_gpt(window)?.is_some() {
        found.push(Recognised::named("gpt"));
    }
    if let Some(fat) = fat::recognise(window)? {
        found.push(fat);
    }
    if let Some(ext) = filesystem::ext(window)? {
        found.push(ext);
    }
    magic::recognise(window, &mut found)?;
    filesystem::recognise(window, &mut found)?;
    let has_boot_sector = found
        .iter()
        .any(|one| BOOT_SECTORS.contains(&one.what.as_str()));
    table::recognise(window, has_boot_sector, &mut found)?;
    member::recognise(window, &mut found)?;
    if !window.is_partition() {
        firmware_raid::recognise(window, &mut found)?;
    }
    if window.is_spent() {
        found.push(Recognised::named(UNKNOWN_DATA));
    }
    if found.is_empty() {
        let (head, tail) = window.ends()?;
        if !is_blank(head) || !is_blank(tail) {
            found.push(Recognised::named(UNKNOWN_DATA));
        }
    }
    Ok(found)
}

/// File systems and volumes whose first sector ends like that of a DOS table.
const BOOT_SECTORS: &[&str] = &["vfat", "ntfs", "exfat", "BitLocker", "ReFS"];

/// The places (first byte and length) of a region of `size` bytes that are looked at and lie neither in its first
/// 5 MiB nor in its last 2 MiB. Whoever wipes a region wipes them too.
pub fn far_places(size: u64) -> impl Iterator<Item = (u64, u64)> {
    const SUPERBLOCK: u64 = 4_096;
    let mirrors = magic::BTRFS_MIRRORS.into_iter();
    mirrors
        .filter(move |at| at.checked_add(SUPERBLOCK).is_some_and(|end| end <= size))
        .map(|at| (at, SUPERBLOCK))
}

#[cfg(test)]
#[allow(clippy::indexing_slicing)] // A test may panic.
mod tests;
