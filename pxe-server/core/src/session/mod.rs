// SPDX-License-Identifier: Apache-2.0
//! Boot sessions: the steps that the boot service sees of each machine, joined from the first DISCOVER to the kernel.
//!
//! [`Sessions::handle`] takes steps and time in; it says when a new boot has begun, when one has ended, and of one that
//! stopped why, and what a person can do next. It keeps a bounded number of sessions: strangers give way before machines
//! that are known, and askers before machines that came as far as a file. It refuses to judge a machine's identity, and it
//! remembers operating systems only as an afterword to the boot that brought them up.

mod foreign;
mod one;
mod stage;
mod table;
mod why;

pub use foreign::{FOREIGN_MAX, ForeignServers};
pub use stage::{Asker, FileKind, IPXE, OPERATING_SYSTEM, Stage};
pub use table::{About, Action, Counts, Event, Limits, Sessions};
pub use why::LENGTH_ALONE;
