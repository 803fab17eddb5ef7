// SPDX-License-Identifier: Apache-2.0
//! The site that is in force: it may change while we run, and the journal says which one holds.
//!
//! Whether a site may be put in force is asked before, in `prov-core`: nothing is refused here.

use super::Provisioner;
use super::book::{Book, REPLAY_PAGE};
use crate::journal::{Journal, JournalError};
use groundstate_api::event::{Event, Happened};
use groundstate_api::site::Site;
use groundstate_api::{Digest, Millis, NodeId};
use prov_core::{Fleet, Input, Reconciled};
use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, PoisonError};

/// Who applies the file that the process is started with.
pub(crate) const BY_START: &str = "up";
/// Lines of a change that are journalled; more are counted.
const CHANGES_MAX: usize = 200;

/// Which site is in force.
#[derive(Clone, Debug)]
pub(crate) struct InForce {
    pub(crate) site: Arc<Site>,
    /// 0 before any site is in the journal.
    pub(crate) version: u64,
    /// The digest of its canonical JSON.
    pub(crate) digest: Option<Digest>,
    /// The last one that came with a start: a file that was not edited since does not undo what was applied after it.
    pub(super) of_start: Option<Digest>,
}

impl InForce {
    /// The file of the start, as long as the journal says nothing else.
    pub(super) fn of_file(site: Site) -> Self {
        Self {
            site: Arc::new(site),
            version: 0,
            digest: None,
            of_start: None,
        }
    }

    /// Takes in what the journal says.
    pub(super) fn applied(&mut self, site: Site, version: u64, digest: Digest, by: &str) {
        self.site = Arc::new(site);
        self.version = version;
        self.digest = Some(digest);
        if by == BY_START {
            self.of_start = Some(digest);
        }
    }
}

impl Provisioner {
    /// The site in force.
    #[must_use]
    pub fn site(&self) -> Arc<Site> {
        self.in_force().site
    }

    /// Its version: 1, 2, 3, …
    #[must_use]
    pub fn site_version(&self) -> u64 {
        self.in_force().version
    }

