// SPDX-License-Identifier: Apache-2.0
//! The settings of an S3-compatible bucket, out of the TOML file that a command names.

use anyhow::{Context as _, Result};
use image_repo::objects::{Bucket, BucketConfig};
use std::path::Path;
use tokio::runtime::Runtime;

/// Reads the file. No request is made.
pub(super) fn open(path: &Path) -> Result<(Bucket, BucketConfig)> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("{} cannot be read", path.display()))?;
    let config: BucketConfig = toml::from_str(&text)
        .with_context(|| format!("{} is not a bucket's settings", path.display()))?;
    let bucket =
        Bucket::open(&config).with_context(|| format!("the bucket of {}", path.display()))?;
    Ok((bucket, config))
}

/// What requests to it run on.
pub(super) fn runtime() -> Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("the requests cannot be started")
}
