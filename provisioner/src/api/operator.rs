// SPDX-License-Identifier: Apache-2.0
//! What an operator, or a program that stands for one, may ask and order.

use super::body::{self, SMALL};
use super::conditional::{self, Moving};
use super::disks;
use super::only_if::Ours;
use super::problem::Refusal;
use super::wrong;
use crate::provisioner::Provisioner;
use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use groundstate_api::plan::{HandOver, OrderTerms, Plan};
use groundstate_api::view::{NodeView, Order};
use groundstate_api::{NodeId, Part, Reason, ReasonCode, RunId};
use prov_core::{Peer, Reply, reasons};
use serde::Deserialize;

pub(crate) async fn healthz() -> &'static str {
    "ok\n"
}

pub(crate) async fn node(
    State(ours): State<Provisioner>,
    Path(name): Path<String>,
) -> Result<Response, Refusal> {
    let node = known(&ours, &name)?;
    let report = ours.report(&node).ok_or_else(|| unknown(&ours, &name))?;
    let tag = format!("\"{}\"", report.view.version);
    let moves = conditional::moves(&report.view);
    let mut response = ([(header::ETAG, tag)], Json(report)).into_response();
    if moves {
        response.extensions_mut().insert(Moving);
    }
    Ok(response)
}

pub(crate) async fn provision(
    Ours(ours): Ours,
    Extension(peer): Extension<Peer>,
    Path(name): Path<String>,
    body: Body,
) -> Result<Json<NodeView>, Refusal> {
    order(ours, &peer, name, body, false).await
}

pub(crate) async fn reprovision(
    Ours(ours): Ours,
    Extension(peer): Extension<Peer>,
    Path(name): Path<String>,
    body: Body,
) -> Result<Json<NodeView>, Refusal> {
    order(ours, &peer, name, body, true).await
}

async fn order(
    ours: Provisioner,
    peer: &Peer,
    name: String,
    body: Body,
    again: bool,
) -> Result<Json<NodeView>, Refusal> {
    let node = known(&ours, &name)?;
    let order: Order = body::json_or_default(body, SMALL).await?;
    let terms = OrderTerms {
        confirm_wipe: order.confirm_wipe,
        approve: order.approve,
        by: peer.to_string(),
        ..OrderTerms::default()
    };
    order_run(ours, node, (order.hand_over, again), terms).await
}

/// Orders a run with these terms, where they can be meant.
pub(crate) async fn order_run(
    ours: Provisioner,
    node: NodeId,
    (hand_over, again): (Option<HandOver>, bool),
    terms: OrderTerms,
) -> Result<Json<NodeView>, Refusal> {
    let terms = disks::checked(terms)?;
    // Neither an erase nor a rebuild needs the policy's image.
    let deploys = terms.erase.is_none() && terms.rebuild.is_none();
    let ordering = {
        let (ours, node) = (ours.clone(), node.clone());
        tokio::task::spawn_blocking(move || ours.order(&node, hand_over, again, terms))
    };
    let Json(view) = ordered(&ours, &node, ordering.await??)?;
    if !deploys {
        return Ok(Json(view));
    }
    let warned = tokio::task::spawn_blocking(move || ours.warned_of_image(view));
    Ok(Json(warned.await?))
}

/// The node as an order left it, or why the order was refused.
pub(crate) fn ordered(
    ours: &Provisioner,
    node: &NodeId,
    reply: Option<Reply>,
) -> Result<Json<NodeView>, Refusal> {
    match reply {
        Some(Reply::Conflict(reason)) => Err(Refusal::conflict(reason)),
        Some(_) | None => ours
            .view(node)
            .map(Json)
            .ok_or_else(|| unknown(ours, node.as_str())),
    }
}

pub(crate) async fn plan(
    State(ours): State<Provisioner>,
    Path(name): Path<String>,
) -> Result<Json<Plan>, Refusal> {
    let node = known(&ours, &name)?;
    let plan = ours
        .with_node(&node, |n| Some(n.run.as_ref()?.plan.as_ref()?.get()))
        .flatten();
    plan.map(|plan| Json(*plan)).ok_or_else(|| {
        let reason = Reason::new(
            ReasonCode::NothingOrdered,
            format!("{node} has no plan"),
            "a plan is written when a run was ordered and the machine has reported its hardware",
        );
        Refusal::new(StatusCode::NOT_FOUND, reason)
    })
}

#[derive(Deserialize)]
pub(crate) struct LogQuery {
    run: Option<String>,
}

pub(crate) async fn log(
    State(ours): State<Provisioner>,
    Path(name): Path<String>,
    query: Result<Query<LogQuery>, QueryRejection>,
) -> Result<Response, Refusal> {
    let Query(query) = query.map_err(|error| wrong::query(&error))?;
    let node = known(&ours, &name)?;
    let run = match query.run {
        Some(text) => Some(
            text.parse::<RunId>()
                .map_err(|e| Refusal::field("run", e.to_string()))?,
        ),
        None => ours
            .with_node(&node, |n| n.run.as_ref().map(|run| run.id.clone()))
            .flatten(),
    };
    let text = match run {
        Some(run) => {
            let (ours, node) = (ours.clone(), node.clone());
            tokio::task::spawn_blocking(move || ours.log(&node, &run)).await??
        }
        None => None,
    };
    let text = text.ok_or_else(|| {
        let reason = Reason::new(
            ReasonCode::NothingOrdered,
            format!("{node} has no such log"),
            "a run has a log once its maintenance OS has enrolled",
        );
        Refusal::new(StatusCode::NOT_FOUND, reason)
    })?;
    let headers = [
        (header::CONTENT_TYPE, "text/plain; charset=utf-8"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    Ok((headers, text).into_response())
}

/// The node of this name.
pub(crate) fn known(ours: &Provisioner, name: &str) -> Result<NodeId, Refusal> {
    let node: NodeId = name
        .parse()
        .map_err(|error: groundstate_api::ParseIdError| {
            let mut refusal = unknown(ours, name);
            refusal.reason = refusal.reason.seen(error.to_string());
            refusal
        })?;
    if ours.with_node(&node, |_| ()).is_some() {
        Ok(node)
    } else {
        Err(unknown(ours, name))
    }
}

pub(crate) fn unknown(ours: &Provisioner, name: &str) -> Refusal {
    // What was asked for is shown shortened: it comes from outside.
    let name: String = name.chars().take(64).collect();
    let reason = reasons::no_such_node(&name, &ours.names()).about(Part::Field {
        path: "node".to_owned(),
    });
    Refusal::new(StatusCode::NOT_FOUND, reason)
}
