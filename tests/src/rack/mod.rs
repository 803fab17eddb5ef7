// SPDX-License-Identifier: Apache-2.0
//! A rack of virtual servers: real firmware, a real kernel's view of disks and DIMMs, a real (virtual) network.
//!
//! A [`Net`] is the rack's network, a [`NodeSpec`] says what a server consists of, a [`Node`] is that server. Faults
//! are in the virtual hardware only ([`Fault`]): the software that runs on a node cannot tell them from real ones.
//!
//! The rack refuses to use KVM (see `LAB` facts in the README: it may open and still hang), to touch an interface
//! or a disk of the machine it runs on, and to wait for anything without a limit.

mod bmc;
mod board;
mod bucket;
mod capture;
mod content;
mod error;
mod fault;
mod fingerprint;
mod image;
mod journal;
mod machine;
mod net;
mod node;
mod parts;
mod plug;
#[cfg(test)]
mod proof;
mod qmp;
mod serial;
mod site;
mod smbios;
mod spec;
mod uefi_vars;

pub use bmc::{BmcFault, VirtualBmc};
pub use bucket::RackBucket;
pub use capture::Capture;
pub use error::RackError;
pub use fault::{Fault, ParseFaultError};
pub use fingerprint::{DiskFingerprint, Fingerprint, unchanged};
pub use image::DiskImage;
pub use journal::{RackEtcd, RackJournal};
pub use machine::{Boot, BootDevice, PowerOn};
pub use net::{Net, NetHandle, NetOptions, gain_network_rights};
pub use node::Node;
pub use parts::Parts;
pub use qmp::{Qmp, QmpEvent};
pub use serial::SerialLog;
pub use site::{ADDRESS, PREFIX, site, site_toml};
pub use smbios::{ARRAY_HANDLE, DEVICE_HANDLE, memory_array, memory_device};
pub use spec::{DimmSpec, DiskKind, DiskSpec, NODES_MAX, NicKind, NodeSpec, OldContent};
