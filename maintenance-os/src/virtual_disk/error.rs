// SPDX-License-Identifier: Apache-2.0
//! What can go wrong with a virtual disk's file.

use mos_core::vhd::{Refusal, VhdError};
use mos_core::vhdx::{Failure, VhdxError};
use std::io;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Why a virtual disk was not made, read or converted.
#[derive(Debug, Error)]
pub enum VirtualDiskError {
    /// The kernel refused or the disk beneath failed.
    #[error("{doing} {path}: {source}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// To what.
        path: PathBuf,
        /// What the kernel says.
        source: io::Error,
    },
    /// The file is no VHD that is read, by name.
    #[error("{path}: {why}")]
    Vhd {
        /// The file.
        path: PathBuf,
        /// Why.
        why: Refusal,
    },
    /// The file is no VHDX that is read, by name.
    #[error("{path}: {why}")]
    Vhdx {
        /// The file.
        path: PathBuf,
        /// Why.
        why: VhdxError,
    },
    /// A file without a mark.
    #[error(
        "{path} is neither a VHD nor a VHDX; a raw disk is only taken for one where you say so (`--from raw`)"
    )]
    NotRecognised {
        /// The file.
        path: PathBuf,
    },
    /// Stated as one format, and it is another.
    #[error("{path} is stated to be {stated} and bears the mark of {found}")]
    OtherFormat {
        /// The file.
        path: PathBuf,
        /// What was said.
        stated: &'static str,
        /// What it is.
        found: &'static str,
    },
    /// A pipe, a folder, a device where a file is needed.
    #[error("{path} is no regular file")]
    NotAFile {
        /// What was named.
        path: PathBuf,
    },
    /// Nothing is replaced unasked.
    #[error("{path} is there already; `--force` replaces it")]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// A file that would be replaced while it is needed.
    #[error("{path} is read for the new disk and cannot be replaced by it")]
    ReplacesItsSource {
        /// The file.
        path: PathBuf,
    },
    /// The volume has not the space, or the file system cannot promise it.
    #[error("{path}: {why}")]
    Reserve {
        /// The file.
        path: PathBuf,
        /// Why.
        why: super::ReserveError,
    },
    /// The file system said that it reserved the space, and did not.
    #[error("{path} has {length} bytes and the file system gave it {allocated}")]
    NotAllocated {
        /// The file.
        path: PathBuf,
        /// Length of the file.
        length: u64,
        /// Bytes that are really there.
        allocated: u64,
    },
    /// No parent where the child says.
    #[error(
        "{path} is a differencing VHD and its parent `{name}` was not found; looked at: {}. `--parent FILE` names it",
        list(.tried)
    )]
    NoParent {
        /// The child.
        path: PathBuf,
        /// The parent's file name, as the child has it.
        name: String,
        /// Where it was looked for.
        tried: Vec<PathBuf>,
    },
    /// The file at the parent's place is not the parent.
    #[error("{parent} as the parent of {path}: {why}{}", advice(.why))]
    WrongParent {
        /// The child.
        path: PathBuf,
        /// The candidate.
        parent: PathBuf,
        /// Why.
        why: Refusal,
    },
    /// A parent only goes with a differencing disk.
    #[error("{what}")]
    Usage {
        /// What does not go together.
        what: &'static str,
    },
    /// A path that cannot be written into a VHD.
    #[error("{path} cannot be written into a VHD as the parent's path: {why}")]
    Path {
        /// The path.
        path: PathBuf,
        /// Why.
        why: &'static str,
    },
}

impl VirtualDiskError {
    pub(super) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io {
            doing,
            path,
            source,
        }
    }

    pub(super) fn vhd(doing: &'static str, path: &Path) -> impl Fn(VhdError<io::Error>) -> Self {
        let path = path.to_path_buf();
        move |error| {
            let path = path.clone();
            match error {
                VhdError::Io(source) => Self::Io {
                    doing,
                    path,
                    source,
                },
                VhdError::Refused(why) => Self::Vhd { path, why },
            }
        }
    }
}

impl VirtualDiskError {
    pub(super) fn vhdx(path: &Path) -> impl Fn(Failure<io::Error>) -> Self {
        let path = path.to_path_buf();
        move |error| {
            let path = path.clone();
            let (doing, source) = match error {
                Failure::Read { why, .. } => ("reading", why),
                Failure::Write { why, .. } => ("writing", why),
                Failure::Flush { why } => ("flushing", why),
                Failure::Refused(why) => return Self::Vhdx { path, why },
            };
            Self::Io {
                doing,
                path,
                source,
            }
        }
    }
}

fn list(paths: &[PathBuf]) -> String {
    let paths: Vec<String> = paths
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    if paths.is_empty() {
        "nowhere, for it names no path of this machine".to_owned()
    } else {
        paths.join(", ")
    }
}

fn advice(why: &Refusal) -> &'static str {
    if matches!(why, Refusal::ParentChanged { .. }) {
        "; where it was only copied, `--any-parent-time` takes it"
    } else {
        ""
    }
}
