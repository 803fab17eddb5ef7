// SPDX-License-Identifier: Apache-2.0
//! The image's way on the node: fetched, proved, written in order, read back.
//!
//! Which bytes are right and in which order they go stands in `image-core`. Nothing here writes a byte that was not
//! proved, or outside the target that it is given; which target that is, the guard has decided before.

mod ask;
mod buffer;
mod clock;
mod hand;
mod prove;
mod pull;
mod read_back;
#[cfg(test)]
pub(crate) mod stand_in;
mod target;
mod whole;
mod write;

pub use read_back::read_back;
pub use whole::{fetch_blob_into, fetch_manifest};
pub use write::write;

use groundstate_api::{Bytes, Reason};

/// Where images come from.
#[derive(Clone, Debug)]
pub struct Source {
    /// The HTTP client, with the site CA and the node's certificate set by the caller.
    pub agent: ureq::Agent,
    /// `https://address:port`, without a path.
    pub base: String,
}

/// How it goes, while it goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Moved {
    /// So much is done.
    Progress {
        /// Bytes done.
        done: Bytes,
        /// All bytes.
        total: Bytes,
    },
    /// The server is away; it is asked again by itself.
    Waiting(Reason),
    /// The server is back.
    GoingOn,
}
