// SPDX-License-Identifier: Apache-2.0
//! The settings of an S3-compatible bucket, out of the TOML file that a command names.

use anyhow::{Context as _, Result};
use image_repo::objects::{Bucket, BucketConfig, BucketError, ReadThrough};
use std::path::Path;
use std::sync::Arc;
use tokio::runtime::Runtime;

/// Reads the file. No request is made.
pub(super) fn open(path: &Path) -> Result<(Bucket, BucketConfig)> {
    let config = read(path)?;
    let bucket =
        Bucket::open(&config).with_context(|| format!("the bucket of {}", path.display()))?;
    Ok((bucket, config))
}

/// The same for a server: what is asked for is kept in the state directory's folder `images-cache`.
pub(crate) fn behind(path: &Path, state_dir: &Path) -> Result<(Arc<ReadThrough>, BucketConfig)> {
    let config = read(path)?;
    let bucket = Bucket::open_for_clients(&config)
        .with_context(|| format!("the bucket of {}", path.display()))?;
    let cache = ReadThrough::open(bucket, &state_dir.join("images-cache"), config.cache_size)?;
    Ok((Arc::new(cache), config))
}

/// Whether the file can be used. No request is made, and nothing is made.
pub(crate) fn check(path: &Path) -> Result<()> {
    open(path).map(drop)
}

fn read(path: &Path) -> Result<BucketConfig> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("{} cannot be read", path.display()))?;
    toml::from_str(&text).with_context(|| format!("{} is not a bucket's settings", path.display()))
}

/// Asks the bucket one question. Where it is not there, or refuses us, nothing could be served; that nobody answers may pass,
/// and is given back.
pub(crate) async fn asked(config: &BucketConfig) -> Result<Option<BucketError>> {
    let said = Bucket::open_once(config)?.ask().await;
    match said {
        Ok(()) => Ok(None),
        Err(error) if error.is_refusal() => {
            Err(error).with_context(|| format!("the bucket {} cannot be served", config.bucket))
        }
        Err(error) => Ok(Some(error)),
    }
}

/// The bucket as a server's first lines have it.
pub(crate) fn named(config: &BucketConfig) -> String {
    let store = config.endpoint.as_deref().unwrap_or("Amazon S3");
    let (bucket, prefix) = (&config.bucket, &config.prefix);
    if prefix.is_empty() {
        format!("the bucket {bucket} of {store}")
    } else {
        format!("the bucket {bucket} of {store}, below {prefix}")
    }
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
