// SPDX-License-Identifier: Apache-2.0
//! Which nodes need a person now.
//!
//! Every reason has one next step. Those of which Groundstate takes care by itself begin with [`NO_ACTION`], so that
//! people, pages and programs agree on what is left for hands.

use groundstate_api::view::Phase;
use groundstate_api::{Reason, ReasonCode};

/// How the next step begins where nobody has to do anything.
pub const NO_ACTION: &str = "no action needed";

/// Whether a node in this phase, with the reason that is shown of it ([`Node::reason_shown`](crate::Node::reason_shown)), waits
/// for hands or for a decision. The page, `groundstate fleet` and `groundstate watch` all ask here.
#[must_use]
pub fn needs_person(phase: Phase, reason: Option<&Reason>) -> bool {
    let asks = reason.is_some_and(|reason| !reason.next_step.starts_with(NO_ACTION));
    match phase {
        // They are there for a person, whatever the reason says.
        Phase::Quarantined | Phase::InRepair => true,
        // One that is ordered again by itself within moments says so.
        Phase::Held => asks || reason.is_none(),
        // Its shell is there for who asked for it; but a machine that nobody can switch on waits for hands.
        Phase::Rescue => reason.is_some_and(|reason| reason.code == ReasonCode::PowerNeeded),
        Phase::Ordered
        | Phase::Booting
        | Phase::Checking
        | Phase::Planned
        | Phase::Provisioning
        | Phase::Erasing
        | Phase::HandedOver
        | Phase::Suspect
        | Phase::Draining => asks,
        // Nothing is under way. What a Ready node's reason says is for reading.
        Phase::Enrolled | Phase::Ready | Phase::Retired => false,
    }
}

/// Sorts needs: 0 comes first.
#[must_use]
pub const fn urgency(phase: Phase) -> u8 {
    match phase {
        Phase::Held => 0,
        Phase::Quarantined => 1,
        Phase::Suspect | Phase::Draining => 2,
        Phase::Planned | Phase::Provisioning | Phase::Erasing | Phase::Checking => 3,
        Phase::Ordered | Phase::Booting | Phase::HandedOver => 4,
        Phase::InRepair => 5,
        Phase::Enrolled | Phase::Ready | Phase::Rescue | Phase::Retired => 6,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_takes_care_by_itself_needs_nobody() {
        let waits = Reason::new(ReasonCode::UnderWay, "it boots", "no action needed");
        let power = Reason::new(ReasonCode::PowerNeeded, "it is off", "switch it on");
        assert!(!needs_person(Phase::Ordered, Some(&waits)));
        assert!(needs_person(Phase::Ordered, Some(&power)));
        assert!(!needs_person(Phase::Ready, Some(&power)));
        assert!(needs_person(Phase::Held, None));
        assert!(!needs_person(Phase::Held, Some(&waits)));
        assert!(needs_person(Phase::Quarantined, Some(&waits)));
        assert!(!needs_person(Phase::Rescue, Some(&waits)));
        assert!(needs_person(Phase::Rescue, Some(&power)));
        assert!(!needs_person(Phase::Checking, None));
        assert!(urgency(Phase::Held) < urgency(Phase::Ordered));
    }
}
