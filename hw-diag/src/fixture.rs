// SPDX-License-Identifier: Apache-2.0
//! A file system tree of a test's own, laid out file by file.

use crate::sysfs::Tree;
use std::path::Path;

/// A tree that goes with the test.
pub(crate) struct Fixture(tempfile::TempDir);

impl Fixture {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }
    pub(crate) fn tree(&self) -> Tree {
        Tree::at(self.0.path())
    }
    /// Writes a file with its directories.
    pub(crate) fn file(&self, path: &str, content: &str) {
        let path = self.0.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
    /// Links `path` to `target`, both below the root.
    pub(crate) fn link(&self, path: &str, target: &str) {
        let path = self.0.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(self.0.path().join(target), path).unwrap();
    }
    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }
}
