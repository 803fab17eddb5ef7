// SPDX-License-Identifier: Apache-2.0
//! What a node has of an image it serves to its rack, and what the provisioner plans for it becomes its sources.
//!
//! A frame goes out only where it is what the manifest names, and only to a node of this site. It is in memory as it came,
//! or is read from the target and compressed again to the very same bytes. Nothing here writes to a disk.
//!
//! All of it lives in [`MEMORY_MAX`]; the rest of the 64 MiB is the deploy's.

mod again;
mod ask;
mod book;
mod ledger;
mod pace;
mod serve;
mod shelf;
mod tls;

#[cfg(test)]
mod tests;

pub use book::{Ask, Book, Room, Setting};

use groundstate_api::Bytes;

/// What a room may hold: the shelf, 64 connections of some 64 KiB, and one chunk that is compressed again.
pub const MEMORY_MAX: Bytes = Bytes::mib(11);
/// Frames that are kept as they came.
const SHELF_MAX: Bytes = Bytes::mib(5);
/// The longest chunk that is compressed again: it and its frame stand in memory at once, beside zstd's own tables.
const AGAIN_MAX: Bytes = Bytes::mib(1);
/// Callers at once. The plan sends 48 different ones to a node, each of which stays a while; those that leave need a moment.
const CALLERS_MAX: usize = 64;
