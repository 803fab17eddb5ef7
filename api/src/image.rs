// SPDX-License-Identifier: Apache-2.0
//! The image manifest: what the image is, so that no reader ever guesses.

use crate::digest::Digest;
use crate::units::Bytes;
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The schema number of a manifest. 1 had neither Merkle root nor kinds of boot; such images are imported again.
pub const MANIFEST_SCHEMA: u32 = 2;

/// What kind of image the chunks make up.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ImageKind {
    /// A raw ext4 file system that is written into the root partition and then grown.
    #[default]
    RootFsExt4,
    /// The bytes of a whole disk, from its first sector on: partition table, boot loader and all.
    WholeDisk,
}

impl ImageKind {
    /// Whether it goes into a partition that the node makes.
    #[must_use]
    pub fn is_root_fs(&self) -> bool {
        *self == Self::RootFsExt4
    }
}

/// What an image was imported from. It is stated by the one who imports, never guessed.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ImageFormat {
    /// The bytes themselves.
    Raw,
    /// The bytes as Zstandard frames (RFC 8878).
    RawZstd,
    /// The bytes as gzip members (RFC 1952).
    RawGzip,
    /// The bytes as an .xz file.
    RawXz,
    /// QEMU copy-on-write, version 2 or 3.
    Qcow2,
    /// Virtual hard disk, fixed or dynamic (VHD format specification 1.0).
    Vhd,
    /// Virtual hard disk version 2 ([MS-VHDX]).
    Vhdx,
    /// VMware virtual disk: hosted sparse or stream-optimised (Virtual Disk Format 5.0).
    Vmdk,
    /// A root file system as a tar archive (POSIX.1-2001 pax, ustar or GNU), plain or compressed.
    Tar,
    /// An OCI image layout with one artefact layer.
    Oci,
    /// Windows Imaging Format, through wimlib.
    Wim,
}

/// The instruction set that the image's boot files are for.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Architecture {
    /// AMD64, Intel 64.
    #[serde(rename = "x86_64")]
    X86_64,
    /// 64-bit Arm.
    #[serde(rename = "aarch64")]
    Aarch64,
}

/// Which firmware can boot the image.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RequiredFirmware {
    /// Either.
    #[default]
    Any,
    /// Only BIOS.
    Bios,
    /// Only UEFI.
    Uefi,
}

/// How the image starts.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "way", rename_all = "kebab-case")]
pub enum BootEntry {
    /// Kernel, initrd and boot loader lie beside the image; the node puts them onto an EFI system partition that it makes.
    Files(BootFiles),
    /// A UEFI application on the image's own EFI system partition.
    Loader(LoaderPath),
    /// Boot code in the image's first sector, for BIOS.
    BootCode,
    /// Nothing that firmware starts was found.
    None,
}

/// A UEFI application inside the image.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoaderPath {
    /// The EFI system partition's number in the partition table, from 1.
    pub partition: u32,
    /// The path on it, for example `\EFI\BOOT\BOOTX64.EFI`.
    pub path: String,
}

/// What a root file system is booted with.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BootFiles {
    /// The kernel, for kexec and for the ESP.
    pub kernel: Blob,
    /// The initial RAM file system.
    pub initrd: Blob,
    /// The UEFI boot loader (systemd-boot).
    pub boot_loader: Blob,
    /// Kernel command line without `root=`; printable ASCII without control characters.
    pub cmdline: String,
}

