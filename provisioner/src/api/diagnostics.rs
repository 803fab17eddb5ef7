// SPDX-License-Identifier: Apache-2.0
//! Diagnostics of hosts: what an agent packed, kept as it is, one file per node, and given to people to look into. It is
//! never unpacked here.

use super::operator::known;
use super::problem::Refusal;
use super::routes::{Routes, routes};
use super::wrong;
use crate::provisioner::Provisioner;
use axum::Extension;
use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use groundstate_api::action::ActionId;
use groundstate_api::limits::DIAGNOSTICS_MAX;
use groundstate_api::{NodeId, Reason, ReasonCode, paths};
use prov_core::Peer;
use serde::Deserialize;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// How long an agent may take to send it: 4 MiB over a management network at 1 Mb/s.
const BODY_TIME_MAX: Duration = Duration::from_secs(60);
/// How every gzip file begins.
const GZIP: [u8; 2] = [0x1f, 0x8b];

pub(crate) fn routes() -> Routes {
    routes![
        POST paths::HOST_DIAGNOSTICS => keep,
        GET paths::NODE_DIAGNOSTICS => give,
    ]
}

#[derive(Deserialize)]
struct OfAction {
    action: u64,
}

/// Only what was asked for is taken: the action must be open, and of the host that sends.
async fn keep(
    State(ours): State<Provisioner>,
    Extension(peer): Extension<Peer>,
    query: Result<Query<OfAction>, QueryRejection>,
    body: Body,
) -> Result<StatusCode, Refusal> {
    let Query(OfAction { action }) = query.map_err(|error| wrong::query(&error))?;
    let Peer::Host { node, plan, key } = &peer else {
        return Err(Refusal::not_allowed(
            "a host sends its own diagnostics",
            format!("called by {peer}"),
        ));
    };
    let asked = ours.with_node(node, |state| {
        let host = state.host.as_ref();
        let is_host = host.is_some_and(|host| host.id == *plan && host.key.as_ref() == Some(key));
        let open =
            |doing: &prov_core::Doing| doing.action.id == ActionId(action) && doing.goes_on();
        is_host && state.actions.iter().any(open)
    });
    if asked != Some(true) {
        return Err(Refusal::not_allowed(
            "nobody has asked this host for diagnostics",
            format!("action {action}, called by {peer}"),
        ));
    }
    let most = usize::try_from(DIAGNOSTICS_MAX.0).unwrap_or(usize::MAX);
    let read = tokio::time::timeout(BODY_TIME_MAX, axum::body::to_bytes(body, most));
    let Ok(Ok(bytes)) = read.await else {
        let what =
            format!("the body is longer than {DIAGNOSTICS_MAX}, was cut off, or came too slowly");
        let mut refusal = Refusal::field("body", what);
        refusal.status = StatusCode::PAYLOAD_TOO_LARGE;
        return Err(refusal);
    };
    if !bytes.starts_with(&GZIP) {
        return Err(Refusal::field("body", "it is not gzip"));
    }
    let path = path(&ours, node);
    tokio::task::spawn_blocking(move || write(&path, &bytes))
        .await?
        .map_err(Refusal::internal)?;
    Ok(StatusCode::NO_CONTENT)
}

async fn give(
    State(ours): State<Provisioner>,
    Path(name): Path<String>,
) -> Result<Response, Refusal> {
    let node = known(&ours, &name)?;
    let file = path(&ours, &node);
    let read = move || {
        let bytes = std::fs::read(&file)?;
        Ok::<_, io::Error>((bytes, std::fs::metadata(&file)?.modified()?))
    };
    match tokio::task::spawn_blocking(read).await? {
        Ok((bytes, sent)) => {
            let name = format!("attachment; filename=\"{node}-diagnostics.tar.gz\"");
            let headers = [
                (header::CONTENT_TYPE, "application/gzip".to_owned()),
                (header::CONTENT_DISPOSITION, name),
                (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
                (header::LAST_MODIFIED, http_date(sent)),
            ];
            Ok((headers, bytes).into_response())
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let reason = Reason::new(
                ReasonCode::NothingOrdered,
                format!("no diagnostics of {node} were sent to this provisioner"),
                format!("ask its host for some: groundstate node diagnostics {node} --collect"),
            );
            Err(Refusal::new(StatusCode::NOT_FOUND, reason))
        }
        Err(error) => Err(Refusal::internal(error)),
    }
}

/// As HTTP writes a time; empty where it cannot be written.
fn http_date(at: std::time::SystemTime) -> String {
    let at = jiff::Timestamp::try_from(at).ok();
    let at = at.and_then(|at| {
        let printer = jiff::fmt::rfc2822::DateTimePrinter::new();
        printer.timestamp_to_rfc9110_string(&at).ok()
    });
    at.unwrap_or_default()
}

/// A node's name is a host name, so it is a file name too.
fn path(ours: &Provisioner, node: &NodeId) -> PathBuf {
    ours.diagnostics().join(format!("{node}.tar.gz"))
}

/// Whole or not at all: a reader never sees half of it.
fn write(path: &std::path::Path, bytes: &[u8]) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let new = path.with_extension("new");
    std::fs::write(&new, bytes)?;
    std::fs::rename(new, path)
}
