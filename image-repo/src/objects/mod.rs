// SPDX-License-Identifier: Apache-2.0
//! The repository in an S3-compatible object store: published to, and read through a cache on disk.
//!
//! ```text
//! <prefix>v1/chunks/<64 hex digits>   <prefix>v1/blobs/<64 hex digits>   <prefix>v1/images/<64 hex digits>
//! <prefix>v1/trust/root/<version>     <prefix>v1/trust/images/<64 hex digits>   <prefix>v1/trust/catalogue
//! ```
//! These are the paths of a server of images: whatever gives the bucket out by HTTP is one.
//!
//! The object store is not believed: what comes from it is taken only if it is what its digest says, and
//! signed documents are judged by who reads them. It refuses to remove
//! anything there; a bucket's own rules for old objects do that.

mod behind;
mod bucket;
mod cache;
mod config;
mod documents;
mod proof;
mod publish;
mod wire;

pub use behind::Behind;
pub(crate) use bucket::in_time;
pub use bucket::{Bucket, BucketError};
pub use cache::ReadThrough;
pub use config::{BucketConfig, ConfigError};
pub use documents::{Documents, Held};
pub use publish::Published;
