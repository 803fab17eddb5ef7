// SPDX-License-Identifier: Apache-2.0
//! The executors of the maintenance OS: each carries out one wish of `mos-core` and reports what happened.
//!
//! Nothing here decides: what may be written, where and in which order stands in the plan.

pub mod customise;
pub mod disk;
pub mod erase;
pub mod handover;
pub mod image;
mod medium;
mod mount;
mod patience;
pub mod peer;
pub mod pid1;
pub mod virtual_disk;
pub mod whole_disk;
