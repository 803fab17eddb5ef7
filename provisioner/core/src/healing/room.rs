// SPDX-License-Identifier: Apache-2.0
//! The blast radius: how many nodes, and in how many fault domains, the policy keeps from their work at the same time.
//!
//! A node counts from the moment a measure that disturbs begins until it is ready again or a person has taken it over: a node
//! that the policy has quarantined, or whose run failed, is still kept from its work.

use crate::fleet::Fleet;
use crate::node::Node;
use crate::reasons_life as words;
use alloc::collections::{BTreeMap, BTreeSet};
use groundstate_api::healing::Measure;
use groundstate_api::{NodeId, Reason};

/// What is taken of the limits.
pub(crate) struct Room<'a> {
    fleet: &'a Fleet,
    kept: BTreeSet<NodeId>,
    /// How many of them in each fault domain.
    domains: BTreeMap<&'a str, u32>,
}

impl<'a> Room<'a> {
    pub(crate) fn of(fleet: &'a Fleet) -> Self {
        let mut room = Self {
            fleet,
            kept: BTreeSet::new(),
            domains: BTreeMap::new(),
        };
        for id in &fleet.index.kept {
            if let Some(node) = fleet.node(id) {
                room.add(node);
            }
        }
        room
    }

    fn add(&mut self, node: &'a Node) {
        if self.kept.insert(node.id().clone()) {
            let count = self.domains.entry(self.fleet.domain(node)).or_default();
            *count = count.saturating_add(1);
        }
    }

    /// A measure begins.
    pub(crate) fn take(&mut self, node: &Node, measure: Measure) {
        if measure.disturbs() {
            // The name lives as long as the fleet does.
            if let Some(node) = self.fleet.node(node.id()) {
                self.add(node);
            }
        }
    }

    /// Why no measure that disturbs may begin at this node now. One that is kept from its work already takes no more room.
    pub(crate) fn refuses(&self, node: &Node) -> Option<Reason> {
        if self.kept.contains(node.id()) {
            return None;
        }
        let policy = &self.fleet.healing;
        let nodes = u32::try_from(self.kept.len()).unwrap_or(u32::MAX);
        if nodes >= policy.nodes_at_once {
            return Some(words::no_room_for_nodes(policy.nodes_at_once, &self.kept));
        }
        let domain = self.fleet.domain(node);
        let domains = u32::try_from(self.domains.len()).unwrap_or(u32::MAX);
        if !self.domains.contains_key(domain) && domains >= policy.domains_at_once {
            let taken = self.domains.keys().copied();
            return Some(words::no_room_for_domains(
                policy.domains_at_once,
                domain,
                taken,
            ));
        }
        None
    }
}
