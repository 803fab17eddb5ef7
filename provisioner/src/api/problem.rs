// SPDX-License-Identifier: Apache-2.0
//! Refusals as RFC 9457 problem details.

use crate::journal::{JournalError, may_stand};
use crate::provisioner::Unheard;
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use groundstate_api::view::Problem;
use groundstate_api::{Part, Reason, ReasonCode};

/// The longest text of a refusal that is not ours, in bytes: more is not read.
const SAID_MAX: usize = 4_096;

/// A refusal: a status and a reason.
#[derive(Debug)]
pub struct Refusal {
    /// The HTTP status.
    pub status: StatusCode,
    /// Why.
    pub reason: Reason,
    /// Where to go instead: the leader's API.
    leader: Option<String>,
    /// Seconds to wait before the same is asked again, where waiting helps.
    pub wait: Option<u64>,
    /// What was asked may have been done all the same.
    doubt: bool,
}

/// In an answer's extensions: what was asked may have been done all the same.
#[derive(Clone, Copy, Debug)]
pub(crate) struct InDoubt;

impl Refusal {
    pub(crate) fn new(status: StatusCode, reason: Reason) -> Self {
        Self {
            status,
            reason,
            leader: None,
            wait: None,
            doubt: false,
        }
    }

    /// Says when to ask again.
    pub(crate) fn retry_after(mut self, secs: u64) -> Self {
        self.wait = Some(secs);
        self
    }

    /// 400: a field of the request is wrong.
    pub(crate) fn field(path: &str, what: impl Into<String>) -> Self {
        let reason = Reason::new(ReasonCode::BadRequest, what, super::wrong::next_step(path))
            .about(Part::Field {
                path: path.to_owned(),
            })
            .then("nothing: the request changed nothing");
        Self::new(StatusCode::BAD_REQUEST, reason)
    }

    /// 403: the certificate does not allow it.
    pub(crate) fn not_allowed(what: impl Into<String>, seen: impl Into<String>) -> Self {
        let reason = Reason::new(
            ReasonCode::NotAllowed,
            what,
            "call with a certificate that allows it",
        )
        .seen(seen)
        .then("nothing: the request changed nothing");
        Self::new(StatusCode::FORBIDDEN, reason)
    }

    /// 409: the state does not allow it; 412 where it is not the one that the caller named.
    pub(crate) fn conflict(reason: Reason) -> Self {
        let status = match reason.code {
            ReasonCode::Precondition => StatusCode::PRECONDITION_FAILED,
            _ => StatusCode::CONFLICT,
        };
        Self::new(status, reason)
    }

    /// 500 for what is our own fault.
    pub(crate) fn internal(what: impl std::fmt::Display) -> Self {
        tracing::error!("{what}");
        let reason = Reason::new(
            ReasonCode::Internal,
            "the provisioner cannot do that now",
            "look at the provisioner's log and its disk",
        )
        .seen(what.to_string())
        .then("nothing was changed; ask again");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, reason)
    }
}

/// Seconds until a call that found no leader is made again.
const LEADER_WAIT: u64 = 2;

impl From<JournalError> for Refusal {
    fn from(error: JournalError) -> Self {
        tracing::error!(%error, "the journal");
        let reason = crate::journal::reason_of(&error);
        let status = match reason.code {
            ReasonCode::NotLeader | ReasonCode::JournalUnusable => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let leader = match error.one() {
            JournalError::NotLeader { leader } => leader.as_ref().map(|leader| leader.url.clone()),
            _ => None,
        };
        // A site without a leader has one again within seconds, and whoever waits longer than that waits for nothing.
        let wait = matches!(error.one(), JournalError::NotLeader { .. }).then_some(LEADER_WAIT);
        Self {
            leader,
            wait,
            doubt: may_stand(&error),
            ..Self::new(status, reason)
        }
    }
}

impl From<Unheard> for Refusal {
    fn from(why: Unheard) -> Self {
        match why {
            Unheard::Journal(error) => error.into(),
            Unheard::Withdrawn(reason) => Self::new(StatusCode::FORBIDDEN, *reason),
        }
    }
}

impl From<tokio::task::JoinError> for Refusal {
    fn from(error: tokio::task::JoinError) -> Self {
        tracing::error!(%error, "a request ended in a fault");
        JournalError::Fault.into()
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let leader = self.leader.and_then(|url| HeaderValue::try_from(url).ok());
        let problem = Problem {
            kind: format!("urn:groundstate:reason:{}", self.reason.code),
            title: self.reason.what.clone(),
            status: self.status.as_u16(),
            reason: self.reason,
        };
        let mut response = (self.status, axum::Json(inert(&problem))).into_response();
        if self.doubt {
            response.extensions_mut().insert(InDoubt);
        }
        let kind = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        if let Some(leader) = leader {
            let name = groundstate_api::ready::LEADER_HEADER;
            response.headers_mut().insert(name, leader);
        }
        if let Some(wait) = self.wait {
            let wait = HeaderValue::from(wait);
            response.headers_mut().insert(header::RETRY_AFTER, wait);
        }
        response
    }
}

/// The problem with every text made harmless: what reads requests quotes what was sent as it came, however long.
fn inert(problem: &Problem) -> serde_json::Value {
    let mut said = serde_json::to_value(problem).unwrap_or_default();
    super::text::clean(&mut said);
    said
}

/// Makes problem details of every refusal that is none yet: those of the router and of what reads requests for the handlers.
pub(crate) async fn problems_only(request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    let status = response.status();
    let kind = response.headers().get(header::CONTENT_TYPE);
    let is_text = kind.is_none_or(|kind| kind.as_bytes().starts_with(b"text/plain"));
    let ours = status.is_client_error() || status == StatusCode::INTERNAL_SERVER_ERROR;
    if !ours || !is_text {
        return response;
    }
    let (parts, body) = response.into_parts();
    let said = axum::body::to_bytes(body, SAID_MAX).await;
    let said = said.unwrap_or_default();
    let said = groundstate_api::text::inert(&String::from_utf8_lossy(&said)).into_owned();
    if status.is_server_error() {
        return Refusal::internal(said).into_response();
    }
    let what = status.canonical_reason().unwrap_or("refused");
    let reason = Reason::new(
        ReasonCode::BadRequest,
        format!("the request cannot be read: {}", what.to_lowercase()),
        "the paths of version 1 are in the guide, each with what it takes",
    )
    .seen(said)
    .then("nothing: the request changed nothing");
    let mut response = Refusal::new(status, reason).into_response();
    // What else was said stays: which methods and ranges there are, when to come again.
    for (name, value) in &parts.headers {
        if ![header::CONTENT_TYPE, header::CONTENT_LENGTH].contains(name) {
            response.headers_mut().insert(name, value.clone());
        }
    }
    response
}
