// SPDX-License-Identifier: Apache-2.0
//! The image manifest: what the image is, so that no reader ever guesses.

use crate::digest::Digest;
use crate::units::Bytes;
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// What kind of image the chunks make up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ImageKind {
    /// A raw ext4 file system that is written into the root partition and then grown.
    RootFsExt4,
}

/// The document that names every byte of an image. Its identity is the SHA-256 of its canonical bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`crate::SCHEMA`].
    pub schema: u32,
    /// Name, for example `debian-host`.
    pub name: String,
    /// Version, for example `12.11-1`.
    pub version: String,
    /// What the chunks make up.
    pub kind: ImageKind,
    /// Length of the image in bytes; a multiple of `sector_size`.
    pub size: Bytes,
    /// The smallest logical sector size that the image can live on.
    pub sector_size: u32,
    /// Every chunk's uncompressed length, but for the last.
    pub chunk_size: Bytes,
    /// The chunks by ascending offset. What no chunk covers reads as zero and is written as zero.
    pub chunks: Vec<Chunk>,
    /// The kernel, for kexec and for the ESP.
    pub kernel: Blob,
    /// The initial RAM file system.
    pub initrd: Blob,
    /// The UEFI boot loader (systemd-boot).
    pub boot_loader: Blob,
    /// Kernel command line without `root=`; printable ASCII without control characters.
    pub cmdline: String,
}

/// A piece of the image, stored zstd-compressed under the digest of its uncompressed bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
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

/// A file of its own, stored as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Blob {
    /// Length in bytes.
    pub length: Bytes,
    /// SHA-256 of its bytes: its name.
    pub digest: Digest,
}

/// A reference to an image, as it stands in a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageRef {
    /// Name.
    pub name: String,
    /// Version.
    pub version: String,
    /// SHA-256 of the manifest's canonical bytes.
    pub manifest: Digest,
    /// Length of the image.
    pub size: Bytes,
    /// The smallest logical sector size that the image can live on.
    pub sector_size: u32,
}
