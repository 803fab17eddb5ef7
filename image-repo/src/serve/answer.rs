// SPDX-License-Identifier: Apache-2.0
//! What is answered to a request for one object, as RFC 9110 and RFC 9111 have it.

use super::Served;
use super::body::FileBody;
use super::client::{Client, HangUp};
use super::desk::{Refusal, Seat};
use super::files::Opened;
use crate::objects::BucketError;
use crate::store::Kind;
use axum::body::Body;
use axum::http::request::Parts;
use axum::http::response::Builder;
use axum::http::{HeaderName, Method, StatusCode, header};
use axum::response::Response;
use groundstate_api::view::Problem;
use groundstate_api::{Digest, Millis, Part, Reason, ReasonCode};
use image_core::admission::Full;
use image_core::range::{Wanted, wanted};
use std::io;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

impl Served {
    pub(super) async fn answer(&self, kind: Kind, text: &str, request: &Parts) -> Response {
        self.metrics.asked(kind);
        let Ok(digest) = text.parse::<Digest>() else {
            self.metrics.missing(kind);
            return no_digest(kind);
        };
        let extensions = &request.extensions;
        let client = extensions.get::<Client>().cloned().unwrap_or_default();
        let hang_up = extensions.get::<HangUp>().cloned();
        let seat = match self.desk.arrive(client, hang_up) {
            Ok(seat) => seat,
            Err(refusal) => return full(refusal),
        };
        let given = match self.open(kind, &digest).await {
            Ok(opened) => self.give(kind, &digest, opened, request, seat).await,
            Err(error) => Err(error),
        };
        given.unwrap_or_else(|error| {
            if error.kind() == io::ErrorKind::NotFound {
                self.metrics.missing(kind);
                return missing(kind, &digest);
            }
            let bucket = error.get_ref().and_then(|inner| inner.downcast_ref());
            let cause = bucket.map_or_else(|| error.to_string(), BucketError::cause);
            let behind = self.repository.store.behind().filter(|_| bucket.is_some());
            if behind.is_none_or(|behind| behind.cache().is_news(&cause)) {
                tracing::error!(what = word(kind), %digest, %error, cause, "cannot be read");
            }
            let reason = Reason::new(
                ReasonCode::Internal,
                format!("the {} cannot be read", word(kind)),
                "check the repository's disk and the rights on its directory",
            )
            .about(part(kind, &digest));
            problem(StatusCode::INTERNAL_SERVER_ERROR, reason, &[])
        })
    }

    /// From the repository, or from the bucket behind it.
    async fn open(&self, kind: Kind, digest: &Digest) -> io::Result<Opened> {
        let path = self.repository.store.path(kind, digest);
        let missing = match self.reading.files.open(path).await {
            Err(error) if error.kind() == io::ErrorKind::NotFound => error,
            other => return other,
        };
        let Some(behind) = self.repository.store.behind() else {
            return Err(missing);
        };
        let file = behind.cache().file(kind, digest).await;
        let file = file.map_err(io::Error::other)?;
        file.map_or(Err(missing), Opened::of)
    }

    async fn give(
        &self,
        kind: Kind,
        digest: &Digest,
        opened: Opened,
        request: &Parts,
        seat: Arc<Seat>,
    ) -> io::Result<Response> {
        let (headers, length) = (&request.headers, opened.length);
        let etag = format!("\"{digest}\"");
        let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
        if text(header::IF_MATCH).is_some_and(|wanted| !is_same(wanted, &etag)) {
            // It is no copy of the object that a cache could keep.
            let builder = Response::builder()
                .status(StatusCode::PRECONDITION_FAILED)
                .header(header::ETAG, &etag)
                .header(header::CACHE_CONTROL, "no-store");
            return Ok(finish(builder, Body::empty()));
        }
        let builder = Response::builder()
            .header(header::ETAG, &etag)
            .header(header::ACCEPT_RANGES, "bytes")
            .header(header::CACHE_CONTROL, self.cache_control);
        if text(header::IF_NONE_MATCH).is_some_and(|known| is_known(known, &etag)) {
            return Ok(finish(
                builder.status(StatusCode::NOT_MODIFIED),
                Body::empty(),
            ));
        }
        let builder = builder.header(header::CONTENT_TYPE, media_type(kind));
        let head = request.method == Method::HEAD;
        // RFC 9110 section 14.2: a range is for GET only.
        let range = text(header::RANGE).filter(|_| !head);
        let (builder, part) = match wanted(range, text(header::IF_RANGE), length, &etag) {
            Wanted::Whole => (builder, (0, length)),
            Wanted::Part { first, last } => {
                let range = format!("bytes {first}-{last}/{length}");
                let builder = builder.status(StatusCode::PARTIAL_CONTENT);
                (
                    builder.header(header::CONTENT_RANGE, range),
                    (first, last + 1),
                )
            }
            Wanted::Unsatisfiable => return Ok(beyond(kind, digest, length)),
        };
        let builder = builder.header(header::CONTENT_LENGTH, part.1 - part.0);
        if head {
            return Ok(finish(builder, Body::empty()));
        }
        let reading = Arc::clone(&self.reading);
        let body = FileBody::new(seat, reading, kind, opened, part).await?;
        Ok(finish(builder, Body::new(body)))
    }
}

