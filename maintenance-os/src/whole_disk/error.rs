// SPDX-License-Identifier: Apache-2.0
//! What can go wrong while a table is fitted to its disk.

use groundstate_api::{Reason, ReasonCode};
use mos_core::whole_disk::{LookError, Refusal};
use std::io;
use std::path::{Path, PathBuf};

/// Why a table was not fitted to its disk.
#[derive(Debug, thiserror::Error)]
pub enum FitError {
    /// The kernel refused or the disk failed.
    #[error("{doing} {path}: {source}", path = .path.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// To what.
        path: PathBuf,
        /// What the kernel says.
        source: io::Error,
    },
    /// The disk does not give back what was written.
    #[error("{path} does not read back what was written at byte {at}", path = .path.display())]
    ReadBack {
        /// The disk.
        path: PathBuf,
        /// The first byte of what was written.
        at: u64,
    },
    /// The table is refused.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

impl FitError {
    pub(super) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io {
            doing,
            path,
            source,
        }
    }

    pub(super) fn look(path: &Path) -> impl FnOnce(LookError<io::Error>) -> Self {
        let path = path.to_path_buf();
        move |error| match error {
            LookError::Read(source) => Self::Io {
                doing: "reading",
                path,
                source,
            },
            LookError::Refused(refusal) => Self::Refused(refusal),
        }
    }

    /// For people: what is wrong with `title`, and what to do.
    #[must_use]
    pub fn reason(&self, title: &str) -> Reason {
        let (code, next) = match self {
            Self::Refused(refusal) => return refusal.reason(title),
            Self::Io { source, .. } if source.kind() == io::ErrorKind::ResourceBusy => (
                ReasonCode::DiskInUse,
                "unmount the disk's partitions and take it out of arrays and maps, then begin anew",
            ),
            Self::Io { .. } | Self::ReadBack { .. } => (
                ReasonCode::DiskError,
                "check the disk's cable and bay, or replace the disk, then begin anew",
            ),
        };
        Reason::new(
            code,
            format!("the partition table of {title} could not be fitted to the disk"),
            next,
        )
        .seen(self.to_string())
    }
}
