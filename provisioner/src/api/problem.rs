// SPDX-License-Identifier: Apache-2.0
//! Refusals as RFC 9457 problem details.

use crate::journal::JournalError;
use crate::provisioner::Unheard;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use groundstate_api::view::Problem;
use groundstate_api::{Part, Reason, ReasonCode};

/// A refusal: a status and a reason.
#[derive(Debug)]
pub struct Refusal {
    /// The HTTP status.
    pub status: StatusCode,
    /// Why.
    pub reason: Reason,
    /// Where to go instead: the leader's API.
    leader: Option<String>,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, reason: Reason) -> Self {
        Self {
            status,
            reason,
            leader: None,
        }
    }

    /// 400: a field of the request is wrong.
    pub(crate) fn field(path: &str, what: impl Into<String>) -> Self {
        let reason = Reason::new(
            ReasonCode::BadRequest,
            what,
            "send the request again with that field corrected",
        )
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

    /// 409: the state does not allow it.
    pub(crate) fn conflict(reason: Reason) -> Self {
        Self::new(StatusCode::CONFLICT, reason)
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
        Self {
            leader,
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
        Self::internal(error)
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
        let mut response = (self.status, axum::Json(problem)).into_response();
        let kind = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        if let Some(leader) = leader {
            let name = groundstate_api::ready::LEADER_HEADER;
            response.headers_mut().insert(name, leader);
        }
        response
    }
}
