// SPDX-License-Identifier: Apache-2.0
//! Disks: what was read of one ([`DiskFacts`]), whoever read it, and the verdict on it.
//!
//! The same facts come from ioctls on a live machine, from `smartctl --json` and from the text of `smartctl -x`; the
//! judgement does not know which. What was not read is `None` or named in `missed`, never a zero.

pub mod facts;

pub use facts::DiskFacts;
