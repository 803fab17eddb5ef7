// SPDX-License-Identifier: Apache-2.0
//! Limits of a VMDK, each with its unit and its reason.

/// Sectors of the smallest grain: 4 KiB.
pub const GRAIN_MIN: u64 = 8;
/// Sectors of the largest grain, 16 MiB: a grain is decompressed in memory. All programs make grains of 64 KiB.
pub const GRAIN_MAX: u64 = 32_768;
/// Entries of a grain table (the format's, and QEMU's limit).
pub const TABLE_ENTRIES_MAX: u32 = 512;
/// Entries of the grain directory: 16 MiB. With the usual grains that is a disk of 128 TiB.
pub const DIRECTORY_MAX: u64 = 4 << 20;
/// Grains in one file: each costs 4 bytes in memory while it is opened, 128 MiB in all. With grains of 64 KiB these are
/// the 2 TiB that a table can address.
pub const GRAINS_MAX: usize = 32 << 20;
/// Bytes of a descriptor; one of a disk of 16 TiB in files of 2 GiB has half a MiB.
pub const DESCRIPTOR_MAX: u64 = 1 << 20;
/// Files of one disk: 16 TiB in files of 2 GiB.
pub const EXTENTS_MAX: usize = 8_192;
/// The longest stretch without data that is told at once, in grain tables: bounded work for each question.
pub const TABLES_A_STRETCH: u32 = 4_096;
/// Bytes of data that are told at once: what follows is asked for when these have been read.
pub const DATA_A_STRETCH: u64 = 4 << 20;
