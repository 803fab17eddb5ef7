// SPDX-License-Identifier: Apache-2.0
//! Boots: what every boot service saw, what a boot service on another machine shall answer, and what it reports.

use super::body;
use super::problem::Refusal;
use crate::provisioner::Provisioner;
use axum::Json;
use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use groundstate_api::boot_session::{
    BootReport, BootSessions, SESSIONS_PER_REPORT_MAX, SIGHTINGS_PER_REPORT_MAX,
};
use groundstate_api::limits::JSON_BODY_MAX;
use groundstate_api::{Digest, MacAddr};
use serde::Deserialize;
use std::time::Duration;
use tokio::time::Instant;

/// The longest wait of a long poll, so that a dead connection is noticed.
const WAIT_MAX: Duration = Duration::from_millis(30_000);
/// Events come in bursts; the table is made once for those of this time.
const BURST: Duration = Duration::from_millis(100);
/// The longest name of a boot service, in characters: a host name has at most 64.
const SERVICE_MAX: usize = 64;

#[derive(Deserialize)]
pub(crate) struct BootsQuery {
    mac: Option<String>,
}

pub(crate) async fn boots(
    State(ours): State<Provisioner>,
    query: Result<Query<BootsQuery>, QueryRejection>,
) -> Result<Json<BootSessions>, Refusal> {
    let Query(query) = query.map_err(|error| Refusal::field("query", error.body_text()))?;
    let mac = query.mac.map(|text| text.parse::<MacAddr>()).transpose();
    let mac = mac.map_err(|error| Refusal::field("mac", error.to_string()))?;
    Ok(Json(ours.boots(mac)))
}

#[derive(Deserialize)]
pub(crate) struct AnswersQuery {
    #[serde(default)]
    wait_ms: u64,
}

pub(crate) async fn answers(
    State(ours): State<Provisioner>,
    headers: HeaderMap,
    query: Result<Query<AnswersQuery>, QueryRejection>,
) -> Result<Response, Refusal> {
    let Query(query) = query.map_err(|error| Refusal::field("query", error.body_text()))?;
    let known = headers.get(header::IF_NONE_MATCH);
    let deadline = Instant::now() + Duration::from_millis(query.wait_ms).min(WAIT_MAX);
    let mut news = ours.follow();
    loop {
        news.borrow_and_update();
        let table = ours.boot_answers();
        let text = serde_json::to_string(&table).map_err(Refusal::internal)?;
        let tag = format!("\"{}\"", Digest::of(text.as_bytes()).hex());
        let head = [(header::ETAG, tag.clone())];
        if known.is_none_or(|known| known.as_bytes() != tag.as_bytes()) {
            let kind = [(header::CONTENT_TYPE, "application/json")];
            return Ok((head, kind, text).into_response());
        }
        // Whoever has the table hears of another one, or that there is none.
        match tokio::time::timeout_at(deadline, news.changed()).await {
            Ok(Ok(())) => tokio::time::sleep(BURST).await,
            Ok(Err(_)) | Err(_) => return Ok((StatusCode::NOT_MODIFIED, head).into_response()),
        }
    }
}

pub(crate) async fn report(
    State(ours): State<Provisioner>,
    body: Body,
) -> Result<StatusCode, Refusal> {
    let report: BootReport = body::said(body, JSON_BODY_MAX).await?;
    body::check_schema("schema", report.schema)?;
    let name = report.service.chars().count();
    if !(1..=SERVICE_MAX).contains(&name) {
        let text = format!("{name} characters; a name has 1 to {SERVICE_MAX}");
        return Err(Refusal::field("service", text));
    }
    for (field, count, most) in [
        (
            "sightings",
            report.sightings.len(),
            SIGHTINGS_PER_REPORT_MAX,
        ),
        ("sessions", report.sessions.len(), SESSIONS_PER_REPORT_MAX),
    ] {
        if count > most {
            let text = format!("{count} in one report; {most} is the most");
            return Err(Refusal::field(field, text));
        }
    }
    ours.boot_report(report);
    Ok(StatusCode::NO_CONTENT)
}
