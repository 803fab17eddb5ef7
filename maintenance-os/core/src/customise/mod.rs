// SPDX-License-Identifier: Apache-2.0
//! Decides what a machine gets of its own after an image was written: which file goes to which partition.
//!
//! It refuses to guess which file system is the root, to put anything into a file system that it does not know, and to take
//! a path that could lead out of it. The image itself is never changed.

mod cloud;
mod credential;
mod old_names;
mod path;
mod place;
mod planned;
mod refusal;

pub use cloud::CloudSeed;
pub use credential::{CREDENTIALS, CredentialName};
pub use groundstate_api::customise::PATH_MAX;
pub use old_names::names_no_old_guid;
pub use path::RootPath;
pub use place::{Fs, Order, Placement, Stated, Volume, place};
pub use planned::{new_file, planned};
pub use refusal::CustomiseRefusal;

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use groundstate_api::customise::PlannedContent;

/// What stands for a file's bytes: the bytes where they are there, or where they are where a plan is made.
pub trait Contents: Clone + PartialEq {
    /// A text that we wrote ourselves.
    fn of_text(text: String) -> Self;
}

impl Contents for Vec<u8> {
    fn of_text(text: String) -> Self {
        text.into_bytes()
    }
}

impl Contents for PlannedContent {
    fn of_text(text: String) -> Self {
        Self::Inline { text }
    }
}

/// A file that is put into a file system.
#[derive(Clone, PartialEq, Eq)]
pub struct NewFile<C = Vec<u8>> {
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
    /// Whether not even its length is told.
    pub is_secret: bool,
    /// Its bytes.
    pub contents: C,
}

/// Contents may be secret and are not told.
impl<C> fmt::Debug for NewFile<C> {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.debug_struct("NewFile")
            .field("path", &self.path)
            .field("mode", &self.mode)
            .field("owner", &(self.owner, self.group))
            .finish_non_exhaustive()
    }
}

impl<C> NewFile<C> {
    /// A file of root's that everybody may read.
    #[must_use]
    pub const fn plain(path: RootPath, contents: C) -> Self {
        Self {
            path,
            mode: 0o644,
            owner: 0,
            group: 0,
            folder_mode: 0o755,
            is_secret: false,
            contents,
        }
    }

    /// A file that only root may read, in folders that only root may enter.
    #[must_use]
    pub const fn secret(path: RootPath, contents: C) -> Self {
        Self {
            path,
            mode: 0o600,
            owner: 0,
            group: 0,
            folder_mode: 0o700,
            is_secret: true,
            contents,
        }
    }
}
