// SPDX-License-Identifier: Apache-2.0
//! A node's own name in the commands that a next step advises, so that they can be typed as they stand. Reasons are kept without it:
//! two of them are the same whichever node has them.

use crate::decide::{Reply, Wish};
use alloc::format;
use groundstate_api::action::{ActionView, Outcome};
use groundstate_api::event::{Event, Happened};
use groundstate_api::run::StepState;
use groundstate_api::view::NodeReport;
use groundstate_api::{NodeId, Reason};

/// What stands for a node's name in the commands of a next step.
const SOME_NODE: &str = " NODE";

/// The reason with the node's own name in the commands that it advises.
#[must_use]
pub fn reason(mut reason: Reason, node: &NodeId) -> Reason {
    set(&mut reason, node);
    reason
}

fn set(reason: &mut Reason, node: &NodeId) {
    if reason.next_step.contains(SOME_NODE) {
        reason.next_step = reason.next_step.replace(SOME_NODE, &format!(" {node}"));
    }
}

/// The same for everything that an event of a node says.
pub fn event(event: &mut Event) {
    let Some(node) = &event.node else { return };
    let what = &mut event.what;
    if let Happened::EnrolRefused { reason, .. } | Happened::HostFenced { reason } = what {
        set(reason, node);
    } else if let Happened::PhaseChanged {
        reason: Some(reason),
        ..
    } = what
    {
        set(reason, node);
    } else if let Happened::InventoryTaken { findings, .. } = what {
        findings
            .iter_mut()
            .for_each(|one| set(&mut one.reason, node));
    } else if let Happened::StepMoved { state, .. } = what {
        step(state, node);
    } else if let Happened::ActionBegun { action } = what {
        if let Some(because) = &mut action.because {
            set(because, node);
        }
    } else if let Happened::ActionEnded { outcome, .. } = what {
        ended(outcome, node);
    }
}

/// The same for everything that a node's report says.
pub(crate) fn report(report: &mut NodeReport) {
    let node = &report.view.node;
    report
        .findings
        .iter_mut()
        .for_each(|one| set(&mut one.reason, node));
    report.alarms.iter_mut().for_each(|alarm| set(alarm, node));
    for measure in &mut report.measures {
        set(&mut measure.because, node);
        if let Some(waits) = &mut measure.waits {
            set(waits, node);
        }
    }
    report
        .actions
        .iter_mut()
        .for_each(|view| action(view, node));
}

fn action(view: &mut ActionView, node: &NodeId) {
    if let Some(because) = &mut view.action.because {
        set(because, node);
    }
    if let Some(outcome) = &mut view.outcome {
        ended(outcome, node);
    }
}

/// The same for what a caller is answered.
pub(crate) fn replies(wishes: &mut [Wish], node: &NodeId) {
    for wish in wishes {
        if let Wish::Reply(Reply::Conflict(reason) | Reply::NotEnrolled { reason, .. }) = wish {
            set(reason, node);
        }
    }
}

fn step(state: &mut StepState, node: &NodeId) {
    match state {
        StepState::Failed { reason } | StepState::Waiting { reason } => set(reason, node),
        StepState::Started | StepState::Running { .. } | StepState::Done { .. } => {}
    }
}

fn ended(outcome: &mut Outcome, node: &NodeId) {
    match outcome {
        Outcome::Failed { reason } => set(reason, node),
        Outcome::Done { .. } | Outcome::Vetoed { .. } => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use groundstate_api::plan::Step;
    use groundstate_api::view::Phase;
    use groundstate_api::{Bytes, Millis, ReasonCode};

    #[test]
    fn every_event_that_advises_a_command_names_its_node() {
        let advice = || Reason::new(ReasonCode::NodeSilent, "x", "groundstate node explain NODE");
        let failed = || Outcome::Failed { reason: advice() };
        let moved = |state| Happened::StepMoved {
            run: "n1-001-1".parse().unwrap(),
            number: 1,
            step: Step::Image,
            state,
            peak_memory: Bytes(0),
        };
        for what in [
            Happened::EnrolRefused {
                reason: advice(),
                alarm: true,
            },
            Happened::HostFenced { reason: advice() },
            Happened::PhaseChanged {
                from: Phase::Checking,
                to: Phase::Held,
                reason: Some(advice()),
            },
            moved(StepState::Failed { reason: advice() }),
            moved(StepState::Waiting { reason: advice() }),
            Happened::ActionEnded {
                id: groundstate_api::action::ActionId(7),
                outcome: failed(),
            },
        ] {
            let mut one = Event {
                number: 1,
                at: Millis(0),
                node: Some("n1".parse().unwrap()),
                what,
            };
            event(&mut one);
            let told = serde_json::to_string(&one).unwrap();
            assert!(told.contains("groundstate node explain n1"), "{told}");
            assert!(!told.contains("NODE"), "{told}");
        }
    }
}
