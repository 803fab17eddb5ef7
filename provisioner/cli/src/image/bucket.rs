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

#[cfg(test)]
mod tests {
    use super::*;
    use groundstate_api::Bytes;

    #[test]
    fn the_guides_settings_are_read_and_sizes_are_taken_as_they_are_written() {
        let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/guides/images.md");
        let guide = std::fs::read_to_string(guide).unwrap();
        let (_, block) = guide.split_once("```toml\n# bucket.toml\n").unwrap();
        let (block, _) = block.split_once("```").unwrap();
        let read: BucketConfig = toml::from_str(block).unwrap();
        assert_eq!(read.cache_size, Bytes::gib(20));
        assert_eq!(read.prefix, "site/");
        let with = |size: &str| {
            let text = block.replace("\"20GiB\"", size);
            assert_ne!(text, block);
            toml::from_str::<BucketConfig>(&text).map(|read| read.cache_size)
        };
        assert_eq!(with("1048576").unwrap(), Bytes::mib(1));
        for odd in ["\"20GB\"", "-1", "true"] {
            let said = with(odd).unwrap_err().to_string();
            assert!(said.contains("20GiB"), "{said}");
        }
    }
}
