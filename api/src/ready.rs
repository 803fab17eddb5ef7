// SPDX-License-Identifier: Apache-2.0
//! Whether a provisioner can be asked, and for what: `GET /readyz`.

use crate::reason::Reason;
use alloc::string::String;
use serde::{Deserialize, Serialize};

/// The header of an answer with status 503 that names the leader's API: `https://10.0.0.2:8443`.
pub const LEADER_HEADER: &str = "groundstate-leader";

/// What a provisioner is among those of its site.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RoleAmong {
    /// The only one.
    Alone,
    /// It decides.
    Leader,
    /// It answers questions.
    Follower,
    /// It answers questions from what it read, and does not believe its journal.
    Refuses,
}

/// The answer; its status is 200 where `ready`, else 503.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ready {
    /// Whether it can be asked for what its role can do.
    pub ready: bool,
    /// Its role.
    pub role: RoleAmong,
    /// Its name.
    pub name: String,
    /// Who leads, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leader: Option<String>,
    /// Where the leader's API is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leader_url: Option<String>,
    /// The term it leads in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub term: Option<u64>,
    /// Number of the newest event that it knows.
    pub newest: u64,
    /// Events of the journal that it does not know yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub behind: Option<u64>,
    /// Why it is not ready, or only answers questions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
}
