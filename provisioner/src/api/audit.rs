// SPDX-License-Identifier: Apache-2.0
//! The audit trail: who ordered what, and what came of it, out of the journal's events.

use super::paging::{PAGE_MAX, PageQuery, link};
use super::problem::Refusal;
use crate::provisioner::Provisioner;
use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{Uri, header};
use axum::response::{IntoResponse as _, Response};
use groundstate_api::event::{Event, Happened};
use groundstate_api::view::EventPage;
use serde::Deserialize;

/// Events in a page where nothing else is asked.
const PAGE: usize = 200;
/// Events that are looked at for one page: half a second. A page with fewer entries than asked for is not the last one while its
/// `Link` names another.
const LOOKED_AT_MAX: usize = 20_000;
/// Events that are read at once.
const READ_AT_ONCE: usize = 1_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AuditQuery {
    #[serde(default)]
    after: u64,
    /// Only what this caller ordered.
    by: Option<String>,
    limit: Option<u32>,
}

pub(crate) async fn audit(
    State(ours): State<Provisioner>,
    uri: Uri,
    query: Result<Query<AuditQuery>, QueryRejection>,
) -> Result<Response, Refusal> {
    let Query(query) = query.map_err(|error| Refusal::field("query", error.body_text()))?;
    let AuditQuery { after, by, limit } = query;
    let limit = PageQuery {
        limit,
        cursor: None,
    };
    let limit = limit.paging()?.limit.unwrap_or(PAGE).min(PAGE_MAX);
    let read = move || look(&ours, after, limit, by.as_deref());
    let (page, more) = tokio::task::spawn_blocking(read).await??;
    let next = page.next_after.to_string();
    let mut response = Json(page).into_response();
    let next = more.then(|| link(&uri, "after", &next)).flatten();
    if let Some(next) = next {
        response.headers_mut().insert(header::LINK, next);
    }
    Ok(response)
}

fn look(
    ours: &Provisioner,
    mut after: u64,
    limit: usize,
    by: Option<&str>,
) -> Result<(EventPage, bool), Refusal> {
    let mut events: Vec<Event> = Vec::new();
    let mut looked_at = 0;
    loop {
        let read = ours.events(after, READ_AT_ONCE, None)?;
        let all = read.len() < READ_AT_ONCE;
        looked_at += read.len();
        for event in read {
            after = event.number;
            let Happened::Audited { audit } = &event.what else {
                continue;
            };
            if by.is_some_and(|by| by != audit.by) {
                continue;
            }
            events.push(event);
            if events.len() == limit {
                let next_after = after;
                return Ok((EventPage { events, next_after }, true));
            }
        }
        if all || looked_at >= LOOKED_AT_MAX {
            let next_after = after;
            return Ok((EventPage { events, next_after }, !all));
        }
    }
}
