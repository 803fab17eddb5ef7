// SPDX-License-Identifier: Apache-2.0
//! Where everything lies: sources below the repository's root, everything made below `target/groundstate/`.
//!
//! Refuses to know any path outside the repository; those of Debian's packages stand where they are used.

use anyhow::{Context as _, Result};
use std::path::{Path, PathBuf};

/// The repository and its target directory.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    root: PathBuf,
    target: PathBuf,
}

impl Layout {
    /// The checkout that this program was built from.
    pub(crate) fn find() -> Result<Self> {
        let manifest = std::env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let root = manifest
            .parent()
            .context("xtask's folder has no parent")?
            .canonicalize()
            .with_context(|| format!("{} is gone", manifest.display()))?;
        let target = std::env::var_os("CARGO_TARGET_DIR")
            .map_or_else(|| root.join("target"), |dir| root.join(dir));
        Ok(Self { root, target })
    }

    /// A file or folder of the repository.
    pub(crate) fn source(&self, path: impl AsRef<Path>) -> PathBuf {
        self.root.join(path)
    }

    /// Cargo's target directory.
    pub(crate) fn target(&self) -> &Path {
        &self.target
    }

    /// Something that we made: `target/groundstate/PATH`.
    pub(crate) fn made(&self, path: impl AsRef<Path>) -> PathBuf {
        self.target.join("groundstate").join(path)
    }

    /// The boot image's parts: `target/groundstate/boot/`.
    pub(crate) fn boot(&self) -> PathBuf {
        self.made("boot")
    }

    /// The host image's parts: `target/groundstate/host/`.
    pub(crate) fn host(&self) -> PathBuf {
        self.made("host")
    }
}
