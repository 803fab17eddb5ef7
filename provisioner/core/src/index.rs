// SPDX-License-Identifier: Apache-2.0
//! Which nodes are about something, kept up to date with every event, so that nobody looks through ten thousand nodes to find
//! the three in trouble.

use crate::decide::Input;
use crate::fleet::Fleet;
use crate::healing::Own;
use crate::node::Node;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Bound;
use groundstate_api::action::{ActionId, ActionList, ActionView, Outcome};
use groundstate_api::event::{Event, Happened};
use groundstate_api::fleet::Eta;
use groundstate_api::healing::{BrakeView, MeasureView};
use groundstate_api::site::Site;
use groundstate_api::view::Phase;
use groundstate_api::{Millis, NodeId, ReasonCode};

/// Actions that are found by their number after they have ended; the open ones always are.
const ACTIONS_MAX: usize = 4_096;
/// The fault domain of nodes that the site puts into no rack.
const NO_RACK: &str = "-";

/// Nodes by what they are about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Index {
    /// Nodes that the healing policy thinks about.
    pub(crate) troubled: BTreeSet<NodeId>,
    /// Nodes that it keeps from their work.
    pub(crate) kept: BTreeSet<NodeId>,
    /// Nodes whose plans wait for a place, by the time since when.
    pub(crate) queue: BTreeSet<(Millis, NodeId)>,
    /// Nodes whose runs take a place.
    pub(crate) placed: BTreeSet<NodeId>,
    /// Nodes with an open run.
    pub(crate) running: BTreeSet<NodeId>,
    /// Whose action it is.
    pub(crate) actions: BTreeMap<ActionId, NodeId>,
    /// Nodes of the site that the journal has not heard of.
    pub(crate) untold: BTreeSet<NodeId>,
}

/// Which actions are asked for.
#[derive(Clone, Copy)]
pub struct ActionsWanted<'a> {
    /// Those of this node; of all where absent.
    pub of: Option<&'a NodeId>,
    /// Those that have not ended, and no others.
    pub open: bool,
    /// Those with a smaller number, where one is named.
    pub below: Option<ActionId>,
    /// The most.
    pub most: usize,
    /// Those of nodes of which this is true.
    pub sees: &'a dyn Fn(&Node) -> bool,
}

impl ActionsWanted<'_> {
    /// Every one that is known of.
    pub const ALL: Self = Self {
        of: None,
        open: false,
        below: None,
        most: usize::MAX,
        sees: &|_| true,
    };
}

impl Index {
    fn forget(&mut self, id: &NodeId) {
        self.troubled.remove(id);
        self.kept.remove(id);
        self.queue.retain(|(_, node)| node != id);
        self.placed.remove(id);
        self.running.remove(id);
        self.untold.remove(id);
    }

    pub(crate) fn take(&mut self, before: Option<(Millis, bool)>, node: &Node) {
        let set = |set: &mut BTreeSet<NodeId>, is: bool| {
            if is {
                set.insert(node.id().clone());
            } else {
                set.remove(node.id());
            }
        };
        set(&mut self.troubled, node.is_in_trouble());
        set(&mut self.kept, node.is_kept_by_policy());
        set(&mut self.placed, node.takes_a_place());
        set(&mut self.untold, node.version == 0);
        set(
            &mut self.running,
            node.run_is_open() || node.phase == Phase::HandedOver,
        );
        if let Some((since, true)) = before {
            self.queue.remove(&(since, node.id().clone()));
        }
        if node.waits_for_place() {
            self.queue.insert((node.since, node.id().clone()));
        }
    }
}

impl Node {
    /// Whether its run takes one of the places of runs that go on at once.
    #[must_use]
    pub fn takes_a_place(&self) -> bool {
        self.carries_out() || self.phase == Phase::HandedOver
    }
}

impl Fleet {
    /// Takes another site's rules in, and looks at every node anew. For when the site or the set of nodes has changed.
    pub(crate) fn set_rules(&mut self, site: &Site) {
        self.healing = site.healing.clone();
        self.runs_at_once = site.policy.runs_at_once;
        let rules = crate::node::Rules::of(site);
        self.domains = site
            .racks
            .iter()
            .map(|rack| {
                let domain = rack.fault_domain.as_ref().unwrap_or(&rack.name);
                (rack.name.clone(), domain.clone())
            })
            .collect();
        let known: Vec<NodeId> = self
            .index
            .running
            .iter()
            .chain(&self.index.troubled)
            .cloned()
            .collect();
        for id in known.iter().filter(|id| !self.nodes.contains_key(*id)) {
            self.index.forget(id);
        }
        let nodes = &self.nodes;
        self.index.kept.retain(|id| nodes.contains_key(id));
        self.index.placed.retain(|id| nodes.contains_key(id));
        self.index.untold.retain(|id| nodes.contains_key(id));
        self.index.queue.retain(|(_, id)| nodes.contains_key(id));
        for node in self.nodes.values_mut() {
            let node = Arc::make_mut(node);
            node.rules = rules;
            self.index.take(None, node);
        }
    }

    /// The fault domain that a node stands in.
    #[must_use]
    pub fn domain<'a>(&'a self, node: &'a Node) -> &'a str {
        let rack = node.site.slot.as_ref().map(|slot| slot.rack.as_str());
        rack.map_or(NO_RACK, |rack| {
            self.domains
                .get(rack)
                .map_or(rack, |domain| domain.as_str())
        })
    }

