// SPDX-License-Identifier: Apache-2.0
//! What can go wrong with a repository, a variant per cause.

use groundstate_api::{Bytes, Digest};
use image_core::ManifestError;
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
    /// A blob that is larger than a reader takes.
    #[error("{path} is larger than {max} bytes", path = .path.display(), max = .max.0)]
    BlobTooLarge {
        /// The file.
        path: PathBuf,
        /// The most.
        max: Bytes,
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
    #[error("{path} is not an entry of this repository: {said}", path = .path.display())]
    Entry {
        /// The file.
        path: PathBuf,
        /// What the reader said.
        said: String,
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

impl RepoError {
    /// For `map_err`: what was tried with which file.
    pub(crate) fn file(done: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::File { done, path, source }
    }
}
