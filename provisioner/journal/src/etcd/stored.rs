// SPDX-License-Identifier: Apache-2.0
//! What lies under the journal's keys: JSON, and what is too long for one value in pieces beside it.

use groundstate_api::event::Happened;
use groundstate_api::{Digest, Millis, NodeId};
use serde::{Deserialize, Serialize};

/// An event, with its body beside it where that is long.
#[derive(Serialize, Deserialize)]
pub(super) struct StoredEvent {
    pub(super) at: Millis,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) node: Option<NodeId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) what: Option<Box<Happened>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) body: Option<Pieces>,
}

/// Where a long body lies.
#[derive(Serialize, Deserialize)]
pub(super) struct Pieces {
    pub(super) stamp: String,
    pub(super) pieces: usize,
    pub(super) digest: Digest,
}

/// A run's log: how far it goes and what of it is kept.
#[derive(Serialize, Deserialize)]
pub(super) struct StoredLog {
    pub(super) node: NodeId,
    pub(super) end: u64,
    pub(super) kept: u64,
    pub(super) lost: u64,
}

/// A document, which lies beside it in pieces.
#[derive(Serialize, Deserialize)]
pub(super) struct StoredDocument {
    pub(super) name: String,
    pub(super) pieces: usize,
    pub(super) digest: Digest,
}