/// The document that names every byte of an image. Its identity is the SHA-256 of its canonical bytes.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`MANIFEST_SCHEMA`].
    pub schema: u32,
    /// Name, for example `debian-host`.
    pub name: String,
    /// Version, for example `12.11-1`.
    pub version: String,
    /// What the chunks make up.
    pub kind: ImageKind,
    /// What it was imported from.
    pub format: ImageFormat,
    /// What its boot files are for; `None` where they tell nothing.
    pub architecture: Option<Architecture>,
    /// Which firmware can boot it.
    pub firmware: RequiredFirmware,
    /// How it starts.
    pub boot: BootEntry,
    /// Length of the image in bytes; a multiple of `sector_size`.
    pub size: Bytes,
    /// For a root file system the smallest logical sector size that it can live on; for a whole disk the one that its
    /// partition table is for.
    pub sector_size: u32,
    /// The smallest disk (whole disk) or partition (root file system) that takes it, in bytes.
    pub minimum_size: Bytes,
    /// Every chunk's uncompressed length, but for the last.
    pub chunk_size: Bytes,
    /// The root of the Merkle tree over the chunks, as RFC 9162 section 2.1.1 hashes a list: a leaf is the chunk's offset and
    /// length, 8 bytes each, least significant first, and its digest.
    pub merkle_root: Digest,
    /// The chunks by ascending offset. What no chunk covers reads as zero and is written as zero.
    pub chunks: Vec<Chunk>,
}

impl Manifest {
    /// The files that lie beside a root file system.
    #[must_use]
    pub const fn boot_files(&self) -> Option<&BootFiles> {
        match &self.boot {
            BootEntry::Files(files) => Some(files),
            BootEntry::Loader(_) | BootEntry::BootCode | BootEntry::None => None,
        }
    }
}

/// A piece of the image, stored zstd-compressed under the digest of its uncompressed bytes.
///
/// In a document it is a row of five: `[offset, length, digest, stored_length, stored_digest]`, because an image has many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// Where it goes, in bytes from the image's start; a multiple of the chunk size.
    pub offset: Bytes,
    /// Uncompressed length.
    pub length: Bytes,
    /// SHA-256 of the uncompressed bytes: its name.
    pub digest: Digest,
    /// Compressed length, checked before decompression.
    pub stored_length: Bytes,
    /// SHA-256 of the compressed bytes, checked before decompression.
    pub stored_digest: Digest,
}

impl Serialize for Chunk {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (
            self.offset,
            self.length,
            self.digest,
            self.stored_length,
            self.stored_digest,
        )
            .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Chunk {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (offset, length, digest, stored_length, stored_digest) =
            Deserialize::deserialize(deserializer)?;
        Ok(Self {
            offset,
            length,
            digest,
            stored_length,
            stored_digest,
        })
    }
}

/// A file of its own, stored as it is.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Blob {
    /// Length in bytes.
    pub length: Bytes,
    /// SHA-256 of its bytes: its name.
    pub digest: Digest,
}

/// A reference to an image, as it stands in a plan.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageRef {
    /// Name.
    pub name: String,
    /// Version.
    pub version: String,
    /// What it makes up.
    #[serde(default, skip_serializing_if = "ImageKind::is_root_fs")]
    pub kind: ImageKind,
    /// SHA-256 of the manifest's canonical bytes.
    pub manifest: Digest,
    /// Length of the image.
    pub size: Bytes,
    /// As [`Manifest::sector_size`].
    pub sector_size: u32,
    /// What else is known of an image of a whole disk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub whole: Option<WholeDisk>,
}

/// What a plan is made by where the image is of a whole disk.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WholeDisk {
    /// As [`Manifest::minimum_size`].
    pub minimum_size: Bytes,
    /// As [`Manifest::firmware`].
    pub firmware: RequiredFirmware,
    /// As [`Manifest::boot`].
    pub boot: BootEntry,
    /// How the image's own table is known again; `None` where it has none, or nobody has looked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<ImageTable>,
}

/// By what the partition table of an image is known again on a disk that has no other mark of a plan.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum ImageTable {
    /// A GUID partition table, with the disk's GUID that the image was made with, upper-case text.
    Gpt {
        /// The GUID.
        disk_guid: String,
    },
    /// A DOS partition table.
    Dos {
        /// SHA-256 of the image's first sector, which is not changed.
        first_sector: Digest,
    },
}
