// SPDX-License-Identifier: Apache-2.0
//! UEFI load options, device paths and boot variables (UEFI 2.10, sections 3.1.3, 3.3 and 10.3), and what we want of them.
//!
//! This module only reads and makes bytes, and decides which variables should change. It touches no firmware: the
//! shells read and write `efivarfs`. An option that it cannot read is never changed, moved away or overwritten.

mod boot_entry;
mod device_path;
mod error;
mod load_option;
mod network_entry;
#[cfg(test)]
mod tests;
mod ucs2;
mod variable;

pub use boot_entry::{
    BootChange, EntryChanges, Existing, OUR_DESCRIPTION, add_boot_entry, our_option,
};
pub use device_path::{DevicePath, Node};
pub use error::EfiError;
pub use load_option::{LOAD_OPTION_ACTIVE, LoadOption};
pub use network_entry::network_entry;
pub use ucs2::Ucs2;
pub use variable::{
    BOOT_CURRENT, BOOT_NEXT, BOOT_ORDER, VARIABLE_ATTRIBUTES, Variable, boot_number, boot_variable,
    decode_number, decode_order, encode_number, encode_order, file_name,
};
