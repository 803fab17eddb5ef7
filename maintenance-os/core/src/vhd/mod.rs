// SPDX-License-Identifier: Apache-2.0
//! Virtual Hard Disks, fixed, dynamic and differencing (Microsoft, "Virtual Hard Disk Image Format Specification", 1.0,
//! 2006).
//!
//! [`Vhd`] reads and writes the disk in a file that is handed in as bytes at an offset; [`Layout`] says how a new file
//! looks and writes it. A file is untrusted: whatever does not hold together is refused by name, and memory follows
//! what the file really holds. This module opens no file, finds no parent, knows no clock and makes no identity.
//!
//! Where readers of VHDs differ, it is strict: the size is the size field; a sector whose bit is not set reads as zero
//! in a dynamic VHD and from the parent in a differencing one, as the specification says; two footers that name
//! different disks are refused.

mod big_endian;
mod bitmap;
mod check;
mod error;
mod fault;
mod footer;
mod geometry;
mod header;
mod layout;
mod locate;
mod locator;
mod open;
mod parent;
mod read;
mod scan;
mod table;
mod write;

pub use check::check;
pub use error::{Refusal, VhdError};
pub use fault::{FAULTS_MAX, Fault, Structure};
pub use footer::{FOOTER_LEN, Footer, FooterError, Kind};
pub use geometry::Geometry;
pub use header::{BLOCK_SIZE, BLOCK_SIZE_MAX, BLOCK_SIZE_MIN, HEADER_LEN, Header, HeaderError};
pub use layout::{Layout, New, Parent, Shape};
pub use locate::recognise;
pub use locator::{LOCATOR_BYTES_MAX, LOCATORS, Located, Locator, Platform};
pub use open::Vhd;
pub use parent::{CHAIN_MAX, ParentTime};
pub use read::{Extent, Place};
pub use table::BLOCKS_MAX;

use groundstate_api::Bytes;

/// The largest disk that QEMU and the CHS field admit: 0xff00_0000 sectors of 512 bytes (qemu `VHD_MAX_SECTORS`).
pub const SIZE_MAX: Bytes = Bytes::gib(2040);
/// Bytes of a sector; all of the format counts in these, whatever the disk beneath has.
pub const SECTOR: u64 = 512;
/// The data of every block that we place begins at a multiple of this, as Hyper-V does it, so that a write of 4 KiB by
/// the guest is one on a disk with sectors of 4 KiB.
pub const ALIGNMENT: u64 = 4_096;

#[cfg(test)]
mod tests;
