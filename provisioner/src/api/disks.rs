// SPDX-License-Identifier: Apache-2.0
//! What an operator asks about a node's disks before anything runs, and the order to make one of them anew.

use super::body::{self, SMALL};
use super::only_if::Ours;
use super::operator::{known, order_run};
use super::problem::Refusal;
use super::wrong;
use crate::provisioner::Provisioner;
use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use groundstate_api::plan::{OrderTerms, PlanPreview};
use groundstate_api::view::{NodeView, RebuildOrder};
use groundstate_api::{Reason, ReasonCode};
use prov_core::{Peer, named};
use serde::Deserialize;

/// The most disks that one order confirms: no machine has more.
const CONFIRMED_MAX: usize = 256;
/// The longest serial number that is taken, in bytes: the longest that a disk can have is 64 (NVMe over fabrics: 20).
const SERIAL_MAX: usize = 128;

/// What a preview is asked with, as an order would be.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PreviewQuery {
    /// Serial numbers, separated by commas.
    #[serde(default)]
    confirm: Option<String>,
    #[serde(default)]
    rebuild: Option<String>,
}

pub(crate) async fn plan_preview(
    State(ours): State<Provisioner>,
    Path(name): Path<String>,
    query: Result<Query<PreviewQuery>, QueryRejection>,
) -> Result<Json<PlanPreview>, Refusal> {
    let Query(query) = query.map_err(|error| wrong::query(&error))?;
    let node = known(&ours, &name)?;
    let confirm = query.confirm.unwrap_or_default();
    let confirm = confirm.split(',').filter(|serial| !serial.is_empty());
    let terms = checked(OrderTerms {
        confirm_wipe: confirm.map(str::to_owned).collect(),
        rebuild: query.rebuild,
        ..OrderTerms::default()
    })?;
    let made = {
        let node = node.clone();
        let look = move || {
            let refused = ours.refused_order(&node, terms.clone());
            (ours.preview(&node, terms), refused)
        };
        tokio::task::spawn_blocking(look).await?
    };
    match made {
        (Some(Ok(preview)), refused) => {
            let refused = refused.map(|reason| named::reason(reason, &node));
            Ok(Json(PlanPreview { refused, ..preview }))
        }
        // There is nothing to be shown, and the order would be refused for this.
        (Some(Err(_)) | None, Some(reason)) | (Some(Err(reason)), None) => {
            Err(Refusal::conflict(named::reason(reason, &node)))
        }
        (None, None) => {
            let reason = Reason::new(
                ReasonCode::NothingOrdered,
                format!("{node} has not reported its hardware yet"),
                format!(
                    "order a run: the maintenance OS reports before anything is written; or preview from a file: groundstate plan preview {node} --site FILE --inventory FILE"
                ),
            );
            Err(Refusal::new(StatusCode::NOT_FOUND, reason))
        }
    }
}

pub(crate) async fn rebuild_disk(
    Ours(ours): Ours,
    Extension(peer): Extension<Peer>,
    Path(name): Path<String>,
    body: Body,
) -> Result<Json<NodeView>, Refusal> {
    let node = known(&ours, &name)?;
    let order: RebuildOrder = body::json(body, SMALL).await?;
    let confirmed = order.confirm_wipe.then(|| order.serial.clone());
    let terms = OrderTerms {
        confirm_wipe: confirmed.into_iter().collect(),
        rebuild: Some(order.serial),
        by: peer.to_string(),
        ..OrderTerms::default()
    };
    order_run(ours, node, (None, true), terms).await
}

/// Terms that can be meant: they are kept in the journal.
pub(crate) fn checked(terms: OrderTerms) -> Result<OrderTerms, Refusal> {
    if terms.confirm_wipe.len() > CONFIRMED_MAX {
        let what = format!("more than {CONFIRMED_MAX} disks are confirmed");
        return Err(Refusal::field("confirm_wipe", what));
    }
    let is_serial = |text: &String| {
        !text.trim().is_empty()
            && text.len() <= SERIAL_MAX
            && text.chars().all(groundstate_api::text::printable)
    };
    let erased = terms.erase.as_ref().map_or(&[][..], |erase| &erase.serials);
    if erased.len() > CONFIRMED_MAX {
        let what = format!("more than {CONFIRMED_MAX} disks are to be erased");
        return Err(Refusal::field("serials", what));
    }
    let fields = [
        ("serials", erased),
        ("confirm_wipe", terms.confirm_wipe.as_slice()),
        ("serial", terms.rebuild.as_slice()),
    ];
    for (field, serials) in fields {
        if !serials.iter().all(is_serial) {
            let what = format!(
                "a serial number has 1 to {SERIAL_MAX} bytes, each character of which can be seen"
            );
            return Err(Refusal::field(field, what));
        }
    }
    Ok(terms)
}
