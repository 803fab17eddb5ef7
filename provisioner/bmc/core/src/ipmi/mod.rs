// SPDX-License-Identifier: Apache-2.0
//! IPMI 2.0 over LAN as `ipmitool` speaks it: what it is asked, and what its texts mean.
//!
//! The password is in no argument: the shell gives it on the program's standard input, which `-f` names.

mod command;
mod read;

pub use command::{
    Cipher, Command, Device, Locate, PASSWORD_BYTES_MAX, USER_BYTES_MAX, arguments, unfit,
};
pub use read::{
    BootFlags, Failure, Fru, boot_flags, failure, first_value, fru, power_state, sel, set_ok,
};
