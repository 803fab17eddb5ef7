// SPDX-License-Identifier: Apache-2.0
//! Whether what is known here is what the journal says. Between the write of events and the end of their fold it is not; a panic in
//! there would leave it so for good, and every later decision would be made on less than what is durable.
//!
//! It mends nothing: a fold that ended half way cannot be trusted to be ended. Who is unfolded decides nothing more, gives its lead
//! away, and is folded anew from the journal at its next start.

use super::Provisioner;
use crate::journal::JournalError;
use groundstate_api::event::Event;
use std::sync::atomic::{AtomicU64, Ordering};

/// The first event that was not folded to its end; 0 where all were.
#[derive(Debug, Default)]
pub(super) struct Unfolded(AtomicU64);

/// Events that are being folded. Dropped before it is [`Self::done`], they never were.
#[must_use]
pub(super) struct Folding<'a> {
    mark: &'a Unfolded,
    /// 0 where there is nothing to fold.
    number: u64,
}

impl Unfolded {
    /// These events are durable, and will be folded now.
    pub(super) fn folding(&self, events: &[Event]) -> Folding<'_> {
        Folding {
            mark: self,
            number: events.first().map_or(0, |event| event.number),
        }
    }

    /// Whether decisions may be made on what is known here.
    pub(super) fn check(&self) -> Result<(), JournalError> {
        match self.0.load(Ordering::SeqCst) {
            0 => Ok(()),
            number => Err(JournalError::Unfolded { number }),
        }
    }
}

impl Folding<'_> {
    /// All of them were folded in, or none was.
    pub(super) fn done(mut self) {
        self.number = 0;
    }
}

impl Drop for Folding<'_> {
    fn drop(&mut self) {
        let number = self.number;
        let first = number > 0
            && self
                .mark
                .0
                .compare_exchange(0, number, Ordering::SeqCst, Ordering::SeqCst)
                .is_ok();
        if first {
            tracing::error!(
                number,
                "a fault while this event was taken in: nothing more is decided here until groundstate is restarted"
            );
        }
    }
}

impl Provisioner {
    /// Whether what is known here is what the journal says.
    pub(crate) fn is_folded(&self) -> Result<(), JournalError> {
        self.inner.unfolded.check()
    }
}
