// SPDX-License-Identifier: Apache-2.0
//! What is asked of whom: every source gets its next span when it has brought one, so that the fast bring more.

use super::health::too_slow;
use super::limits::{HEDGE_AFTER, LANE_MAX, SLOWER_MAX};
use super::source::{Health, Lane, Source, lanes};
use super::span::{Chunks, members};
use super::words::{Action, SourceWord};
use super::{Deploy, Place, Stage};
use alloc::vec::Vec;
use groundstate_api::{Millis, Reason};

impl Deploy<'_> {
    /// Who gives chunks now.
    pub(super) fn book(&mut self, now: Millis, words: &[SourceWord], out: &mut Vec<Action>) {
        for source in &mut self.sources {
            let word = words.iter().find(|word| word.name == source.name);
            if word.is_none() && !source.is_gone {
                source.is_gone = true;
                let lanes = source.lanes.iter();
                out.extend(lanes.map(|lane| Action::Close { lane: *lane }));
            }
        }
        for word in words {
            let known = self
                .sources
                .iter_mut()
                .find(|one| one.name == word.name && !one.is_gone);
            match known {
                Some(source) => source.holds.clone_from(&word.holds),
                None => self.open_source(now, word, out),
            }
        }
        self.release();
    }

    /// What a source is not asked for any more is asked of another: what it still sends of it is not waited for.
    fn release(&mut self) {
        let mut released = Vec::new();
        for at in 0..self.lanes.len() {
            let Some(lane) = self.lanes.get(at) else {
                continue;
            };
            let Some(source) = self.sources.get(lane.source) else {
                continue;
            };
            if source.holds.is_none() {
                continue;
            }
            let spans = lane.out.iter().map(|(span, _)| *span);
            let gone = spans.filter(|span| self.available(source, *span) == 0);
            let gone: Vec<usize> = gone.collect();
            if let Some(lane) = self.lanes.get_mut(at) {
                lane.out.retain(|(span, _)| !gone.contains(span));
            }
            released.extend(gone);
        }
        for span in released {
            if self.place(span) == Some(Place::OnWire) && !self.is_on_wire(span) {
                self.want(span);
            }
        }
    }

    fn open_source(&mut self, now: Millis, word: &SourceWord, out: &mut Vec<Action>) {
        self.entropy = self.entropy.wrapping_add(1);
        let mut source = Source::new(word, self.entropy);
        for _ in 0..lanes(word) {
            let lane = self.lanes.len();
            self.lanes.push(Lane::new(self.sources.len(), now));
            source.lanes.push(lane);
            out.push(Action::Open {
                lane,
                source: word.name.clone(),
            });
        }
        self.sources.push(source);
    }

    /// Asks as many questions as there is room for.
    pub(super) fn ask(&mut self, now: Millis, out: &mut Vec<Action>) {
        self.try_again(now, out);
        let mut under_way: usize = self.lanes.iter().map(|lane| lane.out.len()).sum();
        under_way += self.held;
        loop {
            let mut asked = false;
            for lane in 0..self.lanes.len() {
                if under_way >= self.flight_max {
                    return;
                }
                if self.has_room(lane)
                    && let Some((span, chunks)) = self.next_for(lane)
                {
                    self.get(now, lane, span, chunks, out);
                    under_way += 1;
                    asked = true;
                }
            }
            if !asked {
                return;
            }
        }
    }

    fn has_room(&self, lane: usize) -> bool {
        let Some(lane) = self.lanes.get(lane) else {
            return false;
        };
        let up = self.sources.get(lane.source).is_some_and(Source::is_up);
        up && lane.out.len() < self.depth(lane)
    }

    /// How much may be asked of a lane: little where it is not known, or is slow beside the fastest.
    fn depth(&self, lane: &Lane) -> usize {
        let ups = self.lanes.iter().filter(|one| {
            let source = self.sources.get(one.source);
            source.is_some_and(Source::is_up)
        });
        let share = (self.flight_max / ups.count().max(1)).clamp(1, LANE_MAX);
        let best = self.lanes.iter().filter_map(|lane| lane.rate).max();
        match (lane.rate, best) {
            (Some(rate), Some(best)) if rate < best / SLOWER_MAX => 1,
            (Some(_) | None, Some(_) | None) => share.max(2),
        }
    }

    /// The next span that the lane's source has something of.
    fn next_for(&self, lane: usize) -> Option<(usize, Chunks)> {
        let source = self.sources.get(self.lanes.get(lane)?.source)?;
        self.wanted.iter().find_map(|span| {
            let chunks = self.available(source, *span);
            (chunks != 0).then_some((*span, chunks))
        })
    }

    fn available(&self, source: &Source, span: usize) -> Chunks {
        let (Some(work), Some(place)) = (self.works.get(span), self.spans.get(span)) else {
            return 0;
        };
        let missing = members(*place, work.missing);
        let has = missing.filter(|index| source.has(*index));
        has.fold(0, |all, index| all | super::span::bit(*place, index))
    }

    fn get(
        &mut self,
        now: Millis,
        lane: usize,
        span: usize,
        chunks: Chunks,
        out: &mut Vec<Action>,
    ) {
        self.wanted.remove(&span);
        if let Some((work, _)) = self.work(span) {
            work.place = Place::OnWire;
        }
        if let Some(lane) = self.lanes.get_mut(lane) {
            lane.ask(span, now);
        }
        out.push(Action::Get { lane, span, chunks });
    }

    /// After its pause a source gets one question; the others follow when it is answered.
    fn try_again(&mut self, now: Millis, out: &mut Vec<Action>) {
        for at in 0..self.sources.len() {
            let Some(source) = self.sources.get_mut(at) else {
                return;
            };
            if source.until().is_none_or(|until| now < until) {
                continue;
            }
            source.patience.ask();
            let Some(lane) = source.lanes.first().copied() else {
                continue;
            };
            source.health = Health::Tried;
            match self.next_for(lane) {
                Some((span, chunks)) => self.get(now, lane, span, chunks, out),
                // Nothing to try it with: it is asked like every other when there is.
                None => {
                    if let Some(source) = self.sources.get_mut(at) {
                        source.health = Health::Up;
                    }
                }
            }
        }
    }

    /// A lane brought chunks.
    pub(super) fn arrived(
        &mut self,
        now: Millis,
        lane: usize,
        span: usize,
        chunks: Chunks,
        out: &mut Vec<Action>,
    ) {
        let Some(one) = self.lanes.get_mut(lane) else {
            return;
        };
        let asked = one.take(span);
        let was_asked = asked.is_some();
        one.moved = now;
        let source = one.source;
        if let Some(asked) = asked {
            let took = now.since(asked);
            self.usual = Millis((self.usual.0 * 7 + took.0).div_ceil(8));
        }
        let is_here = self.place(span) == Some(Place::OnWire);
        if chunks == 0 {
            if was_asked && is_here && !self.is_on_wire(span) {
                self.want(span);
            }
            out.push(Action::Discard { lane, span });
            return;
        }
        if self.sources.get(source).is_some_and(|one| one.last) {
            self.answered(source, out);
        }
        if !was_asked || !is_here {
            out.push(Action::Discard { lane, span });
            return;
        }
        if let Some((work, _)) = self.work(span) {
            work.place = Place::Here;
        }
        self.held += 1;
        self.from.insert(span, source);
        out.push(Action::Prove { lane, span });
        self.outrun(now, span, out);
    }

    /// Another source brought what these were asked for first: one that gave no byte meanwhile is not asked again soon.
    fn outrun(&mut self, now: Millis, span: usize, out: &mut Vec<Action>) {
        let late = |lane: &Lane| {
            let asked = lane.out.iter().any(|(one, _)| *one == span);
            (asked && now.since(lane.moved) >= HEDGE_AFTER).then_some(lane.source)
        };
        let late: Vec<usize> = self.lanes.iter().filter_map(late).collect();
        for at in late {
            let Some(source) = self.sources.get(at).filter(|source| !source.last) else {
                continue;
            };
            let reason = too_slow(
                &source.name,
                "another source was faster with all of the same",
            );
            self.drop_source(now, at, reason, false, out);
        }
    }

    /// Whether a span is asked of any lane.
    fn is_on_wire(&self, span: usize) -> bool {
        let mut lanes = self.lanes.iter();
        lanes.any(|lane| lane.out.iter().any(|(one, _)| *one == span))
    }

    /// What was asked of a lane is not coming.
    pub(super) fn give_back(&mut self, lane: usize) {
        let Some(lane) = self.lanes.get_mut(lane) else {
            return;
        };
        let spans = core::mem::take(&mut lane.out);
        for (span, _) in spans {
            if self.place(span) == Some(Place::OnWire) && !self.is_on_wire(span) {
                self.want(span);
            }
        }
    }

    /// A source will not give something.
    pub(super) fn refused(
        &mut self,
        now: Millis,
        lane: usize,
        chunk: usize,
        lacks: bool,
        reason: Reason,
        out: &mut Vec<Action>,
    ) {
        let Some(at) = self.lanes.get(lane).map(|lane| lane.source) else {
            return;
        };
        let others = |deploy: &Self| {
            let mut others = deploy.sources.iter().zip(0..);
            others.any(|(one, other)| other != at && !one.is_gone && one.has(chunk))
        };
        let has_others = others(self);
        let Some(source) = self.sources.get_mut(at) else {
            return;
        };
        if lacks && has_others {
            source.lack(chunk);
        } else if source.last {
            self.fail(reason, out);
        } else {
            self.drop_source(now, at, reason, false, out);
        }
    }

    /// Near the end nobody is waited for alone: another source is asked for the same.
    pub(super) fn hedge(&mut self, now: Millis, out: &mut Vec<Action>) {
        if !self.wanted.is_empty() || !matches!(self.stage, Stage::Body | Stage::Head) {
            return;
        }
        let mut late: Vec<(usize, usize)> = Vec::new();
        for lane in &self.lanes {
            for (span, asked) in &lane.out {
                let waits = now.since(*asked) >= HEDGE_AFTER;
                let alone = self.lanes.iter().flat_map(|one| &one.out);
                let alone = alone.filter(|(one, _)| one == span).count() == 1;
                if waits && alone && self.place(*span) == Some(Place::OnWire) {
                    late.push((*span, lane.source));
                }
            }
        }
        for (span, source) in late {
            let idle = (0..self.lanes.len()).find_map(|lane| {
                let other = self.lanes.get(lane)?.source;
                let fits = other != source && self.has_room(lane);
                let chunks = self.available(self.sources.get(other)?, span);
                (fits && chunks != 0).then_some((lane, chunks))
            });
            if let Some((lane, chunks)) = idle {
                self.get(now, lane, span, chunks, out);
            }
        }
    }
}
