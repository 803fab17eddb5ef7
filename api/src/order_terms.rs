// SPDX-License-Identifier: Apache-2.0
//! What an order asks beyond the policy.

use crate::erase::EraseTerms;
use alloc::format;
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

fn disks(serials: &[String]) -> String {
    match serials {
        [one] => format!("disk {one}"),
        all => {
            let named = all.get(..NAMED_MAX).unwrap_or(all).join(", ");
            match all.len().saturating_sub(NAMED_MAX) {
                0 => format!("disks {named}"),
                more => format!("disks {named} and {more} more"),
            }
        }
    }
}

fn is_false(said: &bool) -> bool {
    !*said
}

/// The most disks that are named in one line; more are counted.
const NAMED_MAX: usize = 4;

impl OrderTerms {
    /// What the order takes away for good and who wants it, for people: `an ERASE of disk S6CKNE0W, by operator:ana`; `None` where
    /// the run makes the host that the policy says. It stands before whatever the machine waits for: who powers it on reads it.
    #[must_use]
    pub fn takes_away(&self) -> Option<String> {
        let (what, by) = match (&self.erase, &self.rebuild) {
            (Some(erase), _) => (
                format!("an ERASE of {}", disks(&erase.serials)),
                erase.ordered_by.as_str(),
            ),
            (None, Some(serial)) => (format!("a REBUILD of disk {serial}"), self.by.as_str()),
            (None, None) => return None,
        };
        Some(match by {
            "" => what,
            by => format!("{what}, by {by}"),
        })
    }

    /// Whether nothing is asked.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::erase::EraseClass;
    use alloc::string::ToString as _;

    fn erase(count: usize) -> OrderTerms {
        OrderTerms {
            erase: Some(EraseTerms {
                level: EraseClass::Clear,
                serials: (1..=count).map(|disk| format!("S{disk}")).collect(),
                ordered_by: "operator:ana".into(),
            }),
            by: "operator:ana".into(),
            ..OrderTerms::default()
        }
    }

    #[test]
    fn what_an_order_takes_away_is_said_with_its_disks_and_who_wants_it() {
        let rebuild = OrderTerms {
            rebuild: Some("S7".to_string()),
            ..OrderTerms::default()
        };
        for (terms, said) in [
            (OrderTerms::default(), None),
            (erase(1), Some("an ERASE of disk S1, by operator:ana")),
            (
                erase(4),
                Some("an ERASE of disks S1, S2, S3, S4, by operator:ana"),
            ),
            (
                erase(6),
                Some("an ERASE of disks S1, S2, S3, S4 and 2 more, by operator:ana"),
            ),
            (rebuild, Some("a REBUILD of disk S7")),
        ] {
            assert_eq!(terms.takes_away().as_deref(), said);
        }
    }
}
