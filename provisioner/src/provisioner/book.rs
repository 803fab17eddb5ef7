// SPDX-License-Identifier: Apache-2.0
//! The writer: what came in is decided, what follows from it is made durable in one go for all who wait, and only then it is
//! folded in, answered and heard of.
//!
//! While the disk writes for some, others gather in the queue; the next transaction takes them all. Two decisions about one
//! node are never in one transaction, and a decision that concerns more than its node stands alone: each is made on what is
//! durable. What changes nothing durable (a heartbeat) does not wait for the disk at all.

use super::{OnlyIf, Provisioner, Speaker, Unheard};
use crate::journal::{Journal, JournalError};
use groundstate_api::event::{Event, Happened};
use groundstate_api::{Millis, NodeId};
use prov_core::{Fleet, Input, Note, Reply, Wish};
use std::collections::{HashSet, VecDeque};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Events that are read from the journal at once.
pub(super) const REPLAY_PAGE: usize = 1_000;

/// The writer's own.
pub(super) struct Book {
    pub(super) journal: Box<dyn Journal>,
    pub(super) newest: u64,
    /// What was written last may be durable although it failed, or another one wrote: read before anything is decided.
    pub(super) doubtful: bool,
    /// The journal has other times than the fold here: the wall clock was set while we ran.
    pub(super) dated: bool,
    /// Nodes that the journal speaks of and the site does not.
    pub(super) gone: HashSet<NodeId>,
}

/// Who wait for the writer.
pub(super) type Queue = Mutex<VecDeque<Job>>;

/// What came in for a node.
pub(super) struct Job {
    node: NodeId,
    /// The run and key that say it, where they are to be believed at the moment of the decision.
    from: Option<Speaker>,
    /// In which state of the node it counts.
    only_if: Option<Arc<OnlyIf>>,
    /// Taken when it is decided on for good.
    input: Option<Input>,
    ticket: Promise,
}

type Outcome = Result<Option<Reply>, Unheard>;

/// Where the answer comes.
#[derive(Default)]
struct Ticket(Mutex<Option<Outcome>>);

impl Ticket {
    fn give(&self, outcome: Outcome) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(outcome);
    }

    fn take(&self) -> Option<Outcome> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// That an answer will come. Where whoever was to give it ends in a panic, the answer is that.
struct Promise(Option<Arc<Ticket>>);

impl Promise {
    fn of(ticket: &Arc<Ticket>) -> Self {
        Self(Some(ticket.clone()))
    }

    fn keep(mut self, outcome: Outcome) {
        if let Some(ticket) = self.0.take() {
            ticket.give(outcome);
        }
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        if let Some(ticket) = self.0.take() {
            ticket.give(Err(Unheard::Journal(JournalError::Fault)));
        }
    }
}

/// A decision on its way.
#[derive(Default)]
pub(super) struct Decided {
    node: Option<NodeId>,
    wishes: Vec<Wish>,
    /// How many of the wishes are events.
    events: usize,
    of_its_node: bool,
}

impl Decided {
    pub(super) fn of(node: Option<NodeId>, wishes: Vec<Wish>) -> Self {
        let event = |wish: &Wish| matches!(wish, Wish::Append(_));
        let of_one_node = |wish: &Wish| match wish {
            Wish::Append(what) => concerns_one_node(what),
            Wish::Note(_) | Wish::MakePlan(_) | Wish::Carry(_) | Wish::Reply(_) => true,
        };
        Self {
            events: wishes.iter().filter(|wish| event(wish)).count(),
            of_its_node: node.is_some() && wishes.iter().all(of_one_node),
            node,
            wishes,
        }
    }

    /// Whether it was made on, and changes, nothing but its own node.
    fn is_of_its_node(&self) -> bool {
        self.of_its_node
    }
}

/// Whether no decision about another node depends on it. What is not named here may count in a limit of the whole fleet, and
/// stands alone.
fn concerns_one_node(what: &Happened) -> bool {
    matches!(
        what,
        Happened::NodeAdded
            | Happened::RunOrdered { .. }
            | Happened::BootSeen { .. }
            | Happened::Enrolled { .. }
            | Happened::CameBack { .. }
            | Happened::EnrolRefused { .. }
            | Happened::InventoryTaken { .. }
            | Happened::Planned { .. }
            | Happened::StepMoved { .. }
            | Happened::DiskErased { .. }
            | Happened::HostCredentialIssued { .. }
            | Happened::HostRegistered { .. }
            | Happened::PlanApproved { .. }
            // Limits of the whole fleet are counted between transactions only (`Fleet::own`).
            | Happened::ActionBegun { .. }
            | Happened::ActionApproved { .. }
            | Happened::ActionStarted { .. }
            | Happened::ActionEnded { .. }
            | Happened::HostFenced { .. }
            | Happened::HealthReported { .. }
            | Happened::Remarked { .. }
            | Happened::Audited { .. }
            | Happened::PhaseChanged { .. }
    )
}

