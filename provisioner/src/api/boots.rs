// SPDX-License-Identifier: Apache-2.0
//! Boots: what every boot service saw, what a boot service on another machine shall answer, and what it reports.

use super::paging::{PageQuery, next_page};
use super::problem::Refusal;
use super::scope::Scope;
use super::wrong;
use super::{body, conditional};
use crate::provisioner::Provisioner;
use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use groundstate_api::boot_session::{
    BootReport, SESSIONS_PER_REPORT_MAX, SIGHTINGS_PER_REPORT_MAX,
};
use groundstate_api::limits::JSON_BODY_MAX;
use groundstate_api::{Digest, MacAddr, Millis, NodeId};
use prov_core::Found;
use serde::Deserialize;
use std::cmp::Reverse;
use std::time::Duration;
use tokio::time::Instant;

/// The longest wait of a long poll, so that a dead connection is noticed.
const WAIT_MAX: Duration = Duration::from_millis(30_000);
/// Events come in bursts; the table is made once for those of this time.
const BURST: Duration = Duration::from_millis(100);
/// The longest name of a boot service, in characters: a host name has at most 64.
const SERVICE_MAX: usize = 64;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BootsQuery {
    mac: Option<String>,
    rack: Option<String>,
    limit: Option<u32>,
    cursor: Option<String>,
}

pub(crate) async fn boots(
    State(ours): State<Provisioner>,
    Extension(scope): Extension<Scope>,
    uri: Uri,
    query: Result<Query<BootsQuery>, QueryRejection>,
) -> Result<Response, Refusal> {
    let Query(query) = query.map_err(|error| wrong::query(&error))?;
    let BootsQuery {
        mac,
        rack,
        limit,
        cursor,
    } = query;
    let mac = mac.map(|text| text.parse::<MacAddr>()).transpose();
    let mac = mac.map_err(|error| Refusal::field("mac", error.to_string()))?;
    let paging = PageQuery { limit, cursor }.paging()?;
    let after = paging.cursor.as_deref().map(place_of).transpose()?;
    let mut all = ours.boots(mac);
    let site = ours.site();
    let in_rack = |node: &NodeId, rack: &str| {
        let mut nodes = site.nodes.iter();
        nodes.any(|n| n.name == *node && n.slot.as_ref().is_some_and(|slot| slot.rack == rack))
    };
    all.sessions.retain(|session| {
        let behind =
            after.is_none_or(|after| Reverse((session.began, session.mac)) > Reverse(after));
        let node = match ours.find(session.mac, &[]) {
            Found::Node(node) => Some(node),
            Found::Nobody(_) => None,
        };
        behind
            && match (&node, &rack) {
                (Some(node), Some(rack)) => scope.sees(node) && in_rack(node, rack),
                (Some(node), None) => scope.sees(node),
                // A machine of no node is in nobody's rack.
                (None, Some(_)) => false,
                (None, None) => scope.is_all(),
            }
    });
    if !scope.is_all() {
        all.foreign.clear();
    }
    let limit = paging.limit.unwrap_or(usize::MAX);
    let more = all.sessions.len() > limit;
    all.sessions.truncate(limit);
    let last = all.sessions.last().filter(|_| more);
    let next = last.map(|last| format!("{}-{}", last.began.0, last.mac));
    let next = next.and_then(|next| next_page(&uri, &next));
    let mut response = Json(all).into_response();
    if let Some(next) = next {
        response.headers_mut().insert(header::LINK, next);
    }
    Ok(response)
}

/// The place in the list that a cursor names: the newest boot stands first.
fn place_of(cursor: &str) -> Result<(Millis, MacAddr), Refusal> {
    let parts = cursor.split_once('-');
    let place =
        parts.and_then(|(began, mac)| Some((Millis(began.parse().ok()?), mac.parse().ok()?)));
    place.ok_or_else(|| Refusal::field("cursor", "a cursor is taken from a Link of this list"))
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
    let Query(query) = query.map_err(|error| wrong::query(&error))?;
    let known = headers.get(header::IF_NONE_MATCH);
    let deadline = Instant::now() + Duration::from_millis(query.wait_ms).min(WAIT_MAX);
    let mut news = ours.follow();
    loop {
        news.borrow_and_update();
        let table = ours.boot_answers();
        let text = serde_json::to_string(&table).map_err(Refusal::internal)?;
        let tag = format!("\"{}\"", Digest::of(text.as_bytes()).hex());
        let head = [(header::ETAG, tag.clone())];
        if !known.is_some_and(|known| conditional::matches(known, &tag, true)) {
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
