// SPDX-License-Identifier: Apache-2.0
//! A bucket of an S3-compatible store, read directly: its objects lie under the paths of a server of images.

use super::Origin;
use crate::image::bucket;
use anyhow::{Context as _, Result};
use groundstate_api::image::Chunk;
use groundstate_api::{Bytes, paths};
use image_repo::objects::Bucket;
use maintenance_os::image::{ChunkSource, Fixed};
use std::io;
use std::path::Path;
use std::sync::Arc;
use tokio::runtime::Runtime;

/// Requests for chunks that are made side by side.
const SIDE_BY_SIDE: u32 = 4;

/// A bucket as a TOML file names it.
pub(super) struct InBucket {
    name: String,
    objects: Arc<Objects>,
}

struct Objects {
    bucket: Bucket,
    runtime: Runtime,
}

impl InBucket {
    /// Reads the file. No request is made.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let (bucket, config) = bucket::open(path)?;
        Ok(Self {
            name: format!("the bucket {}", config.bucket),
            objects: Arc::new(Objects {
                bucket,
                runtime: bucket::runtime()?,
            }),
        })
    }
}

impl Origin for InBucket {
    fn name(&self) -> &str {
        &self.name
    }

    fn get(&self, path: &str, max: u64) -> Result<Option<Vec<u8>>> {
        let objects = &self.objects;
        let read = objects.bucket.read(path, Bytes(max));
        objects
            .runtime
            .block_on(read)
            .with_context(|| format!("{} could not be asked", self.name))
    }

    fn sources(&self) -> Fixed {
        let mut sources = Fixed::local(Arc::clone(&self.objects) as Arc<dyn ChunkSource>);
        for source in &mut sources.0 {
            source.name.clone_from(&self.name);
            source.weight = SIDE_BY_SIDE;
        }
        sources
    }

    fn mend(&self) -> &'static str {
        "take that object away there, then publish the image again: groundstate image publish NAME VERSION --s3 FILE, on the \
         repository's machine"
    }

    fn of_documents(&self) -> Option<String> {
        Some(format!(
            "{} has what was published last; after promote, revoke and renewal, on the repository's machine: groundstate image \
             publish --channels --s3 FILE",
            self.name
        ))
    }

    fn bring_catalogue(&self) -> Option<&'static str> {
        Some("groundstate image publish --channels --s3 FILE, on the repository's machine")
    }
}

impl ChunkSource for Objects {
    fn stored(&self, chunk: &Chunk, into: &mut Vec<u8>) -> io::Result<()> {
        let path = paths::CHUNK.replace("{digest}", &chunk.digest.hex());
        let read = self.bucket.read(&path, chunk.stored_length);
        let found = self.runtime.block_on(read).map_err(io::Error::other)?;
        let bytes = found.ok_or(io::ErrorKind::NotFound)?;
        into.extend_from_slice(&bytes);
        Ok(())
    }
}
