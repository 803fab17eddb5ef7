// SPDX-License-Identifier: Apache-2.0
//! What is done to machines and asked of their hosts: ordered, listed, approved, vetoed.

use super::body::{self, SMALL};
use super::life::{WHY_MAX, typed};
use super::operator::known;
use super::problem::Refusal;
use super::routes::{Routes, routes};
use super::scope::Scope;
use crate::provisioner::Provisioner;
use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use groundstate_api::action::{Act, ActionId, ActionList, ActionView};
use groundstate_api::healing::Because;
use groundstate_api::site_parts::Role;
use groundstate_api::{NodeId, paths};
use prov_core::{Input, Peer, Reply, reasons_action};
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
    State(ours): State<Provisioner>,
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
        reply => Err(Refusal::internal(format!("an action was answered with {reply:?}"))),
    }
}

#[derive(Deserialize)]
struct Wanted {
    node: Option<String>,
    open: Option<bool>,
}

async fn list(
    State(ours): State<Provisioner>,
    Extension(scope): Extension<Scope>,
    query: Result<Query<Wanted>, QueryRejection>,
) -> Result<Json<ActionList>, Refusal> {
    let Query(query) = query.map_err(|error| Refusal::field("query", error.body_text()))?;
    let node = match query.node {
        Some(name) => {
            scope.check_name(&name)?;
            Some(known(&ours, &name)?)
        }
        None => None,
    };
    let sees = |node: &NodeId| scope.sees(node);
    Ok(Json(ours.actions(node.as_ref(), query.open.unwrap_or(false), &sees)))
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
    Refusal::new(StatusCode::NOT_FOUND, reasons_action::no_such_action(&shown))
}
