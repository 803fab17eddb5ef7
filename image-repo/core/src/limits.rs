// SPDX-License-Identifier: Apache-2.0
//! Limits of images, each with its unit and its reason.

use groundstate_api::limits::{CHUNK_SIZE, CHUNK_SIZE_MAX};
use groundstate_api::units::{Bytes, Millis};

/// The largest manifest the repository holds: [`groundstate_api::limits::CHUNKS_MAX`] chunks of under 300 bytes each.
pub const MANIFEST_MAX: Bytes = Bytes::mib(80);
/// The largest manifest a node reads, because PID 1 lives in 64 MiB: about 30,000 chunks, 120 GiB of data.
pub const MANIFEST_NODE_MAX: Bytes = Bytes::mib(8);
/// The most chunks of an image for a node: so many rows of 180 bytes are under [`MANIFEST_NODE_MAX`].
pub const CHUNKS_NODE_MAX: u64 = 44_000;
/// What a stream is taken to expand to where it does not say: a host image.
pub const SIZE_EXPECTED: Bytes = Bytes::gib(8);
/// The largest blob: an initial RAM file system with every driver stays under 200 MiB.
pub const BLOB_MAX: Bytes = Bytes::mib(256);
/// The smallest chunk size, so that the manifest stays small beside the data.
pub const CHUNK_SIZE_MIN: Bytes = Bytes(64 * 1024);
/// The longest command line in bytes: Linux on x86 takes 2,048, and `root=` and console options are added to it.
pub const CMDLINE_MAX: usize = 1_536;
/// The longest path of a boot loader on an EFI system partition, in bytes; those that are in use are under 60.
pub const LOADER_PATH_MAX: usize = 255;
/// The longest name or version in bytes: it becomes a file name and a word on an 80-column screen.
pub const NAME_MAX: usize = 64;
/// How often a corrupt chunk is asked for again. A memory or cable error does not come four times at the same place.
pub const CORRUPT_REFETCHES_MAX: u32 = 3;
/// The first pause after a network fault.
pub const RETRY_FIRST: Millis = Millis(500);
/// The longest pause between two questions while the server is away: a person who restarts it should see the effect.
pub const RETRY_MAX: Millis = Millis::secs(8);

/// The chunk size of an image of `size` bytes, where nobody says another: small chunks for a small update, and doubled
/// until the manifest of a full image fits a node. `None`: not known before the end.
#[must_use]
pub fn chunk_size_of(size: Option<Bytes>) -> Bytes {
    let mut chunk_size = CHUNK_SIZE;
    let size = size.unwrap_or(SIZE_EXPECTED);
    while size.0.div_ceil(chunk_size.0) > CHUNKS_NODE_MAX && chunk_size < CHUNK_SIZE_MAX {
        chunk_size = Bytes(chunk_size.0 * 2);
    }
    chunk_size
}

/// zstd's level where nobody says another. Of chunks of 256 KiB level 9 makes 6 % less in 7 times the time, and what level
/// 3 makes is also decompressed fastest: a node waits for its disk, not for the wire. Measured in `image-repo/README.md`.
pub const LEVEL: i32 = 3;
/// The lowest level.
pub const LEVEL_MIN: i32 = 1;
/// The highest level: those above need hundreds of MiB on the reader's side, too.
pub const LEVEL_MAX: i32 = 19;

/// The longest that zstd makes `length` bytes (`ZSTD_compressBound`): nothing longer can be an honest chunk.
#[must_use]
pub const fn stored_max(length: Bytes) -> Bytes {
    Bytes(length.0 + (length.0 >> 8) + 64)
}
