// SPDX-License-Identifier: Apache-2.0
//! The target as a source: each chunk's place is read and proved before it is asked of anybody, as long as that pays.

use super::limits::{MISSES_MAX, PROBE_EVERY, WANTED_MAX, reading};
use super::words::Action;
use super::{Chunks, Deploy, Place, Seed, Shut};
use alloc::vec::Vec;

/// Whether spans are read from the disk first.
#[derive(Debug)]
pub(super) struct Seeding {
    seed: Seed,
    misses: u32,
    hits: u64,
}

impl Seeding {
    pub(super) const fn new(seed: Seed, has_previous: bool) -> Self {
        Self {
            seed: match seed {
                Seed::Auto if has_previous => Seed::Always,
                Seed::Auto | Seed::Always | Seed::Never => seed,
            },
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

    /// Whether something was found, so that more is likely to be as it should.
    pub(super) const fn has_paid(&self) -> bool {
        self.hits > 0
    }
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
            } else if self.seeding.reads(at) && !self.works.get(at).is_some_and(|one| one.looked) {
                if self.reading >= reading_max {
                    return;
                }
                self.reading += 1;
                if let Some((work, _)) = self.work(at) {
                    work.place = Place::Reading;
                }
                out.push(Action::Read { span: at });
            } else {
                if self.wanted.len() >= WANTED_MAX {
                    return;
                }
                self.want(at);
            }
            self.next += 1;
        }
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
        let leads = if missing == 0 || is_head {
            Vec::new()
        } else {
            self.leads.find(self.manifest, place, missing)
        };
        if leads.is_empty() {
            self.reading = self.reading.saturating_sub(1);
        }
        if kept == 0 {
            self.seeding.misses = self.seeding.misses.saturating_add(1);
        } else {
            (self.seeding.misses, self.seeding.hits) = (0, self.seeding.hits + 1);
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
        if leads.is_empty() {
            self.want(span);
        } else {
            if let Some((work, _)) = self.work(span) {
                work.place = Place::Here;
            }
            self.borrowing.insert(span);
            out.push(Action::Borrow { span, from: leads });
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
