// SPDX-License-Identifier: Apache-2.0
//! Decides how BMCs are spoken to, over Redfish (DMTF DSP0266, DSP0268) and IPMI 2.0 through `ipmitool`.
//!
//! Reads what a BMC answers, chooses what is asked next, compares what was asked with what is so afterwards, and knows when a BMC is
//! to be left alone. This crate refuses to know clocks, sockets, processes, passwords or randomness: time, entropy and a credential's
//! fingerprint come in as arguments.
#![cfg_attr(not(test), no_std)]
#![warn(clippy::indexing_slicing, clippy::wildcard_enum_match_arm)]
extern crate alloc;

pub mod answer;
pub mod gate;
pub mod ipmi;
pub mod ladder;
pub mod learned;
pub mod link;
pub mod next_boot;
pub mod power;
pub mod quirk;
pub mod report;
pub mod resource;
pub mod rung;
pub mod text;
pub mod trouble;
pub mod words;

pub use answer::Answer;
pub use gate::Gate;
pub use ladder::Ladder;
pub use learned::{Learned, Lesson, MachineKey};
pub use link::Link;
pub use power::{Power, PowerState, Reset};
pub use rung::Rung;
pub use trouble::{Trouble, credential_missing};
