// SPDX-License-Identifier: Apache-2.0
//! Fits a disk's partition table to it, after an image of a whole disk was written and read back.
//!
//! What is written stands in `mos_core::whole_disk`. File systems are looked into for the text of the boot loader's entries
//! and for what the image holds, and nothing is written through one.

mod error;
mod fit;
mod fitting;
mod inside;
mod kernel;
mod loader_entries;
mod names;
mod open_disk;
mod parts;

pub use error::FitError;
pub use fit::{Fit, fit, look_at_disk, look_at_image, shut};
pub use fitting::Fitting;
pub use inside::{Inside, inside, look_into};
pub use parts::{body_of, head_of, head_size};

#[cfg(test)]
mod tests;
