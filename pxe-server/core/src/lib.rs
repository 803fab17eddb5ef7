// SPDX-License-Identifier: Apache-2.0
//! Decides what a booting machine is told.
//!
//! Bytes, time and the boot policy's answer come in; bytes and wishes go out. This crate refuses to open a socket or a
//! file, to read a clock and to draw a random number: `pxe-server` does all of that.
#![cfg_attr(not(test), no_std)]
#![cfg_attr(
    not(test),
    warn(clippy::indexing_slicing, clippy::wildcard_enum_match_arm)
)]
extern crate alloc;

pub mod cpio;
pub mod dhcp;
pub mod dhcp6;
pub mod fat;
pub mod iso;
pub mod names;
pub mod proxy;
pub mod range;
pub mod recipe;
pub mod rules;
pub mod script;
pub mod session;
pub mod tftp;
pub mod uki;
