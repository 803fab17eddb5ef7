// SPDX-License-Identifier: Apache-2.0
//! One bucket: whether an object is there, its bytes, and putting it there.
//!
//! An object's name is its path on a server of images ([`groundstate_api::paths`]), so that whatever gives a bucket out by
//! HTTP, a content delivery network for example, is such a server.

use super::config::{BucketConfig, ConfigError, Credentials};
use super::wire::Wire;
use crate::error::RepoError;
use crate::store::Kind;
use crate::trust::{Subject, TrustFault};
use futures_util::StreamExt as _;
use groundstate_api::trust::Signed;
use groundstate_api::{Bytes, Digest, Reason, ReasonCode, paths};
use hyper::body::Bytes as Piece;
use image_core::trust::limits::SIGNED_MAX;
use object_store::aws::AmazonS3Builder;
use object_store::client::{HttpError, HttpErrorKind};
use object_store::path::Path as Key;
use object_store::{
    Attribute, Attributes, ObjectStore, ObjectStoreExt as _, PutMode, PutMultipartOptions,
    PutOptions, PutPayload, RetryConfig, UpdateVersion, WriteMultipart,
};
use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long nothing of an object may come.
const STALLED: Duration = Duration::from_secs(30);
/// How long a server that starts waits for the answer to its first question.
const ASKED_MAX: Duration = Duration::from_secs(5);
/// Bytes in a second that an object must come with, after [`STALLED`]: what trickles would keep whoever waits for ever.
const LEAST_PACE: u64 = 16 << 10;
/// What is larger goes there in parts, so that no whole blob is held in memory.
pub(super) const PART: usize = 8 << 20;
/// Parts on their way at once.
const PARTS_AT_ONCE: usize = 2;

