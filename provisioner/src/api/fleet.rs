// SPDX-License-Identifier: Apache-2.0
//! The fleet in one answer, for a caller's own racks where it has no others.

use super::routes::{Routes, routes};
use super::scope::Scope;
use crate::provisioner::Provisioner;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use groundstate_api::fleet::{FleetView, SlotView};
use groundstate_api::{NodeId, paths};
use prov_core::Peer;
use std::collections::BTreeMap;

pub(crate) fn routes() -> Routes {
    routes![GET paths::FLEET => fleet]
}

async fn fleet(
    State(ours): State<Provisioner>,
    Extension(scope): Extension<Scope>,
    Extension(peer): Extension<Peer>,
) -> Response {
    let view = ours.fleet_view_for(&peer.to_string());
    if scope.is_all() {
        return Json(&*view).into_response();
    }
    Json(within(&view, &scope)).into_response()
}

/// What of it this caller may see: its nodes, the racks that they stand in, and what is counted of them.
fn within(view: &FleetView, scope: &Scope) -> FleetView {
    let sees = |node: &NodeId| scope.sees(node);
    let sees_slot = |slot: &SlotView| slot.phase.is_none() || scope.sees_name(&slot.name);
    let mut racks = view.racks.clone();
    for rack in &mut racks {
        rack.slots.retain(sees_slot);
    }
    racks.retain(|rack| rack.slots.iter().any(|slot| slot.phase.is_some()));
    let mut phases = BTreeMap::new();
    for phase in racks.iter().flat_map(|r| &r.slots).filter_map(|s| s.phase) {
        *phases.entry(phase).or_default() += 1;
    }
    let mut own = FleetView {
        site: view.site.clone(),
        site_version: view.site_version,
        phases,
        racks,
        // Machines of no node belong to nobody's racks.
        machines: 0,
        needs: view.needs.clone(),
        brake: view.brake.clone(),
        measures: view.measures.clone(),
        etas: view.etas.clone(),
        leader: view.leader.clone(),
        newest: view.newest,
    };
    own.needs.retain(|need| sees(&need.node));
    own.measures.retain(|measure| sees(&measure.node));
    own.etas.retain(|eta| sees(&eta.node));
    own
}
