// SPDX-License-Identifier: Apache-2.0
//! The journal against what nodes were told.

use groundstate_api::event::{Event, Happened};
use groundstate_api::plan::Step;
use groundstate_api::run::StepState;
use groundstate_api::view::Phase;
use groundstate_api::{NodeId, PlanId, RunId};
use groundstate_tests::fleet::Acknowledged;
use std::collections::{BTreeMap, BTreeSet};

/// What was found in order.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) events: u64,
    pub(crate) runs: u64,
    pub(crate) acknowledged: u64,
    pub(crate) leaders: u64,
    pub(crate) ready: u64,
    pub(crate) held: u64,
}

impl std::fmt::Display for Found {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} events, {} runs, {} acknowledgements kept, {} leaders, {} ready, {} held",
            self.events, self.runs, self.acknowledged, self.leaders, self.ready, self.held
        )
    }
}

/// A run's own record.
#[derive(Default)]
struct Story {
    node: Option<NodeId>,
    /// Keys that it was bound to, one after the other.
    keys: Vec<String>,
    /// Numbers of reports in the present boot.
    reports: BTreeSet<u64>,
    /// Steps done in the present boot, and ever.
    done: BTreeSet<Step>,
    ever: BTreeSet<Step>,
    plan: Option<PlanId>,
    registered: bool,
}

/// Fails where anything is lost or doubled.
pub(crate) fn judge(events: &[Event], acknowledged: &[Acknowledged]) -> Found {
    let mut found = Found::default();
    let mut stories: BTreeMap<RunId, Story> = BTreeMap::new();
    let mut open: BTreeMap<NodeId, RunId> = BTreeMap::new();
    let mut phases: BTreeMap<NodeId, (Phase, bool)> = BTreeMap::new();
    let mut plans: BTreeMap<PlanId, RunId> = BTreeMap::new();
    for (event, number) in events.iter().zip(1..) {
        assert_eq!(event.number, number, "events follow each other");
        found.events += 1;
        match &event.what {
            Happened::RunOrdered { run, .. } => {
                let node = event.node.clone().unwrap();
                let story = Story {
                    node: Some(node.clone()),
                    ..Story::default()
                };
                assert!(
                    stories.insert(run.clone(), story).is_none(),
                    "{run} is ordered twice"
                );
                open.insert(node, run.clone());
                found.runs += 1;
            }
            Happened::Enrolled { run, key, .. } => {
                let story = of_node(&mut stories, &open, event, run);
                assert!(story.keys.is_empty(), "{run} has two owners at once");
                story.keys.push(key.clone());
            }
            Happened::CameBack { run, key, .. } => {
                let story = of_node(&mut stories, &open, event, run);
                assert!(
                    !story.keys.contains(key),
                    "{run}: an earlier boot came back"
                );
                story.keys.push(key.clone());
                story.reports.clear();
                story.done.clear();
            }
            Happened::Planned { plan } => {
                let story = of_node(&mut stories, &open, event, &plan.run);
                assert!(story.plan.is_none(), "{} is planned twice", plan.run);
                story.plan = Some(plan.id.clone());
                plans.insert(plan.id.clone(), plan.run.clone());
            }
            Happened::StepMoved {
                run,
                number,
                step,
                state,
                ..
            } => {
                let story = of_node(&mut stories, &open, event, run);
                assert!(
                    story.reports.insert(*number),
                    "report {number} of {run} is there twice"
                );
                if matches!(state, StepState::Done { .. }) {
                    let name = step.as_str();
                    assert!(
                        story.done.insert(*step),
                        "step {name} of {run} is done twice"
                    );
                    story.ever.insert(*step);
                }
            }
            Happened::HostRegistered { plan, .. } => {
                let run = plans.get(plan).expect("a host of a plan of ours");
                stories.get_mut(run).unwrap().registered = true;
            }
            Happened::PhaseChanged { to, reason, .. } => {
                let node = event.node.clone().unwrap();
                phases.insert(node, (*to, reason.is_some()));
            }
            Happened::LeaderChanged { .. } => found.leaders += 1,
            _ => {}
        }
    }
    for what in acknowledged {
        let is_there = match what {
            Acknowledged::Enrolled(node, run) => {
                let of = stories.get(run);
                of.is_some_and(|s| s.node.as_ref() == Some(node) && !s.keys.is_empty())
            }
            Acknowledged::Done(_, run, step) => {
                stories.get(run).is_some_and(|s| s.ever.contains(step))
            }
            Acknowledged::Registered(_, run) => stories.get(run).is_some_and(|s| s.registered),
        };
        assert!(is_there, "{what:?} was acknowledged and is lost");
        found.acknowledged += 1;
    }
    for (node, (phase, why)) in phases {
        match phase {
            Phase::Ready => found.ready += 1,
            Phase::Held => {
                assert!(why, "{node} is held without a reason");
                found.held += 1;
            }
            other => panic!("{node} ends {other:?}"),
        }
    }
    found
}

/// The story of an event's run, which must be its node's open one.
fn of_node<'a>(
    stories: &'a mut BTreeMap<RunId, Story>,
    open: &BTreeMap<NodeId, RunId>,
    event: &Event,
    run: &RunId,
) -> &'a mut Story {
    let node = event.node.as_ref().expect("a node's event");
    assert_eq!(
        open.get(node),
        Some(run),
        "event {} is of an old run",
        event.number
    );
    stories.get_mut(run).expect("a run that was ordered")
}
