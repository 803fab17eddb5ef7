// SPDX-License-Identifier: Apache-2.0
//! Which nodes a caller may see and touch: all, or those of the racks and nodes that the site file gives to its name.

use super::problem::Refusal;
use crate::provisioner::Provisioner;
use groundstate_api::NodeId;
use groundstate_api::site::Site;
use groundstate_api::site_parts::Access;
use prov_core::Peer;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

/// The nodes of a caller. Each request has it as an extension.
#[derive(Clone, Debug)]
pub(crate) struct Scope(Option<Arc<BTreeSet<NodeId>>>);

impl Scope {
    /// Every node.
    pub(crate) const ALL: Self = Self(None);

    /// Whether the caller is bound to no racks or nodes.
    pub(crate) fn is_all(&self) -> bool {
        self.0.is_none()
    }

    /// Whether the caller may see and touch this node.
    pub(crate) fn sees(&self, node: &NodeId) -> bool {
        self.0.as_ref().is_none_or(|nodes| nodes.contains(node))
    }

    /// The same for a name that may be no node's.
    pub(crate) fn sees_name(&self, name: &str) -> bool {
        let Some(nodes) = &self.0 else { return true };
        name.parse().is_ok_and(|node| nodes.contains(&node))
    }

    /// Refuses a node of somebody else, and says the same of one that is not there.
    ///
    /// # Errors
    /// 403.
    pub(crate) fn check(&self, node: &NodeId) -> Result<(), Refusal> {
        self.check_name(node.as_str())
    }

    /// The same for a name that may be no node's.
    ///
    /// # Errors
    /// 403.
    pub(crate) fn check_name(&self, name: &str) -> Result<(), Refusal> {
        if self.sees_name(name) {
            return Ok(());
        }
        Err(Refusal::not_allowed(
            "this node is not in the racks that this certificate is for",
            "the site file's [[access]] names the racks and nodes of each name",
        ))
    }

    /// Refuses a caller that is bound to racks or nodes.
    ///
    /// # Errors
    /// 403.
    pub(crate) fn check_site(&self) -> Result<(), Refusal> {
        if self.is_all() {
            return Ok(());
        }
        Err(Refusal::not_allowed(
            "this concerns the whole site, and this certificate is for some racks or nodes only",
            "the site file's [[access]] names the racks and nodes of each name",
        ))
    }
}

/// What the site file says of each name: made once for each site in force.
#[derive(Debug, Default)]
struct Scopes(BTreeMap<String, Scope>);

impl Scopes {
    fn of_site(site: &Site) -> Self {
        let mut scopes: BTreeMap<String, Scope> = BTreeMap::new();
        for access in &site.access {
            let more = nodes_of(site, access);
            let before = scopes.remove(&access.name);
            // Two entries of one name give what both give.
            let together = match (before.map(|scope| scope.0), more) {
                (None, more) => more,
                (Some(Some(before)), Some(more)) => Some(Arc::new(&*before | &*more)),
                (Some(None), _) | (Some(Some(_)), None) => None,
            };
            scopes.insert(access.name.clone(), Scope(together));
        }
        Self(scopes)
    }

    /// The scope of this caller. A name that the site file does not speak of is bound by its role alone.
    fn of(&self, peer: &Peer) -> Scope {
        match peer {
            Peer::Client { name, .. } => self.0.get(name).cloned().unwrap_or(Scope::ALL),
            Peer::Anyone | Peer::Node { .. } | Peer::Host { .. } => Scope::ALL,
        }
    }
}

/// The scopes of the site in force. They are made once for each site: a fleet of 10,000 nodes is not searched at every request.
#[derive(Clone, Debug, Default)]
pub(crate) struct SiteScopes(Arc<Mutex<Option<OfSite>>>);

type OfSite = (Arc<Site>, Arc<Scopes>);

impl SiteScopes {
    /// The scope of this caller in the site in force.
    pub(crate) fn of(&self, ours: &Provisioner, peer: &Peer) -> Scope {
        let site = ours.site();
        // What a panic left is whole: it is replaced at once or not at all.
        let mut made = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let scopes = match &*made {
            Some((of, scopes)) if Arc::ptr_eq(of, &site) => scopes.clone(),
            Some(_) | None => {
                let scopes = Arc::new(Scopes::of_site(&site));
                *made = Some((site, scopes.clone()));
                scopes
            }
        };
        drop(made);
        scopes.of(peer)
    }
}

/// The nodes of one entry; `None` where it names neither racks nor nodes.
fn nodes_of(site: &Site, access: &Access) -> Option<Arc<BTreeSet<NodeId>>> {
    if access.racks.is_empty() && access.nodes.is_empty() {
        return None;
    }
    let nodes = site.nodes.iter().filter(|node| {
        let in_rack = node
            .slot
            .as_ref()
            .is_some_and(|slot| access.racks.contains(&slot.rack));
        in_rack || access.nodes.iter().any(|name| name == node.name.as_str())
    });
    Some(Arc::new(nodes.map(|node| node.name.clone()).collect()))
}
