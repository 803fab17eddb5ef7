// SPDX-License-Identifier: Apache-2.0
//! The executors of the disk steps: guard, wipe, partition, volumes, VHDs.
//!
//! They choose nothing. Right before each step they look at the machine's disks again, find each planned disk by its
//! identity and refuse on the first difference. A disk that fails does not stop the others; the step then fails with
//! the disk's name.

mod carry_out;
mod contents;
mod device;
mod error;
mod esp;
mod ext4;
mod hold;
mod look;
mod os_disk;
mod parallel;
mod partition;
mod remains;
mod vhds;
mod wipe;
mod xfs;

pub use carry_out::{Bench, carry_out};
pub use contents::contents;
pub use device::partition_device;
pub(crate) use error::no_answer;
pub use error::{DiskError, about_os_disk};
pub use esp::make_esp;
pub use ext4::make_ext4;
pub use hold::Hold;
pub use look::{Look, fill_contents};
pub use os_disk::{FILES_MAX, OPEN_MAX, on_os_disk};
pub use partition::partition;
pub use vhds::make_vhds;
pub use wipe::wipe;
pub use xfs::make_xfs;

#[cfg(test)]
mod jbod;
#[cfg(test)]
mod tests;