/// What caches in front of the bucket are told (RFC 9111, RFC 8246): what lies under a digest or a number never changes; what
/// may be followed by a newer one is asked for each time.
const FOR_EVER: &str = "max-age=31536000, immutable";
const ASK_AGAIN: &str = "no-cache";

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
    /// There is no bucket of that name.
    #[error(
        "the object store has no such bucket ({key} could not be {done}); make it there, or correct `bucket` in its settings"
    )]
    NoBucket {
        /// What was tried, as a participle.
        done: &'static str,
        /// The object.
        key: String,
    },
    /// Nobody answers there, or not as it should be answered.
    #[error(
        "{key} could not be {done}: the object store cannot be reached ({why}); see that `endpoint` is right and answers"
    )]
    NoAnswer {
        /// What was tried, as a participle.
        done: &'static str,
        /// The object.
        key: String,
        /// What the network or TLS said.
        why: String,
    },
    /// Who asks may not, or is not believed to be who they say.
    #[error(
        "{key} could not be {done}: the object store refuses who asks: {source}; see that `credentials` are right, and what they may do in the bucket"
    )]
    NotAllowed {
        /// What was tried, as a participle.
        done: &'static str,
        /// The object.
        key: String,
        /// What the store's client said.
        source: object_store::Error,
    },
    /// Nothing came for too long, or too little.
    #[error("{key} does not come any further: after {} s there are {}", .waited.as_secs(), .after)]
    Stalled {
        /// The object.
        key: String,
        /// What had come.
        after: Bytes,
        /// How long it was waited for.
        waited: Duration,
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
    /// An object that should be a document with its signatures.
    #[error("{key} is no document with its signatures: {why}")]
    NoDocument {
        /// The object.
        key: String,
        /// What the reader said.
        why: serde_json::Error,
    },
    /// Another document of the same number.
    #[error(
        "{key} is another document than the one of the same number here: two repositories signed with the same keys; find out which one is meant"
    )]
    OtherDocument {
        /// The object.
        key: String,
    },
    /// It is changed each time that it is to be changed.
    #[error(
        "{key} was changed by somebody else each time; publish again when the other publication is done"
    )]
    Contended {
        /// The object.
        key: String,
    },
    /// Signatures of our own repository.
    #[error(transparent)]
    Trust(#[from] TrustFault),
    /// Something of our own repository or cache.
    #[error(transparent)]
    Repo(#[from] RepoError),
}

impl BucketError {
    /// Whether every question will be answered so until somebody changes the settings or the bucket.
    #[must_use]
    pub const fn is_refusal(&self) -> bool {
        matches!(self, Self::NoBucket { .. } | Self::NotAllowed { .. })
    }

    /// The same for people: why `image` cannot be had, and what to do.
    #[must_use]
    pub fn reason(&self, image: &str) -> Reason {
        let (code, next) = match self {
            Self::Wrong { .. } | Self::Large { .. } => (
                ReasonCode::ChunkCorrupt,
                "take that object away in the bucket, then publish the image again: groundstate image publish NAME VERSION --s3 \
                 FILE, on the machine of the repository that has it",
            ),
            Self::Trust(_) | Self::NoDocument { .. } | Self::OtherDocument { .. } => (
                ReasonCode::ImageUntrusted,
                "publish what is signed again: groundstate image publish --channels --s3 FILE, on the machine of the repository \
                 that has it",
            ),
            Self::NoBucket { .. } | Self::NotAllowed { .. } => (
                ReasonCode::ImageMissing,
                "correct the settings that --s3 names, or what the store lets us do, then order again",
            ),
            Self::Store { .. }
            | Self::NoAnswer { .. }
            | Self::Stalled { .. }
            | Self::Contended { .. } => (
                ReasonCode::ImageMissing,
                "see that the object store answers this machine, then order again",
            ),
            Self::Repo(_) => (
                ReasonCode::ImageMissing,
                "check the disk of the state directory and the rights on its folder images-cache, then order again",
            ),
        };
        let what = format!("{image} cannot be had out of the bucket");
        Reason::new(code, what, next)
            .seen(self.to_string())
            .then("nothing: no disk is touched")
    }

    /// Whether nobody answered, or not to the end: another try may succeed.
    #[must_use]
    pub const fn is_silence(&self) -> bool {
        matches!(
            self,
            Self::Store { .. } | Self::NoAnswer { .. } | Self::Stalled { .. }
        )
    }

    /// What is the same for every object that this keeps from coming.
    #[must_use]
    pub fn cause(&self) -> String {
        match self {
            Self::NoBucket { .. } => "no such bucket".to_owned(),
            Self::NotAllowed { .. } => "refused".to_owned(),
            Self::NoAnswer { why, .. } => why.clone(),
            Self::Stalled { .. } => "stalled".to_owned(),
            Self::Store { source, .. } => root(source).to_string(),
            Self::Large { .. }
            | Self::Wrong { .. }
            | Self::NoDocument { .. }
            | Self::OtherDocument { .. }
            | Self::Contended { .. }
            | Self::Trust(_)
            | Self::Repo(_) => self.to_string(),
        }
    }
}

impl Bucket {
    /// The bucket that is configured. No request is made.
    ///
    /// # Errors
    /// Credentials or authorities cannot be read, or there can be no such bucket.
    pub fn open(config: &BucketConfig) -> Result<Self, ConfigError> {
        Self::open_with(config, RetryConfig::default())
    }

    /// The same for a server, whose clients wait meanwhile: what nobody answers is asked again three times, within 20 s.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_for_clients(config: &BucketConfig) -> Result<Self, ConfigError> {
        let retries = RetryConfig {
            max_retries: 3,
            retry_timeout: Duration::from_secs(20),
            ..RetryConfig::default()
        };
        Self::open_with(config, retries)
    }

    /// The same, and what nobody answers is not asked again.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_once(config: &BucketConfig) -> Result<Self, ConfigError> {
        let retries = RetryConfig {
            max_retries: 0,
            ..RetryConfig::default()
        };
        Self::open_with(config, retries)
    }

    fn open_with(config: &BucketConfig, retries: RetryConfig) -> Result<Self, ConfigError> {
        config.check()?;
        let credentials = Credentials::read(&config.credentials)?;
        let wire = Wire::new(config.authority.as_deref())?;
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(&config.bucket)
            .with_region(&config.region)
            .with_virtual_hosted_style_request(config.virtual_hosted)
            .with_access_key_id(credentials.id)
            .with_secret_access_key(credentials.secret)
            .with_retry(retries)
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

    /// Asks it one question: for the catalogue, which need not be there.
    ///
    /// # Errors
    /// There is no such bucket, it refuses who asks, or does not answer as it should, or not within 5 s.
    pub async fn ask(&self) -> Result<(), BucketError> {
        let read = self.read(paths::TRUST_CATALOGUE, SIGNED_MAX);
        let key = self.at(paths::TRUST_CATALOGUE).to_string();
        in_time(ASKED_MAX, key, read).await.map(drop)
    }

    /// The object of that path of a server.
    fn at(&self, path: &str) -> Key {
        Key::from(format!("{}{}", self.prefix, path.trim_start_matches('/')))
    }

    pub(super) fn key(&self, kind: Kind, digest: &Digest) -> Key {
        let path = match kind {
            Kind::Manifest => paths::IMAGE_MANIFEST,
            Kind::Chunk => paths::CHUNK,
            Kind::Blob => paths::BLOB,
        };
        self.at(&path.replace("{digest}", &digest.hex()))
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
        let attributes = Attributes::from_iter([(Attribute::CacheControl, FOR_EVER)]);
        if bytes.len() <= PART {
            let options = PutOptions::from(attributes);
            let payload = PutPayload::from_bytes(bytes);
            let put = self.store.put_opts(&key, payload, options).await;
            return put.map(drop).map_err(failed("published", &key));
        }
        let options = PutMultipartOptions::from(attributes);
        let upload = self.store.put_multipart_opts(&key, options).await;
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
        let found = self.pieces(&key, most, &mut take).await?;
        Ok(found.is_some())
    }

    /// All of the object that has this path on a server of images; none where it is not there.
    ///
    /// # Errors
    /// The store refused or did not answer, or the object has more than `most`.
    pub async fn read(&self, path: &str, most: Bytes) -> Result<Option<Vec<u8>>, BucketError> {
        Ok(self.whole(&self.at(path), most).await?.map(|found| found.0))
    }

    async fn whole(
        &self,
        key: &Key,
        most: Bytes,
    ) -> Result<Option<(Vec<u8>, UpdateVersion)>, BucketError> {
        let mut bytes = Vec::new();
        let mut take = |piece: &[u8]| {
            bytes.extend_from_slice(piece);
            Ok(())
        };
        let found = self.pieces(key, most, &mut take).await?;
        Ok(found.map(|version| (bytes, version)))
    }

    /// A document with its signatures; none where it is not there.
    pub(crate) async fn document(&self, subject: Subject) -> Result<Option<Signed>, BucketError> {
        let key = self.at(&subject.path());
        let Some((bytes, _)) = self.whole(&key, SIGNED_MAX).await? else {
            return Ok(None);
        };
        let key = key.to_string();
        serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|why| BucketError::NoDocument { key, why })
    }

    /// The same, and which version of the object it is. What is no document counts as one without a text.
    pub(super) async fn document_to_change(
        &self,
        subject: Subject,
    ) -> Result<Option<(Signed, UpdateVersion)>, BucketError> {
        let found = self.whole(&self.at(&subject.path()), SIGNED_MAX).await?;
        Ok(found.map(|(bytes, version)| {
            let signed = serde_json::from_slice(&bytes).unwrap_or_default();
            (signed, version)
        }))
    }

    /// Puts a document there, where there is none, or in place of the version that is named; false where something else is
    /// there by now.
    pub(super) async fn put_document(
        &self,
        subject: Subject,
        signed: &Signed,
        instead_of: Option<UpdateVersion>,
    ) -> Result<bool, BucketError> {
        let key = self.at(&subject.path());
        let cache = if subject.is_for_ever() {
            FOR_EVER
        } else {
            ASK_AGAIN
        };
        let options = PutOptions {
            mode: instead_of.map_or(PutMode::Create, PutMode::Update),
            attributes: Attributes::from_iter([
                (Attribute::CacheControl, cache),
                (Attribute::ContentType, "application/json"),
            ]),
            ..PutOptions::default()
        };
        let text = serde_json::to_vec(signed).expect("a document has string keys only");
        match self.store.put_opts(&key, text.into(), options).await {
            Ok(_) => Ok(true),
            Err(
                object_store::Error::AlreadyExists { .. }
                | object_store::Error::Precondition { .. },
            ) => Ok(false),
            Err(source) => Err(failed("published", &key)(source)),
        }
    }

    /// The object's name, for people.
    pub(super) fn name(&self, subject: Subject) -> String {
        self.at(&subject.path()).to_string()
    }

    /// Its bytes to `take`, and which version of the object they are.
    async fn pieces(
        &self,
        key: &Key,
        most: Bytes,
        take: &mut impl FnMut(&[u8]) -> Result<(), BucketError>,
    ) -> Result<Option<UpdateVersion>, BucketError> {
        let found = match self.store.get(key).await {
            Ok(found) => found,
            Err(source) if is_no_bucket(&source) => return Err(failed("read", key)(source)),
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(source) => return Err(failed("read", key)(source)),
        };
        let version = UpdateVersion {
            e_tag: found.meta.e_tag.clone(),
            version: found.meta.version.clone(),
        };
        let (mut pieces, mut came) = (found.into_stream(), 0u64);
        let began = Instant::now();
        let stalled = |came| BucketError::Stalled {
            key: key.to_string(),
            after: Bytes(came),
            waited: began.elapsed(),
        };
        loop {
            let next = tokio::time::timeout(STALLED, pieces.next()).await;
            let piece = match next {
                Ok(Some(piece)) => piece.map_err(failed("read", key))?,
                Ok(None) => return Ok(Some(version)),
                Err(_) => return Err(stalled(came)),
            };
            came += piece.len() as u64;
            if trickles(began.elapsed(), came) {
                return Err(stalled(came));
            }
            if came > most.0 {
                let key = key.to_string();
                return Err(BucketError::Large { key, most });
            }
            take(&piece)?;
        }
    }
}

