// SPDX-License-Identifier: Apache-2.0
//! Makes a disk its own after an image of a whole disk was written to it: the backup table stands at the disk's real end,
//! disk and partitions have GUIDs that no other disk has, and the last partition has the rest of the disk where that is wanted.
//!
//! It refuses to guess. A table that it does not understand is refused by name, what has no GUID table is left as it is, and
//! a GUID that something on the disk names where the name cannot be changed safely stays, and is said.

mod fix_up;
mod gpt;
mod grow;
mod references;
mod refusal;

pub use fix_up::{FixUp, Identity, Place, Renamed, Request, Stays, Wishes, Write, fix_up};
pub use gpt::{Gpt, Partition, Table, look};
pub use grow::Growth;
pub use references::{Form, HITS_MAX, Hit, Needles, OVERLAP};
pub use refusal::{LookError, Refusal};

#[cfg(test)]
#[allow(clippy::indexing_slicing)] // A test may panic.
mod tests;
