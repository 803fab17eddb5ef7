// SPDX-License-Identifier: Apache-2.0
//! What was written is read back while the rest is still being written.
//!
//! A span is read only after a flush that began when all of it stood on the disk has ended, and after so many more bytes
//! were written to the disk that its own cache has had to give it up. What has not come that far when the image is done is
//! not read here: who reads back after the end reads it. It never holds the writing up.

use super::limits::{LOOKED_AT_ONCE, reading};
use super::words::Action;
use super::{Deploy, Stage};
use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use groundstate_api::Bytes;

/// A span that stands on the disk.
#[derive(Clone, Copy, Debug)]
struct Standing {
    span: usize,
    /// What had been written to the disk when it came to stand there.
    mark: u64,
}

/// How far a span that is being read has come.
#[derive(Clone, Copy, Debug, Default)]
struct Under {
    pieces: u32,
    is_asked: bool,
}

/// Where the reading back stands.
#[derive(Debug, Default)]
pub(super) struct Backs {
    /// So many bytes are written after a span before it is read; without it nothing is read.
    behind: Option<Bytes>,
    /// Bytes of data that were written whole; of what was compared with what stood there, few may have been.
    written: u64,
    /// What is to be read, in the order in which it came to stand there.
    waiting: VecDeque<Standing>,
    /// How much of the first that waits was asked for: zeros are read in pieces.
    asked: u64,
    /// How many came into `waiting` so far, and how many have left it.
    came: u64,
    left: u64,
    /// So many of those that came are durable.
    durable: u64,
    /// How many had come when the flush began that is under way.
    flushing: Option<u64>,
    /// What had been written when the last flush began.
    flushed_at: u64,
    under_way: BTreeMap<usize, Under>,
}

impl Backs {
    /// So many bytes of data were written.
    pub(super) const fn wrote(&mut self, bytes: u64) {
        self.written = self.written.saturating_add(bytes);
    }

    /// All of a span stands on the disk.
    pub(super) fn stands(&mut self, span: usize) {
        if self.behind.is_some() {
            let mark = self.written;
            self.waiting.push_back(Standing { span, mark });
            self.came += 1;
        }
    }

    /// Everything that stands there is durable.
    pub(super) const fn settled(&mut self) {
        self.durable = self.came;
    }

    /// Whether a flush is due: half of what must have been written behind a span, so that most spans wait for no flush.
    fn wants_flush(&self, behind: Bytes) -> bool {
        self.flushing.is_none()
            && self.came > self.durable
            && self.written.saturating_sub(self.flushed_at) >= behind.0 / 2
    }

    /// The first that waits, where it may be read.
    fn first(&self, behind: Bytes) -> Option<usize> {
        let first = self.waiting.front()?;
        let is_behind = self.written.saturating_sub(first.mark) >= behind.0;
        (self.left < self.durable && is_behind).then_some(first.span)
    }
}

impl Deploy<'_> {
    /// What was written is read back on the way, when `behind` more bytes of data were written after it.
    #[must_use]
    pub fn reading_back(mut self, behind: Bytes) -> Self {
        self.backs.behind = Some(behind);
        self
    }

    /// Whether each of the spans was read back, and was right.
    #[must_use]
    pub fn were_read_back(&self) -> Vec<bool> {
        self.works.iter().map(|work| work.back).collect()
    }

    /// Reads as much as may be read now.
    pub(super) fn read_behind(&mut self, out: &mut Vec<Action>) {
        let Some(behind) = self.backs.behind else {
            return;
        };
        match self.stage {
            Stage::New | Stage::Reading | Stage::Ended => return,
            Stage::Body | Stage::Settling | Stage::Head | Stage::Flushing => {}
        }
        if self.stage == Stage::Body && self.backs.wants_flush(behind) {
            self.backs.flushing = Some(self.backs.came);
            self.backs.flushed_at = self.backs.written;
            out.push(Action::Settle);
        }
        while self.reading < reading(self.flight_max)
            && let Some(span) = self.backs.first(behind)
            && let Some(place) = self.spans.get(span)
        {
            let from = place.from.0.saturating_add(self.backs.asked);
            let step = if place.is_zero() {
                LOOKED_AT_ONCE.0
            } else {
                place.length().0
            };
            let to = place.to.0.min(from.saturating_add(step));
            let is_asked = to == place.to.0;
            let under = self.backs.under_way.entry(span).or_default();
            under.pieces += 1;
            under.is_asked = is_asked;
            if is_asked {
                self.backs.waiting.pop_front();
                self.backs.left += 1;
                self.backs.asked = 0;
            } else {
                self.backs.asked += to - from;
            }
            self.reading += 1;
            out.push(Action::Back {
                span,
                from: Bytes(from),
                to: Bytes(to),
            });
        }
    }

    /// A piece was read back, and is right.
    pub(super) fn came_back(&mut self, span: usize, out: &mut Vec<Action>) {
        let Some(under) = self.backs.under_way.get_mut(&span) else {
            return;
        };
        under.pieces = under.pieces.saturating_sub(1);
        let is_whole = under.is_asked && under.pieces == 0;
        self.reading = self.reading.saturating_sub(1);
        if is_whole {
            self.backs.under_way.remove(&span);
            if let Some(work) = self.works.get_mut(span) {
                work.back = true;
            }
        }
        self.end_when_read(out);
    }

    /// Everything stands there for good: it ends with the last piece that is being read back.
    pub(super) fn end_when_read(&mut self, out: &mut Vec<Action>) {
        if self.stage == Stage::Reading && self.backs.under_way.values().all(|one| one.pieces == 0)
        {
            self.stage = Stage::Ended;
            out.push(Action::Done);
        }
    }

    /// The flush on the way has ended.
    pub(super) fn settled(&mut self) {
        if let Some(came) = self.backs.flushing.take() {
            self.backs.durable = self.backs.durable.max(came);
        }
    }
}