/// Whether it often changes nothing durable, and is short to copy.
fn is_often_quiet(input: &Input) -> bool {
    matches!(
        input,
        Input::HostBeat { .. }
            | Input::ProgressReceived(_)
            | Input::Spoke { .. }
            | Input::Sighted(_)
            | Input::Considered(_)
            | Input::PlaceMoved { .. }
            | Input::EnrolAsked { .. }
    )
}

impl Provisioner {
    /// Decides on an input for a node, makes what follows durable, and answers. Blocks for the journal.
    ///
    /// # Errors
    /// Where the journal cannot be written, or another provisioner leads: then nothing has changed.
    pub fn submit(&self, node: &NodeId, input: Input) -> Result<Option<Reply>, JournalError> {
        match self.enter(node.clone(), None, input) {
            Ok(reply) => Ok(reply),
            Err(Unheard::Journal(error)) => Err(error),
            // Nobody is believed or not where nobody speaks.
            Err(Unheard::Withdrawn(_)) => Ok(None),
        }
    }

    /// The same for what a node says in its run: nothing is taken from a boot that a later one has replaced, not even what was
    /// on its way when it was. Blocks.
    pub(crate) fn submit_from(&self, from: &Speaker, input: Input) -> Outcome {
        self.enter(from.node.clone(), Some(from.clone()), input)
    }

    /// Many inputs, in as few transactions as they fit; each answer in its place. Blocks.
    pub(crate) fn submit_all(&self, inputs: Vec<(NodeId, Input)>) -> Vec<Outcome> {
        let tickets: Vec<Arc<Ticket>> = {
            let mut queue = self.queue();
            let push = |(node, input)| {
                let ticket = Arc::new(Ticket::default());
                queue.push_back(Job {
                    node,
                    from: None,
                    only_if: None,
                    input: Some(input),
                    ticket: Promise::of(&ticket),
                });
                ticket
            };
            inputs.into_iter().map(push).collect()
        };
        tickets.iter().map(|ticket| self.served(ticket)).collect()
    }

    fn enter(&self, node: NodeId, from: Option<Speaker>, input: Input) -> Outcome {
        self.may_decide()?;
        if self.only_if.is_none()
            && is_often_quiet(&input)
            && let Some(outcome) = self.at_once(&node, from.as_ref(), &input)
        {
            return outcome;
        }
        let ticket = Arc::new(Ticket::default());
        self.queue().push_back(Job {
            node,
            from,
            only_if: self.only_if.clone(),
            input: Some(input),
            ticket: Promise::of(&ticket),
        });
        self.served(&ticket)
    }

    /// Works for the queue until this one is served.
    fn served(&self, ticket: &Ticket) -> Outcome {
        loop {
            if let Some(outcome) = ticket.take() {
                return outcome;
            }
            let mut book = self.book();
            if let Some(outcome) = ticket.take() {
                return outcome;
            }
            self.round(&mut book);
        }
    }

    /// Decides without the writer where nothing durable follows. `None` where something does.
    fn at_once(&self, node: &NodeId, from: Option<&Speaker>, input: &Input) -> Option<Outcome> {
        if self.inner.doubtful.load(Ordering::SeqCst) {
            return None;
        }
        let at = self.now();
        let mut fleet = self.fleet_mut();
        if let Err(unheard) = believe(&fleet, from) {
            return Some(Err(unheard));
        }
        let mut wishes = Vec::new();
        fleet.decide(at, node, input.clone(), &mut wishes);
        let quiet = |wish: &Wish| matches!(wish, Wish::Note(_) | Wish::Reply(_));
        if !wishes.iter().all(quiet) {
            return None;
        }
        // Nothing of it is an event, so that no number is used.
        let settled = prov_core::settle(0, at, Some(node), wishes);
        self.remember(&mut fleet, at, node, settled.notes);
        Some(Ok(settled.reply))
    }

