// SPDX-License-Identifier: Apache-2.0
//! How a data volume's XFS is made, and what of it files can use. One place, so that a plan never promises what mkfs.xfs
//! and the kernel do not leave.

use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use groundstate_api::Bytes;
use groundstate_api::units::MIB;

/// The least volume that mkfs.xfs makes is 300 MiB.
pub const XFS_MIN: Bytes = Bytes::mib(302);
/// The log, at the least that mkfs.xfs chooses: the VHDs are laid out once, and then only data is written.
const LOG: u64 = 64 * MIB;
/// What does not grow with the volume: headers of the allocation groups, and the 32 MiB that the kernel holds back so
/// that it can always free space.
const FIXED: u64 = 64 * MIB;

/// What files can use of a volume of this length: all but the log, a 768th for the inode trees that the kernel reserves,
/// and 64 MiB.
#[must_use]
pub const fn xfs_usable(volume: Bytes) -> Bytes {
    let overhead = LOG + volume.0 / 768 + FIXED;
    Bytes(volume.0.saturating_sub(overhead))
}

/// The arguments of mkfs.xfs, without the device.
///
/// Sectors of 4096 bytes, which every disk that we use can write whole, so that the same plan gives the same layout on
/// each. No reflinks and no reverse map: their reservations take space that the VHDs are promised. No stripes are
/// guessed and nothing is discarded: some disks take minutes for it, and the host trims.
#[must_use]
pub fn xfs_arguments(label: &str, uuid: &str) -> Vec<String> {
    let metadata = format!("crc=1,finobt=1,reflink=0,rmapbt=0,uuid={uuid}");
    let log = format!("size={},internal", LOG);
    [
        "-q",
        "-f",
        "-K",
        "-b",
        "size=4096",
        "-s",
        "size=4096",
        "-m",
        &metadata,
        "-d",
        "noalign",
        "-l",
        &log,
        "-L",
        label,
    ]
    .map(|text| text.to_string())
    .to_vec()
}
