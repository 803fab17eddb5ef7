// SPDX-License-Identifier: Apache-2.0
//! ATA disks: the commands to send, IDENTIFY DEVICE, and SMART with its verdict.
//!
//! Refuses to believe the disk's own "passed" alone: of 66,776 real server drives 1,500 pass their self-assessment and
//! have unreadable sectors or failed self-tests all the same.

mod command;
mod identify;
mod smart;

pub use command::{Command, return_status};
pub use identify::{Identity, identify};
pub use smart::{Attribute, SelfAssessment, Smart, attributes, failed_self_tests, health, verdict};

/// The length of every ATA data block that is read here, in bytes.
pub const BLOCK: usize = 512;