    /// One transaction for the first of the queue and as many of those behind it as may be decided beside it.
    fn round(&self, book: &mut Book) {
        if let Err(error) = self.may_decide().and_then(|()| self.settle(book)) {
            self.refuse_all(error);
            return;
        }
        let at = self.now();
        let most = book.journal.batch_max();
        let (mut batch, mut events) = (Vec::new(), 0);
        let mut nodes: HashSet<NodeId> = HashSet::new();
        loop {
            let Some(mut job) = self.queue().pop_front() else {
                break;
            };
            let alone = batch.is_empty();
            if nodes.contains(&job.node) {
                self.queue().push_front(job);
                break;
            }
            let decided = match self.decide(at, &mut job, alone) {
                Ok(decided) => decided,
                Err(unheard) => {
                    job.ticket.keep(Err(unheard));
                    continue;
                }
            };
            let fits = events + decided.events <= most;
            if !(alone || decided.is_of_its_node() && fits) {
                // It is decided anew when what is before it is durable.
                self.queue().push_front(job);
                break;
            }
            let ends = !decided.is_of_its_node();
            events += decided.events;
            nodes.insert(job.node);
            batch.push((job.ticket, decided));
            if ends || events >= most {
                break;
            }
        }
        self.commit(book, at, batch);
    }

    /// The input of a job that may be put back is copied; one that is alone never is.
    fn decide(&self, at: Millis, job: &mut Job, alone: bool) -> Result<Decided, Unheard> {
        let input = if alone {
            job.input.take()
        } else {
            job.input.clone()
        };
        let fleet = self.fleet();
        believe(&fleet, job.from.as_ref())?;
        let mut wishes = Vec::new();
        let seen = job.only_if.as_ref().zip(fleet.node(&job.node));
        if let Some(reason) = seen.and_then(|(only_if, node)| only_if.refuses(node)) {
            wishes.push(Wish::Reply(Reply::Conflict(reason)));
        } else if let Some(input) = input {
            fleet.decide(at, &job.node, input, &mut wishes);
        }
        Ok(Decided::of(Some(job.node.clone()), wishes))
    }

    fn commit(&self, book: &mut Book, at: Millis, batch: Vec<(Promise, Decided)>) {
        let (tickets, decided): (Vec<_>, Vec<_>) = batch.into_iter().unzip();
        match self.fulfil(book, at, decided) {
            Ok(replies) => {
                let pairs = tickets.into_iter().zip(replies);
                pairs.for_each(|(ticket, reply)| ticket.keep(Ok(reply)));
            }
            Err(error) => {
                let error = Arc::new(error);
                for ticket in tickets {
                    let shared = JournalError::Shared(error.clone());
                    ticket.keep(Err(Unheard::Journal(shared)));
                }
            }
        }
    }

    fn refuse_all(&self, error: JournalError) {
        let error = Arc::new(error);
        let jobs: Vec<Job> = self.queue().drain(..).collect();
        for job in jobs {
            let shared = JournalError::Shared(error.clone());
            job.ticket.keep(Err(Unheard::Journal(shared)));
        }
    }

    /// Decides alone, with the whole fleet at hand: for what is of no node. What the decision itself remembers in the fleet
    /// is not durable. Blocks.
    pub(crate) fn decide_alone(
        &self,
        node: Option<&NodeId>,
        decide: impl FnOnce(&mut Fleet, Millis, &mut Vec<Wish>),
    ) -> Result<Option<Reply>, JournalError> {
        let mut book = self.book();
        self.may_decide()?;
        self.settle(&mut book)?;
        let (at, mut wishes) = (self.now(), Vec::new());
        decide(&mut self.fleet_mut(), at, &mut wishes);
        let decided = Decided::of(node.cloned(), wishes);
        let mut replies = self.fulfil(&mut book, at, vec![decided])?;
        Ok(replies.pop().flatten())
    }

