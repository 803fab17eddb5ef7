// SPDX-License-Identifier: Apache-2.0
//! Limits of a qcow2 file, each with its unit and its reason.

/// The smallest cluster, as a power of two: 512 bytes (the format's).
pub const CLUSTER_BITS_MIN: u32 = 9;
/// The largest cluster, as a power of two: 2 MiB (QEMU's `MAX_CLUSTER_BITS`).
pub const CLUSTER_BITS_MAX: u32 = 21;
/// Bytes of the first-level table: QEMU's `QCOW_MAX_L1_SIZE`. With clusters of 64 KiB that is a disk of 2 PiB.
pub const L1_MAX: u64 = 32 << 20;
/// Bytes of a header: version 3 has 112, and what is longer than this was not made by anybody.
pub const HEADER_MAX: u32 = 4_096;
/// Bytes of the name of a backing file or a data file (the format's).
pub const NAME_MAX: u32 = 1_023;
/// Clusters of the file: for each there are two bits in memory while it is opened, 64 MiB at most. A file of clusters of
/// 64 KiB may have 16 TiB, one of 512 bytes 128 GiB.
pub const CLUSTERS_MAX: u64 = 1 << 28;
/// The longest stretch that is told at once, in second-level tables: bounded work for each question.
pub const TABLES_A_STRETCH: u32 = 4_096;
/// Bytes of data that are told at once: what follows is asked for when these have been read.
pub const DATA_A_STRETCH: u64 = 4 << 20;
