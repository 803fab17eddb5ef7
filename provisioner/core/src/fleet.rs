// SPDX-License-Identifier: Apache-2.0
//! Every node of the site, found by name or by MAC address, and the machines that belong to no node.

use crate::adopt::Tokens;
use crate::deadline::{FOREIGN_AGAIN, FOREIGN_MAX, UNKNOWN_AGAIN, UNKNOWN_MACHINES_MAX};
use crate::decide::{Input, Reply, Wish};
use crate::eta::Medians;
use crate::healing::Brake;
use crate::index::Index;
use crate::node::Node;
use crate::reasons;
use crate::reasons_adopt;
use crate::waiting_room::WaitingRoom;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Bound;
use groundstate_api::boot_rules::BootRules;
use groundstate_api::boot_session::ForeignServer;
use groundstate_api::enrol::EnrolRequest;
use groundstate_api::event::{Event, Happened};
use groundstate_api::healing::HealingPolicy;
use groundstate_api::site::Site;
use groundstate_api::{MacAddr, Millis, NodeId, Reason};

/// The nodes of one site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fleet {
    /// Shared with whoever looks at many of them for long; who changes one that is looked at changes a copy.
    pub(crate) nodes: BTreeMap<NodeId, Arc<Node>>,
    /// Whose boot address it is; the site file names no address twice.
    pub(crate) by_mac: BTreeMap<MacAddr, NodeId>,
    pub(crate) closed: bool,
    /// What the site says about booting.
    pub(crate) boot: BootRules,
    foreign: BTreeMap<String, Millis>,
    unknown: BTreeMap<MacAddr, Millis>,
    /// Machines of no node.
    pub(crate) waiting: WaitingRoom,
    /// The same without what only this process heard: as the journal has it.
    pub(crate) told: WaitingRoom,
    /// With which running hosts become nodes.
    pub(crate) tokens: Tokens,
    /// What is done by itself about hosts in trouble.
    pub(crate) healing: HealingPolicy,
    /// The most runs that carry their plans out at once.
    pub(crate) runs_at_once: Option<u32>,
    /// The fault domain of each rack.
    pub(crate) domains: BTreeMap<String, String>,
    pub(crate) brake: Brake,
    pub(crate) index: Index,
    /// What runs have taken.
    pub(crate) medians: Medians,
}

/// Whose MAC address it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// This node's.
    Node(NodeId),
    /// Nobody's.
    Nobody(Reason),
}

impl Fleet {
    /// The nodes of a site file, before any event.
    #[must_use]
    pub fn new(site: &Site, began: Millis) -> Self {
        let node = |node: &groundstate_api::site::Node| {
            let effective = crate::profile::effective(node, &site.profiles);
            let value = Node::new(effective, site.policy.hand_over, began);
            (node.name.clone(), Arc::new(value))
        };
        let mut fleet = Self {
            by_mac: crate::reconcile::owners(site),
            nodes: site.nodes.iter().map(node).collect(),
            closed: site.policy.closed,
            boot: site.boot.clone(),
            foreign: BTreeMap::new(),
            unknown: BTreeMap::new(),
            waiting: WaitingRoom::default(),
            told: WaitingRoom::default(),
            tokens: Tokens::default(),
            healing: HealingPolicy::default(),
            runs_at_once: None,
            domains: BTreeMap::new(),
            brake: Brake::default(),
            index: Index::default(),
            medians: Medians::default(),
        };
        fleet.set_rules(site);
        fleet
    }

    /// Whether machines that are not in the site file are refused.
    #[must_use]
    pub fn closed(&self) -> bool {
        self.closed
    }

