// SPDX-License-Identifier: Apache-2.0
//! TFTP transfers by what goes over the wire.
#![allow(clippy::unwrap_used, reason = "a helper of a test may fail the test")]

#[path = "tftp/channel.rs"]
mod channel;
#[path = "tftp/drive.rs"]
mod drive;
#[path = "tftp/lock_step.rs"]
mod lock_step;
#[path = "tftp/threats.rs"]
mod threats;
#[path = "tftp/windows.rs"]
mod windows;
