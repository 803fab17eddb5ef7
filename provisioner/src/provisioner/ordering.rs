// SPDX-License-Identifier: Apache-2.0
//! Orders of runs: what they are asked with, and whether one would be taken. Which node may have one decides `prov-core`.

use super::Provisioner;
use crate::journal::JournalError;
use crate::planner::image_of;
use groundstate_api::plan::{DECIDED_AT_THE_ORDER, OrderTerms};
use groundstate_api::view::Phase;
use groundstate_api::{NodeId, Reason};
use prov_core::{Input, Reply, Wish};

impl Provisioner {
    /// Orders a run of a node. The id is unique in the journal.
    ///
    /// # Errors
    /// Where the journal cannot be written: then nothing is ordered.
    pub fn order(
        &self,
        node: &NodeId,
        hand_over: Option<groundstate_api::plan::HandOver>,
        again: bool,
        terms: OrderTerms,
    ) -> Result<Option<Reply>, JournalError> {
        let deploys = terms.rebuild.is_none() && terms.erase.is_none();
        if let Some(refused) = self.refused_channel().filter(|_| deploys) {
            return Ok(Some(Reply::Conflict(refused)));
        }
        let runs = self.with_node(node, |n| n.runs).unwrap_or_default();
        // A node's name has at most 63 characters, so the id has at most 80.
        let id = format!("{node}-{:03}-{:x}", runs + 1, self.now().0 / 1_000);
        let Ok(run) = id.parse() else {
            return Err(JournalError::Range("a run's id"));
        };
        self.submit(
            node,
            Input::Ordered {
                run,
                hand_over,
                again,
                terms,
            },
        )
    }

    /// Why an order with these terms would be refused as the node is now, in the words of that refusal: that of a run, and of a run
    /// anew where there was one. `None` where it would be taken. Nothing is ordered.
    pub(crate) fn refused_order(&self, node: &NodeId, terms: OrderTerms) -> Option<Reason> {
        let phase = self.with_node(node, |node| node.phase);
        let input = Input::Ordered {
            run: DECIDED_AT_THE_ORDER.parse().ok()?,
            hand_over: None,
            again: terms.rebuild.is_some() || phase != Some(Phase::Enrolled),
            terms,
        };
        let mut wishes = Vec::new();
        self.fleet().decide(self.now(), node, input, &mut wishes);
        wishes.into_iter().find_map(|wish| match wish {
            Wish::Reply(Reply::Conflict(reason)) => Some(reason),
            Wish::Append(_)
            | Wish::Note(_)
            | Wish::MakePlan(_)
            | Wish::Carry(_)
            | Wish::Reply(_) => None,
        })
    }

    /// Why the policy's channel gives no image now. What a name without a channel gives is looked for when the plan is made:
    /// an import may still come.
    fn refused_channel(&self) -> Option<Reason> {
        let policy = &self.site().policy;
        let has_channel = policy.image.contains('@');
        let images = self.images().as_ref();
        let image = || image_of(policy, images, self.wall(), self.pki().state_dir());
        has_channel.then(image)?.err()
    }
}
