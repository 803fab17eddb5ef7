// SPDX-License-Identifier: Apache-2.0
//! Healing: what the policy does by itself about hosts in trouble, for the whole fleet. It decides which measure comes next
//! (`ladder`), how many nodes and fault domains a measure may keep from their work at once (`room`), and stops everything when
//! too much fails (`brake`). Every measure waits with a reason, and may be approved or vetoed by its number.
//!
//! It never touches a node that a person has at hand, never begins a second measure at a node, and never lets the brake go.

mod brake;
mod episode;
pub mod ladder;
mod measure;
mod room;

pub use brake::Brake;
pub use episode::Episode;

use crate::decide::Input;
use crate::fleet::Fleet;
use crate::node::Node;
use crate::reasons_life as words;
use alloc::boxed::Box;
use alloc::vec::Vec;
use groundstate_api::event::Happened;
use groundstate_api::healing::{Measure, MeasureView};
use groundstate_api::{Millis, NodeId, Reason};
use room::Room;

/// What the fleet does by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Own {
    /// An input of a node.
    Node(NodeId, Input),
    /// An event of the whole site.
    Site(Happened),
}

impl Fleet {
    /// What happens by itself now, beside the nodes' own deadlines: new nodes, places for plans, measures, the brake. To be asked
    /// again after all of it was taken in: at every tick.
    #[must_use]
    pub fn own(&self, now: Millis) -> Vec<Own> {
        let mut own = Vec::new();
        self.add_untold(&mut own);
        self.give_places(&mut own);
        self.heal(now, &mut own);
        own
    }

    fn heal(&self, now: Millis, own: &mut Vec<Own>) {
        let policy = &self.healing;
        let mut braked = self.brake.why();
        if braked.is_none()
            && policy.enabled
            && let Some(reason) = self.brake.sets_itself(now, policy)
        {
            own.push(Own::Site(Happened::Braked {
                on: true,
                by: crate::action::BY_POLICY.into(),
                reason: Some(reason.clone()),
            }));
            braked = Some(reason);
        }
        let mut room = Room::of(self);
        let mut nodes: Vec<&Node> = self
            .index
            .troubled
            .iter()
            .filter_map(|id| self.node(id))
            .collect();
        // Who has waited longest comes first.
        nodes.sort_by_key(|node| node.episode.as_ref().map_or(now, |episode| episode.began));
        for node in nodes {
            let view = self.consider(node, now, braked.as_ref(), &mut room, own);
            if node.live.measure != view {
                own.push(Own::Node(node.id().clone(), Input::Considered(view)));
            }
        }
    }

    /// What comes next for a node in trouble, and what it waits for.
    fn consider(
        &self,
        node: &Node,
        now: Millis,
        braked: Option<&Reason>,
        room: &mut Room<'_>,
        own: &mut Vec<Own>,
    ) -> Option<Box<MeasureView>> {
        let view = |measure, because, waits, due, action| {
            let node = node.id().clone();
            Some(Box::new(MeasureView {
                node,
                action,
                measure,
                because,
                waits,
                due,
            }))
        };
        let id = || node.id().clone();
        if let Some((doing, measure)) = node.open_measure().and_then(|d| Some((d, d.measure()?))) {
            let because = doing.action.because.clone()?;
            let action = Some(doing.action.id);
            if doing.started.is_some() {
                return view(measure, because, None, Some(doing.action.deadline), action);
            }
            // Who may approve and wants it by himself has approved it.
            let by_policy = doing.action.by == crate::action::BY_POLICY;
            let approved = doing.approved.is_some() || !by_policy;
            let waits = self.waits(node, measure, approved, braked, room);
            if waits.is_none() {
                room.take(node, measure);
                own.push(Own::Node(
                    id(),
                    Input::MeasureStarted {
                        id: doing.action.id,
                    },
                ));
            }
            return view(measure, because, waits, None, action);
        }
        if !self.healing.enabled {
            return None;
        }
        let next = ladder::next(node, &self.healing, now)?;
        let because = words::policy_wants(node, next.kind, &next.what);
        if let Some((by, why)) = node.episode.as_ref().and_then(Episode::vetoed) {
            let waits = words::vetoed(by, why);
            return view(next.measure, because, Some(waits), None, None);
        }
        if next.due <= now {
            own.push(Own::Node(
                id(),
                Input::MeasureWanted {
                    measure: next.measure,
                    because: because.clone(),
                    by: crate::action::BY_POLICY.into(),
                },
            ));
        }
        view(next.measure, because, None, Some(next.due), None)
    }

    /// Why a measure does not begin: the brake before approval, approval before the place, so that nothing is approved that
    /// cannot begin, and no place is kept for what is not approved.
    fn waits(
        &self,
        node: &Node,
        measure: Measure,
        approved: bool,
        braked: Option<&Reason>,
        room: &Room<'_>,
    ) -> Option<Reason> {
        if let Some(brake) = braked {
            return Some(words::braked(brake));
        }
        if self.healing.ask_fabric && !approved {
            return Some(words::measure_waits_for_approval(measure));
        }
        if measure.disturbs() {
            room.refuses(node)
        } else {
            None
        }
    }
}
