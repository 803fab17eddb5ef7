// SPDX-License-Identifier: Apache-2.0
//! What the API's desk keeps: who ordered what, and the answers to idempotency keys.

use super::Provisioner;
use crate::figures::{Figures, Sample};
use crate::journal::{Audited, JournalError, Orders};
use crate::webhook::Standing;
use groundstate_api::audit::Audit;
use groundstate_api::event::Happened;
use groundstate_api::view::{NodeView, Phase};
use groundstate_api::{Millis, NodeId};
use prov_core::{ActionsWanted, Node, Wish};
use std::collections::BTreeMap;
use std::sync::Arc;

impl Provisioner {
    /// What is counted.
    pub(crate) fn figures(&self) -> &Figures {
        &self.inner.figures
    }

    /// How the webhooks stand.
    pub(crate) fn webhook_standing(&self) -> &Standing {
        &self.inner.webhooks
    }

    /// Puts the numbers of what is composed with us beside ours, as text for `/metrics`.
    pub fn metrics_beside(&self, text: impl Fn() -> String + Send + Sync + 'static) {
        self.inner.figures.beside(text);
    }

    /// All numbers, in the text format of Prometheus.
    #[must_use]
    pub fn metrics_text(&self) -> String {
        let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        let one = |value| vec![Sample::of(Vec::new(), value)];
        let by_phase = self.phases().into_iter().map(|(phase, nodes)| {
            Sample::of(vec![("phase", phase.as_str().to_owned())], count(nodes))
        });
        let newest = *self.inner.newest.borrow();
        let (open, refused) = crate::serve::connections();
        let open_actions = ActionsWanted {
            open: true,
            ..ActionsWanted::ALL
        };
        self.inner.figures.text(&[
            ("groundstate_nodes", by_phase.collect()),
            ("groundstate_events", one(newest)),
            ("groundstate_site_version", one(self.site_version())),
            (
                "groundstate_actions_open",
                one(count(self.actions(open_actions).actions.len())),
            ),
            (
                "groundstate_webhook_behind_events",
                one(self.inner.webhooks.furthest_behind(newest)),
            ),
            ("groundstate_api_connections", one(open)),
            ("groundstate_api_connections_refused", one(refused)),
        ])
    }

    /// Journals a call that was to change something. Blocks.
    pub(crate) fn audited(&self, audit: Audit) -> Result<(), JournalError> {
        let append = |_: &mut _, _, out: &mut Vec<Wish>| {
            out.push(Wish::Append(Happened::Audited { audit }));
        };
        self.decide_alone(None, append).map(drop)
    }

    /// Orders of the audit trail above a number, oldest first. Blocks.
    pub(crate) fn orders(
        &self,
        after: u64,
        limit: usize,
        wanted: Orders<'_>,
    ) -> Result<Audited, JournalError> {
        self.reader().audited(after, limit, wanted)
    }

    /// The newest event that there is; `None` where another provisioner may know a newer one.
    pub(crate) fn newest_here(&self) -> Option<u64> {
        let newest = *self.inner.newest.borrow();
        self.may_decide().is_ok().then_some(newest)
    }

    /// Changes a document of the journal with nobody else changing it. Blocks.
    pub(crate) fn change_document<T>(
        &self,
        name: &str,
        change: impl FnOnce(Option<Vec<u8>>) -> (Option<Vec<u8>>, T),
    ) -> Result<T, JournalError> {
        let mut book = self.book();
        self.may_decide()?;
        let before = book.journal.document(name)?;
        let (after, said) = change(before);
        if let Some(after) = after {
            let done = book.journal.put_document(name, &after);
            self.inner.refusing.note(done)?;
        }
        Ok(said)
    }

    /// Reads a document of the journal beside the writer. Blocks.
    pub(crate) fn read_document(&self, name: &str) -> Result<Option<Vec<u8>>, JournalError> {
        self.reader().document(name)
    }

    /// The wall clock, milliseconds since 1970.
    pub(crate) fn written_now(&self) -> Millis {
        self.inner.clock.written(self.now())
    }

    /// Nodes behind a name, by name, that are wanted; at most so many, and whether there are more.
    pub(crate) fn page_of_nodes(
        &self,
        after: Option<&NodeId>,
        limit: usize,
        wanted: impl Fn(&Node) -> bool,
    ) -> (Vec<NodeView>, bool) {
        // Writers wait while the fleet is looked through, not while it is put into words.
        let (page, more): (Vec<Arc<Node>>, bool) = {
            let fleet = self.fleet();
            let mut wanted = fleet.behind(after).filter(|node| wanted(node));
            let page = wanted.by_ref().take(limit).cloned().collect();
            (page, wanted.next().is_some())
        };
        (page.iter().map(|node| node.view()).collect(), more)
    }

    /// How many nodes are in each phase.
    pub(crate) fn phases(&self) -> BTreeMap<Phase, usize> {
        let mut phases: BTreeMap<Phase, usize> =
            Phase::ALL.into_iter().map(|phase| (phase, 0)).collect();
        for node in self.fleet().nodes() {
            *phases.entry(node.phase).or_default() += 1;
        }
        phases
    }
}
