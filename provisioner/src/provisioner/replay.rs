// SPDX-License-Identifier: Apache-2.0
//! The journal from its beginning, in order: read and understood by two threads, since that is what a cold start spends its
//! time on, and folded by one.

use super::book::REPLAY_PAGE;
use crate::journal::{Journal, JournalError, Reader};
use groundstate_api::event::Event;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// Threads that read.
const READERS: u64 = 2;
/// Pages that a reader may be ahead: its memory is bounded by them.
const AHEAD: usize = 2;
/// A journal shorter than this is read by one.
const SHORT: u64 = 4 * PAGE;
const PAGE: u64 = 1_000;
const _: () = assert!(PAGE == 1_000 && REPLAY_PAGE == 1_000);

/// Hands every event above `after` to `fold`, and says the number of the last one.
pub(super) fn replay(
    journal: &dyn Journal,
    after: u64,
    fold: impl FnMut(&Event) -> Result<(), JournalError>,
) -> Result<u64, JournalError> {
    let newest = journal.newest()?;
    let mut folding = Folding { last: after, fold };
    if newest.saturating_sub(after) > SHORT {
        let readers = (0..READERS).map(|_| journal.reader());
        let readers = readers.collect::<Result<Vec<_>, _>>()?;
        std::thread::scope(|scope| {
            let mut pages = Vec::new();
            for (number, reader) in (0..READERS).zip(readers) {
                let (to, from) = sync_channel(AHEAD);
                scope.spawn(move || read(reader.as_ref(), (after, number), newest, &to));
                pages.push(from);
            }
            folding.in_turn(pages, newest)
        })?;
    }
    // What is left, or all of a short one.
    loop {
        let page = journal.read(folding.last, REPLAY_PAGE, None)?;
        if page.is_empty() {
            return Ok(folding.last);
        }
        folding.take(&page)?;
    }
}

/// A page, or why there is none.
type Page = Result<Vec<Event>, JournalError>;

/// Every second page, from this one on. It ends when nobody takes them any more.
fn read(reader: &dyn Reader, (after, first): (u64, u64), newest: u64, to: &SyncSender<Page>) {
    let mut page = first;
    while after + page * PAGE < newest {
        let read = reader.read(after + page * PAGE, REPLAY_PAGE, None);
        let failed = read.is_err();
        if to.send(read).is_err() || failed {
            return;
        }
        page += READERS;
    }
}

struct Folding<F> {
    last: u64,
    fold: F,
}

impl<F: FnMut(&Event) -> Result<(), JournalError>> Folding<F> {
    fn in_turn(&mut self, pages: Vec<Receiver<Page>>, newest: u64) -> Result<(), JournalError> {
        for from in pages.iter().cycle() {
            if self.last >= newest {
                break;
            }
            // A reader that has ended has told why, or has read to the end.
            let Ok(page) = from.recv() else { break };
            self.take(&page?)?;
        }
        Ok(())
    }

    fn take(&mut self, page: &[Event]) -> Result<(), JournalError> {
        for event in page {
            if event.number != self.last + 1 {
                return Err(JournalError::Unusable {
                    why: format!("event {} follows event {}", event.number, self.last),
                });
            }
            (self.fold)(event)?;
            self.last = event.number;
        }
        Ok(())
    }
}
