// SPDX-License-Identifier: Apache-2.0
//! Why a file is not read as qcow2, a variant per cause. Offsets and lengths are in bytes of the file.

use crate::disk_file::ReadError;
use alloc::string::String;

/// Why a file is not read as qcow2.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)] // The message of each variant says what its fields are.
pub enum Qcow2Error {
    #[error(transparent)]
    Read(#[from] ReadError),

    // The header.
    #[error("no `QFI\\xfb` at byte 0: it is not qcow2")]
    NotQcow2,
    #[error("the file of {len} bytes ends within the header of {header} bytes: it is cut off")]
    ShortHeader { len: u64, header: u32 },
    #[error("version {version} at byte 4 is neither 2 nor 3")]
    Version { version: u32 },
    #[error("cluster_bits {bits} at byte 20 is not from 9 to 21")]
    ClusterBits { bits: u32 },
    #[error("header_length {length} at byte 100 is not a multiple of 8 from 104 to 4096")]
    HeaderLength { length: u32 },
    #[error("refcount_order {order} at byte 96 is above 6")]
    RefcountOrder { order: u32 },
    #[error(
        "it has a backing file, {name:?} (header, byte 8); only an image that is whole in itself is taken. Flatten it: qemu-img convert -O qcow2"
    )]
    BackingFile { name: String },
    #[error(
        "its data are in another file, {name:?} (incompatible feature 2); only an image that is whole in itself is taken"
    )]
    DataFile { name: String },
    #[error(
        "it is encrypted (method {method} at byte 32: {name}); the repository has no key; decrypt it first: qemu-img convert --object secret,… --image-opts …"
    )]
    Encrypted { method: u32, name: &'static str },
    #[error("it is marked as corrupt (incompatible feature 1); repair it: qemu-img check -r all")]
    Corrupt,
    #[error("incompatible feature {bit} ({name}) at byte 72 is not known")]
    Feature { bit: u32, name: String },
    #[error(
        "compression type {kind} at byte 104 does not go with incompatible feature 3, which is {flag}"
    )]
    CompressionFlag { kind: u8, flag: &'static str },
    #[error("compression type {kind} at byte 104 is neither zlib (0) nor zstd (1)")]
    Compression { kind: u8 },
    #[error(
        "extended second-level entries (incompatible feature 4) need clusters of 16 KiB; these have {cluster} bytes"
    )]
    SmallSubclusters { cluster: u64 },
    #[error(
        "the header extension {kind:#010x} at byte {at} says {length} bytes and leaves the first cluster"
    )]
    Extension { kind: u32, at: u64, length: u32 },
    #[error("size {size} at byte 24 is not a multiple of 512")]
    UnevenSize { size: u64 },
    #[error(
        "the backing file's name at byte {at} has {length} bytes; 1023 are the most, within the first cluster"
    )]
    BackingName { at: u64, length: u32 },

    // Tables.
    #[error(
        "the disk is said to have {size} bytes (byte 24); clusters of {cluster} bytes need a first-level table of {needs} bytes for it, and 32 MiB are the most"
    )]
    TooLarge { size: u64, cluster: u64, needs: u64 },
    #[error(
        "the first-level table has {entries} entries (byte 36); a disk of {size} bytes needs {needs}"
    )]
    L1TooSmall { entries: u32, size: u64, needs: u64 },
    #[error("the first-level table has {entries} entries (byte 36); 4194304 (32 MiB) are the most")]
    L1TooLarge { entries: u32 },
    #[error(
        "the first-level table of {length} bytes at byte {at} does not lie within the file of {len} bytes"
    )]
    L1Outside { at: u64, length: u64, len: u64 },
    #[error("the {what} at byte {at} does not begin at a multiple of the cluster, {cluster} bytes")]
    Unaligned {
        what: &'static str,
        at: u64,
        cluster: u64,
    },
    #[error(
        "the reference count table of {clusters} clusters at byte {at} does not lie within the file of {len} bytes"
    )]
    RefcountOutside { at: u64, clusters: u32, len: u64 },
    #[error("the file has {clusters} clusters; 268435456 are the most")]
    TooManyClusters { clusters: u64 },
    #[error("first-level entry {entry} is {value:#018x}: reserved bits are set")]
    L1Reserved { entry: u64, value: u64 },
    #[error(
        "the second-level table {entry} at byte {at} does not lie within the file of {len} bytes"
    )]
    L2Outside { entry: u64, at: u64, len: u64 },
    #[error(
        "the entry of the cluster at byte {guest} of the disk is {value:#018x}: reserved bits are set"
    )]
    L2Reserved { guest: u64, value: u64 },
    #[error(
        "the cluster at byte {guest} of the disk is said to be at byte {at}, not within the file of {len} bytes"
    )]
    ClusterOutside { guest: u64, at: u64, len: u64 },
    #[error(
        "the cluster at byte {guest} of the disk is said to be compressed into {length} bytes at byte {at}, not within the file of {len} bytes"
    )]
    PackedOutside {
        guest: u64,
        at: u64,
        length: u64,
        len: u64,
    },
    #[error(
        "the subclusters at byte {guest} of the disk are {bitmap:#018x}, which contradicts itself or the entry"
    )]
    Subclusters { guest: u64, bitmap: u64 },
    #[error(
        "the {what} at byte {at} lies on bytes that something else claims: two places share them"
    )]
    Overlap { what: &'static str, at: u64 },

    // Asking.
    #[error("byte {at} lies beyond the disk of {size} bytes")]
    BeyondEnd { at: u64, size: u64 },
}
