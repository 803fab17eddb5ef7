// SPDX-License-Identifier: Apache-2.0
//! Looks at the machine it runs on: disks, DIMMs, processors, network interfaces.
//!
//! Linked by PID 1 of the maintenance OS, where only `/dev`, `/proc` and `/sys` are mounted and no udev runs, and by the
//! `hw-diag` command. It only reads: no setting is changed, no sector written, a self-test starts only where [`self_test`]
//! is told to, and an LED is lit only where [`led`] is. It refuses to judge; that is `hw-core`'s part. What it could not
//! look at is named, never left out silently.

mod ata;
pub mod burn_in;
mod cpu;
mod disk;
pub mod ecc;
mod firmware;
#[cfg(test)]
mod fixture;
mod ioctl;
mod ipmi;
mod ipmi_ioctl;
mod kernel_log;
pub mod led;
mod link;
mod link_ethtool;
pub mod lldp;
mod lldp_socket;
mod look;
mod machine;
mod machine_facts;
pub mod memory_test;
mod nic;
mod nvme;
mod pci;
mod raid;
mod rtc;
mod scsi;
pub mod self_test;
mod sensor;
mod sysfs;
mod tpm;

pub use disk::DisksLook;
pub use look::{
    BootFacts, Everything, look, look_at_disks, look_at_everything, look_at_facts, look_below,
    system_identity,
};
pub use machine_facts::{MachineAsk, machine_facts};
