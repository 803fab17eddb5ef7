// SPDX-License-Identifier: Apache-2.0
//! Virtual disks as files: made, shown, checked, converted and mapped, on a node as on a laptop.
//!
//! `mos-core` knows the formats; this module has the files. A format is stated, or recognised by its mark: a file
//! without one is raw only where somebody says so, and never a VHD. New files are made under a temporary name beside
//! their own and renamed when they are whole; no existing file is replaced unless that is asked for. Space that is
//! called reserved is really there: the file system is asked afterwards. Nothing here writes to an existing disk.

mod chain;
mod check;
mod convert;
mod create;
mod disk;
mod error;
mod fiemap;
mod file;
mod identity;
mod info;
mod map;
mod new_file;
mod reserve;
mod vhdx_chain;

pub use chain::Parents;
pub use check::{Checked, FaultLine, check};
pub use convert::{Conversion, Converted, Target, convert};
pub use create::{Contents, Create, Created, create, lay_out_vhdx};
pub use disk::{Disk, Format, Holds, Stretch};
pub use error::VirtualDiskError;
pub use fiemap::{Physical, physical};
pub use file::DiskFile;
pub use info::{BlockInfo, Info, ParentInfo, info};
pub use map::{Map, Range, map};
pub use reserve::{How, ReserveError, reserve};

#[cfg(test)]
mod tests;
