// SPDX-License-Identifier: Apache-2.0
//! The audit trail: who ordered what, and what came of it, out of the journal's events.

use super::paging::{PAGE_MAX, PageQuery, link};
use super::problem::Refusal;
use super::wrong;
use crate::journal::{Audited, Orders};
use crate::provisioner::Provisioner;
use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{Uri, header};
use axum::response::{IntoResponse as _, Response};
use groundstate_api::view::EventPage;
use groundstate_api::{Millis, NodeId};
use serde::Deserialize;

/// Events in a page where nothing else is asked.
const PAGE: usize = 200;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AuditQuery {
    #[serde(default)]
    after: u64,
    /// Only what this caller ordered.
    by: Option<String>,
    /// Only orders about this node.
    node: Option<NodeId>,
    /// Not before this moment: milliseconds since 1970.
    since: Option<u64>,
    /// Before this moment.
    until: Option<u64>,
    /// Whether those are wanted too that only asked what would come of it.
    #[serde(default = "yes")]
    dry_runs: bool,
    limit: Option<u32>,
}

const fn yes() -> bool {
    true
}

pub(crate) async fn audit(
    State(ours): State<Provisioner>,
    uri: Uri,
    query: Result<Query<AuditQuery>, QueryRejection>,
) -> Result<Response, Refusal> {
    let Query(query) = query.map_err(|error| wrong::query(&error))?;
    let AuditQuery {
        after,
        by,
        node,
        since,
        until,
        dry_runs,
        limit,
    } = query;
    let limit = PageQuery {
        limit,
        cursor: None,
    };
    let limit = limit.paging()?.limit.unwrap_or(PAGE).min(PAGE_MAX);
    let read = move || {
        let wanted = Orders {
            by: by.as_deref(),
            node: node.as_ref(),
            since: since.map(Millis),
            until: until.map(Millis),
            no_dry_runs: !dry_runs,
        };
        ours.orders(after, limit, wanted)
    };
    let Audited {
        events,
        looked_to,
        more,
    } = tokio::task::spawn_blocking(read).await??;
    let page = EventPage {
        events,
        next_after: looked_to,
    };
    let next = page.next_after.to_string();
    let mut response = Json(page).into_response();
    let next = more.then(|| link(&uri, "after", &next)).flatten();
    if let Some(next) = next {
        response.headers_mut().insert(header::LINK, next);
    }
    Ok(response)
}
