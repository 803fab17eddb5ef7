// SPDX-License-Identifier: Apache-2.0
//! Where orders are taken in: every call of a person or a program that is to change something passes here, after the gate. It is
//! bounded in size and rate, carried out once for its idempotency key and only in the state that it names, and written into the
//! audit trail. An order that was begun is carried to its end, also where its caller hangs up.

use super::body;
use super::guard::Named;
use super::idempotency::{self, ANSWER_MAX, Answer, Claim, Claimed, Keys};
use super::problem::{InDoubt, Refusal};
use super::rate::Rates;
use crate::provisioner::{OnlyIf, Provisioner};
use crate::serve::Caller;
use axum::body::{Body, Bytes};
use axum::extract::{Query, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use groundstate_api::action::Act;
use groundstate_api::audit::Audit;
use groundstate_api::limits::JSON_BODY_MAX;
use groundstate_api::{Digest, NodeId, Reason, ReasonCode, paths};
use prov_core::access::Object;
use prov_core::{Node, Peer, Route};
use serde::Deserialize;
use std::sync::Arc;
use std::time::Instant;

/// The largest site as JSON: 10,000 nodes of 1 KiB and as much again.
const SITE_BODY_MAX: groundstate_api::Bytes = groundstate_api::Bytes::mib(32);
/// Before a node's name in a path.
const NODES: &str = "/v1/nodes/";
/// The longest path that the audit trail keeps, in characters.
const PATH_MAX: usize = 256;

/// The desk.
#[derive(Debug, Default)]
pub(crate) struct Desk {
    rates: Rates,
    keys: Arc<Keys>,
}

/// Whether a call is an order. What a boot service on another machine saw is none, although it comes with a person's role.
pub(crate) fn is_order(row: &Route, peer: &Peer) -> bool {
    matches!(peer, Peer::Client { .. }) && row.changes() && row.path != paths::BOOT_REPORTS
}

/// Takes a call in.
pub(crate) async fn desk(
    State((ours, desk)): State<(Provisioner, Arc<Desk>)>,
    request: Request,
    next: Next,
) -> Response {
    let extensions = request.extensions();
    let order = match (extensions.get::<&'static Route>(), extensions.get::<Peer>()) {
        (Some(row), Some(peer)) if is_order(row, peer) => Some((*row, peer.clone())),
        (Some(_) | None, Some(_) | None) => None,
    };
    let Some((row, peer)) = order else {
        return next.run(request).await;
    };
    let (parts, body) = request.into_parts();
    let taken = Order {
        ours,
        desk,
        row,
        by: peer.to_string(),
    };
    match taken.take(parts, body, next).await {
        Ok(response) => response,
        Err(refusal) => refusal.into_response(),
    }
}

struct Order {
    ours: Provisioner,
    desk: Arc<Desk>,
    row: &'static Route,
    by: String,
}

impl Order {
    async fn take(self, mut parts: Parts, body: Body, next: Next) -> Result<Response, Refusal> {
        let max = match self.row.path {
            paths::SITE => SITE_BODY_MAX,
            _ => JSON_BODY_MAX,
        };
        let body = body::read(body, max).await?;
        self.check_rate()?;
        self.check_kind(&parts, &body)?;
        let key = idempotency::key_of(&parts.headers)?;
        let audit = self.audit(&parts, &body, key.clone());
        let carry = async move {
            let claim = match &key {
                None => None,
                Some(key) => match self.claim(key, &parts, &body).await? {
                    Claimed::New(claim) => Some(claim),
                    Claimed::Before(answer) => return Ok(again(answer)),
                },
            };
            // After the key: the order that is sent again has itself made the tag that it names another one.
            if let Err(refusal) = self.check_tag(&mut parts) {
                if let Some(claim) = claim {
                    self.desk.keys.answered(&self.ours, claim, None).await?;
                }
                return Err(refusal);
            }
            let response = next.run(Request::from_parts(parts, Body::from(body))).await;
            self.carried_out(response, audit, claim).await
        };
        // In a task of its own: a caller that hangs up stops nothing half way.
        tokio::spawn(carry).await?
    }

    fn check_rate(&self) -> Result<(), Refusal> {
        let Err(wait) = self.desk.rates.take(&self.by, Instant::now()) else {
            return Ok(());
        };
        let reason = Reason::new(
            ReasonCode::TooMany,
            "too many orders of this caller in a short time",
            "wait as long as Retry-After says, and send it again",
        )
        .then("nothing: the request changed nothing");
        let refusal = Refusal::new(StatusCode::TOO_MANY_REQUESTS, reason);
        // Whole seconds, rounded up.
        Err(refusal.retry_after(wait.as_secs() + 1))
    }

    fn check_kind(&self, parts: &Parts, body: &Bytes) -> Result<(), Refusal> {
        let Some(kind) = parts.headers.get(header::CONTENT_TYPE) else {
            return Ok(());
        };
        let kind = kind.to_str().unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if body.is_empty() || kind.eq_ignore_ascii_case("application/json") {
            return Ok(());
        }
        let reason = Reason::new(
            ReasonCode::BadRequest,
            "the body is JSON, and its header Content-Type says something else",
            "send it with Content-Type: application/json",
        )
        .then("nothing: the request changed nothing");
        Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, reason))
    }

    /// Binds an order to the state of its node that the caller names; refuses it at once where that state is past. The writer
    /// asks again in its own turn.
    fn check_tag(&self, parts: &mut Parts) -> Result<(), Refusal> {
        let Some(wanted) = parts.headers.get(header::IF_MATCH) else {
            return Ok(());
        };
        if self.row.path == paths::SITE {
            return Ok(()); // It asks for itself, with the site's own tag.
        }
        if self.row.object != Object::Node {
            return Err(Refusal::conflict(no_tag()));
        }
        let node = parts.extensions.get::<Named>();
        let Some(node) = node.and_then(|Named(name)| name.as_ref()?.parse().ok()) else {
            return Ok(()); // The handler says that there is none.
        };
        let only_if = Arc::new(OnlyIf::of(node, wanted.to_str().unwrap_or_default()));
        let refuses = |node: &Node| only_if.refuses(node);
        let refused = self.ours.with_node(&only_if.node, refuses).flatten();
        parts.extensions.insert(only_if);
        refused.map_or(Ok(()), |reason| Err(Refusal::conflict(reason)))
    }

    async fn claim(&self, key: &str, parts: &Parts, body: &Bytes) -> Result<Claimed, Refusal> {
        let asked = format!("{} {} {}", parts.method, parts.uri, Digest::of(body));
        let request = Digest::of(asked.as_bytes());
        let keys = &self.desk.keys;
        keys.claim(&self.ours, &self.by, key, request).await
    }

    /// What an action does, where it can be read: its path names only the node.
    fn act(&self, body: &Bytes) -> Option<String> {
        let is_action = self.row.path == paths::NODE_ACTIONS;
        let act: Act = is_action
            .then(|| serde_json::from_slice(body).ok())
            .flatten()?;
        Some(act.says().to_owned())
    }

    fn audit(&self, parts: &Parts, body: &Bytes, key: Option<String>) -> Audit {
        let from = parts.extensions.get::<Caller>();
        let named = parts.extensions.get::<Named>();
        let named = named.and_then(|Named(name)| name.as_deref());
        let path = path_of(parts.uri.path(), named);
        let asked = Query::<Asked>::try_from_uri(&parts.uri);
        Audit {
            by: self.by.clone(),
            from: from.map_or_else(|| "-".to_owned(), |Caller(ip)| ip.to_string()),
            did: format!("{} {path}", parts.method),
            act: self.act(body),
            key,
            status: 0,
            body: (!body.is_empty()).then(|| Digest::of(body).to_string()),
            dry_run: asked.is_ok_and(|Query(asked)| asked.dry_run),
        }
    }

    async fn carried_out(
        self,
        response: Response,
        mut audit: Audit,
        claim: Option<Claim>,
    ) -> Result<Response, Refusal> {
        audit.status = response.status().as_u16();
        let (ours, changes) = (self.ours.clone(), !audit.dry_run);
        let kept = tokio::task::spawn_blocking(move || ours.audited(audit)).await?;
        if changes && response.status().is_success() {
            let newest = *self.ours.follow().borrow();
            self.ours.fleet_cache().changed(&self.by, newest);
        }
        if let Err(error) = kept
            && self.ours.may_decide().is_ok()
        {
            // The order stands in the journal or does not, and its answer says which; this line is missing.
            tracing::error!(%error, by = self.by, "an order is not in the audit trail");
        }
        // Where it may have been done, its key stays as it is: sent again, the order is in doubt, and not carried out twice.
        let in_doubt = response.extensions().get::<InDoubt>().is_some();
        let Some(claim) = claim.filter(|_| !in_doubt) else {
            return Ok(response);
        };
        let (parts, body) = response.into_parts();
        let bytes = axum::body::to_bytes(body, usize::MAX).await;
        let bytes = bytes.map_err(Refusal::internal)?;
        let text = |name| {
            let value: Option<&HeaderValue> = parts.headers.get(name);
            value.and_then(|v| v.to_str().ok()).map(str::to_owned)
        };
        let body = String::from_utf8(bytes.to_vec()).ok();
        let body = body.filter(|body| body.len() <= ANSWER_MAX);
        let answer = Answer {
            status: parts.status.as_u16(),
            kind: text(header::CONTENT_TYPE),
            tag: text(header::ETAG),
            body: body.unwrap_or_default(),
        };
        // What named a state that is past was not carried out, and may be sent again with the tag of now.
        let is_open =
            parts.status.is_server_error() || parts.status == StatusCode::PRECONDITION_FAILED;
        let answer = (!is_open).then_some(answer);
        if let Err(refusal) = self.desk.keys.answered(&self.ours, claim, answer).await {
            // What was carried out is answered as it is. Sent again with its key, it is in doubt, and not carried out twice.
            tracing::error!(why = %refusal.reason, by = self.by, "the answer to an order is not kept");
        }
        Ok(Response::from_parts(parts, Body::from(bytes)))
    }
}

