// SPDX-License-Identifier: Apache-2.0
//! What is done to machines and asked of their hosts: ordered, listed, approved, vetoed.

use super::body::{self, SMALL};
use super::events::nodes_of;
use super::life::{WHY_MAX, typed};
use super::only_if::Ours;
use super::operator::known;
use super::paging::{PageQuery, next_page};
use super::problem::Refusal;
use super::routes::{Routes, routes};
use super::scope::Scope;
use super::wrong;
use crate::provisioner::Provisioner;
use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use groundstate_api::action::{Act, ActionId, ActionView};
use groundstate_api::healing::Because;
use groundstate_api::paths;
use groundstate_api::site_parts::Role;
use groundstate_api::view::Phase;
use prov_core::{ActionsWanted, Input, Node, Peer, Reply, reasons_action};
use serde::Deserialize;

pub(crate) fn routes() -> Routes {
    routes![
        POST paths::NODE_ACTIONS => order,
        GET paths::ACTIONS => list,
        POST paths::ACTION_VETO => veto,
        POST paths::ACTION_APPROVE => approve,
    ]
}

async fn order(
    Ours(ours): Ours,
    Extension(peer): Extension<Peer>,
    Path(name): Path<String>,
    body: Body,
) -> Result<Json<ActionView>, Refusal> {
    let node = known(&ours, &name)?;
    let act: Act = body::json(body, SMALL).await?;
    let only_led = peer.role() == Some(Role::Technician);
    if only_led && !matches!(act, Act::Identify { .. }) {
        return Err(Refusal::not_allowed(
            "a technician's certificate lights locator LEDs; other actions are an operator's",
            format!("called by {peer}"),
        ));
    }
    let submit = move || {
        let (by, because) = (peer.to_string(), None);
        ours.submit(&node, Input::ActionWanted { act, by, because })
    };
    match tokio::task::spawn_blocking(submit).await?? {
        Some(Reply::Action(action)) => Ok(Json(ActionView {
            action: *action,
            ended: None,
            outcome: None,
        })),
        Some(Reply::Conflict(reason)) => Err(Refusal::conflict(reason)),
        reply => Err(Refusal::internal(format!(
            "an action was answered with {reply:?}"
        ))),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    node: Option<String>,
    open: Option<bool>,
    rack: Option<String>,
    #[serde(default, deserialize_with = "super::paging::phase")]
    phase: Option<Phase>,
    limit: Option<u32>,
    cursor: Option<String>,
}

async fn list(
    State(ours): State<Provisioner>,
    Extension(scope): Extension<Scope>,
    uri: Uri,
    query: Result<Query<Wanted>, QueryRejection>,
) -> Result<Response, Refusal> {
    let Query(query) = query.map_err(|error| wrong::query(&error))?;
    let node = match query.node {
        Some(name) => {
            scope.check_name(&name)?;
            Some(known(&ours, &name)?)
        }
        None => None,
    };
    let (limit, cursor) = (query.limit, query.cursor);
    let paging = PageQuery { limit, cursor }.paging()?;
    // The newest stands first: a page begins below the number where the last one ended.
    let below = paging.cursor.as_deref().map(str::parse::<u64>).transpose();
    let below = below.map_err(|error| Refusal::field("cursor", error.to_string()))?;
    let rack = query.rack.map(|rack| nodes_of(&ours, &rack));
    let sees = |node: &Node| {
        scope.sees(node.id())
            && rack.as_ref().is_none_or(|rack| rack.contains(node.id()))
            && query.phase.is_none_or(|wanted| node.phase == wanted)
    };
    let limit = paging.limit.unwrap_or(usize::MAX);
    let mut list = ours.actions(ActionsWanted {
        of: node.as_ref(),
        open: query.open.unwrap_or(false),
        below: below.map(ActionId),
        // One more says that there is a next page.
        most: limit.saturating_add(1),
        sees: &sees,
    });
    let more = list.actions.len() > limit;
    list.actions.truncate(limit);
    let last = list.actions.last().filter(|_| more);
    let next = last.and_then(|last| next_page(&uri, &last.action.id.to_string()));
    let mut response = Json(list).into_response();
    if let Some(next) = next {
        response.headers_mut().insert(header::LINK, next);
    }
    Ok(response)
}

async fn veto(
    State(ours): State<Provisioner>,
    Extension(peer): Extension<Peer>,
    Extension(scope): Extension<Scope>,
    Path(action): Path<String>,
    body: Body,
) -> Result<Json<ActionView>, Refusal> {
    word(ours, (peer, scope), action, body, false).await
}

async fn approve(
    State(ours): State<Provisioner>,
    Extension(peer): Extension<Peer>,
    Extension(scope): Extension<Scope>,
    Path(action): Path<String>,
    body: Body,
) -> Result<Json<ActionView>, Refusal> {
    word(ours, (peer, scope), action, body, true).await
}

async fn word(
    ours: Provisioner,
    (peer, scope): (Peer, Scope),
    id: String,
    body: Body,
    yes: bool,
) -> Result<Json<ActionView>, Refusal> {
    let because: Because = body::json_or_default(body, SMALL).await?;
    let why = typed("why", because.why, WHY_MAX)?;
    let action = id.parse().map(ActionId).map_err(|_| no_such(&id))?;
    let node = ours.action_node(action).ok_or_else(|| no_such(&id))?;
    scope.check(&node)?;
    let by = peer.to_string();
    let input = if yes {
        Input::Approved { action, by, why }
    } else {
        Input::Vetoed { action, by, why }
    };
    let submit = {
        let (ours, node) = (ours.clone(), node.clone());
        move || ours.submit(&node, input)
    };
    if let Some(Reply::Conflict(reason)) = tokio::task::spawn_blocking(submit).await?? {
        return Err(Refusal::conflict(reason));
    }
    let view = ours.with_node(&node, |node| {
        node.actions
            .iter()
            .find(|doing| doing.action.id == action)
            .map(prov_core::Doing::view)
    });
    view.flatten().map(Json).ok_or_else(|| no_such(&id))
}

fn no_such(id: &str) -> Refusal {
    let shown: String = id.chars().take(32).collect();
    Refusal::new(
        StatusCode::NOT_FOUND,
        reasons_action::no_such_action(&shown),
    )
}
