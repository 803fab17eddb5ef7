// SPDX-License-Identifier: Apache-2.0
//! Whose deadline passes next, without a look at every node each second.
//!
//! A node stands here at or before its deadline: what puts a deadline off (a heartbeat) changes nothing here, and the node is
//! looked at again when its turn comes. It decides nothing.

use groundstate_api::{Millis, NodeId};
use std::collections::{BTreeSet, HashMap};

/// A node whose deadline has passed is due again after this, if nothing came of it.
const AGAIN: Millis = Millis::secs(1);

/// The queue.
#[derive(Debug, Default)]
pub(crate) struct Due {
    by_time: BTreeSet<(Millis, NodeId)>,
    of: HashMap<NodeId, Millis>,
}

impl Due {
    /// A node's deadline, as it is now.
    pub(crate) fn know(&mut self, node: &NodeId, deadline: Option<Millis>) {
        let Some(at) = deadline else { return };
        match self.of.get(node) {
            Some(stands) if *stands <= at => {}
            Some(stands) => {
                self.by_time.remove(&(*stands, node.clone()));
                self.put(at, node.clone());
            }
            None => self.put(at, node.clone()),
        }
    }

    /// The nodes whose deadline has passed, the longest waiting first.
    pub(crate) fn pass(
        &mut self,
        now: Millis,
        deadline_of: impl Fn(&NodeId) -> Option<Millis>,
    ) -> Vec<NodeId> {
        let mut due = Vec::new();
        while let Some((at, _)) = self.by_time.first() {
            if *at > now {
                break;
            }
            let Some((_, node)) = self.by_time.pop_first() else {
                break;
            };
            self.of.remove(&node);
            match deadline_of(&node) {
                None => {}
                Some(deadline) if deadline <= now => {
                    self.put(now.plus(AGAIN), node.clone());
                    due.push(node);
                }
                Some(deadline) => self.put(deadline, node),
            }
        }
        due
    }

    fn put(&mut self, at: Millis, node: NodeId) {
        self.of.insert(node.clone(), at);
        self.by_time.insert((at, node));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_due_at_its_newest_deadline_and_never_twice_at_once() {
        let node = |n: u64| -> NodeId { format!("n{n}").parse().unwrap() };
        let mut due = Due::default();
        let mut deadlines: HashMap<NodeId, Millis> = HashMap::new();
        for n in 0..100 {
            let at = Millis(1_000 + n);
            deadlines.insert(node(n), at);
            due.know(&node(n), Some(at));
            due.know(&node(n), Some(at.plus(Millis(500))));
        }
        // Heartbeats of the even ones put theirs off.
        for n in (0..100).step_by(2) {
            deadlines.insert(node(n), Millis(9_000));
        }
        // One comes forward, one has none any more.
        deadlines.insert(node(99), Millis(10));
        due.know(&node(99), Some(Millis(10)));
        deadlines.remove(&node(1));
        let at = |due: &mut Due, now| due.pass(Millis(now), |n| deadlines.get(n).copied());
        assert_eq!(at(&mut due, 9), []);
        assert_eq!(at(&mut due, 10), [node(99)]);
        assert_eq!(at(&mut due, 999), []);
        assert_eq!(at(&mut due, 1_009), [node(3), node(5), node(7), node(9)]);
        assert_eq!(at(&mut due, 1_009), [], "it is being worked on");
        assert_eq!(at(&mut due, 3_000).len(), 49, "every odd one but one");
        assert_eq!(at(&mut due, 8_999).len(), 49);
        assert_eq!(at(&mut due, 20_000).len(), 99);
    }
}
