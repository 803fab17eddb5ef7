// SPDX-License-Identifier: Apache-2.0
//! What the agent remembers on the host's disk.

use groundstate_api::host::Change;
use groundstate_api::{BootId, NodeId, PlanId, RunId};
use serde::{Deserialize, Serialize};

/// Where the agent notes how far it is, while it specialises.
pub(crate) const SPECIALISING_PATH: &str = "var/lib/groundstate/specialising.json";
/// Where it notes that the provisioner has acknowledged the changes of the first boot.
pub(crate) const REPORTED_PATH: &str = "var/lib/groundstate/reported";

/// What the first boot did; written last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Specialised {
    /// [`groundstate_api::SCHEMA`].
    pub schema: u32,
    /// Who the host is.
    pub node: NodeId,
    /// The run that made it.
    pub run: RunId,
    /// The plan that made it.
    pub plan: PlanId,
    /// The boot in which it was completed.
    pub boot_id: BootId,
    /// What was changed.
    pub changes: Vec<Change>,
}

/// How far the first boot is. It outlives a power cut, so that what was there before is never lost from the report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Specialising {
    /// [`groundstate_api::SCHEMA`].
    pub schema: u32,
    /// The plan that made the host.
    pub plan: PlanId,
    /// The steps that have begun, in order.
    pub steps: Vec<Begun>,
}

/// A step that has begun.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Begun {
    /// Its name, as in [`Change::what`].
    pub what: String,
    /// What was there before it was first begun.
    pub before: String,
    /// What it is to become, where that was chosen at random.
    pub goal: Option<String>,
    /// What is there now; `None` until it is done.
    pub after: Option<String>,
}
