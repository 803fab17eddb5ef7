// SPDX-License-Identifier: Apache-2.0
//! Looks at the machine it runs on: disks, DIMMs, processors, network interfaces.
//!
//! Linked by PID 1 of the maintenance OS, where only `/dev`, `/proc` and `/sys` are mounted and no udev runs, and by the
//! `hw-diag` command. It only reads: no setting is changed, no sector written, and a self-test starts only
//! where [`self_test`] is told to. It refuses to judge; that is `hw-core`'s part. What it could not look at is named, never left out silently.

mod ata;
pub mod burn_in;
mod disk;
pub mod ecc;
mod ioctl;
mod look;
mod machine;
pub mod memory_test;
mod nic;
mod nvme;
pub mod page;
mod raid;
mod scsi;
pub mod self_test;
mod sysfs;

pub use disk::DisksLook;
pub use look::{BootFacts, look, look_at_disks, look_at_facts, system_identity};
