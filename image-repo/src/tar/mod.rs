// SPDX-License-Identifier: Apache-2.0
//! Makes a root file system out of a tar archive.
//!
//! The archive's names never become paths of this machine: contents are kept in numbered files, names in a tree in
//! memory, and the ext4 file system is written from both by `mke2fs` and `debugfs`. So owners, devices, modes and extended
//! attributes are right without root, and the same archive gives the same bytes.

mod bomb;
mod boot;
mod ext4;
mod files;
mod header;
mod layer;
mod packed;
mod pax;
mod reader;
mod script;
mod spool;
mod tree;
mod unpack;

pub(crate) use bomb::Allowance;
pub(crate) use boot::{BootFound, find as find_boot};
pub(crate) use ext4::{Ext4Plan, make as make_ext4, newest};
pub(crate) use files::files;
pub(crate) use spool::Spool;
pub(crate) use tree::Tree;
pub(crate) use unpack::{LeftOut, Whiteouts, unpack};
