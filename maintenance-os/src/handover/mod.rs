// SPDX-License-Identifier: Apache-2.0
//! Hands the machine over: first-boot data, the ESP's files, the firmware's boot entry, kexec and restart.
//!
//! Nothing here chooses: partitions, GUIDs, command line and bytes come from the plan and the image. Each function may
//! be run again after a power cut and comes to the same end.
// A reason is built once per failed step and carries all a person needs; its size is no cost.
#![allow(clippy::result_large_err)]

mod boot_entry;
mod contents;
mod efivars;
mod esp;
mod kexec;
mod kexec_syscall;
mod key;
mod memory;
mod place;
mod seed;

pub use boot_entry::{BOOT_LOADER_FILE, boot_entry, write_entry};
pub use efivars::EfiVars;
#[cfg(test)]
pub(crate) use esp::fill_stand_in;
pub use esp::{
    EspContents, EspDigests, EspFiles, digest_esp, fill_esp, fill_tree, plan_short, read_esp,
    read_tree,
};
pub use kexec::{kexec_load, kexec_start, reboot};
pub use key::make_key_and_csr;
pub use memory::memory_file;
#[cfg(test)]
pub(crate) use place::{Fill, Tree};
pub use seed::{place_seed, place_seed_in};
