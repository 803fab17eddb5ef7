// SPDX-License-Identifier: Apache-2.0
//! The list of nodes: all that the caller may see, or a page of them, by phase or rack.

use super::conditional::{self, Moving};
use super::paging::{PageQuery, next_page};
use super::problem::Refusal;
use super::scope::Scope;
use super::wrong;
use crate::provisioner::Provisioner;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{Uri, header};
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use groundstate_api::NodeId;
use groundstate_api::view::{NodeList, Phase};
use serde::Deserialize;

/// What a list is asked with.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NodesQuery {
    #[serde(default, deserialize_with = "super::paging::phase")]
    phase: Option<Phase>,
    rack: Option<String>,
    limit: Option<u32>,
    cursor: Option<String>,
}

pub(crate) async fn nodes(
    State(ours): State<Provisioner>,
    Extension(scope): Extension<Scope>,
    uri: Uri,
    query: Result<Query<NodesQuery>, QueryRejection>,
) -> Result<Response, Refusal> {
    let Query(query) = query.map_err(|error| wrong::query(&error))?;
    let NodesQuery {
        phase,
        rack,
        limit,
        cursor,
    } = query;
    let paging = PageQuery { limit, cursor }.paging()?;
    let after = paging.cursor.as_deref().map(str::parse::<NodeId>);
    let after = after
        .transpose()
        .map_err(|error| Refusal::field("cursor", error.to_string()))?;
    // The newest event says everything that the list says but when a host was heard last and how far a step is, so the tag is a weak
    // one. It is read before the list: a list may be newer than its tag, and is then fetched once more.
    let newest = *ours.follow().borrow();
    let limit = paging.limit.unwrap_or(usize::MAX);
    let make = move || {
        let (nodes, more) = ours.page_of_nodes(after.as_ref(), limit, |node| {
            let rack_of = || node.site.slot.as_ref().map(|slot| slot.rack.as_str());
            scope.sees(node.id())
                && phase.is_none_or(|phase| node.phase == phase)
                && rack.as_deref().is_none_or(|rack| rack_of() == Some(rack))
        });
        let last = nodes.last().map(|view| view.node.to_string());
        let moves = nodes.iter().any(conditional::moves);
        let mut response = Json(NodeList { nodes }).into_response();
        if moves {
            response.extensions_mut().insert(Moving);
        }
        (response, last, more)
    };
    // Ten thousand nodes are megabytes of text, and others are answered meanwhile.
    let (mut response, last, more) = tokio::task::spawn_blocking(make).await?;
    let headers = response.headers_mut();
    if let Ok(tag) = format!("W/\"{newest}\"").parse() {
        headers.insert(header::ETAG, tag);
    }
    let next = last.filter(|_| more);
    if let Some(link) = next.and_then(|last| next_page(&uri, &last)) {
        headers.insert(header::LINK, link);
    }
    Ok(response)
}
