// SPDX-License-Identifier: Apache-2.0
//! What the running agent leaves in `/run` for `host-agent status`.

use groundstate_api::{BootId, Millis};
use serde::{Deserialize, Serialize};

/// Where it is; gone with the next boot.
pub(crate) const CONTACT_PATH: &str = "run/groundstate/agent.json";

/// How the agent stands with the provisioner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Contact {
    /// This boot.
    pub(crate) boot_id: BootId,
    /// The last answer, milliseconds since 1970 by the host's clock.
    pub(crate) last_answer: Option<Millis>,
    /// Heartbeats sent in this boot.
    pub(crate) heartbeats: u64,
    /// What is wrong now, in a sentence.
    pub(crate) trouble: Option<String>,
}
