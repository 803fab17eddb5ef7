// SPDX-License-Identifier: Apache-2.0
//! What the fuzz targets share: reading an input piece by piece, a disk with holes, checksums that fit, and a heap that
//! counts.
//!
//! A target refuses nothing: every input is allowed, and a panic, a broken bound or a call that does not end is a finding.

mod checksums;
mod heap;
mod pieces;
mod sparse;

pub use checksums::{gpt, vhd, vhdx};
pub use heap::bounded;
pub use pieces::Pieces;
pub use sparse::{Beyond, Sparse};

/// Bytes in a KiB, for bounds.
pub const KIB: usize = 1 << 10;
/// Bytes in a MiB, for bounds.
pub const MIB: usize = 1 << 20;
