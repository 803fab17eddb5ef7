// SPDX-License-Identifier: Apache-2.0
//! Several provisioners over one journal: one leads, the others follow its events and take over when it is gone.

use super::{Book, Inner, Provisioner};
use crate::journal::{Election, JournalError, Lead, Reader};
use crate::leader::Standing;
use groundstate_api::event::{Event, Happened};
use groundstate_api::{NodeId, event};
use prov_core::Input;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Weak};
use std::time::Duration;

/// How often a leader renews, and how often the others try.
const RENEW: Duration = Duration::from_millis(700);
/// How long a follower waits for news at once.
const NEWS_MAX: Duration = Duration::from_secs(2);
/// A leader, and a follower whose journal does not answer, look again after this.
const IDLE: Duration = Duration::from_millis(300);

impl Provisioner {
    /// Starts to campaign and to follow, where the journal has several writers. Ends when the provisioner is dropped, or stopped.
    pub(super) fn campaign(
        &self,
        election: Box<dyn Election>,
        reader: Box<dyn Reader>,
        stop: Receiver<()>,
    ) {
        let (leads, follows) = (Arc::downgrade(&self.inner), Arc::downgrade(&self.inner));
        std::thread::spawn(move || elect(&leads, election, &stop));
        std::thread::spawn(move || follow(&follows, reader.as_ref()));
    }

    /// One turn of the election.
    fn elected(&self, lead: Result<Lead, JournalError>) {
        match lead {
            Ok(Lead::Ours { term, until }) => match self.inner.leader.standing() {
                Standing::Leads { term: ours, .. } if ours == term => {
                    self.inner.leader.set(Standing::Leads { term, until });
                }
                Standing::Refuses(_) => {}
                Standing::Leads { .. } | Standing::Follows(_) | Standing::Alone => {
                    self.take_over(term, until);
                }
            },
            Ok(Lead::Others(leader)) => {
                if !matches!(self.inner.leader.standing(), Standing::Refuses(_)) {
                    self.inner.leader.set(Standing::Follows(leader));
                }
            }
            // Whoever leads goes on until its lease ends, and not longer.
            Err(error) => tracing::warn!(%error, "the election is not held"),
        }
    }

    /// Reads to the journal's end, and leads from there. What was begun and has not ended is carried on.
    fn take_over(&self, term: u64, until: std::time::Instant) {
        let done = {
            let mut book = self.book();
            self.catch_up(&mut book).and_then(|()| {
                book.doubtful = false;
                self.inner
                    .doubtful
                    .store(false, std::sync::atomic::Ordering::SeqCst);
                self.inner.leader.set(Standing::Leads { term, until });
                let me = self.inner.leader.me().name.clone();
                self.append_one(&mut book, Happened::LeaderChanged { leader: me, term })
            })
        };
        let begun = done
            .and_then(|()| self.take_over_of_bmcs())
            .and_then(|()| self.begin());
        match begun {
            Ok(()) => tracing::info!(term, "this provisioner leads"),
            Err(error) => {
                tracing::error!(%error, "this provisioner was elected and cannot lead");
                self.inner.leader.set(Standing::Follows(None));
            }
        }
    }

    /// An event of no node, by ourselves.
    fn append_one(&self, book: &mut Book, what: Happened) -> Result<(), JournalError> {
        let mut event = Event {
            number: book.newest + 1,
            at: self.now(),
            node: None,
            what,
        };
        let written = self.write(book, std::slice::from_ref(&event))?;
        let folding = self.inner.unfolded.folding(std::slice::from_ref(&event));
        self.fold(&mut self.fleet_mut(), std::slice::from_ref(&event));
        folding.done();
        event.at = written;
        self.tell(book.newest, vec![event]);
        Ok(())
    }

    /// Begins to decide: the site has a version, every node's silence counts from now, and what was begun goes on.
    pub(super) fn begin(&self) -> Result<(), JournalError> {
        self.know_the_journal()?;
        let site = self.in_force();
        if site.version == 0 {
            self.apply_site(site.site.as_ref().clone(), super::in_force::BY_START)?;
        }
        let now = self.now();
        let names: Vec<(NodeId, bool)> = {
            let mut fleet = self.fleet_mut();
            let names: Vec<NodeId> = fleet.nodes().map(|n| n.id().clone()).collect();
            let mut due = self.due();
            let each = names.into_iter().map(|name| {
                let node = fleet.node_mut(&name);
                let is_new = node.is_some_and(|node| {
                    node.live.began = now;
                    due.know(&name, node.deadline());
                    node.version == 0
                });
                (name, is_new)
            });
            each.collect()
        };
        let input = |is_new| {
            if is_new {
                Input::Added
            } else {
                Input::Restarted
            }
        };
        let inputs = names
            .into_iter()
            .map(|(name, is_new)| (name, input(is_new)));
        for outcome in self.submit_all(inputs.collect()) {
            if let Err(super::Unheard::Journal(error)) = outcome {
                return Err(error);
            }
        }
        Ok(())
    }

