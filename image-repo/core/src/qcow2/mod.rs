// SPDX-License-Identifier: Apache-2.0
//! QEMU copy-on-write images, versions 2 and 3 (QEMU, `docs/interop/qcow2.rst`): where each byte of the disk lies.
//!
//! [`Qcow2`] reads headers and tables out of a file that is handed in as bytes at an offset, and says of every stretch of
//! the disk whether it is zero, in the file or in a compressed cluster. It decompresses nothing, opens nothing and follows
//! no name: a backing file, an external data file and encryption are refused. Reference counts are not read, because only
//! writers need them; that no two places of the disk share bytes of the file is checked by itself. Internal snapshots
//! are left alone. Memory follows named limits, never what a header says.

mod claims;
mod error;
mod extension;
mod extent;
mod field;
mod header;
pub mod limits;
mod open;

pub use error::Qcow2Error;
pub use extent::{Extent, Place};
pub use header::{Codec, Header, MAGIC};
pub use open::Qcow2;
