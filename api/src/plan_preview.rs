// SPDX-License-Identifier: Apache-2.0
//! What a plan would be, before anything is ordered.

use crate::plan::Plan;
use crate::reason::Reason;
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// What a plan would be if a run were ordered now. Nothing was ordered, and nothing happens by it.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanPreview {
    /// The plan. What follows from the run (its id, the plan's id, new GUIDs, volume ids, VHD ids) says
    /// [`DECIDED_AT_THE_ORDER`], or 0 where it is a number; all else is as the plan of an order with the same terms would have it.
    pub plan: Plan,
    /// The disks that an order must confirm by serial number before they are wiped.
    pub needs_confirm: Vec<NeedsConfirm>,
    /// Why an order would be refused as the node is now, whatever its disks: in the words of that refusal. None where it would be
    /// taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<Reason>,
}

/// What a preview says in place of an identity that follows from the run.
pub const DECIDED_AT_THE_ORDER: &str = "decided-at-the-order";

/// A disk that would be wiped although it holds something that is not ours.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NeedsConfirm {
    /// Its serial number, as the confirmation must give it.
    pub serial: String,
    /// Where it is.
    pub slot: String,
    /// What it holds.
    pub holds: Vec<String>,
}
