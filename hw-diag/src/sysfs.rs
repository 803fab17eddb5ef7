// SPDX-License-Identifier: Apache-2.0
//! Small files below `/sys` and `/proc`. The root is a value, so that a test can lay out a machine of its own.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// The most bytes read from one file: the largest, an SMBIOS table, is under 256 KiB on the largest servers.
const FILE_MAX: u64 = 1 << 20;

/// A file system tree with `sys` and `proc` in it.
#[derive(Clone, Debug)]
pub(crate) struct Tree(PathBuf);

impl Tree {
    /// The running machine's.
    pub(crate) fn machine() -> Self {
        Self("/".into())
    }
    /// A machine's whose `/sys` and `/proc` are below this directory.
    pub(crate) fn at(root: &Path) -> Self {
        Self(root.into())
    }
    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.0.join(relative)
    }
    pub(crate) fn exists(&self, relative: &str) -> bool {
        self.path(relative).exists()
    }
    /// The bytes of a file, at most 1 MiB.
    pub(crate) fn bytes(&self, relative: &str) -> std::io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        File::open(self.path(relative))?
            .take(FILE_MAX)
            .read_to_end(&mut bytes)?;
        Ok(bytes)
    }
    /// A file's text without what cannot be shown; `None` where it cannot be read or is empty.
    pub(crate) fn text(&self, relative: &str) -> Option<String> {
        let bytes = self.bytes(relative).ok()?;
        Some(hw_core::clean(&bytes)).filter(|text| !text.is_empty())
    }
    /// A file's number.
    pub(crate) fn number<N: std::str::FromStr>(&self, relative: &str) -> Option<N> {
        self.text(relative)?.parse().ok()
    }
    /// Whether a file holds `1`.
    pub(crate) fn flag(&self, relative: &str) -> bool {
        self.number::<u32>(relative) == Some(1)
    }
    /// The names in a directory, sorted.
    pub(crate) fn names(&self, relative: &str) -> std::io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(self.path(relative))? {
            names.extend(entry?.file_name().into_string().ok());
        }
        names.sort();
        Ok(names)
    }
    /// Where a link leads, relative to `sys`: `devices/pci0000:00/…`.
    pub(crate) fn device_path(&self, relative: &str) -> Option<String> {
        let target = self.path(relative).canonicalize().ok()?;
        let below = target
            .strip_prefix(self.path("sys").canonicalize().ok()?)
            .ok()?;
        below.to_str().map(str::to_owned)
    }
    /// The last component of where a link leads: a driver's name.
    pub(crate) fn link_name(&self, relative: &str) -> Option<String> {
        let target = std::fs::read_link(self.path(relative)).ok()?;
        Some(target.file_name()?.to_str()?.to_owned())
    }
}

/// Joins path components.
pub(crate) fn below(parent: &str, child: &str) -> String {
    let joined: PathBuf = Path::new(parent).join(child);
    joined.to_string_lossy().into_owned()
}
