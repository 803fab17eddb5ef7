// SPDX-License-Identifier: Apache-2.0
//! Why bytes are not a VHDX, why a part of one cannot be read, and why one cannot be made.

use alloc::string::String;

use groundstate_api::Bytes;
use thiserror::Error;

use crate::guid::Guid;

/// Why one of two copies of a structure does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum CopyFault {
    /// It does not begin with its signature.
    #[error("has no signature")]
    Signature,
    /// CRC-32C differs.
    #[error("says checksum {said:08x} while its bytes have {sum:08x}")]
    Checksum {
        /// In the structure.
        said: u32,
        /// Of its bytes.
        sum: u32,
    },
}

/// Reading or writing failed, or what was read is refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Failure<E> {
    /// The file could not be read.
    #[error("reading {len} bytes at {at}: {why}")]
    Read {
        /// Offset in the file.
        at: u64,
        /// Bytes.
        len: u64,
        /// The source's own error.
        why: E,
    },
    /// The file could not be written.
    #[error("writing {len} bytes at {at}: {why}")]
    Write {
        /// Offset in the file.
        at: u64,
        /// Bytes.
        len: u64,
        /// The target's own error.
        why: E,
    },
    /// What was written could not be made durable.
    #[error("making what was written durable: {why}")]
    Flush {
        /// The target's own error.
        why: E,
    },
    /// The bytes, or the request, are refused.
    #[error(transparent)]
    Refused(#[from] VhdxError),
}

/// A cause of refusal. Offsets and lengths are in bytes of the file unless said otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[allow(missing_docs)] // The message of each variant says what its fields are.
pub enum VhdxError {
    // The whole file and its headers.
    #[error("a file of {len} bytes is shorter than a VHDX's first 1 MiB")]
    TooShort { len: u64 },
    #[error("a file of {} is longer than any VHDX (128 TiB)", Bytes(*len))]
    TooLong { len: u64 },
    #[error("no `vhdxfile` at the file's start")]
    NotVhdx,
    #[error("neither header counts: the first {first}, the second {second}")]
    NoHeader { first: CopyFault, second: CopyFault },
    #[error("both headers have sequence number {sequence} and differ; neither is the newer one")]
    HeadersDisagree { sequence: u64 },
    #[error("VHDX version {version} is not 1")]
    Version { version: u16 },

