// SPDX-License-Identifier: Apache-2.0
//! The gate: every request passes it, and a path without a row in [`Route::ALL`] does not.

use super::problem::Refusal;
use super::scope::{Scope, SiteScopes};
use crate::provisioner::Provisioner;
use axum::RequestExt as _;
use axum::extract::{MatchedPath, RawPathParams, Request, State};
use axum::http::{Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use groundstate_api::{Reason, ReasonCode, paths};
use prov_core::access::Object;
use prov_core::{Peer, Route, Who};
use std::time::Duration;

/// Bytes of a refused request that are read away: a node's largest report.
const READ_AWAY_MAX: usize = 1 << 20;
/// How long that may take.
const READ_AWAY_WAIT: Duration = Duration::from_secs(2);

/// Lets a request through whose caller may call its path, and may touch the node that the path names.
///
/// The bytes of images are for nodes in a run: a certificate of a run that is over, or is not the node's, opens nothing. Nor does
/// one of a boot that a later boot of the same run has replaced, wherever it is shown.
pub(crate) async fn guard(
    State((ours, scopes)): State<(Provisioner, SiteScopes)>,
    mut request: Request,
    next: Next,
) -> Response {
    let Some(path) = request.extensions().get::<MatchedPath>().cloned() else {
        let refusal = no_such_path().await;
        return refused(request, refusal).await;
    };
    // A listener that forgot to say who calls gets the rights of nobody.
    let peer = request.extensions().get::<Peer>().cloned();
    let peer = peer.unwrap_or(Peer::Anyone);
    let method = match request.method() {
        // The answer to HEAD is that to GET, without its body.
        &Method::HEAD => "GET",
        method => method.as_str(),
    };
    let Some(row) = Route::find(method, path.as_str()) else {
        let refusal = without_row(request.method().clone(), path.as_str()).await;
        return refused(request, refusal).await;
    };
    // What nodes and hosts say, and are told, is the leader's alone: one that was stopped for a while knows only what was.
    // So is what a boot service saw: it tells it again.
    if (matches!(row.who, Who::Node | Who::Host) || row.path == paths::BOOT_REPORTS)
        && let Some(elsewhere) = ours.leads_elsewhere()
    {
        return refused(request, Refusal::from(elsewhere)).await;
    }
    let scope = scopes.of(&ours, &peer);
    // A path whose parts are no text names no node.
    let params = request.extract_parts::<RawPathParams>().await.ok();
    let node = params.iter().flatten().find(|(name, _)| *name == "node");
    let node = node.map(|(_, value)| value);
    if let Err(refusal) = admit(&ours, &peer, row, &scope, node) {
        return refused(request, *refusal).await;
    }
    let named = Named(node.map(str::to_owned));
    request.extensions_mut().insert(named);
    request.extensions_mut().insert(row);
    request.extensions_mut().insert(scope);
    request.extensions_mut().insert(scopes);
    next.run(request).await
}

/// The node that the path names, as it was decoded. Each request has it as an extension.
#[derive(Clone, Debug)]
pub(crate) struct Named(pub(crate) Option<String>);

/// Whether this caller may call this route for this node.
fn admit(
    ours: &Provisioner,
    peer: &Peer,
    row: &Route,
    scope: &Scope,
    node: Option<&str>,
) -> Result<(), Box<Refusal>> {
    if row.who == Who::Anyone {
        return Ok(());
    }
    if ours.pki().access().is_revoked(peer) {
        return Err(Box::new(revoked(peer)));
    }
    if let Some(reason) = withdrawn(ours, peer) {
        return Err(Box::new(Refusal::new(StatusCode::FORBIDDEN, reason)));
    }
    if !row.who.admits(peer) {
        let what = format!("this path is for {}", row.who.says());
        let refusal = Refusal::not_allowed(what, format!("called by {peer}"));
        return Err(Box::new(refusal));
    }
    if matches!(row.who, Who::NodeOr(_)) && !in_its_run(ours, peer) {
        let seen = format!("called by {peer}");
        let refusal = Refusal::not_allowed("this run is over, or has not begun", seen);
        return Err(Box::new(refusal));
    }
    let checked = match row.object {
        Object::Node => scope.check_name(node.unwrap_or_default()),
        Object::Site => scope.check_site(),
        Object::Each | Object::Nothing | Object::Own => Ok(()),
    };
    checked.map_err(Box::new)
}

/// 403: whoever took the certificate's rights away means it from now on, wherever it is in use.
pub(super) fn revoked(peer: &Peer) -> Refusal {
    Refusal::not_allowed("this certificate was revoked", format!("called by {peer}"))
}

/// 405 where the path has rows for other methods, else 404.
async fn without_row(method: Method, path: &str) -> Response {
    let mut allowed = Route::ALL.iter().filter(|row| row.path == path);
    let Some(first) = allowed.next() else {
        return no_such_path().await.into_response();
    };
    let allow = allowed.fold(first.method.to_owned(), |all, row| {
        format!("{all}, {}", row.method)
    });
    let mut response = wrong_method(method).await.into_response();
    if let Ok(allow) = allow.parse() {
        response.headers_mut().insert(header::ALLOW, allow);
    }
    response
}

/// A refusal, once the request's body is read away: a connection that is closed over unread bytes is reset, and the
/// caller then has no answer but "disconnected". Larger and slower bodies than ours are not waited for.
async fn refused(request: Request, refusal: impl IntoResponse) -> Response {
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
        Peer::Anyone | Peer::Host { .. } | Peer::Client { .. } => true,
    }
}

/// Why nothing of this caller is believed any more, where it is a node's boot that is over.
fn withdrawn(ours: &Provisioner, peer: &Peer) -> Option<Reason> {
    match peer {
        Peer::Node { node, run, key } => ours
            .with_node(node, |state| state.withdrawn(run, key))
            .flatten(),
        Peer::Anyone | Peer::Host { .. } | Peer::Client { .. } => None,
    }
}

/// 405; the header `Allow` says which methods there are.
pub(crate) async fn wrong_method(method: Method) -> Refusal {
    let reason = Reason::new(
        ReasonCode::BadRequest,
        format!("this path has no method {method}"),
        "/openapi.json lists the paths, each with its methods",
    )
    .then("nothing: the request changed nothing");
    Refusal::new(StatusCode::METHOD_NOT_ALLOWED, reason)
}

/// 404.
pub(crate) async fn no_such_path() -> Refusal {
    let reason = Reason::new(
        ReasonCode::BadRequest,
        "there is nothing at this path",
        "the paths begin with /v1/; /openapi.json lists them all, with what each takes",
    );
    Refusal::new(StatusCode::NOT_FOUND, reason)
}

/// Says in every answer where the site's provisioners are, where there are several.
pub(crate) async fn provisioners(
    State(ours): State<Provisioner>,
    request: Request,
    next: Next,
) -> Response {
    let mut response = next.run(request).await;
    if let Some(list) = ours.provisioners_header() {
        let name = groundstate_api::ready::PROVISIONERS_HEADER;
        response.headers_mut().insert(name, list);
    }
    response
}
