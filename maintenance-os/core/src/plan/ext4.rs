// SPDX-License-Identifier: Apache-2.0
//! How a data volume's ext4 is made, and what of it files can use. One place, so that a plan never promises what
//! mke2fs does not leave.

use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use groundstate_api::Bytes;
use groundstate_api::units::MIB;

/// Bytes per inode: a data volume holds few, large files. mke2fs' default of 16 KiB would spend 1.6 % on inodes.
const BYTES_PER_INODE: u64 = 256 * 1_024;
/// What does not grow with the volume: boot block, root directory, lost+found, extents of the VHDs.
const FIXED: u64 = 16 * MIB;

/// Length of the journal of a volume of this length.
#[must_use]
pub const fn ext4_journal(volume: Bytes) -> Bytes {
    if volume.0 < Bytes::gib(1).0 {
        Bytes::mib(4)
    } else if volume.0 < Bytes::gib(8).0 {
        Bytes::mib(16)
    } else {
        Bytes::mib(64)
    }
}

/// What files can use of a volume of this length: all but the journal, a 512th for inode tables, bitmaps and
/// descriptors, and 16 MiB.
#[must_use]
pub const fn ext4_usable(volume: Bytes) -> Bytes {
    let overhead = ext4_journal(volume).0 + volume.0 / 512 + FIXED;
    Bytes(volume.0.saturating_sub(overhead))
}

/// The arguments of mke2fs, without the device.
///
/// Nothing is reserved for root, and no room for growing online: a disk does not grow. Inode tables are zeroed later
/// by the host's kernel, which is safe because they carry checksums; the journal is zeroed now, because an old
/// journal's blocks could be taken for new ones. No discard: some disks take minutes for it, and the host trims.
#[must_use]
pub fn ext4_arguments(volume: Bytes, label: &str, uuid: &str) -> Vec<String> {
    let journal = format!("size={}", ext4_journal(volume).0 / MIB);
    let inodes = BYTES_PER_INODE.to_string();
    let extended = format!("lazy_itable_init=1,lazy_journal_init=0,nodiscard,hash_seed={uuid}");
    [
        "-q",
        "-F",
        "-t",
        "ext4",
        "-b",
        "4096",
        "-m",
        "0",
        "-O",
        "^resize_inode",
        "-i",
        &inodes,
        "-J",
        &journal,
        "-E",
        &extended,
        "-L",
        label,
        "-U",
        uuid,
    ]
    .map(|text| text.to_string())
    .to_vec()
}
