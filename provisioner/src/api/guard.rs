// SPDX-License-Identifier: Apache-2.0
//! The gate: every request passes it, and a path without a row in [`Route::ALL`] does not.

use super::problem::Refusal;
use crate::provisioner::Provisioner;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use groundstate_api::{Reason, ReasonCode};
use prov_core::{Peer, Route, Who};
use std::time::Duration;

/// Bytes of a refused request that are read away: a node's largest report.
const READ_AWAY_MAX: usize = 1 << 20;
/// How long that may take.
const READ_AWAY_WAIT: Duration = Duration::from_secs(2);

/// Lets a request through whose caller may call its path.
///
/// The bytes of images are for nodes in a run: a certificate of a run that is over, or is not the node's, opens nothing. Nor does
/// one of a boot that a later boot of the same run has replaced, wherever it is shown.
pub(crate) async fn guard(
    State(ours): State<Provisioner>,
    request: Request,
    next: Next,
) -> Response {
    let Some(path) = request.extensions().get::<MatchedPath>() else {
        return no_such_path().await.into_response();
    };
    // A listener that forgot to say who calls gets the rights of nobody.
    let peer = request.extensions().get::<Peer>().unwrap_or(&Peer::Anyone);
    let who = Route::who(path.as_str());
    if let (Some(who), Some(reason)) = (who, withdrawn(&ours, peer))
        && who != Who::Anyone
    {
        return refused(request, Refusal::new(StatusCode::FORBIDDEN, reason)).await;
    }
    let refusal = match who {
        Some(Who::NodeOrOperator) if !in_its_run(&ours, peer) => Refusal::not_allowed(
            "this run is over, or has not begun",
            format!("called by {peer}"),
        ),
        Some(who) if who.admits(peer) => return next.run(request).await,
        Some(who) => {
            let what = format!("this path is for {}", who.says());
            Refusal::not_allowed(what, format!("called by {peer}"))
        }
        None => no_such_path().await,
    };
    refused(request, refusal).await
}

/// A refusal, once the request's body is read away: a connection that is closed over unread bytes is reset, and the
/// caller then has no answer but "disconnected". Larger and slower bodies than ours are not waited for.
async fn refused(request: Request, refusal: Refusal) -> Response {
    let body = axum::body::to_bytes(request.into_body(), READ_AWAY_MAX);
    // What it says does not matter any more.
    let _ = tokio::time::timeout(READ_AWAY_WAIT, body).await;
    refusal.into_response()
}

/// Whether a node calls with the certificate of its current open run. Whoever is no node is not asked that.
fn in_its_run(ours: &Provisioner, peer: &Peer) -> bool {
    match peer {
        Peer::Node { node, run, key } => ours
            .with_node(node, |state| state.is_bound_to(run, key))
            .unwrap_or_default(),
        Peer::Anyone | Peer::Host { .. } | Peer::Operator { .. } => true,
    }
}

/// Why nothing of this caller is believed any more, where it is a node's boot that is over.
fn withdrawn(ours: &Provisioner, peer: &Peer) -> Option<Reason> {
    match peer {
        Peer::Node { node, run, key } => ours
            .with_node(node, |state| state.withdrawn(run, key))
            .flatten(),
        Peer::Anyone | Peer::Host { .. } | Peer::Operator { .. } => None,
    }
}

/// 405; the header `Allow` says which methods there are.
pub(crate) async fn wrong_method(method: Method) -> Refusal {
    let reason = Reason::new(
        ReasonCode::BadRequest,
        format!("this path has no method {method}"),
        "the paths of version 1 are in the guide, each with its method",
    )
    .then("nothing: the request changed nothing");
    Refusal::new(StatusCode::METHOD_NOT_ALLOWED, reason)
}

/// 404.
pub(crate) async fn no_such_path() -> Refusal {
    let reason = Reason::new(
        ReasonCode::BadRequest,
        "there is nothing at this path",
        "the paths of version 1 are in the guide, and begin with /v1/",
    );
    Refusal::new(StatusCode::NOT_FOUND, reason)
}
