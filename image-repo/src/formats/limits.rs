// SPDX-License-Identifier: Apache-2.0
//! Limits of what is taken, each with its unit and its reason. `--max-size` puts another number in the place of the first,
//! and lifts those that guard against a bomb: who states a size knows what comes.

use groundstate_api::Bytes;

/// The largest image: the largest disk that is sold has a few times this less, and a claim of 16 EiB is none.
pub const SIZE_MAX: Bytes = Bytes::gib(16 * 1024);
/// The most that a stream is spooled to where its format has to be read at any place.
pub const SPOOL_MAX: Bytes = Bytes::gib(256);
/// The most zeros that a compressed stream begins with. Whatever a disk holds, a partition table or a file system stands
/// in its first MiB, or in its last; a stream of nothing but zeros is a bomb or an empty disk.
pub const LEADING_ZEROS_MAX: Bytes = Bytes::mib(256);
/// A compressed stream is held against [`DATA_RATIO_MAX`] once it has given so many bytes that are not zero.
pub const DATA_FLOOR: Bytes = Bytes::gib(1);
/// The most bytes that are not zero (in blocks of 4 KiB) from one byte of a compressed stream. Text makes 10, logs 50; a
/// pattern that repeats for ever makes 1,000 in gzip and 30,000 in zstd. Zeros do not count: they take no space.
pub const DATA_RATIO_MAX: u64 = 500;
/// The largest window of a zstd frame, as a power of two: 128 MiB, what `zstd -d` takes without `--long=31`.
pub const ZSTD_WINDOW_LOG_MAX: u32 = 27;
/// The largest window of a compressed cluster, as a power of two: clusters have 2 MiB at most.
pub const CLUSTER_WINDOW_LOG_MAX: u32 = 23;
/// The most memory for an .xz decoder, in KiB: a dictionary of 128 MiB, twice that of `xz -9`.
pub const XZ_MEMORY_MAX_KIB: u32 = (128 + 2) * 1024;
/// How many zeros are told at once where a stream is read, so that progress is seen.
pub(super) const ZEROS_AT_ONCE: u64 = 64 << 20;