    /// Takes in what others wrote: every event beyond what is known here.
    pub(super) fn catch_up(&self, book: &mut Book) -> Result<(), JournalError> {
        loop {
            let page = book
                .journal
                .read(book.newest, super::book::REPLAY_PAGE, None)?;
            let Some(last) = page.last().map(|event| event.number) else {
                return Ok(());
            };
            for event in &page {
                self.take_in(book, event)?;
            }
            debug_assert_eq!(book.newest, last);
            self.tell(last, page);
        }
    }

    /// Takes in a page that was read while we followed, as far as it is news still.
    fn follow_page(&self, page: &[Event]) -> Result<(), JournalError> {
        let mut book = self.book();
        self.is_folded()?;
        if !matches!(self.inner.leader.standing(), Standing::Follows(_)) {
            return Ok(());
        }
        let known = book.newest;
        let news: Vec<Event> = page.iter().filter(|e| e.number > known).cloned().collect();
        for event in &news {
            self.take_in(&mut book, event)?;
        }
        if let Some(last) = news.last() {
            self.tell(last.number, news.clone());
        }
        Ok(())
    }

    fn take_in(&self, book: &mut Book, event: &Event) -> Result<(), JournalError> {
        if event.number != book.newest + 1 {
            return Err(JournalError::Unusable {
                why: format!("event {} follows event {}", event.number, book.newest),
            });
        }
        let folding = self.inner.unfolded.folding(std::slice::from_ref(event));
        let taken = self.fold_one(book, event);
        // What could not be read for it left everything as it was: the next try begins anew.
        folding.done();
        taken?;
        book.newest = event.number;
        Ok(())
    }

    fn fold_one(&self, book: &mut Book, event: &Event) -> Result<(), JournalError> {
        if let event::Happened::SiteApplied {
            version,
            digest,
            by,
            ..
        } = &event.what
        {
            let site = super::in_force::kept_site(book.journal.as_ref(), digest)?;
            self.put_in_force(book, event, site, (*version, *digest, by))?;
        } else {
            let mut fleet = self.fleet_mut();
            self.fold(&mut fleet, std::slice::from_ref(event));
            super::in_force::note_gone(&fleet, event, &mut book.gone);
        }
        Ok(())
    }
}

/// Whoever campaigns. However that ends, a panic included, the lead is given away.
struct Campaign<'a> {
    inner: &'a Weak<Inner>,
    election: Box<dyn Election>,
}

impl Drop for Campaign<'_> {
    fn drop(&mut self) {
        if let Some(inner) = self.inner.upgrade() {
            inner.leader.set(Standing::Follows(None));
        }
        self.election.resign();
    }
}

fn elect(inner: &Weak<Inner>, election: Box<dyn Election>, stop: &Receiver<()>) {
    let mut campaign = Campaign { inner, election };
    let election = &mut campaign.election;
    loop {
        let Some(inner) = inner.upgrade() else { break };
        let ours = Provisioner {
            inner,
            only_if: None,
        };
        if ours.is_folded().is_err() {
            // Another one shall lead at once.
            break;
        }
        let lead = election.lead(ours.inner.leader.me());
        if lead.is_ok() {
            ours.inner.leader.know(election.members());
        }
        ours.elected(lead);
        drop(ours);
        match stop.recv_timeout(RENEW) {
            Err(RecvTimeoutError::Timeout) => {}
            Ok(()) | Err(RecvTimeoutError::Disconnected) => break,
        }
    }
}

fn follow(inner: &Weak<Inner>, reader: &dyn Reader) {
    loop {
        let Some(known) = inner.upgrade().map(|inner| {
            let follows = matches!(inner.leader.standing(), Standing::Follows(_))
                && inner.unfolded.check().is_ok();
            follows.then(|| *inner.newest.borrow())
        }) else {
            return;
        };
        // Nothing is locked while the journal is asked: where it is slow, an election must not wait for us.
        let read = known.map(|newest| {
            reader
                .wait(newest, NEWS_MAX)
                .and_then(|()| reader.read(newest, super::book::REPLAY_PAGE, None))
        });
        let page = match read {
            Some(Ok(page)) => page,
            Some(Err(error)) => {
                tracing::warn!(%error, "the leader's events are not read");
                std::thread::sleep(IDLE);
                continue;
            }
            None => {
                std::thread::sleep(IDLE);
                continue;
            }
        };
        let Some(inner) = inner.upgrade() else { return };
        let ours = Provisioner {
            inner,
            only_if: None,
        };
        if let Err(error) = ours.follow_page(&page) {
            tracing::warn!(%error, "the leader's events are not taken in");
            std::thread::sleep(IDLE);
        }
    }
}
