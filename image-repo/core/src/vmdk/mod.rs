// SPDX-License-Identifier: Apache-2.0
//! VMware virtual disks (VMware, "Virtual Disk Format 5.0", 2011): which files a disk consists of, and where each byte lies.
//!
//! [`Descriptor`] is the text that names the extents; [`Sparse`] reads the headers and tables of a hosted sparse or
//! stream-optimised extent out of a file that is handed in as bytes at an offset. Nothing is opened or decompressed here.
//! A parent, encryption, a device, an extent that is anything but a plain file name, and the formats of ESX delta disks are
//! refused. Memory follows named limits, never what a header says.

mod claims;
mod descriptor;
mod error;
mod extent;
mod field;
mod header;
pub mod limits;
mod open;

pub use descriptor::{Descriptor, ExtentFile, ExtentKind, ExtentLine};
pub use error::VmdkError;
pub use extent::{Extent, Place};
pub use header::{DESCRIPTOR_MARK, Header, MAGIC};
pub use open::Sparse;

/// Bytes of a sector; all of the format counts in these.
pub const SECTOR: u64 = 512;
