// SPDX-License-Identifier: Apache-2.0
//! Erases the disks that a plan erases, all at once, and tells what each of them is worth afterwards.
//!
//! It decides nothing: which method is tried, how long it is waited for and what counts as proof is `mos_core::erase`. Right before a
//! disk is touched it is found again by its identity, and the guard looks at it once more. A disk that fails stops no other.

mod ata;
mod carry_out;
mod drive;
mod ioctl;
mod long;
mod nvme;
mod scsi;

pub use carry_out::{Shop, carry_out};

#[cfg(test)]
mod tests;
