// SPDX-License-Identifier: Apache-2.0
//! What an order asks beyond the policy.

use crate::erase::EraseTerms;
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// What a new run does about what an order asked beyond the policy. Nothing is asked where it is empty.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrderTerms {
    /// Serial numbers of disks that may be wiped although they hold something that is not ours.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub confirm_wipe: Vec<String>,
    /// The serial number of the one data disk that is made anew; every other disk stays as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rebuild: Option<String>,
    /// The disks that are erased; the run does nothing else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub erase: Option<EraseTerms>,
    /// Whether the plan waits until a person or the fabric controller approves it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub approve: bool,
    /// Who ordered it: `operator:ana`, `policy`; empty in journals of before.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub by: String,
    /// What was tried before this run of the same order, a line for each try; empty for the first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tried: Vec<String>,
}

fn is_false(said: &bool) -> bool {
    !*said
}

impl OrderTerms {
    /// Whether nothing is asked.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
