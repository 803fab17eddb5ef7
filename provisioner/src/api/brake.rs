// SPDX-License-Identifier: Apache-2.0
//! The brake, by hand.

use super::body::{self, SMALL};
use super::life::{WHY_MAX, typed};
use super::problem::Refusal;
use super::routes::{Routes, routes};
use crate::provisioner::Provisioner;
use axum::body::Body;
use axum::extract::State;
use axum::{Extension, Json};
use groundstate_api::healing::{BrakeOrder, BrakeView};
use groundstate_api::paths;
use prov_core::{Peer, reasons_life};

pub(crate) fn routes() -> Routes {
    routes![GET paths::BRAKE => brake, POST paths::BRAKE => order]
}

async fn brake(State(ours): State<Provisioner>) -> Json<BrakeView> {
    Json(ours.brake())
}

async fn order(
    State(ours): State<Provisioner>,
    Extension(peer): Extension<Peer>,
    body: Body,
) -> Result<Json<BrakeView>, Refusal> {
    let BrakeOrder { on, why } = body::json(body, SMALL).await?;
    let why = typed("why", why, WHY_MAX)?;
    let by = peer.to_string();
    let set = move || {
        let reason = on.then(|| reasons_life::brake_is_set(ours.now(), &by, &why));
        ours.set_brake(on, by, reason)
    };
    Ok(Json(tokio::task::spawn_blocking(set).await??))
}
