// SPDX-License-Identifier: Apache-2.0
//! Every limit of a VHDX, the format's and ours, with its unit and its reason.

use groundstate_api::units::{GIB, MIB};

/// Bytes: the largest virtual disk ([MS-VHDX] 2.6.2.2).
pub const SIZE_MAX: u64 = 64 * 1024 * GIB;
/// Bytes: the smallest payload block ([MS-VHDX] 2.6.2.1).
pub const BLOCK_MIN: u64 = MIB;
/// Bytes: the largest payload block ([MS-VHDX] 2.6.2.1).
pub const BLOCK_MAX: u64 = 256 * MIB;
/// Bytes: the longest file. The largest disk, its table and its bitmaps take under 65 TiB; what is longer is not a
/// VHDX that anything has written, and the check's memory grows with the file.
pub const FILE_MAX: u64 = 128 * 1024 * GIB;
/// Entries of a region table ([MS-VHDX] 2.2.3.1).
pub const REGIONS_MAX: u32 = 2047;
/// Entries of the metadata table ([MS-VHDX] 2.6.1.1).
pub const METADATA_MAX: u16 = 2047;
/// Bytes of one metadata item ([MS-VHDX] 2.6.1.2).
pub const ITEM_MAX: u64 = MIB;
/// Bytes of a log that has to be replayed, which is held in memory. Hyper-V and QEMU make logs of 1 MiB.
pub const LOG_MAX: u64 = 64 * MIB;
/// Descriptors of all entries that are replayed; each costs a place in memory. A log of [`LOG_MAX`] has 16,384 sectors.
pub const LOG_DESCRIPTORS_MAX: u32 = 65_536;
/// Pairs of a parent locator. Hyper-V writes five; each may hold 128 KiB.
pub const LOCATOR_PAIRS_MAX: u16 = 64;
/// Disks in a chain of differencing disks; reading recurses once for each.
pub const CHAIN_MAX: u32 = 32;
/// Bytes of one window of a block table or a sector bitmap in memory.
pub const WINDOW: u64 = 64 * 1024;
/// Windows in memory at once: 4 MiB, a table for 16 TiB in blocks of 32 MiB.
pub const WINDOWS_MAX: usize = 64;
/// Faults that a check lists; it then says that there are more and stops.
pub const FAULTS_MAX: usize = 1_000;
/// Bytes of a block table that a new disk gets where its maker does not choose the block size.
pub const TABLE_MAX: u64 = 16 * MIB;
/// Characters (UTF-16 units) of the name of the creator ([MS-VHDX] 2.2.1).
pub const CREATOR_MAX: usize = 256;

/// Bytes of the header section; everything after it begins at a multiple of it ([MS-VHDX] 2.2).
pub(super) const SECTION: u64 = MIB;
