// SPDX-License-Identifier: Apache-2.0
//! Whether the journal takes what is written to it: a full disk answers every question and keeps nothing.
//!
//! What failed last is remembered until something is written again, which is tried by itself: who asks whether we are ready
//! hears of it although nobody orders anything.

use super::Provisioner;
use crate::journal::{JournalError, reason_of};
use groundstate_api::Reason;
use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};

/// A document that is written for no other purpose.
const TRIED: &str = "written-again";
/// About what an order needs, so that a journal that takes it takes an order.
const TRIED_BYTES: usize = 16 * 1024;

/// What failed last.
#[derive(Debug, Default)]
pub(super) struct Refusing(Mutex<Option<Reason>>);

impl Refusing {
    fn last(&self) -> std::sync::MutexGuard<'_, Option<Reason>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what came of a write, and hands it on.
    pub(super) fn note<T>(&self, done: Result<T, JournalError>) -> Result<T, JournalError> {
        match &done {
            Ok(_) => *self.last() = None,
            Err(error) => self.failed(error),
        }
        done
    }

    /// Notes why nothing is taken. Who leads, and what else cannot be read, is said elsewhere.
    pub(super) fn failed(&self, error: &JournalError) {
        if matches!(
            error.one(),
            JournalError::Write(_) | JournalError::NotInForce { .. }
        ) {
            *self.last() = Some(reason_of(error));
        }
    }
}

impl Provisioner {
    /// Why the journal took nothing when something was written last; `None` where it took it.
    pub(crate) fn refusing(&self) -> Option<Reason> {
        self.inner.refusing.last().clone()
    }

    /// Where the journal holds more than is known here, takes that in; where it took nothing, tries whether it does now. Blocks.
    pub(super) fn try_again(&self) {
        if self.inner.doubtful.load(Ordering::SeqCst)
            && let Err(error) = self.settle(&mut self.book())
        {
            tracing::debug!(%error, "what stands in the journal cannot be taken in yet");
            return;
        }
        if self.refusing().is_none() {
            return;
        }
        let mut book = self.book();
        let done = book.journal.put_document(TRIED, &[b' '; TRIED_BYTES]);
        match self.inner.refusing.note(done) {
            Ok(()) => tracing::warn!("the journal is written again"),
            Err(error) => tracing::debug!(%error, "the journal takes nothing yet"),
        }
    }
}
