// SPDX-License-Identifier: Apache-2.0
//! Decides which bytes are the image: what a manifest may say, whether bytes are what it says, in which order they are
//! asked for and written, and what happens when they do not come.
//!
//! This crate refuses to open, fetch, decompress or write anything. The repository and the maintenance OS do that.
#![cfg_attr(not(test), no_std)]
#![warn(clippy::indexing_slicing, clippy::wildcard_enum_match_arm)]
extern crate alloc;

pub mod admission;
pub mod answer;
pub mod boot_file;
pub mod deploy;
pub mod disk_file;
pub mod facts;
pub mod fan_out;
pub mod limits;
pub mod manifest;
pub mod merkle;
pub mod patience;
pub mod proof;
pub mod qcow2;
pub mod range;
pub mod refusal;
pub mod trust;
pub mod vmdk;

pub use deploy::Deploy;
pub use refusal::ManifestError;
