// SPDX-License-Identifier: Apache-2.0
//! VHDX virtual disks (Microsoft, "[MS-VHDX]: Virtual Hard Disk v2 (VHDX) File Format").
//!
//! Reads every kind: fixed, dynamic, differencing; a log that was left behind is replayed in memory. Lays out new
//! ones and fills them from start to end. It changes no existing file, opens none, and looks for no parent: callers
//! give sources ([`crate::random_access`]), identities and the parent. Every length comes from the file and is held
//! against a named [limit](limits) before memory is taken for it.

mod builder;
mod check;
mod crc32c;
mod error;
mod field;
mod file;
mod header;
mod layout;
pub mod limits;
mod locator;
mod log;
mod map;
mod metadata;
mod overlay;
mod reader;
mod region;
mod shape;
mod table;

pub use builder::Builder;
pub use check::Fault;
pub use error::{CopyFault, Failure, VhdxError};
pub use layout::{Layout, NewDisk, NewIds, NewKind, WRITE_MAX, Write, usual_block};
pub use locator::ParentLocator;
pub use map::{Map, Piece};
pub use reader::{Facts, Kind, LogState, Place, Vhdx};

#[cfg(test)]
mod tests;
