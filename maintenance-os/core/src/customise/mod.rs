// SPDX-License-Identifier: Apache-2.0
//! Decides what a machine gets of its own after an image was written: which file goes to which partition.
//!
//! It refuses to guess which file system is the root, to put anything into a file system that it does not know, and to take
//! a path that could lead out of it. The image itself is never changed.

mod cloud;
mod credential;
mod field;
mod path;
mod place;
mod refusal;

pub use cloud::CloudSeed;
pub use credential::{CREDENTIALS, CredentialName};
pub use field::{FIELDS, Fields, render};
pub use path::{PATH_MAX, RootPath};
pub use place::{Fs, Order, Placement, Stated, Volume, place};
pub use refusal::CustomiseRefusal;

use alloc::vec::Vec;
use core::fmt;

/// A file that is put into a file system.
#[derive(Clone, PartialEq, Eq)]
pub struct NewFile {
    /// Where.
    pub path: RootPath,
    /// Its permissions; FAT has none.
    pub mode: u32,
    /// Its owner; FAT has none.
    pub owner: u32,
    /// Its group; FAT has none.
    pub group: u32,
    /// The permissions of folders that are made for it.
    pub folder_mode: u32,
    /// Its bytes.
    pub contents: Vec<u8>,
}

/// Contents may be secret and are not told.
impl fmt::Debug for NewFile {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.debug_struct("NewFile")
            .field("path", &self.path)
            .field("mode", &self.mode)
            .field("owner", &(self.owner, self.group))
            .field("length", &self.contents.len())
            .finish_non_exhaustive()
    }
}

impl NewFile {
    /// A file of root's that everybody may read.
    #[must_use]
    pub const fn plain(path: RootPath, contents: Vec<u8>) -> Self {
        Self {
            path,
            mode: 0o644,
            owner: 0,
            group: 0,
            folder_mode: 0o755,
            contents,
        }
    }

    /// A file that only root may read, in folders that only root may enter.
    #[must_use]
    pub const fn secret(path: RootPath, contents: Vec<u8>) -> Self {
        Self {
            path,
            mode: 0o600,
            owner: 0,
            group: 0,
            folder_mode: 0o700,
            contents,
        }
    }
}