/// Nobody can have seen an entity tag there, so none fits.
fn no_tag() -> Reason {
    Reason::new(
        ReasonCode::Precondition,
        "nothing at this path has an entity tag, so none can fit",
        "send the order without If-Match; orders for a node and a new site take one",
    )
    .then("nothing: the request changed nothing")
}

/// What an order's query may say of itself.
#[derive(Deserialize)]
struct Asked {
    /// Only what would come of it.
    #[serde(default)]
    dry_run: bool,
}

/// The path as the audit trail keeps it: the node by the name that it was taken for, however it was written.
fn path_of(path: &str, named: Option<&str>) -> String {
    let node: Option<NodeId> = named.and_then(|name| name.parse().ok());
    let under = node.zip(path.strip_prefix(NODES));
    let path = match under {
        Some((node, rest)) => {
            let rest = rest.find('/').and_then(|end| rest.get(end..));
            format!("{NODES}{node}{}", rest.unwrap_or_default())
        }
        None => path.to_owned(),
    };
    path.chars().take(PATH_MAX).collect()
}

/// An answer that was given before.
fn again(answer: Answer) -> Response {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
    let mut response = (status, answer.body).into_response();
    let headers = response.headers_mut();
    headers.remove(header::CONTENT_TYPE);
    for (name, value) in [
        (header::CONTENT_TYPE, answer.kind),
        (header::ETAG, answer.tag),
    ] {
        if let Some(value) = value.and_then(|value| value.parse().ok()) {
            headers.insert(name, value);
        }
    }
    headers.insert("idempotent-replayed", HeaderValue::from_static("true"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_stands_in_the_audit_trail_by_its_name_however_the_path_was_written() {
        for (path, named, right) in [
            ("/v1/nodes/n1/drain", Some("n1"), "/v1/nodes/n1/drain"),
            ("/v1/nodes/%6e1/drain", Some("n1"), "/v1/nodes/n1/drain"),
            ("/v1/nodes/%6E%31", Some("n1"), "/v1/nodes/n1"),
            (
                "/v1/nodes/a%2Fb/drain",
                Some("a/b"),
                "/v1/nodes/a%2Fb/drain",
            ),
            ("/v1/site", None, "/v1/site"),
            ("/v1/other/n1", Some("n1"), "/v1/other/n1"),
        ] {
            assert_eq!(path_of(path, named), right);
        }
        let long = format!("/v1/nodes/{}", "x".repeat(1_000));
        assert_eq!(path_of(&long, None).len(), PATH_MAX);
    }
}
