// SPDX-License-Identifier: Apache-2.0
//! The audit trail: who ordered what, and what came of it. It never holds a secret or a body.

use crate::reason::Reason;
use crate::site_parts::Webhook;
use crate::units::Millis;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// One call that was to change something.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Audit {
    /// Who called: `operator:ana`, `fabric:fc-1`.
    pub by: String,
    /// From which address.
    pub from: String,
    /// Method and path: `POST /v1/nodes/r1-07/provision`.
    pub did: String,
    /// What was ordered of the machine, where the path says only that something was: `power cycle`. Empty in journals of before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub act: Option<String>,
    /// The idempotency key, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// HTTP status of the answer.
    pub status: u16,
    /// SHA-256 of the request's body, `sha256:…`; none where it was empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// It only asked what would come of it: nothing was changed, whatever the status says.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub dry_run: bool,
}

impl Audit {
    /// What was called, with what was ordered of the machine: `POST /v1/nodes/r1-07/actions (power cycle)`.
    #[must_use]
    pub fn words(&self) -> String {
        match &self.act {
            Some(act) => format!("{} ({act})", self.did),
            None => self.did.clone(),
        }
    }
}

/// How each webhook stands: `GET /v1/webhooks`.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookList {
    /// The webhooks by name.
    pub webhooks: Vec<WebhookView>,
}

/// How one webhook stands. Its key is shown nowhere.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookView {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub url: String,
    /// The kinds of event that it is told of; all where empty.
    pub events: Vec<String>,
    /// It was told of everything up to this event.
    pub told: u64,
    /// The newest event.
    pub newest: u64,
    /// When it took something last, milliseconds since 1970.
    pub last_told: Option<Millis>,
    /// How often the same events were tried without success.
    pub tries: u32,
    /// Why the last try failed.
    pub failing: Option<Reason>,
    /// When it is tried again, milliseconds since 1970.
    pub next_try: Option<Millis>,
}

impl WebhookView {
    /// One that was told of nothing yet.
    #[must_use]
    pub fn of(hook: &Webhook) -> Self {
        Self {
            name: hook.name.clone(),
            url: hook.url.clone(),
            events: hook.events.clone(),
            ..Self::default()
        }
    }
}
