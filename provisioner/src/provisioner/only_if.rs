// SPDX-License-Identifier: Apache-2.0
//! An order that counts only while its node is as the caller saw it. It is asked in the writer's own turn, so that of two that
//! saw the same, one is carried out and the other is told that the node has moved on.

use super::Provisioner;
use groundstate_api::{NodeId, Reason, ReasonCode};
use prov_core::Node;
use std::sync::Arc;

/// What the caller saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OnlyIf {
    /// The node.
    pub(crate) node: NodeId,
    /// One of these versions; `None` for any.
    pub(crate) versions: Option<Vec<u64>>,
}

impl OnlyIf {
    /// What an `If-Match` asks: entity tags between commas, or `*`. A weak tag, and one that is none of ours, is no version.
    pub(crate) fn of(node: NodeId, header: &str) -> Self {
        let strong = |tag: &str| tag.strip_prefix('"')?.strip_suffix('"')?.parse().ok();
        let tags = || header.split(',').map(str::trim).filter_map(strong);
        Self {
            node,
            versions: (header.trim() != "*").then(|| tags().collect()),
        }
    }

    /// Why the order does not count any more; `None` where it does.
    pub(crate) fn refuses(&self, node: &Node) -> Option<Reason> {
        let versions = self.versions.as_ref().filter(|_| *node.id() == self.node)?;
        (!versions.contains(&node.version)).then(|| moved_on(node))
    }
}

impl Provisioner {
    /// The same provisioner for one order, which counts only in the state that its caller saw.
    pub(crate) fn only_if(&self, only_if: Option<Arc<OnlyIf>>) -> Self {
        Self {
            inner: self.inner.clone(),
            only_if,
        }
    }
}

fn moved_on(node: &Node) -> Reason {
    Reason::new(
        ReasonCode::Precondition,
        "the node has moved on since you looked: its entity tag is another one",
        "look at it again, and order with its new tag where the order is still wanted",
    )
    .seen(format!(
        "its tag is \"{}\", and it is {}",
        node.version,
        node.phase.as_str()
    ))
    .then("nothing: the request changed nothing")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_versions_between_commas() {
        let of = |header| OnlyIf::of("n1".parse().unwrap(), header).versions;
        assert_eq!(of("\"7\""), Some(vec![7]));
        assert_eq!(of("\"6\" , \"7\""), Some(vec![6, 7]));
        assert_eq!(of(" * "), None);
        for none in ["", "7", "W/\"7\"", "\"x\"", "\"-1\"", "\"7", "\"\""] {
            assert_eq!(of(none), Some(vec![]), "{none}");
        }
    }
}