    pub(crate) fn in_force(&self) -> InForce {
        self.inner
            .in_force
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Puts a site in force that was checked before, and says its version. Nodes that are new are added. The same site again
    /// changes nothing. Blocks for the journal.
    ///
    /// # Errors
    /// Where the journal cannot be written: then the site before stays in force. Where it cannot be read once that is done
    /// ([`JournalError::NotInForce`]): then the site comes into force before anything else is decided.
    pub fn apply_site(&self, site: Site, by: &str) -> Result<u64, JournalError> {
        self.apply_site_saying(site, by, Vec::new())
    }

    /// The same, with what changed in words. Where `changes` is empty, the nodes that come, change and go are named.
    ///
    /// # Errors
    /// As [`Self::apply_site`].
    pub fn apply_site_saying(
        &self,
        site: Site,
        by: &str,
        changes: Vec<String>,
    ) -> Result<u64, JournalError> {
        self.site_changed(by, |_, _, _| Ok((site, changes)))
    }

    /// Puts a site in force that is made of the one that is, of its version and of the nodes as they are. Nobody changes any of
    /// them in between: the book is open meanwhile. Blocks for the journal.
    ///
    /// # Errors
    /// What `make` says: then the site before stays in force. Else as [`Self::apply_site`].
    pub(crate) fn site_changed<E: From<JournalError>>(
        &self,
        by: &str,
        make: impl FnOnce(&Site, u64, &Fleet) -> Result<(Site, Vec<String>), E>,
    ) -> Result<u64, E> {
        let added = {
            let mut book = self.book();
            self.may_decide()?;
            self.settle(&mut book)?;
            let old = self.in_force();
            let (site, mut changes) = make(&old.site, old.version, &self.fleet())?;
            // A file that says what is in force already is written down too: it counts as the one of the last start.
            if *old.site == site && by != BY_START {
                return Ok(old.version);
            }
            let json = serde_json::to_vec(&site).map_err(JournalError::Encode)?;
            let digest = Digest::of(&json);
            let now = self.now();
            if changes.is_empty() {
                changes = words(&old.site, &site);
            }
            shorten(&mut changes);
            // The document first: an event that names one which is not there would stop every later start.
            book.journal.put_document(&digest.to_string(), &json)?;
            // What is in force already keeps its version: whoever has looked at it has seen this one.
            let version = old.version + u64::from(old.version == 0 || *old.site != site);
            let mut event = Event {
                number: book.newest + 1,
                at: now,
                node: None,
                what: Happened::SiteApplied {
                    version,
                    digest,
                    by: by.to_owned(),
                    changes,
                },
            };
            let written = self.write(&mut book, std::slice::from_ref(&event))?;
            let folding = self.inner.unfolded.folding(std::slice::from_ref(&event));
            let put = self.put_in_force(&mut book, &event, site, (version, digest, by));
            folding.done();
            let added = match put {
                Ok(added) => added,
                Err(error) => {
                    // It stands in the journal: whoever decides next takes it in first.
                    book.newest = event.number - 1;
                    self.is_in_doubt(&mut book);
                    let waits = JournalError::NotInForce {
                        number: event.number,
                        source: Box::new(error),
                    };
                    self.inner.refusing.failed(&waits);
                    return Err(waits.into());
                }
            };
            event.at = written;
            self.tell(event.number, vec![event]);
            added
        };
        let inputs = added.into_iter().map(|node| (node, Input::Added));
        for outcome in self.submit_all(inputs.collect()) {
            if let Err(error) = outcome {
                // The site is in force all the same, and `Fleet::own` wishes for this again.
                tracing::error!(%error, "a new node is not in the journal; it is tried again");
            }
        }
        Ok(self.site_version())
    }

    /// What a site's event means here, once it is durable. Says which nodes are new.
    pub(super) fn put_in_force(
        &self,
        book: &mut Book,
        event: &Event,
        site: Site,
        (version, digest, by): (u64, Digest, &str),
    ) -> Result<Vec<NodeId>, JournalError> {
        let added = {
            let mut fleet = self.fleet_mut();
            #[cfg(test)]
            super::unfolded_tests::trip(event);
            fleet.apply(event);
            let at = (book.journal.as_ref(), event.number);
            let added = reconcile(&mut fleet, &site, self.now(), &mut book.gone, at)?;
            let mut due = self.due();
            for node in fleet.nodes() {
                due.know(node.id(), node.deadline());
            }
            added
        };
        self.inner.sources.renew(&site.images);
        self.inner
            .in_force
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .applied(site, version, digest, by);
        Ok(added)
    }
}

/// Folds one event of the journal in, with the site that it puts in force.
pub(super) fn fold_in(
    (fleet, in_force, gone): (&mut Fleet, &mut InForce, &mut HashSet<NodeId>),
    journal: &dyn Journal,
    event: &Event,
    began: Millis,
) -> Result<(), JournalError> {
    fleet.apply(event);
    note_gone(fleet, event, gone);
    if let Happened::SiteApplied {
        version,
        digest,
        by,
        ..
    } = &event.what
    {
        let site = kept_site(journal, digest)?;
        reconcile(fleet, &site, began, gone, (journal, event.number))?;
        in_force.applied(site, *version, *digest, by);
    }
    Ok(())
}

/// Reads the site of an event. It is refused where it is not what the event names.
pub(super) fn kept_site(journal: &dyn Journal, digest: &Digest) -> Result<Site, JournalError> {
    let key = digest.to_string();
    let bytes = journal
        .document(&key)?
        .ok_or_else(|| JournalError::NoDocument { key: key.clone() })?;
    if Digest::of(&bytes) != *digest {
        return Err(JournalError::WrongDocument { key });
    }
    serde_json::from_slice(&bytes).map_err(|source| JournalError::Document { key, source })
}

/// Puts the site into the fleet, and folds in what the journal says up to `newest` of nodes that come back: of those in `gone`.
pub(super) fn reconcile(
    fleet: &mut Fleet,
    site: &Site,
    now: Millis,
    gone: &mut HashSet<NodeId>,
    (journal, newest): (&dyn Journal, u64),
) -> Result<Vec<NodeId>, JournalError> {
    // Read before anything changes: what cannot be read leaves fleet and `gone` as they are, and the next try begins anew.
    let names = site.nodes.iter().map(|node| &node.name);
    let come_back = names.filter(|node| fleet.node(node).is_none() && gone.contains(*node));
    let mut past = Vec::new();
    for node in come_back {
        let mut after = 0;
        loop {
            let page = journal.read(after, REPLAY_PAGE, Some(node))?;
            let Some(last) = page.last() else { break };
            after = last.number;
            past.extend(page.into_iter().filter(|event| event.number <= newest));
        }
    }
    let Reconciled { added, removed, .. } = fleet.reconcile(site, now);
    gone.extend(removed);
    for node in &added {
        gone.remove(node);
    }
    for event in &past {
        fleet.apply(event);
    }
    Ok(added)
}

/// Remembers nodes that the journal speaks of and the site does not.
pub(super) fn note_gone(fleet: &Fleet, event: &Event, gone: &mut HashSet<NodeId>) {
    if let Some(node) = event
        .node
        .as_ref()
        .filter(|node| fleet.node(node).is_none())
    {
        gone.insert(node.clone());
    }
}

/// Which nodes come, change and go.
fn words(old: &Site, new: &Site) -> Vec<String> {
    let by_name = |site: &Site| -> BTreeMap<NodeId, groundstate_api::site::Node> {
        let nodes = site.nodes.iter();
        nodes
            .map(|node| (node.name.clone(), node.clone()))
            .collect()
    };
    let (before, after) = (by_name(old), by_name(new));
    let added = after.keys().filter(|name| !before.contains_key(*name));
    let added = added.map(|name| format!("node {name} is new"));
    let differs = |name: &&NodeId| {
        before
            .get(*name)
            .is_some_and(|was| after.get(*name) != Some(was))
    };
    let changed = after.keys().filter(differs);
    let changed = changed.map(|name| format!("node {name} differs"));
    let removed = before.keys().filter(|name| !after.contains_key(*name));
    let removed = removed.map(|name| format!("node {name} is gone"));
    added.chain(changed).chain(removed).collect()
}

fn shorten(changes: &mut Vec<String>) {
    let more = changes.len().saturating_sub(CHANGES_MAX - 1);
    if changes.len() > CHANGES_MAX {
        changes.truncate(CHANGES_MAX - 1);
        changes.push(format!("and {more} more"));
    }
}

#[cfg(test)]
#[path = "in_force_tests.rs"]
mod tests;