    /// Makes the events of all decisions durable in one transaction, then folds them in and lets them be heard of.
    fn fulfil(
        &self,
        book: &mut Book,
        at: Millis,
        batch: Vec<Decided>,
    ) -> Result<Vec<Option<Reply>>, JournalError> {
        let mut events: Vec<Event> = Vec::new();
        let mut rest = Vec::new();
        let mut first = book.newest + 1;
        for decided in batch {
            let mut settled = prov_core::settle(first, at, decided.node.as_ref(), decided.wishes);
            events.append(&mut settled.events);
            first = events.last().map_or(first, |event| event.number + 1);
            rest.push((decided.node, settled));
        }
        let began = std::time::Instant::now();
        let written = self.write(book, &events)?;
        let folding = self.inner.unfolded.folding(&events);
        self.inner.figures.wrote(&events, began.elapsed());
        let mut replies = Vec::new();
        let (mut asked, mut carry) = (Vec::new(), Vec::new());
        {
            let mut fleet = self.fleet_mut();
            self.fold(&mut fleet, &events);
            for (node, settled) in rest {
                replies.push(settled.reply);
                carry.extend(settled.carry);
                let Some(node) = node else { continue };
                self.remember(&mut fleet, at, &node, settled.notes);
                asked.extend(settled.plans.into_iter().map(|run| (node.clone(), run)));
            }
        }
        folding.done();
        for plan in asked {
            // The receiver is gone only when we stop; then the plan is made after the next start.
            let _stopped = self.inner.plans.send(plan);
        }
        for action in carry {
            // The same holds for what is done at machines.
            let _stopped = self.inner.actions.send(action);
        }
        events.iter_mut().for_each(|event| event.at = written);
        self.tell(book.newest, events);
        Ok(replies)
    }

    /// Folds events in, and knows the deadlines that follow.
    pub(super) fn fold(&self, fleet: &mut Fleet, events: &[Event]) {
        let mut due = self.due();
        for event in events {
            #[cfg(test)]
            super::unfolded_tests::trip(event);
            fleet.apply(event);
            if let Some(node) = event.node.as_ref().and_then(|id| fleet.node(id)) {
                due.know(node.id(), node.deadline());
            }
        }
    }

    fn remember(&self, fleet: &mut Fleet, at: Millis, node: &NodeId, notes: Vec<Note>) {
        let Some(state) = fleet.node_mut(node).filter(|_| !notes.is_empty()) else {
            return;
        };
        notes.into_iter().for_each(|note| state.note(at, note));
        let deadline = state.deadline();
        self.due().know(node, deadline);
    }

    /// Says that there is news.
    pub(super) fn tell(&self, newest: u64, events: Vec<Event>) {
        if !events.is_empty() {
            self.inner.recent.keep(events);
            self.inner.newest.send_replace(newest);
        }
    }

    /// Makes events durable that follow the newest one, with the time that the wall clock says; says that time.
    pub(super) fn write(&self, book: &mut Book, events: &[Event]) -> Result<Millis, JournalError> {
        let (Some(first), Some(last)) = (events.first(), events.last()) else {
            return Ok(self.now());
        };
        let written = self.inner.clock.written(first.at);
        let done = if written == first.at {
            book.journal.append(events)
        } else {
            let mut dated = events.to_vec();
            dated.iter_mut().for_each(|event| event.at = written);
            book.journal.append(&dated)
        };
        match self.inner.refusing.note(done) {
            Ok(()) => {
                book.dated |= written != first.at;
                book.newest = last.number;
                Ok(written)
            }
            Err(error) => {
                self.doubt(book, &error);
                Err(error)
            }
        }
    }

    /// After a write that failed: whether it stands in the journal all the same is read before the next decision.
    fn doubt(&self, book: &mut Book, error: &JournalError) {
        match error.one() {
            JournalError::Taken { .. } | JournalError::NotLeader { .. } => self.inner.leader.lost(),
            one if !one.is_uncertain() => return,
            _ => {}
        }
        self.is_in_doubt(book);
    }

    /// The journal may hold more than is known here.
    pub(super) fn is_in_doubt(&self, book: &mut Book) {
        book.doubtful = true;
        self.inner.doubtful.store(true, Ordering::SeqCst);
    }

    /// Reads what stands in the journal beyond what is known here, where that is in doubt.
    pub(super) fn settle(&self, book: &mut Book) -> Result<(), JournalError> {
        if book.doubtful {
            self.catch_up(book)?;
            book.doubtful = false;
            self.inner.doubtful.store(false, Ordering::SeqCst);
        }
        Ok(())
    }

    pub(super) fn book(&self) -> MutexGuard<'_, Book> {
        // A panic while the book was open left what is durable, and all or none of it folded in; or it is noted that the fold
        // ended half way (`Unfolded`), and nothing more is decided.
        self.inner
            .book
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn queue(&self) -> MutexGuard<'_, VecDeque<Job>> {
        self.inner
            .queue
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether who speaks is the run's present boot still.
pub(super) fn believe(fleet: &Fleet, from: Option<&Speaker>) -> Result<(), Unheard> {
    let Some(from) = from else { return Ok(()) };
    let node = fleet.node(&from.node);
    match node.and_then(|node| node.withdrawn(&from.run, &from.key)) {
        Some(reason) => Err(Unheard::Withdrawn(Box::new(reason))),
        None => Ok(()),
    }
}
