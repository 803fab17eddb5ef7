// SPDX-License-Identifier: Apache-2.0
//! A node as it was: its events folded from the journal as far as asked. Nothing is decided, carried out or written by that.

use super::operator::{self, known};
use super::problem::Refusal;
use super::wrong;
use crate::journal::JournalError;
use crate::provisioner::Provisioner;
use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse as _, Response};
use groundstate_api::view::NodeReport;
use groundstate_api::{Millis, NodeId};
use prov_core::Node;
use serde::Deserialize;

/// Events that are read from the journal at once.
const PAGE: usize = 500;

#[derive(Deserialize)]
pub(crate) struct AsOf {
    at_event: Option<u64>,
}

/// The node's report: as it is, or as it was after an event.
pub(crate) async fn node(
    State(ours): State<Provisioner>,
    Path(name): Path<String>,
    query: Result<Query<AsOf>, QueryRejection>,
) -> Result<Response, Refusal> {
    let Query(AsOf { at_event }) = query.map_err(|error| wrong::query(&error))?;
    let Some(number) = at_event else {
        return operator::node(State(ours), Path(name)).await;
    };
    let node = known(&ours, &name)?;
    let fold = move || report_at(&ours, &node, number);
    let report = tokio::task::spawn_blocking(fold).await??;
    // A node that left the site in between is not there any more.
    report
        .map(|report| Json(report).into_response())
        .ok_or_else(|| Refusal::field("node", format!("{name} left the site")))
}

/// The fold of the node's events up to this one. What is remembered beside the journal is not in it.
fn report_at(
    ours: &Provisioner,
    id: &NodeId,
    last: u64,
) -> Result<Option<NodeReport>, JournalError> {
    let fresh = |node: &Node| Node::new(node.site.clone(), node.policy_hand_over, Millis(0));
    let Some(mut node) = ours.with_node(id, fresh) else {
        return Ok(None);
    };
    let mut after = 0;
    loop {
        let events = ours.events(after, PAGE, Some(id))?;
        let Some(newest) = events.last() else { break };
        after = newest.number;
        for event in events.iter().filter(|event| event.number <= last) {
            node.apply(event);
        }
        if after >= last {
            break;
        }
    }
    let mut report = node.report();
    report.hardware = crate::hardware::of(&node, &report);
    Ok(Some(report))
}