/// RFC 9110 section 13.1.1: by strong comparison, so that who goes on with a part never gets it of other bytes.
fn is_same(wanted: &str, etag: &str) -> bool {
    wanted
        .split(',')
        .map(str::trim)
        .any(|each| each == "*" || each == etag)
}

/// RFC 9110 section 13.1.2: by weak comparison, so that a cache that weakened our tag still finds its copy.
fn is_known(known: &str, etag: &str) -> bool {
    known
        .split(',')
        .map(str::trim)
        .any(|each| each == "*" || each.strip_prefix("W/").unwrap_or(each) == etag)
}

fn beyond(kind: Kind, digest: &Digest, length: u64) -> Response {
    let reason = Reason::new(
        ReasonCode::ChunkCorrupt,
        format!("the {} has only {length} bytes", word(kind)),
        "ask for bytes that are there; if the manifest says that they are, import the image again",
    )
    .about(part(kind, digest));
    let range = (header::CONTENT_RANGE, format!("bytes */{length}"));
    problem(StatusCode::RANGE_NOT_SATISFIABLE, reason, &[range])
}

/// 503 with a time to come back: the caller loses nothing but that time.
fn full(refusal: Refusal) -> Response {
    let seconds = refusal.retry.0.div_ceil(1000);
    let what = match refusal.full {
        Full::Server => "the image repository has as many requests in work as it takes at once",
        Full::Client => "this client has as many requests in work as one client may have at once",
    };
    let mut reason = Reason::new(
        ReasonCode::UnderWay,
        what,
        "wait; where it stays so, let an HTTP cache stand in front, or raise `requests` and the caps",
    )
    .then(format!("serves this request when it comes again, in {seconds} s"));
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let now = Millis(u64::try_from(now.as_millis()).unwrap_or_default());
    reason.since = Some(Millis(now.since(refusal.full_for).0));
    reason.deadline = Some(now.plus(refusal.retry));
    let retry = (header::RETRY_AFTER, seconds.to_string());
    problem(StatusCode::SERVICE_UNAVAILABLE, reason, &[retry])
}

const fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::Manifest => "manifest",
        Kind::Chunk => "chunk",
        Kind::Blob => "blob",
    }
}

/// A chunk is a zstd file (RFC 8878), not a coding of the transfer: nothing on the way may decompress it.
const fn media_type(kind: Kind) -> &'static str {
    match kind {
        Kind::Manifest => "application/json",
        Kind::Chunk => "application/zstd",
        Kind::Blob => "application/octet-stream",
    }
}

fn part(kind: Kind, digest: &Digest) -> Part {
    Part::Image {
        image: word(kind).into(),
        digest: Some(digest.to_string()),
    }
}

fn missing(kind: Kind, digest: &Digest) -> Response {
    let what = format!("the {} is not in the repository", word(kind));
    let reason = Reason::new(ReasonCode::ImageMissing, what, "import the image again")
        .about(part(kind, digest));
    problem(StatusCode::NOT_FOUND, reason, &[])
}

/// What stands in the path is no digest.
fn no_digest(kind: Kind) -> Response {
    let what = format!(
        "digest: a {} is asked for by 64 lower-case hexadecimal digits",
        word(kind)
    );
    let next = format!(
        "send the request again with the SHA-256 as the manifest or groundstate image show has it, for example {}",
        Digest::of(b"").hex()
    );
    let reason = Reason::new(ReasonCode::ImageMissing, what, next).about(Part::Field {
        path: "digest".to_owned(),
    });
    problem(StatusCode::NOT_FOUND, reason, &[])
}

fn problem(status: StatusCode, reason: Reason, fields: &[(HeaderName, String)]) -> Response {
    let problem = Problem {
        kind: format!("urn:groundstate:reason:{}", reason.code),
        title: reason.what.clone(),
        status: status.as_u16(),
        reason,
    };
    let text = serde_json::to_vec(&problem).expect("a problem has string keys only");
    let mut builder = Response::builder()
        .status(status)
        .header(header::CONTENT_TYPE, "application/problem+json")
        .header(header::CACHE_CONTROL, "no-store");
    for (name, value) in fields {
        builder = builder.header(name, value);
    }
    finish(builder, Body::from(text))
}

fn finish(builder: Builder, body: Body) -> Response {
    builder
        .body(body)
        .expect("digests, numbers and fixed words make valid headers")
}
