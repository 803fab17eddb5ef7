// SPDX-License-Identifier: Apache-2.0
//! The image's way on the node: what stands there is kept, the rest fetched, proved, written, and all of it read back.
//!
//! Which bytes are right and in which order they go stands in `image-core`. Nothing here writes a byte that was not
//! proved, or outside the target that it is given; which target that is, the guard has decided before.

mod ask;
mod before;
mod blocks;
mod buffer;
mod clock;
mod connection;
mod deploy;
mod hand;
mod lane;
mod prove;
mod rate;
mod read_back;
mod source;
#[cfg(test)]
pub(crate) mod stand_in;
mod target;
mod trouble;
mod whole;
mod write;

pub use before::Before;
pub use deploy::{Counts, Deployed, Options, deploy};
pub use image_core::deploy::limits::READ_BEHIND;
pub use image_core::deploy::{Former, Seed};
pub use prove::Proof;
pub use read_back::{Proven, read_back, read_back_rest};
pub use source::{
    ChunkSet, ChunkSource, Fixed, Outcome, Place, Progress, Source, SourceBook, SourceEntry, Waker,
};
pub use whole::{fetch_blob_into, fetch_manifest};
pub use write::write;

use groundstate_api::Reason;

/// How it goes, while it goes.
#[derive(Clone, Debug, PartialEq)]
pub enum Moved {
    /// So much is done.
    Progress(Progress),
    /// Nobody gives anything just now; they are asked again by themselves.
    Waiting(Reason),
    /// Somebody gives again.
    GoingOn,
    /// A source is not asked for now; the others are.
    Dropped {
        /// Which.
        source: String,
        /// Why.
        reason: Reason,
    },
    /// A source that was dropped gives right bytes again.
    Returned {
        /// Which.
        source: String,
    },
}