    // The log.
    #[error("log version {version} is not 0")]
    LogVersion { version: u16 },
    #[error(
        "the log of {len} bytes at {at} is not within the file in steps of 1 MiB, after the headers"
    )]
    LogPlace { at: u64, len: u64 },
    #[error("a log of {} has to be replayed; at most 64 MiB are", Bytes(*len))]
    LogTooLong { len: u64 },
    #[error("log {id} has to be replayed and has no whole sequence of entries: the file was damaged", id = .id.lower())]
    LogBroken { id: Guid },
    #[error("the log replays more than 65,536 descriptors")]
    LogDescriptors,
    #[error("the log's entries overlap each other in a way that no writer makes")]
    LogTangled,
    #[error("the log writes {len} bytes at {at}, which are not the log's to write")]
    LogTarget { at: u64, len: u64 },
    #[error(
        "the log was written when the file had {flushed} bytes; it has {len}: the file was cut off"
    )]
    LogTruncated { flushed: u64, len: u64 },

    // Regions.
    #[error("neither region table counts: the first {first}, the second {second}")]
    NoRegionTable { first: CopyFault, second: CopyFault },
    #[error("{count} regions are more than 2,047")]
    RegionCount { count: u32 },
    #[error("region {id} is listed twice", id = .id.lower())]
    RegionTwice { id: Guid },
    #[error("region {id} must be understood and is not known", id = .id.lower())]
    RegionUnknown { id: Guid },
    #[error("there is no {what} region")]
    RegionMissing { what: &'static str },
    #[error("region {id} of {len} bytes at {at} is not within the file in steps of 1 MiB, after the headers", id = .id.lower())]
    RegionPlace { id: Guid, at: u64, len: u64 },
    #[error("two regions, or a region and the log, overlap at {at}")]
    RegionsOverlap { at: u64 },

    // Metadata.
    #[error("no `metadata` at the start of the metadata region")]
    NoMetadata,
    #[error("{count} metadata items are more than 2,047")]
    MetadataCount { count: u16 },
    #[error("metadata item {id} is listed twice", id = .id.lower())]
    MetadataTwice { id: Guid },
    #[error("metadata item {id} must be understood and is not known", id = .id.lower())]
    MetadataUnknown { id: Guid },
    #[error("there is no {what} among the metadata")]
    MetadataMissing { what: &'static str },
    #[error("metadata item {id} of {len} bytes at {offset} is not within the metadata region, after its table", id = .id.lower())]
    MetadataPlace { id: Guid, offset: u32, len: u32 },
    #[error("two metadata items overlap at {offset} in the metadata region")]
    MetadataOverlap { offset: u32 },
    #[error("the {what} has {len} bytes instead of {wanted}")]
    MetadataLength {
        what: &'static str,
        len: u32,
        wanted: u32,
    },
    #[error("a block of {bytes} bytes is not a power of two from 1 MiB to 256 MiB")]
    BlockSize { bytes: u64 },
    #[error("a sector of {bytes} bytes is neither 512 nor 4096")]
    SectorSize { bytes: u32 },
    #[error(
        "a disk of {} bytes is not a multiple of its sectors of {sector} bytes, from one sector to 64 TiB",
        size.0
    )]
    DiskSize { size: Bytes, sector: u64 },
    #[error("a block table of {len} bytes is too short for {entries} entries")]
    TableTooShort { entries: u64, len: u64 },

    // Parent locator.
    #[error("parent locator type {id} is not VHDX", id = .id.lower())]
    LocatorType { id: Guid },
    #[error("{count} pairs in the parent locator are more than 64")]
    LocatorPairs { count: u16 },
    #[error("pair {pair} of the parent locator lies outside it or is not text")]
    LocatorPair { pair: u16 },
    #[error("the parent locator says `{key}` twice")]
    LocatorTwice { key: String },
    #[error("the parent locator has no `parent_linkage` that is a GUID")]
    LocatorLinkage,
    #[error("the parent locator does not fit into its metadata")]
    LocatorTooLong,

    // Reading.
    #[error("{len} bytes at {at} of the disk lie beyond its {size} bytes")]
    BeyondDisk { at: u64, len: u64, size: u64 },
    #[error("block {block} has state {state}, which the format does not have")]
    BlockState { block: u64, state: u8 },
    #[error("block {block} is said to be at {at}, outside the file or upon its structures")]
    BlockPlace { block: u64, at: u64 },
    #[error("block {block} is partly the parent's and the disk has none")]
    PartialWithoutParent { block: u64 },
    #[error("block {block} is partly the parent's and sector bitmap {chunk} is not present")]
    BitmapMissing { block: u64, chunk: u64 },
    #[error("sector bitmap {chunk} is said to be at {at}, outside the file or upon its structures")]
    BitmapPlace { chunk: u64, at: u64 },
    #[error("the disk at {at} is its parent's and the parent is not attached")]
    ParentAbsent { at: u64 },

    // Attaching a parent.
    #[error("the disk has no parent")]
    ParentNotWanted,
    #[error("the disk's parent is {wanted}; this one is {found}: it was changed after the disk was made, or is another", wanted = .wanted.lower(), found = .found.lower())]
    ParentOther { wanted: Guid, found: Guid },
    #[error("the parent has sectors of {parent} bytes and the disk of {disk}")]
    ParentSector { disk: u32, parent: u32 },
    #[error("more than 32 disks hang on each other")]
    ChainTooLong,

    // Making.
    #[error("the creator's name has {units} UTF-16 units; at most 256 fit")]
    CreatorTooLong { units: usize },
    #[error(
        "bytes at {at} of the disk come after bytes up to {end}; a new disk is written from its start to its end"
    )]
    Backwards { at: u64, end: u64 },
}
