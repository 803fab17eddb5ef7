// SPDX-License-Identifier: Apache-2.0
//! One bucket: whether an object is there, its bytes, and putting it there.

use super::config::{BucketConfig, ConfigError, Credentials};
use super::wire::Wire;
use crate::error::RepoError;
use crate::store::Kind;
use futures_util::StreamExt as _;
use groundstate_api::{Bytes, Digest};
use hyper::body::Bytes as Piece;
use object_store::aws::AmazonS3Builder;
use object_store::path::Path as Key;
use object_store::{ObjectStore, ObjectStoreExt as _, PutPayload, WriteMultipart};
use std::sync::Arc;
use std::time::Duration;

/// How long nothing of an object may come.
const STALLED: Duration = Duration::from_secs(30);
/// What is larger goes there in parts, so that no whole blob is held in memory.
pub(super) const PART: usize = 8 << 20;
/// Parts on their way at once.
const PARTS_AT_ONCE: usize = 2;

/// A bucket, or whatever `object_store` knows as one.
#[derive(Clone, Debug)]
pub struct Bucket {
    store: Arc<dyn ObjectStore>,
    prefix: String,
}

/// Why an object could not be read or published.
#[derive(Debug, thiserror::Error)]
pub enum BucketError {
    /// The object store refused, or did not answer.
    #[error("{key} could not be {done}: {source}")]
    Store {
        /// What was tried, as a participle.
        done: &'static str,
        /// The object.
        key: String,
        /// What the store's client said.
        source: object_store::Error,
    },
    /// Nothing came for too long.
    #[error("{key} does not come any further: nothing for {} s after {}", STALLED.as_secs(), .after)]
    Stalled {
        /// The object.
        key: String,
        /// What had come.
        after: Bytes,
    },
    /// It is larger than anything of its kind.
    #[error("{key} has more than {most}, which nothing of its kind has")]
    Large {
        /// The object.
        key: String,
        /// The bound.
        most: Bytes,
    },
    /// Its bytes are not what its digest says.
    #[error(
        "{key} is not what its digest says; whoever can write to the bucket has changed it, or the store has lost it"
    )]
    Wrong {
        /// The object.
        key: String,
    },
    /// Something of our own repository or cache.
    #[error(transparent)]
    Repo(#[from] RepoError),
}

impl Bucket {
    /// The bucket that is configured. No request is made.
    ///
    /// # Errors
    /// Credentials or authorities cannot be read, or there can be no such bucket.
    pub fn open(config: &BucketConfig) -> Result<Self, ConfigError> {
        let credentials = Credentials::read(&config.credentials)?;
        let wire = Wire::new(config.authority.as_deref())?;
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(&config.bucket)
            .with_region(&config.region)
            .with_virtual_hosted_style_request(config.virtual_hosted)
            .with_access_key_id(credentials.id)
            .with_secret_access_key(credentials.secret)
            .with_http_connector(wire);
        if let Some(token) = credentials.token {
            builder = builder.with_token(token);
        }
        if let Some(endpoint) = &config.endpoint {
            builder = builder
                .with_endpoint(endpoint.trim_end_matches('/'))
                .with_allow_http(endpoint.starts_with("http://"));
        }
        let store = builder.build().map_err(|error| ConfigError::Unusable {
            why: error.to_string(),
        })?;
        Ok(Self::over(Arc::new(store), &config.prefix))
    }

    /// Over any object store.
    #[must_use]
    pub fn over(store: Arc<dyn ObjectStore>, prefix: &str) -> Self {
        Self {
            store,
            prefix: prefix.to_owned(),
        }
    }

    pub(super) fn key(&self, kind: Kind, digest: &Digest) -> Key {
        let (prefix, hex) = (&self.prefix, digest.hex());
        let two = hex.get(..2).unwrap_or_default();
        Key::from(match kind {
            Kind::Manifest => format!("{prefix}manifests/{hex}"),
            Kind::Chunk => format!("{prefix}chunks/{two}/{hex}"),
            Kind::Blob => format!("{prefix}blobs/{two}/{hex}"),
        })
    }

    /// The length of what is there.
    pub(super) async fn length(
        &self,
        kind: Kind,
        digest: &Digest,
    ) -> Result<Option<u64>, BucketError> {
        let key = self.key(kind, digest);
        match self.store.head(&key).await {
            Ok(about) => Ok(Some(about.size)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(source) => Err(failed("looked for", &key)(source)),
        }
    }

    /// Puts it there, whole or not at all.
    pub(super) async fn put(
        &self,
        kind: Kind,
        digest: &Digest,
        bytes: Piece,
    ) -> Result<(), BucketError> {
        let key = self.key(kind, digest);
        if bytes.len() <= PART {
            let put = self.store.put(&key, PutPayload::from_bytes(bytes)).await;
            return put.map(drop).map_err(failed("published", &key));
        }
        let upload = self.store.put_multipart(&key).await;
        let upload = upload.map_err(failed("published", &key))?;
        let mut parts = WriteMultipart::new_with_chunk_size(upload, PART);
        let mut rest = bytes;
        while !rest.is_empty() {
            let room = parts.wait_for_capacity(PARTS_AT_ONCE).await;
            room.map_err(failed("published", &key))?;
            parts.put(rest.split_to(PART.min(rest.len())));
        }
        let done = parts.finish().await;
        done.map(drop).map_err(failed("published", &key))
    }

    /// Its bytes, piece by piece, to `take`; false where it is not there.
    pub(super) async fn get(
        &self,
        kind: Kind,
        digest: &Digest,
        most: Bytes,
        mut take: impl FnMut(&[u8]) -> Result<(), BucketError>,
    ) -> Result<bool, BucketError> {
        let key = self.key(kind, digest);
        let found = match self.store.get(&key).await {
            Ok(found) => found,
            Err(object_store::Error::NotFound { .. }) => return Ok(false),
            Err(source) => return Err(failed("read", &key)(source)),
        };
        let (mut pieces, mut came) = (found.into_stream(), 0u64);
        loop {
            let next = tokio::time::timeout(STALLED, pieces.next()).await;
            let piece = match next {
                Ok(Some(piece)) => piece.map_err(failed("read", &key))?,
                Ok(None) => return Ok(true),
                Err(_) => {
                    let (key, after) = (key.to_string(), Bytes(came));
                    return Err(BucketError::Stalled { key, after });
                }
            };
            came += piece.len() as u64;
            if came > most.0 {
                let key = key.to_string();
                return Err(BucketError::Large { key, most });
            }
            take(&piece)?;
        }
    }
}

fn failed(done: &'static str, key: &Key) -> impl FnOnce(object_store::Error) -> BucketError {
    let key = key.to_string();
    move |source| BucketError::Store { done, key, source }
}
