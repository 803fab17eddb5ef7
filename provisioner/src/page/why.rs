// SPDX-License-Identifier: Apache-2.0
//! A reason as the page shows it: the same fields in the same order as on the command line and on the node's screen.

use super::words::When;
use groundstate_api::{Millis, Reason};

pub(super) struct Why {
    pub(super) what: String,
    pub(super) code: &'static str,
    pub(super) part: Option<String>,
    pub(super) evidence: Vec<String>,
    pub(super) since: When,
    pub(super) until: Option<Until>,
    pub(super) next_automatic: String,
    pub(super) next_step: String,
}

/// Until when something is waited for.
pub(super) struct Until {
    pub(super) when: When,
    /// How long that is, or that it is over.
    pub(super) left: String,
}

impl Why {
    /// Where the reason does not say since when, it is since then.
    pub(super) fn of(reason: &Reason, since: Millis, now: Millis) -> Self {
        Self {
            what: reason.what.clone(),
            code: reason.code.as_str(),
            part: reason.part.as_ref().map(ToString::to_string),
            evidence: reason.evidence.clone(),
            since: When::of(reason.since.unwrap_or(since), now),
            until: reason.deadline.map(|at| Until {
                when: When::of(at, now),
                left: if at > now {
                    format!("in {}", super::words::lasting(at.since(now)))
                } else {
                    "now".to_owned()
                },
            }),
            next_automatic: reason.next_automatic.clone(),
            next_step: reason.next_step.clone(),
        }
    }
}
