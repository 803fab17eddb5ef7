// SPDX-License-Identifier: Apache-2.0
//! The target as a source: each chunk's place is read and proved before it is asked of anybody, as long as that pays. Where
//! the image before is known, only what that one had is looked for, where it had it.

use super::limits::{MISSES_MAX, PROBE_EVERY, WANTED_MAX, reading};
use super::words::Action;
use super::{Chunks, Deploy, Place, Seed, Shut};
use alloc::vec::Vec;
use groundstate_api::Bytes;

/// Whether spans are read from the disk first.
#[derive(Debug)]
pub(super) struct Seeding {
    seed: Seed,
    misses: u32,
    hits: u64,
}

impl Seeding {
    pub(super) const fn new(seed: Seed) -> Self {
        Self {
            seed,
            misses: 0,
            hits: 0,
        }
    }

    /// Whether every span is read now.
    pub(super) fn is_on(&self) -> bool {
        match self.seed {
            Seed::Never => false,
            Seed::Always => true,
            Seed::Auto => self.misses < MISSES_MAX,
        }
    }

    fn reads(&self, span: usize) -> bool {
        match self.seed {
            Seed::Never => false,
            Seed::Always => true,
            Seed::Auto => self.misses < MISSES_MAX || span.is_multiple_of(PROBE_EVERY),
        }
    }

    /// Whether a place that was looked at had what was looked for.
    pub(super) const fn found(&mut self, any: bool) {
        if any {
            (self.misses, self.hits) = (0, self.hits.saturating_add(1));
        } else {
            self.misses = self.misses.saturating_add(1);
        }
    }

    /// Whether something was found, so that more is likely to be as it should.
    pub(super) const fn has_paid(&self) -> bool {
        self.hits > 0
    }
}

/// Where a span is looked for on the disk before it is asked of a source.
enum Look {
    /// Where it belongs.
    InPlace,
    /// Where the image before had these of its chunks.
    Elsewhere(Vec<(usize, Bytes)>),
    /// Nowhere.
    Nowhere,
}

impl Deploy<'_> {
    /// Begins with the spans after the last one that was begun with, in order.
    pub(super) fn look_ahead(&mut self, out: &mut Vec<Action>) {
        let reading_max = reading(self.flight_max);
        while let Some(span) = self.spans.get(self.next) {
            let (at, is_zero) = (self.next, span.is_zero());
            if self.place(at) != Some(Place::Unread) {
                self.next += 1;
                continue;
            }
            if is_zero {
                if !self.begin_zeros(at, out) {
                    return;
                }
            } else {
                let look = self.first_look(at);
                if !matches!(look, Look::Nowhere) {
                    if self.reading >= reading_max {
                        return;
                    }
                    self.reading += 1;
                }
                match look {
                    Look::InPlace => {
                        if let Some((work, _)) = self.work(at) {
                            work.place = Place::Reading;
                        }
                        out.push(Action::Read { span: at });
                    }
                    Look::Elsewhere(from) => self.borrow(at, from, out),
                    Look::Nowhere if self.wanted.len() >= WANTED_MAX => return,
                    Look::Nowhere => self.want(at),
                }
            }
            self.next += 1;
        }
    }

    fn first_look(&self, at: usize) -> Look {
        let (Some(work), Some(span)) = (self.works.get(at), self.spans.get(at)) else {
            return Look::Nowhere;
        };
        if work.looked || !self.seeding.reads(at) {
            return Look::Nowhere;
        }
        let former = match self.former {
            Some(former) if self.seeding.seed == Seed::Auto => former,
            Some(_) | None => return Look::InPlace,
        };
        if former.in_place(self.manifest, *span) != 0 {
            return Look::InPlace;
        }
        let elsewhere = self.elsewhere(at);
        if elsewhere.is_empty() {
            Look::Nowhere
        } else {
            Look::Elsewhere(elsewhere)
        }
    }

    /// Where the image before had what is missing of a span. The head is written last, when nothing of that stands there.
    fn elsewhere(&self, at: usize) -> Vec<(usize, Bytes)> {
        match (self.former, self.works.get(at), self.spans.get(at)) {
            (Some(former), Some(work), Some(span)) if !work.head => {
                former.find(self.manifest, *span, work.missing)
            }
            _ => Vec::new(),
        }
    }

    fn borrow(&mut self, span: usize, from: Vec<(usize, Bytes)>, out: &mut Vec<Action>) {
        if let Some((work, _)) = self.work(span) {
            work.place = Place::Here;
        }
        self.borrowing.insert(span);
        out.push(Action::Borrow { span, from });
    }

    /// A span was read from the disk.
    pub(super) fn read(&mut self, span: usize, kept: Chunks, out: &mut Vec<Action>) {
        let is_shut = self.shut != Shut::Open;
        let Some((work, place)) = self.work(span) else {
            return;
        };
        if work.place != Place::Reading {
            return;
        }
        work.looked = true;
        let kept = kept & place.all();
        let is_head = work.head;
        work.missing &= !kept;
        // The head was cleared meanwhile.
        if is_head && is_shut {
            work.missing = place.all();
        }
        let missing = work.missing;
        let elsewhere = self.elsewhere(span);
        if elsewhere.is_empty() {
            self.reading = self.reading.saturating_sub(1);
        }
        self.seeding.found(kept != 0);
        if kept != 0 {
            if span.is_multiple_of(PROBE_EVERY) {
                self.look_around(span);
            }
            // The head counts when it is whole at the end: it may have to be written again.
            if !is_head {
                self.stands(span, kept, true, out);
            }
        }
        if missing == 0 {
            // The head's own turn comes at the end.
            match self.work(span) {
                Some((work, _)) if is_head => work.place = Place::Rests,
                Some(_) | None => self.rest(span, out),
            }
            return;
        }
        if elsewhere.is_empty() {
            self.want(span);
        } else {
            self.borrow(span, elsewhere, out);
        }
    }

    /// What stands around a probe that hit is looked at after all, where nobody was asked for it.
    fn look_around(&mut self, probe: usize) {
        let near = probe.saturating_sub(PROBE_EVERY - 1)..probe.saturating_add(PROBE_EVERY);
        let passed: Vec<usize> = self.wanted.range(near).copied().collect();
        for span in passed {
            let Some((work, place)) = self.work(span) else {
                continue;
            };
            if !work.looked && work.missing == place.all() {
                work.place = Place::Unread;
                self.wanted.remove(&span);
                self.next = self.next.min(span);
            }
        }
    }
}