    /// Folds an event of a node in, with what it means for the fleet.
    pub(crate) fn apply_to(&mut self, id: &NodeId, event: &Event) {
        let Some(node) = self.nodes.get_mut(id).map(Arc::make_mut) else {
            return;
        };
        let before = (node.since, node.waits_for_place());
        let (phase, measure) = (node.phase, node.open_measure().map(|doing| doing.action.id));
        let was_silent = node.is_silent();
        node.apply(event);
        self.index.take(Some(before), node);
        if let Happened::ActionBegun { .. } = &event.what {
            let begun = ActionId(event.number);
            self.index.actions.insert(begun, id.clone());
            if self.index.actions.len() > ACTIONS_MAX {
                self.forget_an_action();
            }
        } else if let Happened::ActionEnded { id, outcome } = &event.what {
            let failed = matches!(outcome, Outcome::Failed { .. });
            if failed && measure == Some(*id) {
                self.brake.failed(event.at, None);
            }
        } else if let Happened::PhaseChanged { to, reason, .. } = &event.what {
            let code = reason.as_ref().map(|reason| reason.code);
            let silent = code == Some(ReasonCode::HostSilent);
            if *to == Phase::Suspect && silent && !was_silent && is_at_work(phase) {
                self.brake.failed(event.at, Some(id));
            }
            if *to == Phase::Ready && phase == Phase::HandedOver {
                self.medians.learn(node);
            }
        }
    }

    /// The oldest action that has ended is no longer found by its number.
    fn forget_an_action(&mut self) {
        let nodes = &self.nodes;
        let open = |id: ActionId, node: &NodeId| {
            let open = |node: &Node| node.open_actions().any(|doing| doing.action.id == id);
            nodes.get(node).map(Arc::as_ref).is_some_and(open)
        };
        let oldest = self
            .index
            .actions
            .iter()
            .find(|(id, node)| !open(**id, node));
        if let Some(id) = oldest.map(|(id, _)| *id) {
            self.index.actions.remove(&id);
        }
    }

    /// Plans that wait get the places that are free, the oldest first; the others hear where they stand.
    pub(crate) fn give_places(&self, own: &mut Vec<Own>) {
        let taken = u32::try_from(self.index.placed.len()).unwrap_or(u32::MAX);
        let free = self
            .runs_at_once
            .map_or(u32::MAX, |most| most.saturating_sub(taken));
        let of = u32::try_from(self.index.queue.len())
            .unwrap_or(u32::MAX)
            .saturating_sub(free);
        for (at, (_, id)) in (0u32..).zip(&self.index.queue) {
            if at < free {
                own.push(Own::Node(id.clone(), Input::PlaceGiven));
                continue;
            }
            let place = at.saturating_sub(free).saturating_add(1);
            let known = self.node(id).and_then(|node| node.live.place);
            if known != Some((place, of)) {
                own.push(Own::Node(id.clone(), Input::PlaceMoved { place, of }));
            }
        }
    }

    /// The brake.
    #[must_use]
    pub fn brake(&self) -> BrakeView {
        self.brake.view()
    }

    /// What the policy wants or does, in the whole fleet.
    #[must_use]
    pub fn measures(&self) -> Vec<MeasureView> {
        let nodes = self.index.troubled.iter().filter_map(|id| self.node(id));
        nodes
            .filter_map(|node| node.live.measure.as_deref().cloned())
            .collect()
    }

    /// Whose action it is.
    #[must_use]
    pub fn action_node(&self, id: ActionId) -> Option<&NodeId> {
        self.index.actions.get(&id)
    }

    /// Actions, newest first.
    #[must_use]
    pub fn actions(&self, wanted: ActionsWanted<'_>) -> ActionList {
        let view = |(id, node): (&ActionId, &NodeId)| -> Option<ActionView> {
            let node = self.node(node).filter(|node| (wanted.sees)(node))?;
            let doing = node.actions.iter().find(|doing| doing.action.id == *id)?;
            (!wanted.open || doing.is_open()).then(|| doing.view())
        };
        let end = wanted.below.map_or(Bound::Unbounded, Bound::Excluded);
        let ours = self
            .index
            .actions
            .range::<ActionId, _>((Bound::Unbounded, end))
            .rev();
        let ours = ours.filter(|(_, node)| wanted.of.is_none_or(|of| of == *node));
        ActionList {
            actions: ours.filter_map(view).take(wanted.most).collect(),
        }
    }

    /// Nodes of the site that the journal has not heard of yet are added to it.
    pub(crate) fn add_untold(&self, own: &mut Vec<Own>) {
        let added = self.index.untold.iter();
        own.extend(added.map(|id| Own::Node(id.clone(), Input::Added)));
    }

    /// When each run that goes on is expected to be done.
    #[must_use]
    pub fn etas(&self, now: Millis) -> Vec<Eta> {
        let nodes = self.index.running.iter().filter_map(|id| self.node(id));
        nodes
            .filter_map(|node| self.medians.eta(node, now))
            .collect()
    }
}

/// Whether a node that falls silent in this phase is one that fails: a node that was given back is only waited for.
const fn is_at_work(phase: Phase) -> bool {
    matches!(phase, Phase::Ready | Phase::Suspect)
}
