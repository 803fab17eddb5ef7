// SPDX-License-Identifier: Apache-2.0
//! Decides what a node's hardware is and whether it is good enough.
//!
//! Bytes that the shell read (SMBIOS tables, SMART sectors, NVMe log pages, VPD pages) go in; facts, verdicts with
//! evidence and findings come out. This crate refuses to open a device, to read a clock, and to guess: what a disk
//! does not say is `Unknown`, and unknown is never ok.
#![cfg_attr(not(test), no_std)]
#![warn(clippy::indexing_slicing, clippy::wildcard_enum_match_arm)]
#![cfg_attr(test, allow(clippy::indexing_slicing, clippy::unwrap_used))]
extern crate alloc;

pub mod ata;
pub mod burn_in;
pub mod capture;
pub mod catalogue;
pub mod collected;
pub mod disk;
mod fields;
mod judge;
pub mod machine;
pub mod memory;
pub mod nvme;
pub mod profile;
mod reports;
pub mod scsi;
pub mod slot;
pub mod smbios;

pub use fields::clean;
pub use judge::{judge, judge_node};
pub use reports::{EXPECTATION, Then, earlier, figures, reports};
