// SPDX-License-Identifier: Apache-2.0
//! Serves the documents with their signatures over HTTP: GET and HEAD, a few kilobytes each. Who reads them believes nothing
//! of the way they came.

use super::subject::Subject;
use crate::repository::Repository;
use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use axum::routing::get;
use groundstate_api::trust::Signed;
use groundstate_api::view::Problem;
use groundstate_api::{Digest, Reason, ReasonCode, paths};
use std::fmt::Display;
use std::sync::Arc;

/// A root never changes; a catalogue and what is signed of an image are asked for each time, and the entity tag tells whether
/// they are the same.
const FOR_EVER: &str = "private, max-age=31536000, immutable";
const ASK_AGAIN: &str = "no-cache";

/// The routes of [`paths::TRUST_ROOT`], [`paths::TRUST_CATALOGUE`] and [`paths::TRUST_IMAGE`]. They know neither TLS nor who
/// may ask. Where a bucket is behind the repository, the newer one of two documents is given out; what the bucket has is asked
/// for each time.
pub fn trust_router(repository: Arc<Repository>) -> Router {
    type Ours = State<Papers>;
    let root = |State(ours): Ours, Path(version): Path<String>, headers: HeaderMap| async move {
        match version.parse() {
            Ok(version) => ours.answer(Subject::Root(version), headers).await,
            Err(_) => missing("a trust root is asked for by its version, a number"),
        }
    };
    let catalogue = |State(ours): Ours, headers: HeaderMap| async move {
        ours.answer(Subject::Catalogue, headers).await
    };
    let image = |State(ours): Ours, Path(digest): Path<String>, headers: HeaderMap| async move {
        match digest.parse::<Digest>() {
            Ok(digest) => ours.answer(Subject::Statement(digest), headers).await,
            Err(_) => missing(
                "a statement is asked for by the 64 lower-case hexadecimal digits of its manifest",
            ),
        }
    };
    Router::new()
        .route(paths::TRUST_ROOT, get(root))
        .route(paths::TRUST_CATALOGUE, get(catalogue))
        .route(paths::TRUST_IMAGE, get(image))
        .with_state(Papers { repository })
}

/// Where documents come from.
#[derive(Clone)]
struct Papers {
    repository: Arc<Repository>,
}

impl Papers {
    async fn answer(&self, subject: Subject, headers: HeaderMap) -> Response {
        let repository = Arc::clone(&self.repository);
        let ours = tokio::task::spawn_blocking(move || subject.of(&repository.trust())).await;
        let ours = match ours {
            Ok(Ok(ours)) => ours,
            Ok(Err(error)) => {
                tell(subject, &error, &error.to_string());
                return broken(subject, REPOSITORY);
            }
            Err(error) => {
                tell(subject, &error, &error.to_string());
                return broken(subject, REPOSITORY);
            }
        };
        let asks = !(subject.is_for_ever() && ours.is_some());
        let found = match self.repository.store.behind().filter(|_| asks) {
            None => ours,
            Some(behind) => match behind.cache().bucket().document(subject).await {
                Ok(there) => subject.newer(ours, there),
                Err(error) => {
                    let cause = error.cause();
                    if behind.cache().is_news(&cause) {
                        tell(subject, &error, &cause);
                    }
                    if ours.is_none() && !subject.is_for_ever() {
                        return broken(subject, BUCKET);
                    }
                    // What is here was believed, or signed here, and says by itself until when it holds.
                    ours
                }
            },
        };
        let cache = if subject.is_for_ever() {
            FOR_EVER
        } else {
            ASK_AGAIN
        };
        match found {
            Some(signed) => give(&signed, cache, &headers),
            None => missing(&format!("the repository has no such {}", subject.words())),
        }
    }
}

/// What to look at where a document cannot be read.
const REPOSITORY: &str = "check the repository's disk and the rights on its folder trust";
const BUCKET: &str = "check the object store, its credentials, and what lies there; publish again: groundstate image publish --channels --s3 FILE";

fn give(signed: &Signed, cache: &str, headers: &HeaderMap) -> Response {
    let text = serde_json::to_vec(signed).expect("a document has string keys only");
    let tag = format!("\"{}\"", Digest::of(&text));
    let known = headers
        .get(header::IF_NONE_MATCH)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|known| {
            known
                .split(',')
                .any(|each| each.trim() == "*" || each.trim() == tag)
        });
    let builder = Response::builder()
        .header(header::ETAG, &tag)
        .header(header::CACHE_CONTROL, cache);
    if known {
        return finish(builder.status(StatusCode::NOT_MODIFIED), Body::empty());
    }
    let builder = builder.header(header::CONTENT_TYPE, "application/json");
    finish(builder, Body::from(text))
}

fn missing(what: &str) -> Response {
    let next =
        "groundstate image trust show, on the machine of the repository, says what is signed";
    problem(
        StatusCode::NOT_FOUND,
        Reason::new(ReasonCode::ImageUntrusted, what, next),
    )
}

/// `cause`: what is the same for all that this keeps from being read.
fn tell(subject: Subject, error: &dyn Display, cause: &str) {
    let what = subject.words();
    tracing::error!(what, %error, cause, "cannot be read");
}

fn broken(subject: Subject, next: &str) -> Response {
    let what = subject.words();
    let reason = Reason::new(
        ReasonCode::Internal,
        format!("the {what} cannot be read"),
        next,
    );
    problem(StatusCode::INTERNAL_SERVER_ERROR, reason)
}

fn problem(status: StatusCode, reason: Reason) -> Response {
    let problem = Problem {
        kind: format!("urn:groundstate:reason:{}", reason.code),
        title: reason.what.clone(),
        status: status.as_u16(),
        reason,
    };
    let text = serde_json::to_vec(&problem).expect("a problem has string keys only");
    let builder = Response::builder()
        .status(status)
        .header(header::CONTENT_TYPE, "application/problem+json")
        .header(header::CACHE_CONTROL, "no-store");
    finish(builder, Body::from(text))
}

fn finish(builder: axum::http::response::Builder, body: Body) -> Response {
    builder
        .body(body)
        .expect("digests, numbers and fixed words make valid headers")
}
