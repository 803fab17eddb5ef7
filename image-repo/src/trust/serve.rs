// SPDX-License-Identifier: Apache-2.0
//! Serves the documents with their signatures over HTTP: GET and HEAD, a few kilobytes each. Who reads them believes nothing
//! of the way they came.

use super::error::TrustFault;
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
use std::sync::Arc;

/// A root never changes; a catalogue and what is signed of an image are asked for each time, and the entity tag tells whether
/// they are the same.
const FOR_EVER: &str = "private, max-age=31536000, immutable";
const ASK_AGAIN: &str = "no-cache";

/// The routes of [`paths::TRUST_ROOT`], [`paths::TRUST_CATALOGUE`] and [`paths::TRUST_IMAGE`]. They know neither TLS nor who
/// may ask.
pub fn trust_router(repository: Arc<Repository>) -> Router {
    type Ours = State<Arc<Repository>>;
    let root = |State(ours): Ours, Path(version): Path<String>, headers: HeaderMap| async move {
        let Ok(version) = version.parse() else {
            return missing("a trust root is asked for by its version, a number");
        };
        let wanted = move || ours.trust().root(version);
        answer(wanted, "trust root", FOR_EVER, headers).await
    };
    let catalogue = |State(ours): Ours, headers: HeaderMap| async move {
        let wanted = move || ours.trust().catalogue();
        answer(wanted, "signed catalogue", ASK_AGAIN, headers).await
    };
    let image = |State(ours): Ours, Path(digest): Path<String>, headers: HeaderMap| async move {
        let Ok(digest) = digest.parse::<Digest>() else {
            return missing(
                "a statement is asked for by the 64 lower-case hexadecimal digits of its manifest",
            );
        };
        let wanted = move || ours.trust().statement(&digest);
        answer(wanted, "signature of that image", ASK_AGAIN, headers).await
    };
    Router::new()
        .route(paths::TRUST_ROOT, get(root))
        .route(paths::TRUST_CATALOGUE, get(catalogue))
        .route(paths::TRUST_IMAGE, get(image))
        .with_state(repository)
}

async fn answer(
    wanted: impl FnOnce() -> Result<Option<Signed>, TrustFault> + Send + 'static,
    what: &'static str,
    cache: &'static str,
    headers: HeaderMap,
) -> Response {
    match tokio::task::spawn_blocking(wanted).await {
        Ok(Ok(Some(signed))) => give(&signed, cache, &headers),
        Ok(Ok(None)) => missing(&format!("the repository has no such {what}")),
        Ok(Err(error)) => broken(what, &error.to_string()),
        Err(error) => broken(what, &error.to_string()),
    }
}

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

fn broken(what: &str, error: &str) -> Response {
    tracing::error!(what, error, "cannot be read");
    let reason = Reason::new(
        ReasonCode::Internal,
        format!("the {what} cannot be read"),
        "check the repository's disk and the rights on its folder trust",
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
