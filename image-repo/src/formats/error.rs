// SPDX-License-Identifier: Apache-2.0
//! Why a file is not taken as an image, a variant per cause.

use std::io;
use std::path::{Path, PathBuf};

/// Why a file is not taken as an image.
#[derive(Debug, thiserror::Error)]
pub enum FormatError {
    /// A file could not be used.
    #[error("{path} could not be {done}: {source}", path = .path.display())]
    File {
        /// What was tried, as a participle: `opened`, `read`.
        done: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl FormatError {
    /// For `map_err`: what was tried with which file.
    pub(super) fn file(done: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::File { done, path, source }
    }
}
