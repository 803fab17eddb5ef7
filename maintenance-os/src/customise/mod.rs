// SPDX-License-Identifier: Apache-2.0
//! Puts a machine's own files into file systems that were just written.
//!
//! What goes where is decided in `mos_core::customise`. Nothing here follows a link out of the file system that it writes to,
//! and what is put is told by name and length, never by its bytes.

mod attach;
mod prove;
mod put;
mod tree;

pub use prove::{Expected, prove};
pub use put::{Extent, put};
pub use tree::put_into;
