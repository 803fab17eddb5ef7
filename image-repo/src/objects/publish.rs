// SPDX-License-Identifier: Apache-2.0
//! An image goes into a bucket: the chunks and blobs that are not there, and then the manifest, so that whoever finds a
//! manifest finds everything that it names.

use super::bucket::{Bucket, BucketError};
use crate::repository::Repository;
use crate::store::Kind;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use groundstate_api::image::{ImageRef, Manifest};
use groundstate_api::{Bytes, Digest};
use hyper::body::Bytes as Piece;
use image_core::limits::BLOB_MAX;
use image_core::manifest::canonical;
use serde::Serialize;
use std::collections::BTreeMap;

/// Objects on their way at once: enough to hide a round trip of 50 ms behind 1 Gbit/s of chunks.
const AT_ONCE: usize = 16;

/// What a publication did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Published {
    /// Objects that the image has, its manifest included.
    pub objects: u64,
    /// Those that were not there.
    pub sent: u64,
    /// Their bytes.
    pub sent_bytes: Bytes,
}

impl Repository {
    /// Publishes an image of this repository into a bucket. `progress` hears after each object how many of the image's
    /// stored bytes are there, of how many. gc waits for it.
    ///
    /// # Errors
    /// An object of ours cannot be read or is not what its name says, or the bucket does not take it. What was published
    /// until then stays, and is not sent again.
    pub async fn publish_to(
        &self,
        image: &ImageRef,
        bucket: &Bucket,
        progress: &mut (dyn FnMut(Bytes, Bytes) + Send),
    ) -> Result<Published, BucketError> {
        let _looking = self.store.looking()?;
        let manifest = self.manifest(&image.manifest)?;
        let objects = objects(&manifest);
        let length = canonical(&manifest).len() as u64;
        let all = Bytes(objects.values().map(|object| object.length.0).sum::<u64>() + length);
        let mut done = Published {
            objects: objects.len() as u64 + 1,
            ..Published::default()
        };
        let mut finished = Bytes(0);
        let mut sends = stream::iter(objects)
            .map(|((_, digest), object)| async move {
                let sent = self.send(bucket, object.kind, digest, object.stored);
                sent.await.map(|sent| (sent, object.length))
            })
            .buffer_unordered(AT_ONCE);
        while let Some((sent, length)) = sends.try_next().await? {
            done.add(sent);
            finished.0 += length.0;
            progress(finished, all);
        }
        drop(sends);
        let (kind, digest) = (Kind::Manifest, image.manifest);
        done.add(self.send(bucket, kind, digest, digest).await?);
        progress(all, all);
        Ok(done)
    }

    /// How many bytes were sent; none where it was there.
    async fn send(
        &self,
        bucket: &Bucket,
        kind: Kind,
        digest: Digest,
        stored: Digest,
    ) -> Result<Option<u64>, BucketError> {
        let path = self.store.path(kind, &digest);
        let about = tokio::fs::metadata(&path).await;
        let length = about.map_err(crate::RepoError::file("read", &path))?.len();
        // The same length under the same name: if it is not the same, whoever reads it through a cache proves it.
        if bucket.length(kind, &digest).await? == Some(length) {
            return Ok(None);
        }
        let key = || bucket.key(kind, &digest).to_string();
        if length > BLOB_MAX.0 {
            let (key, most) = (key(), BLOB_MAX);
            return Err(BucketError::Large { key, most });
        }
        let bytes = tokio::fs::read(&path).await;
        let bytes = bytes.map_err(crate::RepoError::file("read", &path))?;
        if Digest::of(&bytes) != stored {
            return Err(BucketError::Wrong { key: key() });
        }
        bucket.put(kind, &digest, Piece::from(bytes)).await?;
        Ok(Some(length))
    }
}

/// What an image has beside its manifest.
#[derive(Clone, Copy)]
struct Object {
    kind: Kind,
    /// The digest of the bytes as they are stored.
    stored: Digest,
    length: Bytes,
}

/// Each once, however often the image has it.
fn objects(manifest: &Manifest) -> BTreeMap<(u8, Digest), Object> {
    let chunks = manifest.chunks.iter().map(|chunk| {
        let object = Object {
            kind: Kind::Chunk,
            stored: chunk.stored_digest,
            length: chunk.stored_length,
        };
        ((0, chunk.digest), object)
    });
    let files = manifest.boot_files();
    let blobs = files.map(|files| [&files.kernel, &files.initrd, &files.boot_loader]);
    let blobs = blobs.into_iter().flatten().map(|blob| {
        let object = Object {
            kind: Kind::Blob,
            stored: blob.digest,
            length: blob.length,
        };
        ((1, blob.digest), object)
    });
    chunks.chain(blobs).collect()
}

impl Published {
    fn add(&mut self, sent: Option<u64>) {
        if let Some(bytes) = sent {
            self.sent += 1;
            self.sent_bytes.0 += bytes;
        }
    }
}
