// SPDX-License-Identifier: Apache-2.0
//! Decides whom to believe: which trust root, which catalogue, which image of a channel; and why not.
//!
//! Everything comes in as values: the pinned root, the documents with their signatures, the time, and how far the reader
//! had come before. Nothing here reads a file, asks a clock or holds a secret. The attacks are those that The Update
//! Framework lists; each has its own variant of [`TrustError`]. What is believed comes out as [`Trusted`] and [`Verified`],
//! which nobody else can make.

mod believed;
mod channels;
mod count;
mod document;
pub mod limits;
pub mod minisign;
mod moment;
pub mod next;
mod refusal;
mod revocation;
mod root;
pub mod version;

pub use believed::{
    Trusted, Verified, catalogue_of, newest_root, statement_of, trusted, without_catalogue,
};
pub use count::{Ignored, IgnoredWhy, signers};
pub use document::{Document, canonical, parse};
pub use moment::moment;
pub use refusal::TrustError;
pub use revocation::{revokes, still_revoked};
pub use root::{advance, check_root, may_install};
