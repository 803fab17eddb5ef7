// SPDX-License-Identifier: Apache-2.0
//! Why a file is not read as VMDK, a variant per cause. Offsets and lengths are in bytes of the file unless said otherwise.

use crate::disk_file::ReadError;
use alloc::string::String;

/// Why a file is not read as VMDK.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)] // The message of each variant says what its fields are.
pub enum VmdkError {
    #[error(transparent)]
    Read(#[from] ReadError),

    // The header.
    #[error("neither `KDMV` nor `# Disk DescriptorFile` at byte 0: it is not VMDK")]
    NotVmdk,
    #[error(
        "it is a delta disk or thin disk of ESX ({mark}); export it: ovftool, or vmkfstools -d 2gbsparse"
    )]
    Esx { mark: &'static str },
    #[error("the file of {len} bytes ends within the header of 512 bytes: it is cut off")]
    ShortHeader { len: u64 },
    #[error("version {version} at byte 4 is not from 1 to 3")]
    Version { version: u32 },
    #[error("flags {flags:#010x} at byte 8 have bits that are not known: {unknown:#010x}")]
    Flags { flags: u32, unknown: u32 },
    #[error(
        "the line ends at byte 73 are {found:02x?} and not 0a 20 0d 0a: the file was transferred as text and is damaged"
    )]
    LineEnds { found: [u8; 4] },
    #[error(
        "compression {found} at byte 77 does not go with the flags {flags:#010x}, or is not known"
    )]
    Compression { found: u16, flags: u32 },
    #[error("a grain of {sectors} sectors (byte 20) is not a power of two from 8 to 32768")]
    Grain { sectors: u64 },
    #[error("{entries} entries in a grain table (byte 44) are not from 1 to 512")]
    TableEntries { entries: u32 },
    #[error("the disk has {sectors} sectors (byte 12), which no directory of 16 MiB can hold")]
    TooLarge { sectors: u64 },
    #[error(
        "the file has no footer at byte {at}, though its header says so: it is cut off, or something was appended"
    )]
    NoFooter { at: u64 },
    #[error("header and footer differ in {what}")]
    FooterDiffers { what: &'static str },

    // The descriptor.
    #[error(
        "the descriptor of {length} bytes at byte {at} does not lie within the file of {len} bytes, or is above 1 MiB"
    )]
    DescriptorPlace { at: u64, length: u64, len: u64 },
    #[error("the file has no descriptor; the disk's first file has it")]
    NoDescriptor,
    #[error("the descriptor is not text")]
    DescriptorText,
    #[error("line {line} of the descriptor is neither a value nor an extent: {text:?}")]
    Line { line: usize, text: String },
    #[error("the descriptor has no {what}")]
    Missing { what: &'static str },
    #[error("the descriptor says `{key}` twice")]
    Twice { key: String },
    #[error(
        "createType {found:?} is not taken; monolithicSparse, streamOptimized, monolithicFlat, twoGbMaxExtentSparse, twoGbMaxExtentFlat and vmfs are. Convert it: qemu-img convert -O vmdk"
    )]
    CreateType { found: String },
    #[error(
        "it hangs on a parent (parentCID {cid}, {name:?}); only a disk that is whole in itself is taken. Consolidate the snapshots first"
    )]
    Parent { cid: String, name: String },
    #[error(
        "it is encrypted (`{key}` in the descriptor); the repository has no key; decrypt it first where it was made"
    )]
    Encrypted { key: String },
    #[error("the disk has {count} extents; {wanted}")]
    Extents { count: usize, wanted: &'static str },
    #[error("extent {number} is of type {kind:?}, which does not go with createType {create:?}")]
    ExtentKind {
        number: usize,
        kind: String,
        create: String,
    },
    #[error("extent {number} is of type {kind:?}; FLAT, VMFS, SPARSE and ZERO are taken")]
    ExtentType { number: usize, kind: String },
    #[error("extent {number} may not be accessed: it says {access:?}")]
    Access { number: usize, access: String },
    #[error(
        "extent {number} lies in {name:?}, which is not a plain file name beside the descriptor; no other path is opened"
    )]
    ExtentName { number: usize, name: String },
    #[error("extents {first} and {second} both name {name:?}")]
    ExtentTwice {
        first: usize,
        second: usize,
        name: String,
    },
    #[error("the extents have more bytes than 64 bits count")]
    ExtentSum,
    #[error("the extent is said to have {said} sectors, and its header says {found}")]
    ExtentSize { said: u64, found: u64 },

    // Tables.
    #[error(
        "the {what} of {length} bytes at byte {at} does not lie within the file of {len} bytes"
    )]
    Outside {
        what: &'static str,
        at: u64,
        length: u64,
        len: u64,
    },
    #[error(
        "the {what} at byte {at} lies on bytes that something else claims: two places share them"
    )]
    Overlap { what: &'static str, at: u64 },
    #[error("the file has more than 33554432 grains")]
    TooManyGrains,
    #[error(
        "the grain at byte {at} says it is sector {found} of the disk; the table says {wanted}"
    )]
    GrainMarker { at: u64, found: u64, wanted: u64 },
    #[error(
        "the grain at byte {at} says {length} compressed bytes, above {most} or beyond the file's end"
    )]
    GrainLength { at: u64, length: u64, most: u64 },

    // Asking.
    #[error("byte {at} lies beyond the disk of {size} bytes")]
    BeyondEnd { at: u64, size: u64 },
}
