// SPDX-License-Identifier: Apache-2.0
//! Fits a disk's partition table to it, after an image of a whole disk was written and read back.
//!
//! What is written stands in `mos_core::whole_disk`. Nothing here looks into a file system but for the text of the boot
//! loader's entries, and nothing is written through one.

mod error;
mod fit;
mod loader_entries;
mod names;
mod open_disk;

pub use error::FitError;
pub use fit::{Fit, fit, look_at_disk, look_at_image, shut};

#[cfg(test)]
mod tests;
