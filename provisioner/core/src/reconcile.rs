// SPDX-License-Identifier: Apache-2.0
//! Puts another site in force: nodes come, change and go; what the journal says of those that stay is kept.
//!
//! It refuses nothing: whether a site may be put in force says [`crate::site_diff`], before. A node that is gone is forgotten
//! here; its events stay in the journal, and whoever adds it again folds them in again.

use crate::fleet::Fleet;
use crate::node::Node;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;
use groundstate_api::site::{self, Site};
use groundstate_api::{MacAddr, Millis, NodeId};

/// Which nodes came, changed and went, each in the order of names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reconciled {
    /// New ones, before any event. Where the journal has events of a node of that name, they are to be folded in; then
    /// [`crate::Input::Added`] follows for those that have none.
    pub added: Vec<NodeId>,
    /// Those of which the site says something else now.
    pub changed: Vec<NodeId>,
    /// Those that are in the site no more.
    pub removed: Vec<NodeId>,
}

impl Fleet {
    /// Takes another site in, in place. What was folded from the journal and what is remembered beside it stays with every
    /// node that stays.
    pub fn reconcile(&mut self, site: &Site, now: Millis) -> Reconciled {
        let mut done = Reconciled::default();
        let mut wanted: BTreeMap<&NodeId, &site::Node> = BTreeMap::new();
        for node in &site.nodes {
            wanted.entry(&node.name).or_insert(node);
        }
        let gone = |id: &&NodeId| !wanted.contains_key(*id);
        done.removed = self.nodes.keys().filter(gone).cloned().collect();
        let left: BTreeSet<&NodeId> = done.removed.iter().collect();
        self.nodes.retain(|id, _| !left.contains(id));
        for (id, declared) in wanted {
            let effective = crate::profile::effective(declared, &site.profiles);
            match self.nodes.get_mut(id).map(Arc::make_mut) {
                None => {
                    let node = Node::new(effective, site.policy.hand_over, now);
                    self.nodes.insert(id.clone(), Arc::new(node));
                    done.added.push(id.clone());
                }
                Some(node) => {
                    node.policy_hand_over = site.policy.hand_over;
                    if node.site != effective {
                        node.site = effective;
                        done.changed.push(id.clone());
                    }
                }
            }
        }
        self.by_mac = owners(site);
        let by_mac = &self.by_mac;
        self.waiting.let_go(|mac| by_mac.contains_key(&mac));
        self.told.let_go(|mac| by_mac.contains_key(&mac));
        self.closed = site.policy.closed;
        self.boot.clone_from(&site.boot);
        self.set_rules(site);
        done
    }
}

/// Whose boot address it is; of two that claim one, the first.
pub(crate) fn owners(site: &Site) -> BTreeMap<MacAddr, NodeId> {
    let owner = |node: &site::Node| (node.mac, node.name.clone());
    site.nodes.iter().rev().map(owner).collect()
}
