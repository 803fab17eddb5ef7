// SPDX-License-Identifier: Apache-2.0
//! A journal with something before and after each write, for tests: a disk that is full, slow or silent.
//!
//! What is read is the inner journal's; it has one writer.

use crate::{Audited, Election, Journal, JournalError, Orders, Reader};
use groundstate_api::event::Event;
use groundstate_api::{NodeId, RunId};
use std::time::Duration;

/// What is written.
#[derive(Clone, Copy, Debug)]
pub enum Write<'a> {
    /// These events, in one batch.
    Events(&'a [Event]),
    /// A piece of a run's log.
    Log,
    /// A document, or that it goes.
    Document,
}

impl<'a> Write<'a> {
    /// The events among it.
    #[must_use]
    pub const fn events(self) -> &'a [Event] {
        match self {
            Self::Events(events) => events,
            Self::Log | Self::Document => &[],
        }
    }
}

/// What happens beside a write. An error is the write's own.
pub type Hook = Box<dyn FnMut(Write<'_>) -> Result<(), JournalError> + Send>;

/// The journal.
pub struct Hooked<J> {
    inner: J,
    before: Hook,
    after: Hook,
}

impl<J> Hooked<J> {
    /// Over this one, with nothing yet.
    pub fn over(inner: J) -> Self {
        Self {
            inner,
            before: Box::new(|_| Ok(())),
            after: Box::new(|_| Ok(())),
        }
    }

    /// With this before each write: where it fails, nothing is written.
    #[must_use]
    pub fn before(
        self,
        hook: impl FnMut(Write<'_>) -> Result<(), JournalError> + Send + 'static,
    ) -> Self {
        Self {
            before: Box::new(hook),
            ..self
        }
    }

    /// With this after each write: where it fails, it is durable all the same.
    #[must_use]
    pub fn after(
        self,
        hook: impl FnMut(Write<'_>) -> Result<(), JournalError> + Send + 'static,
    ) -> Self {
        Self {
            after: Box::new(hook),
            ..self
        }
    }
}

impl<J: Reader> Reader for Hooked<J> {
    fn read(
        &self,
        after: u64,
        limit: usize,
        node: Option<&NodeId>,
    ) -> Result<Vec<Event>, JournalError> {
        self.inner.read(after, limit, node)
    }
    fn latest(&self, limit: usize, node: Option<&NodeId>) -> Result<Vec<Event>, JournalError> {
        self.inner.latest(limit, node)
    }
    fn newest(&self) -> Result<u64, JournalError> {
        self.inner.newest()
    }
    fn log(&self, node: &NodeId, run: &RunId) -> Result<Option<String>, JournalError> {
        self.inner.log(node, run)
    }
    fn document(&self, key: &str) -> Result<Option<Vec<u8>>, JournalError> {
        self.inner.document(key)
    }
    fn documents(&self, prefix: &str) -> Result<Vec<String>, JournalError> {
        self.inner.documents(prefix)
    }
    fn audited(
        &self,
        after: u64,
        limit: usize,
        wanted: Orders<'_>,
    ) -> Result<Audited, JournalError> {
        self.inner.audited(after, limit, wanted)
    }
    fn wait(&self, after: u64, most: Duration) -> Result<(), JournalError> {
        self.inner.wait(after, most)
    }
}

impl<J: Journal> Journal for Hooked<J> {
    fn append(&mut self, events: &[Event]) -> Result<(), JournalError> {
        (self.before)(Write::Events(events))?;
        self.inner.append(events)?;
        (self.after)(Write::Events(events))
    }
    fn batch_max(&self) -> usize {
        self.inner.batch_max()
    }
    fn append_log(
        &mut self,
        node: &NodeId,
        run: &RunId,
        offset: u64,
        text: &str,
    ) -> Result<(), JournalError> {
        (self.before)(Write::Log)?;
        self.inner.append_log(node, run, offset, text)?;
        (self.after)(Write::Log)
    }
    fn put_document(&mut self, key: &str, bytes: &[u8]) -> Result<(), JournalError> {
        (self.before)(Write::Document)?;
        self.inner.put_document(key, bytes)?;
        (self.after)(Write::Document)
    }
    fn remove_document(&mut self, key: &str) -> Result<(), JournalError> {
        (self.before)(Write::Document)?;
        self.inner.remove_document(key)?;
        (self.after)(Write::Document)
    }
    fn reader(&self) -> Result<Box<dyn Reader>, JournalError> {
        self.inner.reader()
    }
    fn election(&self) -> Option<Box<dyn Election>> {
        None
    }
}
