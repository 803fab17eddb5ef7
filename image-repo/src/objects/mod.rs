// SPDX-License-Identifier: Apache-2.0
//! The repository in an S3-compatible object store: published to, and read through a cache on disk.
//!
//! ```text
//! <prefix>chunks/ab/<64 hex digits>   <prefix>blobs/ab/<64 hex digits>   <prefix>manifests/<64 hex digits>
//! ```
//! The object store is not believed: what comes from it is taken only if it is what its digest says. It refuses to remove
//! anything there; a bucket's own rules for old objects do that.

mod bucket;
mod cache;
mod config;
mod proof;
mod publish;
mod wire;

pub use bucket::{Bucket, BucketError};
pub use cache::ReadThrough;
pub use config::{BucketConfig, ConfigError};
pub use publish::Published;