/// What comes of reading `key`, if it comes in time.
pub(crate) async fn in_time<T>(
    most: Duration,
    key: String,
    read: impl Future<Output = Result<T, BucketError>>,
) -> Result<T, BucketError> {
    let late = |_| BucketError::NoAnswer {
        done: "read",
        key,
        why: format!("nothing whole within {} s", most.as_secs()),
    };
    tokio::time::timeout(most, read).await.map_err(late)?
}

/// Whether so many bytes after so long are too few.
fn trickles(after: Duration, came: u64) -> bool {
    after > STALLED + Duration::from_secs(came / LEAST_PACE)
}

fn failed(done: &'static str, key: &Key) -> impl FnOnce(object_store::Error) -> BucketError {
    let key = key.to_string();
    move |source| {
        if is_no_bucket(&source) {
            return BucketError::NoBucket { done, key };
        }
        if let Some(why) = unanswered(&source) {
            return BucketError::NoAnswer { done, key, why };
        }
        match source {
            object_store::Error::PermissionDenied { .. }
            | object_store::Error::Unauthenticated { .. } => {
                BucketError::NotAllowed { done, key, source }
            }
            source => BucketError::Store { done, key, source },
        }
    }
}

/// Why no answer came, where none did: what the client says of it counts its own retries, and the cause is at its end.
fn unanswered(error: &object_store::Error) -> Option<String> {
    let mut at: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = at {
        if let Some(http) = error.downcast_ref::<HttpError>() {
            let silent = matches!(
                http.kind(),
                HttpErrorKind::Connect | HttpErrorKind::Request | HttpErrorKind::Timeout
            );
            return silent.then(|| root(error).to_string());
        }
        at = error.source();
    }
    None
}

/// Where a chain of errors begins.
fn root<'a>(error: &'a (dyn Error + 'static)) -> &'a (dyn Error + 'static) {
    let mut at = error;
    while let Some(next) = at.source() {
        at = next;
    }
    at
}

/// Whether it is the bucket itself that is not there (S3's error code `NoSuchBucket`, which its client only gives in its text).
fn is_no_bucket(error: &object_store::Error) -> bool {
    error.to_string().contains("<Code>NoSuchBucket</Code>")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_trickles_is_given_up_and_what_is_slow_is_waited_for() {
        let after = |seconds, bytes: Bytes| trickles(Duration::from_secs(seconds), bytes.0);
        assert!(!after(30, Bytes(1)));
        assert!(after(31, Bytes(31)));
        assert!(after(31, Bytes(15 << 10)));
        // 64 KiB/s: an initrd of 60 MiB takes its time.
        assert!(!after(960, Bytes::mib(60)));
        assert!(after(960, Bytes::mib(14)));
    }
}
