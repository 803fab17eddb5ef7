// SPDX-License-Identifier: Apache-2.0
//! Serves manifests, chunks and blobs over HTTP: GET and HEAD, one range, bytes that never change under a name.

use crate::repository::Repository;
use crate::store::Kind;
use crate::stream::FileBody;
use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::Response;
use axum::routing::get;
use groundstate_api::view::Problem;
use groundstate_api::{Digest, Part, Reason, ReasonCode, paths};
use image_core::range::{Wanted, wanted};
use std::fs::File;
use std::io;
use std::sync::Arc;

/// The routes of [`paths::IMAGE_MANIFEST`], [`paths::CHUNK`] and [`paths::BLOB`]. They know neither TLS nor who may ask.
pub fn router(repository: Arc<Repository>) -> Router {
    let route = |kind| {
        get(
            move |State(repository): State<Arc<Repository>>,
                  Path(digest): Path<String>,
                  headers: HeaderMap| answer(repository, kind, digest, headers),
        )
    };
    Router::new()
        .route(paths::IMAGE_MANIFEST, route(Kind::Manifest))
        .route(paths::CHUNK, route(Kind::Chunk))
        .route(paths::BLOB, route(Kind::Blob))
        .with_state(repository)
}

async fn answer(
    repository: Arc<Repository>,
    kind: Kind,
    text: String,
    headers: HeaderMap,
) -> Response {
    let Ok(digest) = text.parse::<Digest>() else {
        return missing(kind, None);
    };
    let path = repository.store.path(kind, &digest);
    let opened = tokio::task::spawn_blocking(move || {
        let file = File::open(&path)?;
        let length = file.metadata()?.len();
        Ok((file, length))
    });
    let opened: io::Result<(File, u64)> = opened.await.map_err(io::Error::other).flatten();
    match opened {
        Ok((file, length)) => give(kind, &digest, file, length, &headers),
        Err(error) if error.kind() == io::ErrorKind::NotFound => missing(kind, Some(&digest)),
        Err(error) => {
            tracing::error!(%digest, %error, "cannot be read");
            let reason = Reason::new(
                ReasonCode::Internal,
                format!("the {} cannot be read", word(kind)),
                "check the repository's disk and the rights on its directory",
            )
            .about(part(kind, Some(&digest)));
            problem(StatusCode::INTERNAL_SERVER_ERROR, reason, None)
        }
    }
}

fn give(kind: Kind, digest: &Digest, file: File, length: u64, headers: &HeaderMap) -> Response {
    let etag = format!("\"{digest}\"");
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let builder = Response::builder()
        .header(header::ETAG, &etag)
        .header(header::ACCEPT_RANGES, "bytes")
        // What lies under a digest never changes. Not for a cache that others share: a node is known by its certificate.
        .header(
            header::CACHE_CONTROL,
            "private, max-age=31536000, immutable",
        );
    let known = text(header::IF_NONE_MATCH).is_some_and(|known| {
        known
            .split(',')
            .any(|each| matches!(each.trim(), "*") || each.trim() == etag)
    });
    if known {
        return finish(builder.status(StatusCode::NOT_MODIFIED), Body::empty());
    }
    let builder = builder.header(header::CONTENT_TYPE, media_type(kind));
    match wanted(text(header::RANGE), text(header::IF_RANGE), length, &etag) {
        Wanted::Whole => finish(
            builder.header(header::CONTENT_LENGTH, length),
            Body::new(FileBody::new(file, 0, length)),
        ),
        Wanted::Part { first, last } => finish(
            builder
                .status(StatusCode::PARTIAL_CONTENT)
                .header(header::CONTENT_LENGTH, last - first + 1)
                .header(
                    header::CONTENT_RANGE,
                    format!("bytes {first}-{last}/{length}"),
                ),
            Body::new(FileBody::new(file, first, last + 1)),
        ),
        Wanted::Unsatisfiable => {
            let reason = Reason::new(
                ReasonCode::ChunkCorrupt,
                format!("the {} has only {length} bytes", word(kind)),
                "ask for bytes that are there; if the manifest says that they are, import the image again",
            )
            .about(part(kind, Some(digest)));
            let range = format!("bytes */{length}");
            problem(StatusCode::RANGE_NOT_SATISFIABLE, reason, Some(range))
        }
    }
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

fn part(kind: Kind, digest: Option<&Digest>) -> Part {
    Part::Image {
        image: word(kind).into(),
        digest: digest.map(Digest::to_string),
    }
}

fn missing(kind: Kind, digest: Option<&Digest>) -> Response {
    let what = match digest {
        Some(_) => format!("the {} is not in the repository", word(kind)),
        None => format!(
            "a {} is asked for by 64 lower-case hexadecimal digits",
            word(kind)
        ),
    };
    let reason = Reason::new(ReasonCode::ImageMissing, what, "import the image again")
        .about(part(kind, digest));
    problem(StatusCode::NOT_FOUND, reason, None)
}

fn problem(status: StatusCode, reason: Reason, content_range: Option<String>) -> Response {
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
    if let Some(range) = content_range {
        builder = builder.header(header::CONTENT_RANGE, range);
    }
    finish(builder, Body::from(text))
}

fn finish(builder: axum::http::response::Builder, body: Body) -> Response {
    builder
        .body(body)
        .expect("digests, numbers and fixed words make valid headers")
}
