// SPDX-License-Identifier: Apache-2.0
//! Decides what the maintenance OS does: the disk plan, the guard, VHDs, the phases, the firmware's boot entries.
#![cfg_attr(not(test), no_std)]
#![warn(clippy::indexing_slicing, clippy::wildcard_enum_match_arm)]
extern crate alloc;

pub mod customise;
pub mod dhcp_client;
pub mod efi;
pub mod erase;
pub mod guard;
pub mod guid;
pub mod loader_entry;
pub mod moving;
pub mod phases;
pub mod plan;
pub mod random_access;
pub mod screen;
pub mod signature;
pub mod ticket;
pub mod vhd;
pub mod vhdx;
pub mod whole_disk;
