// SPDX-License-Identifier: Apache-2.0
//! The order to erase disks, a node's word on each disk that is done, and the certificates.

use super::body::{self, SMALL};
use super::node::{me, own_run};
use super::only_if::Ours;
use super::operator::{known, order_run};
use super::problem::Refusal;
use crate::erase::CertifyError;
use crate::provisioner::Provisioner;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use groundstate_api::erase::{EraseCertificates, EraseOrder, EraseReport, EraseTerms};
use groundstate_api::limits::JSON_BODY_MAX;
use groundstate_api::plan::OrderTerms;
use groundstate_api::view::NodeView;
use prov_core::Peer;

pub(crate) async fn erase(
    Ours(ours): Ours,
    Extension(peer): Extension<Peer>,
    Path(name): Path<String>,
    body: Body,
) -> Result<Json<NodeView>, Refusal> {
    let node = known(&ours, &name)?;
    let order: EraseOrder = body::json(body, SMALL).await?;
    if order.serials.is_empty() {
        let what = "no disk is named; each disk that is erased is named by its serial number";
        return Err(Refusal::field("serials", what.to_owned()));
    }
    let terms = OrderTerms {
        erase: Some(EraseTerms {
            level: order.level,
            serials: order.serials,
            ordered_by: peer.to_string(),
        }),
        by: peer.to_string(),
        ..OrderTerms::default()
    };
    order_run(ours, node, (None, true), terms).await
}

pub(crate) async fn erased(
    State(ours): State<Provisioner>,
    Extension(peer): Extension<Peer>,
    body: Body,
) -> Result<StatusCode, Refusal> {
    let me = me(&ours, &peer)?;
    let report: EraseReport = body::said(body, JSON_BODY_MAX).await?;
    own_run(&me.run, &report.run, &peer)?;
    let certify = move || match ours.certify(&me, report) {
        Ok(()) => Ok(StatusCode::NO_CONTENT),
        Err(CertifyError::Refused(reason)) => Err(Refusal::conflict(*reason)),
        Err(error @ (CertifyError::Journal(_) | CertifyError::Pki(_) | CertifyError::Json(_))) => {
            Err(Refusal::internal(error))
        }
    };
    tokio::task::spawn_blocking(certify).await?
}

pub(crate) async fn certificates(
    State(ours): State<Provisioner>,
    Path(name): Path<String>,
) -> Result<Json<EraseCertificates>, Refusal> {
    let node = known(&ours, &name)?;
    let certificates =
        tokio::task::spawn_blocking(move || ours.erase_certificates(&node)).await??;
    Ok(Json(EraseCertificates { certificates }))
}
