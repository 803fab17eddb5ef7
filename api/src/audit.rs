// SPDX-License-Identifier: Apache-2.0
//! The audit trail: who ordered what, and what came of it. It never holds a secret or a body.

use alloc::string::String;
use serde::{Deserialize, Serialize};

/// One call that was to change something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Audit {
    /// Who called: `operator:ana`, `fabric:fc-1`.
    pub by: String,
    /// From which address.
    pub from: String,
    /// Method and path: `POST /v1/nodes/r1-07/provision`.
    pub did: String,
    /// The idempotency key, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// HTTP status of the answer.
    pub status: u16,
    /// SHA-256 of the request's body, `sha256:…`; none where it was empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
}
