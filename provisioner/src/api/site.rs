// SPDX-License-Identifier: Apache-2.0
//! The site over HTTP: read with its version as entity tag, planned, applied, and compared with what machines are.

use super::problem::Refusal;
use super::routes::{Routes, routes};
use super::scope::Scope;
use super::wrong;
use super::{body, conditional};
use crate::provisioner::Provisioner;
use crate::site::{Kinds, read};
use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use groundstate_api::paths;
use groundstate_api::site_plan::{Drift, SitePlan};
use groundstate_api::{Reason, ReasonCode};
use prov_core::site_limits::SITE_BYTES_MAX;
use prov_core::{Peer, reasons_site};
use serde::Deserialize;

pub(crate) fn routes() -> Routes {
    routes![
        GET paths::SITE => site,
        PUT paths::SITE => put,
        GET paths::SITE_DRIFT => drift,
    ]
}

fn tag(version: u64) -> String {
    format!("\"{version}\"")
}

async fn site(State(ours): State<Provisioner>, headers: HeaderMap) -> Result<Response, Refusal> {
    let (site, version) = (ours.site(), ours.site_version());
    let tag = tag(version);
    let known = headers.get(header::IF_NONE_MATCH);
    if known.is_some_and(|known| conditional::matches(known, &tag, true)) {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, tag)]).into_response());
    }
    // A site of 10,000 nodes takes a while to write down.
    let body = tokio::task::spawn_blocking(move || serde_json::to_vec(&*site)).await?;
    let body = body.map_err(Refusal::internal)?;
    let headers = [
        (header::ETAG, tag),
        (header::CONTENT_TYPE, "application/json".to_owned()),
    ];
    Ok((headers, body).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PutQuery {
    #[serde(default)]
    dry_run: bool,
}

async fn put(
    State(ours): State<Provisioner>,
    Extension(peer): Extension<Peer>,
    query: Result<Query<PutQuery>, QueryRejection>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let Query(query) = query.map_err(|error| wrong::query(&error))?;
    let expected = headers.get(header::IF_MATCH).cloned();
    if expected.is_none() && !query.dry_run {
        return Err(no_condition());
    }
    let document = body::json(body, SITE_BYTES_MAX).await?;
    let by = peer.to_string();
    tokio::task::spawn_blocking(move || {
        let site = read(document, Kinds::Strict).map_err(|faults| {
            let reason = reasons_site::faulty(&faults);
            reason.map_or_else(
                || Refusal::internal("a site was refused without a fault"),
                |reason| Refusal::new(StatusCode::BAD_REQUEST, reason),
            )
        })?;
        if query.dry_run {
            let version = ours.site_version();
            fits(expected.as_ref(), version)?;
            let mut plan = ours.site_plan(&site)?;
            plan.warnings.extend(ours.image_missed(&site));
            return Ok(answer(plan, version));
        }
        ours.has_files_of(&site)?;
        let mut plan = ours.change_site(&by, |_, version| {
            fits(expected.as_ref(), version)?;
            Ok(site)
        })?;
        plan.warnings.extend(ours.image_missed(&ours.site()));
        let version = ours.site_version();
        Ok(answer(plan, version))
    })
    .await?
}

fn answer(plan: SitePlan, version: u64) -> Response {
    ([(header::ETAG, tag(version))], Json(plan)).into_response()
}

/// Whether the version is one of those that an `If-Match` names, where there is one.
fn fits(expected: Option<&HeaderValue>, version: u64) -> Result<(), Refusal> {
    match expected {
        Some(expected) if !conditional::matches(expected, &tag(version), false) => {
            let expected = String::from_utf8_lossy(expected.as_bytes());
            let expected: String = expected.chars().take(80).collect();
            let reason = reasons_site::another_version(&expected, version);
            Err(Refusal::new(StatusCode::PRECONDITION_FAILED, reason))
        }
        Some(_) | None => Ok(()),
    }
}

/// 428: nobody replaces a site without saying which one.
fn no_condition() -> Refusal {
    let reason = Reason::new(
        ReasonCode::Precondition,
        "a site is replaced only by who says which one it replaces",
        "read the site, and send its entity tag as If-Match; * replaces whatever is there",
    )
    .then("nothing: the site in force stays");
    Refusal::new(StatusCode::PRECONDITION_REQUIRED, reason)
}

async fn drift(
    State(ours): State<Provisioner>,
    Extension(scope): Extension<Scope>,
) -> Result<Json<Drift>, Refusal> {
    tokio::task::spawn_blocking(move || ours.drift(&|node| scope.sees(node)))
        .await
        .map(Json)
        .map_err(Refusal::from)
}
