// SPDX-License-Identifier: Apache-2.0
//! What a host's agent says. A host speaks for its own node and for the plan that made it.

use super::body::{self, SMALL, check_schema};
use super::problem::Refusal;
use crate::provisioner::Provisioner;
use axum::body::Body;
use axum::extract::State;
use axum::{Extension, Json};
use groundstate_api::host::{Heartbeat, HostInstruction, Register};
use groundstate_api::{NodeId, PlanId};
use prov_core::{Input, Peer, Reply};

pub(crate) async fn register(
    State(ours): State<Provisioner>,
    Extension(peer): Extension<Peer>,
    body: Body,
) -> Result<Json<HostInstruction>, Refusal> {
    let register: Register = body::said(body, SMALL).await?;
    check_schema("schema", register.schema)?;
    let (node, plan, key) = me(&peer, &register.node, &register.plan)?;
    let input = Input::HostRegistered {
        plan,
        key,
        register: Box::new(register),
    };
    answer(ours, node, input).await
}

pub(crate) async fn heartbeat(
    State(ours): State<Provisioner>,
    Extension(peer): Extension<Peer>,
    body: Body,
) -> Result<Json<HostInstruction>, Refusal> {
    let beat: Heartbeat = body::said(body, SMALL).await?;
    let (node, plan, key) = me(&peer, &beat.node, &beat.plan)?;
    answer(ours, node, Input::HostBeat { plan, key, beat }).await
}

fn me(
    peer: &Peer,
    said_node: &NodeId,
    said_plan: &PlanId,
) -> Result<(NodeId, PlanId, String), Refusal> {
    match peer {
        Peer::Host { node, plan, key } if node == said_node && plan == said_plan => {
            Ok((node.clone(), plan.clone(), key.clone()))
        }
        Peer::Host { .. } | Peer::Anyone | Peer::Node { .. } | Peer::Client { .. } => {
            Err(Refusal::not_allowed(
                "a host speaks for its own node and plan only",
                format!("called by {peer} for node {said_node}, plan {said_plan}"),
            ))
        }
    }
}

async fn answer(
    ours: Provisioner,
    node: NodeId,
    input: Input,
) -> Result<Json<HostInstruction>, Refusal> {
    let reply = tokio::task::spawn_blocking(move || ours.submit(&node, input)).await??;
    match reply {
        Some(Reply::Host(instruction)) => Ok(Json(instruction)),
        Some(Reply::Conflict(reason)) => Err(Refusal::conflict(reason)),
        None => Err(Refusal::not_allowed(
            "the site has no such node",
            "it left the site file",
        )),
        reply => Err(Refusal::internal(format!(
            "a host was answered with {reply:?}"
        ))),
    }
}
