// SPDX-License-Identifier: Apache-2.0
//! The repair ticket: a sheet to print for a person, JSON for a program that keeps tickets.

use super::operator::known;
use super::problem::Refusal;
use super::routes::{Routes, routes};
use crate::page::sheet;
use crate::provisioner::Provisioner;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use groundstate_api::{Reason, ReasonCode, paths};

pub(crate) fn routes() -> Routes {
    routes![GET paths::NODE_TICKET => ticket]
}

async fn ticket(
    State(ours): State<Provisioner>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let node = known(&ours, &name)?;
    let Some(ticket) = ours.ticket(&node) else {
        let reason = Reason::new(
            ReasonCode::NothingOrdered,
            format!("nothing is to be repaired at {node}"),
            "a ticket is there once a node is held, out of use, in trouble, or a part of it is not well",
        );
        return Err(Refusal::new(StatusCode::NOT_FOUND, reason));
    };
    if wants_html(&headers) {
        return Ok(sheet::Sheet::of(ticket, ours.now(), false).answer());
    }
    Ok(sheet::json(&ticket))
}

/// A browser names HTML; who names nothing, or anything, is a program.
fn wants_html(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT);
    let accept = accept.and_then(|accept| accept.to_str().ok());
    accept.is_some_and(|accept| accept.contains("text/html"))
}
