// SPDX-License-Identifier: Apache-2.0
//! What can go wrong with a repository, a variant per cause.

use groundstate_api::{Bytes, Digest};
use image_core::ManifestError;
use image_core::limits::{LEVEL_MAX, LEVEL_MIN};
use image_core::proof::Corrupt;
use std::io;
use std::path::{Path, PathBuf};

/// What can go wrong with a repository.
#[derive(Debug, thiserror::Error)]
pub enum RepoError {
    /// A file could not be used.
    #[error("{path} could not be {done}: {source}", path = .path.display())]
    File {
        /// What was tried, as a participle: `opened`, `written`.
        done: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// No image comes out of an archive, a layout or a WIM file.
    #[error(transparent)]
    Roots(#[from] crate::roots::RootsError),
    /// The object store behind the repository.
    #[error(transparent)]
    Behind(#[from] Box<crate::objects::BucketError>),
    /// Another process keeps what it fetches in the same folder.
    #[error("{path} is in use by another `groundstate up` or `groundstate image serve`; give this one a state directory of its own, with --state-dir DIR", path = .path.display())]
    CacheInUse {
        /// The folder.
        path: PathBuf,
    },
    /// The file is not taken as an image.
    #[error(transparent)]
    Format(#[from] crate::formats::FormatError),
    /// The repository's disk is full.
    #[error("{path} could not be {done}, the disk is full: {source}; remove images and run groundstate image gc, or give the repository a larger disk", path = .path.display())]
    Full {
        /// What was tried.
        done: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The disk that is written to has no room.
    #[error("{path} could not be {done}, its disk is full: {source}; choose another place", path = .path.display())]
    NoRoom {
        /// What was tried.
        done: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A compression level that there is not.
    #[error("a compression level is {LEVEL_MIN} to {LEVEL_MAX}, not {found}")]
    Level {
        /// What was asked for.
        found: i32,
    },
    /// What is asked for makes no manifest.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The root file system is not ext4.
    #[error("the root file system is not ext4: {why}")]
    NotExt4 {
        /// What is missing.
        why: &'static str,
    },
    /// The file holds less than the file system in it.
    #[error("the root file system has {found} bytes, its superblock says {expected}: it is cut off", found = .found.0, expected = .expected.0)]
    CutOff {
        /// What the superblock says.
        expected: Bytes,
        /// The file's length.
        found: Bytes,
    },
    /// A file that is to boot the image is something else.
    #[error("{path}: {source}", path = .path.display())]
    BootFile {
        /// The file.
        path: PathBuf,
        /// What it is.
        source: image_core::boot_file::BootFileError,
    },
    /// Kernel and boot loader are for different machines.
    #[error("{loader} is a boot loader for {of_loader}, and the kernel {kernel} is for {of_kernel}: give the loader of the kernel's machine", loader = .loader.display(), kernel = .kernel.display())]
    BootMachines {
        /// The kernel.
        kernel: PathBuf,
        /// What it is for.
        of_kernel: image_core::facts::Machine,
        /// The boot loader.
        loader: PathBuf,
        /// What it is for.
        of_loader: image_core::facts::Machine,
    },
    /// A blob that is larger than a reader takes.
    #[error("{path} is larger than {max} bytes", path = .path.display(), max = .max.0)]
    BlobTooLarge {
        /// The file.
        path: PathBuf,
        /// The most.
        max: Bytes,
    },
    /// Signatures.
    #[error(transparent)]
    Trust(Box<crate::trust::TrustFault>),
    /// The image is not what was stated of it.
    #[error(transparent)]
    Facts(#[from] image_core::facts::FactsError),
    /// The image could not be read for its facts.
    #[error(transparent)]
    Read(#[from] image_core::facts::ReadError),
    /// A format that is not written.
    #[error("an image is not written as {format:?}: raw, raw-zstd, vhd and vhdx can be written")]
    ExportFormat {
        /// What was asked for.
        format: groundstate_api::image::ImageFormat,
    },
    /// A format that cannot hold this image.
    #[error("the image cannot be written as {format:?}: {said}")]
    ExportSize {
        /// What was asked for.
        format: groundstate_api::image::ImageFormat,
        /// What the writer said.
        said: String,
    },
    /// What is written to is not what may be written to.
    #[error("{path} {why}", path = .path.display())]
    Output {
        /// The file or device.
        path: PathBuf,
        /// What it is, and what to do.
        why: &'static str,
    },
    /// There is no such manifest.
    #[error("no image has the manifest {digest}: {path} is not there", path = .path.display())]
    NoSuchManifest {
        /// What was asked for.
        digest: Digest,
        /// Where it would be.
        path: PathBuf,
    },
    /// A name's entry cannot be read.
    #[error("{path} is not an entry of this repository: {said}; groundstate image fsck --heal takes it out of the way", path = .path.display())]
    Entry {
        /// The file.
        path: PathBuf,
        /// What the reader said.
        said: String,
    },
    /// There is no repository.
    #[error("{path} holds no image repository; groundstate image import makes one", path = .path.display())]
    NoRepository {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// There is no such image.
    #[error("there is no image {name} {version}; groundstate image ls lists those that are there")]
    NoSuchImage {
        /// Its name.
        name: String,
        /// Its version; empty where any would do.
        version: String,
    },
    /// A name and version that stand for another image.
    #[error(
        "{name} {version} is there already and is another image ({there}, this would be {found}); what is already known by a version stays what it is: give this one another version, or say --replace"
    )]
    Taken {
        /// Its name.
        name: String,
        /// Its version.
        version: String,
        /// What it stands for.
        there: Digest,
        /// What it would stand for.
        found: Digest,
    },
    /// A chunk that a manifest names is not stored.
    #[error("the chunk at byte {offset} is not in the repository: {path} is not there; import the image again", offset = .offset.0, path = .path.display())]
    ChunkMissing {
        /// Where it is in the image.
        offset: Bytes,
        /// Where its file would be.
        path: PathBuf,
    },
    /// A stored chunk is not what the manifest says.
    #[error("the chunk at byte {offset} is damaged in the repository, file {path}: {source}; import the image again", offset = .offset.0, path = .path.display())]
    ChunkDamaged {
        /// Where it is in the image.
        offset: Bytes,
        /// Its file.
        path: PathBuf,
        /// How it differs.
        source: Corrupt,
    },
    /// Bytes after the image's end were asked for.
    #[error("{length} bytes from byte {at} on reach past the end of an image of {size} bytes")]
    PastEnd {
        /// From where.
        at: u64,
        /// How many.
        length: usize,
        /// The image's size in bytes.
        size: u64,
    },
    /// zstd could not be set up.
    #[error("zstd's decompressor could not be set up: {source}")]
    Decompressor {
        /// What it said.
        source: io::Error,
    },
    /// zstd failed.
    #[error("a chunk at byte {offset} could not be compressed: {source}", offset = .offset.0)]
    Compress {
        /// Where it is.
        offset: Bytes,
        /// What zstd said.
        source: io::Error,
    },
}

impl From<crate::trust::TrustFault> for RepoError {
    fn from(fault: crate::trust::TrustFault) -> Self {
        Self::Trust(Box::new(fault))
    }
}

impl RepoError {
    /// For `map_err`: what was tried with a file that is not the repository's.
    pub(crate) fn output(done: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source: io::Error| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::NoRoom { done, path, source }
            }
            _ => Self::File { done, path, source },
        }
    }

    /// For `map_err`: what was tried with which file.
    pub(crate) fn file(done: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source: io::Error| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::Full { done, path, source }
            }
            _ => Self::File { done, path, source },
        }
    }
}