    /// The nodes by name.
    pub fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.nodes.values().map(Arc::as_ref)
    }

    /// The nodes behind a name, by name; all where there is none. They may be looked at while the fleet goes on.
    pub fn behind(&self, after: Option<&NodeId>) -> impl Iterator<Item = &Arc<Node>> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let nodes = self.nodes.range::<NodeId, _>((from, Bound::Unbounded));
        nodes.map(|(_, node)| node)
    }

    /// One node.
    #[must_use]
    pub fn node(&self, id: &NodeId) -> Option<&Node> {
        self.nodes.get(id).map(Arc::as_ref)
    }

    /// One node, to note something in it.
    pub fn node_mut(&mut self, id: &NodeId) -> Option<&mut Node> {
        self.nodes.get_mut(id).map(Arc::make_mut)
    }

    /// The node that boots from this MAC address.
    #[must_use]
    pub fn by_mac(&self, mac: MacAddr) -> Option<&Node> {
        self.node(self.by_mac.get(&mac)?)
    }

    /// Takes one event in. Events of nodes that left the site file change nothing.
    pub fn apply(&mut self, event: &Event) {
        if let Happened::Adopted { token, key, .. } = &event.what {
            self.tokens.use_up(*token, key.as_ref());
        }
        if let (Happened::Unadopted { .. }, Some(id)) = (&event.what, &event.node) {
            self.tokens.forget(id);
        }
        if let Some(id) = &event.node {
            self.apply_to(id, event);
        } else if let Happened::AdoptTokenMade { token } = &event.what {
            self.tokens.take(event.at, token);
        } else if let Happened::Braked { on, by, reason } = &event.what {
            self.brake.set(event.at, *on, by, reason.as_ref());
        } else if let Happened::MachineSeen { machine } = &event.what {
            if matches!(self.find(machine.mac, &machine.macs), Found::Nobody(_)) {
                self.waiting.take((**machine).clone());
                self.told.take((**machine).clone());
            }
        } else if let Happened::MachineLeft { mac, .. } = &event.what {
            self.waiting.leave(*mac);
            self.told.leave(*mac);
        }
    }

    /// The nodes whose deadline has passed.
    #[must_use]
    pub fn due(&self, now: Millis) -> Vec<NodeId> {
        let due = |node: &&Arc<Node>| node.deadline().is_some_and(|deadline| deadline <= now);
        self.nodes
            .values()
            .filter(due)
            .map(|n| n.id().clone())
            .collect()
    }

    /// Whose machine it is: of the address it booted from, else of any of its addresses.
    #[must_use]
    pub fn find(&self, boot_mac: MacAddr, macs: &[MacAddr]) -> Found {
        let any = || macs.iter().find_map(|mac| self.by_mac(*mac));
        self.by_mac(boot_mac).or_else(any).map_or_else(
            || Found::Nobody(reasons::unknown_machine(&boot_mac.to_string())),
            |node| Found::Node(node.id().clone()),
        )
    }

    /// Decides for one node. An unknown name wishes for nothing. A machine with addresses of two nodes is neither.
    pub fn decide(&self, now: Millis, node: &NodeId, input: Input, out: &mut Vec<Wish>) {
        let Some(node) = self.node(node) else {
            return;
        };
        if let Input::EnrolAsked { request, .. } = &input {
            let others = self.others(node, request);
            if !others.is_empty() {
                node.refuse(now, reasons::identity_mismatch(node.id(), others), out);
                return;
            }
        }
        // The brake was set since the measure was thought of: what has not begun does not begin.
        if matches!(input, Input::MeasureStarted { .. }) && self.brake.is_on() {
            return;
        }
        if let Input::AdoptAsked(who) = input {
            match self.adoptee(now, &who) {
                Ok(token) if token.node == *node.id() => node.adopt(now, *who, &token.by, out),
                Ok(token) => {
                    let reason = reasons_adopt::token_is_for_another(&token.node, Vec::new());
                    out.push(Wish::Reply(Reply::Conflict(reason)));
                }
                Err(reason) => out.push(Wish::Reply(Reply::Conflict(reason))),
            }
            return;
        }
        node.decide(now, input, out);
    }

    /// The addresses of a request that belong to another node than this one, in words.
    fn others(&self, node: &Node, request: &EnrolRequest) -> Vec<String> {
        let said = request.macs.iter().chain([&request.boot_mac]);
        let other = |mac: &MacAddr| {
            let owner = self.by_mac(*mac).filter(|owner| owner.id() != node.id())?;
            Some(format!("MAC {mac} belongs to {}", owner.id()))
        };
        said.filter_map(other).collect()
    }

    /// A boot service heard another DHCP server: journalled once in a while, whichever service says so.
    pub fn foreign_dhcp(&mut self, now: Millis, server: ForeignServer, out: &mut Vec<Wish>) {
        let recent = |at: &Millis| now.since(*at) < FOREIGN_AGAIN;
        self.foreign.retain(|_, at| recent(at));
        let full = self.foreign.len() >= FOREIGN_MAX;
        if full || self.foreign.contains_key(&server.server) {
            return;
        }
        self.foreign.insert(server.server.clone(), now);
        let reason = reasons::foreign_dhcp(&server);
        out.push(Wish::Append(Happened::ForeignDhcp { server, reason }));
    }

    pub(crate) fn stranger_is_news(&mut self, now: Millis, mac: MacAddr) -> bool {
        let recent = |at: &Millis| now.since(*at) < UNKNOWN_AGAIN;
        if self.unknown.get(&mac).is_some_and(recent) {
            return false;
        }
        self.unknown.retain(|_, at| recent(at));
        if self.unknown.len() >= UNKNOWN_MACHINES_MAX {
            return false;
        }
        self.unknown.insert(mac, now);
        true
    }
}
