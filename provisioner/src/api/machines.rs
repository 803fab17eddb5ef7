// SPDX-License-Identifier: Apache-2.0
//! The waiting room over HTTP.

use super::body::{self, SMALL};
use super::problem::Refusal;
use super::routes::{Routes, routes};
use crate::provisioner::Provisioner;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use groundstate_api::machine::{Accept, MachineList};
use groundstate_api::view::NodeView;
use groundstate_api::{MacAddr, ParseIdError, paths};
use prov_core::Peer;

pub(crate) fn routes() -> Routes {
    routes![
        GET paths::MACHINES => list,
        POST paths::MACHINE_ACCEPT => accept,
        DELETE paths::MACHINE => forget,
    ]
}

async fn list(State(ours): State<Provisioner>) -> Result<Json<MachineList>, Refusal> {
    let machines = tokio::task::spawn_blocking(move || ours.machines()).await?;
    Ok(Json(MachineList { machines }))
}

async fn accept(
    State(ours): State<Provisioner>,
    Extension(peer): Extension<Peer>,
    Path(mac): Path<String>,
    body: Body,
) -> Result<Json<NodeView>, Refusal> {
    let mac = mac_of(&mac)?;
    let order: Accept = body::json(body, SMALL).await?;
    let by = peer.to_string();
    tokio::task::spawn_blocking(move || {
        ours.accept_machine(mac, &order, &by)?;
        ours.view(&order.name)
            .map(Json)
            .ok_or_else(|| Refusal::internal("an accepted machine is no node"))
    })
    .await?
}

async fn forget(
    State(ours): State<Provisioner>,
    Extension(peer): Extension<Peer>,
    Path(mac): Path<String>,
) -> Result<StatusCode, Refusal> {
    let mac = mac_of(&mac)?;
    let by = peer.to_string();
    tokio::task::spawn_blocking(move || ours.forget_machine(mac, &by)).await??;
    Ok(StatusCode::NO_CONTENT)
}

fn mac_of(text: &str) -> Result<MacAddr, Refusal> {
    text.parse()
        .map_err(|error: ParseIdError| Refusal::field("mac", error.to_string()))
}
