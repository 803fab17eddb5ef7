// SPDX-License-Identifier: Apache-2.0
//! The way of an image onto a disk: what is there already is kept, what is missing is asked of whoever has it, and nothing
//! but proved bytes is written, whatever disks and networks do.
//!
//! It moves no byte itself. One who acts reads, asks, proves (see [`crate::proof`]) and writes as the actions say, and
//! reports each as an event. It refuses to change the target before its head is cleared, and writes the head last: what
//! is half old and half new never starts.

mod asking;
mod back;
mod health;
mod lead;
pub mod limits;
mod seed;
pub mod set;
mod source;
pub mod span;
pub mod words;
mod zeros;

pub use lead::Former;
pub use set::ChunkSet;
pub use span::{Chunks, Span, cut, members, span_size};
pub use words::{Action, Event, SourceWord};

use crate::limits::CORRUPT_REFETCHES_MAX;
use crate::manifest::title;
use crate::proof::{Corrupt, chunk_reason};
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use back::Backs;
use groundstate_api::image::Manifest;
use groundstate_api::{Bytes, Millis, Reason};
use limits::{HEAD, flight};
use seed::Seeding;
use source::{Lane, Source};

/// Whether what stands on the target is looked at first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Seed {
    /// As long as it pays; where the image before is known, what that one has.
    #[default]
    Auto,
    /// All of it.
    Always,
    /// Nothing of it.
    Never,
}

/// One image on its way. Moments are milliseconds of a clock that never runs backwards.
#[derive(Debug)]
pub struct Deploy<'m> {
    manifest: &'m Manifest,
    image: String,
    spans: Vec<Span>,
    works: Vec<Work>,
    seeding: Seeding,
    /// The image before, where it has anything in common with this one.
    former: Option<&'m Former>,
    backs: Backs,
    sources: Vec<Source>,
    lanes: Vec<Lane>,
    /// Spans with chunks to be asked for.
    wanted: BTreeSet<usize>,
    /// What waits for the head to be cleared.
    ready: VecDeque<usize>,
    /// How far each run of zeros that is worked on has come.
    zeros: BTreeMap<usize, u64>,
    /// From which source each span came that is being proved; another place of the disk is none.
    from: BTreeMap<usize, usize>,
    /// How often a chunk came corrupt from a source that is never dropped for good.
    corrupt: BTreeMap<usize, u32>,
    /// The most spans between the question and the disk.
    flight_max: usize,
    /// Spans between the arrival and the disk.
    held: usize,
    /// Spans whose place, or whose chunks' other places, are being read, and pieces that are being read back.
    reading: usize,
    /// Those whose chunks come from other places of the disk.
    borrowing: BTreeSet<usize>,
    /// The first span that was never looked at.
    next: usize,
    /// How many spans, head and all, are not done.
    open: usize,
    open_head: usize,
    shut: Shut,
    stage: Stage,
    done: u64,
    kept: u64,
    ticked: Millis,
    /// How long a span is under way, smoothed over all sources: where all are slow, none is to be blamed.
    usual: Millis,
    entropy: u64,
    waits: bool,
}

/// One span's way.
#[derive(Clone, Copy, Debug)]
struct Work {
    place: Place,
    /// What does not stand on the disk yet.
    missing: Chunks,
    /// What is proved and not written yet.
    proved: Chunks,
    /// It was read from the disk, so that it is known what stood there.
    looked: bool,
    /// The chunks of the head that stood on the disk before it was cleared are no gain.
    head: bool,
    /// It was read back from the disk, and is right.
    back: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Nothing is known of it.
    Unread,
    /// It is being read from the disk.
    Reading,
    /// To be asked for.
    Wanted,
    /// Asked for.
    OnWire,
    /// Here, being proved.
    Here,
    /// Proved; it waits for the head to be cleared.
    Ready,
    /// The disk was asked to take it.
    Writing,
    /// On the disk, or a piece of the head that waits for all the rest.
    Rests,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shut {
    /// Nothing was changed yet.
    Open,
    /// It is being cleared.
    Asked,
    /// The head reads as zero.
    Done,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    New,
    /// All but the head.
    Body,
    /// What is written is made durable, before the head.
    Settling,
    /// The head.
    Head,
    /// Everything is made durable.
    Flushing,
    /// All is done but for what is being read back.
    Reading,
    Ended,
}

impl<'m> Deploy<'m> {
    /// `manifest` has been checked; `former` is the image that stood on the target, where it is known, and may be a wrong
    /// guess; `entropy` is for the pauses.
    #[must_use]
    pub fn new(
        manifest: &'m Manifest,
        former: Option<&'m Former>,
        seed: Seed,
        entropy: u64,
    ) -> Self {
        let spans = cut(manifest);
        let works = spans.iter().map(|span| Work {
            place: Place::Unread,
            missing: span.all(),
            proved: 0,
            looked: false,
            head: !span.is_zero() && span.from.0 < HEAD.0,
            back: false,
        });
        let works: Vec<Work> = works.collect();
        let open_head = works.iter().filter(|work| work.head).count();
        Self {
            manifest,
            image: title(manifest),
            open: spans.len() - open_head,
            open_head,
            works,
            seeding: Seeding::new(seed),
            former: former.filter(|former| former.shares(manifest)),
            backs: Backs::default(),
            sources: Vec::new(),
            lanes: Vec::new(),
            wanted: BTreeSet::new(),
            ready: VecDeque::new(),
            zeros: BTreeMap::new(),
            from: BTreeMap::new(),
            corrupt: BTreeMap::new(),
            flight_max: flight(span_size(manifest.chunk_size)),
            held: 0,
            reading: 0,
            borrowing: BTreeSet::new(),
            next: 0,
            shut: Shut::Open,
            stage: Stage::New,
            done: 0,
            kept: 0,
            ticked: Millis(0),
            usual: Millis(0),
            entropy,
            waits: false,
            spans,
        }
    }

    /// The spans that events and actions speak of.
    #[must_use]
    pub fn spans(&self) -> &[Span] {
        &self.spans
    }

    /// When to call [`Deploy::handle`] with [`Event::Tick`].
    #[must_use]
    pub fn deadline(&self) -> Option<Millis> {
        match self.stage {
            Stage::Body | Stage::Head => {
                let backs = self.sources.iter().filter_map(Source::until);
                let tick = self.ticked.plus(limits::TICK);
                Some(backs.fold(tick, Ord::min))
            }
            Stage::New | Stage::Settling | Stage::Flushing | Stage::Reading | Stage::Ended => None,
        }
    }

    /// Takes one event and appends what to do, in the order in which to do it.
    pub fn handle(&mut self, now: Millis, event: Event, out: &mut Vec<Action>) {
        if self.stage == Stage::Ended {
            return;
        }
        match event {
            Event::Start => {
                self.stage = Stage::Body;
                self.ticked = now;
            }
            Event::Sources(words) => self.book(now, &words, out),
            Event::Read { span, kept } => self.read(span, kept, out),
            Event::Looked { span, clear } => self.looked(span, clear, out),
            Event::Arrived { lane, span, chunks } => self.arrived(now, lane, span, chunks, out),
            Event::Lost { lane, said } => self.lost(now, lane, &said, out),
            Event::Refused {
                lane,
                chunk,
                lacks,
                reason,
            } => self.refused(now, lane, chunk, lacks, reason, out),
            Event::Proved { span, good, bad } => self.proved(now, span, good, &bad, out),
            Event::Shut => {
                self.shut = Shut::Done;
                while let Some(span) = self.ready.pop_front() {
                    self.put(span, out);
                }
            }
            Event::Wrote { span } => self.wrote(span, out),
            Event::Flushed => self.flushed(out),
            Event::Settled => self.settled(),
            Event::Back { span } => self.came_back(span, out),
            Event::Tick { received } => self.tick(now, &received, out),
            Event::Stopped { reason } => self.fail(reason, out),
        }
        self.advance(now, out);
    }

    /// Whatever can be begun is begun.
    fn advance(&mut self, now: Millis, out: &mut Vec<Action>) {
        match self.stage {
            Stage::Body => {
                self.look_ahead(out);
                self.ask(now, out);
                if self.open == 0 {
                    self.body_done(now, out);
                }
            }
            Stage::Head => self.ask(now, out),
            Stage::New | Stage::Settling | Stage::Flushing | Stage::Reading | Stage::Ended => {}
        }
        self.read_behind(out);
    }

    fn work(&mut self, span: usize) -> Option<(&mut Work, Span)> {
        Some((self.works.get_mut(span)?, *self.spans.get(span)?))
    }

    fn place(&self, span: usize) -> Option<Place> {
        self.works.get(span).map(|work| work.place)
    }

    fn proved(
        &mut self,
        now: Millis,
        span: usize,
        good: Chunks,
        bad: &[(usize, Corrupt)],
        out: &mut Vec<Action>,
    ) {
        let Some((work, _)) = self.work(span) else {
            return;
        };
        if work.place != Place::Here {
            return;
        }
        work.proved = good & work.missing;
        let proved = work.proved;
        let from = self.from.remove(&span);
        for (chunk, fault) in bad {
            self.lied(now, *chunk, from, fault, out);
        }
        if self.stage == Stage::Ended {
            return;
        }
        if self.borrowing.contains(&span) {
            self.seeding.found(proved != 0);
        }
        let part_of_head = self.stage == Stage::Head && proved != self.missing(span);
        if part_of_head && proved != 0 {
            out.push(Action::Forget { span });
        }
        if proved == 0 || part_of_head {
            self.let_go(span);
            self.want(span);
        } else {
            if let Some(source) = from {
                self.gave(source, out);
            }
            if self.stage == Stage::Head {
                self.head_proved(span, out);
            } else {
                self.when_shut(span, out);
            }
        }
    }

    fn missing(&self, span: usize) -> Chunks {
        self.works.get(span).map_or(0, |work| work.missing)
    }

    /// The head is written when all of it is proved, so that no part of it stands there without the rest; its start goes
    /// last.
    fn head_proved(&mut self, span: usize, out: &mut Vec<Action>) {
        if let Some((work, _)) = self.work(span) {
            work.place = Place::Ready;
        }
        let heads = self.works.iter().zip(0..).filter(|(work, _)| work.head);
        let heads: Vec<(Place, usize)> = heads.map(|(work, span)| (work.place, span)).collect();
        if heads.iter().all(|(place, _)| *place == Place::Ready) {
            for (_, span) in heads.into_iter().rev() {
                self.put(span, out);
            }
        }
    }

    /// The target is changed only when its head is cleared.
    fn when_shut(&mut self, span: usize, out: &mut Vec<Action>) {
        if let Some((work, _)) = self.work(span) {
            work.place = Place::Ready;
        }
        match self.shut {
            Shut::Done => self.put(span, out),
            Shut::Asked => self.ready.push_back(span),
            Shut::Open => {
                self.ready.push_back(span);
                self.shut = Shut::Asked;
                self.reopen_head();
                out.push(Action::Shut);
            }
        }
    }

    /// What was right in the head is cleared with it.
    fn reopen_head(&mut self) {
        let mut head = 0;
        for (work, span) in self.works.iter_mut().zip(&self.spans) {
            if span.from.0 >= HEAD.0 {
                break;
            }
            if work.head {
                work.missing = span.all();
                head += 1;
            }
        }
        self.open_head = head;
    }

    fn put(&mut self, span: usize, out: &mut Vec<Action>) {
        let pays = self.seeding.has_paid();
        let Some((work, place)) = self.work(span) else {
            return;
        };
        work.place = Place::Writing;
        if place.is_zero() {
            self.clear(span, out);
        } else {
            out.push(Action::Write {
                span,
                chunks: work.proved,
                compare: work.looked && pays,
            });
        }
    }

    fn wrote(&mut self, span: usize, out: &mut Vec<Action>) {
        if self.place(span) != Some(Place::Writing) {
            return;
        }
        let Some((work, place)) = self.work(span) else {
            return;
        };
        if place.is_zero() {
            self.zeros_done(span, false, out);
            return;
        }
        let written = work.proved;
        work.missing &= !written;
        work.proved = 0;
        let left = work.missing;
        let was_looked_at = work.looked;
        self.let_go(span);
        if !was_looked_at {
            self.backs.wrote(self.bytes(place, written));
        }
        self.stands(span, written, false, out);
        if left == 0 {
            self.rest(span, out);
        } else {
            self.want(span);
        }
    }

    /// A span's buffer is free again.
    fn let_go(&mut self, span: usize) {
        let of = if self.borrowing.remove(&span) {
            &mut self.reading
        } else {
            &mut self.held
        };
        *of = of.saturating_sub(1);
    }

    /// These chunks stand on the disk now.
    fn stands(&mut self, span: usize, chunks: Chunks, before: bool, out: &mut Vec<Action>) {
        let Some(place) = self.spans.get(span) else {
            return;
        };
        self.count(self.bytes(*place, chunks), before, out);
        out.push(Action::OnDisk { span, chunks });
    }

    fn bytes(&self, place: Span, chunks: Chunks) -> u64 {
        let lengths = members(place, chunks).filter_map(|index| self.manifest.chunks.get(index));
        lengths.map(|chunk| chunk.length.0).sum()
    }

    fn count(&mut self, bytes: u64, before: bool, out: &mut Vec<Action>) {
        self.done += bytes;
        if before {
            self.kept += bytes;
        }
        out.push(Action::Progress {
            done: Bytes(self.done),
            kept: Bytes(self.kept),
        });
    }

    /// All of a span stands on the disk.
    fn rest(&mut self, span: usize, out: &mut Vec<Action>) {
        let Some((work, _)) = self.work(span) else {
            return;
        };
        work.place = Place::Rests;
        if work.head {
            self.open_head = self.open_head.saturating_sub(1);
            if self.open_head == 0 && self.stage == Stage::Head {
                self.stage = Stage::Flushing;
                out.push(Action::Flush);
            }
        } else {
            self.open = self.open.saturating_sub(1);
            self.backs.stands(span);
        }
    }

    /// Chunks of a span are to be asked for, but for the head's while there is anything else.
    fn want(&mut self, span: usize) {
        let is_body = self.stage == Stage::Body;
        let Some((work, _)) = self.work(span) else {
            return;
        };
        if work.head && is_body {
            work.place = Place::Rests;
        } else {
            work.place = Place::Wanted;
            self.wanted.insert(span);
        }
    }

    /// Everything but the head is done, or everything was right before.
    fn body_done(&mut self, now: Millis, out: &mut Vec<Action>) {
        let mut right = true;
        for (work, span) in self.works.iter().zip(&self.spans) {
            if span.from.0 >= HEAD.0 {
                break;
            }
            match work.place {
                Place::Unread | Place::Reading => return,
                Place::Wanted
                | Place::OnWire
                | Place::Here
                | Place::Ready
                | Place::Writing
                | Place::Rests => right &= work.missing == 0,
            }
        }
        match self.shut {
            // What stands there is the image: nothing is written, and nothing is asked of anybody.
            Shut::Open if right => {
                self.head_stands(out);
                self.stage = Stage::Flushing;
                out.push(Action::Flush);
            }
            Shut::Open => {
                self.shut = Shut::Asked;
                self.reopen_head();
                out.push(Action::Shut);
            }
            Shut::Asked => {}
            Shut::Done => {
                self.stage = Stage::Settling;
                self.ticked = now;
                out.push(Action::Flush);
            }
        }
    }

    fn head_stands(&mut self, out: &mut Vec<Action>) {
        let heads = self.works.iter().zip(&self.spans).zip(0..);
        let heads = heads.filter(|((work, _), _)| work.head);
        let heads: Vec<_> = heads.map(|((_, span), at)| (at, span.all())).collect();
        for (span, chunks) in heads {
            self.stands(span, chunks, true, out);
        }
    }

    fn flushed(&mut self, out: &mut Vec<Action>) {
        self.backs.settled();
        if self.stage == Stage::Settling && self.open_head > 0 {
            self.stage = Stage::Head;
            let heads = self.works.iter().zip(0..).filter(|(work, _)| work.head);
            let heads: Vec<usize> = heads.map(|(_, span)| span).collect();
            for span in heads {
                self.want(span);
            }
        } else {
            self.stage = Stage::Reading;
            self.end_when_read(out);
        }
    }

    /// A chunk came with other bytes than the manifest says.
    fn lied(
        &mut self,
        now: Millis,
        chunk: usize,
        from: Option<usize>,
        fault: &Corrupt,
        out: &mut Vec<Action>,
    ) {
        // A place of the disk that holds something else by now is no lie.
        let Some((source, row)) = from.zip(self.manifest.chunks.get(chunk)) else {
            return;
        };
        let reason = chunk_reason(&self.image, row, fault);
        if !self.sources.get(source).is_some_and(|one| one.last) {
            self.drop_source(now, source, reason, true, out);
            return;
        }
        let times = self.corrupt.entry(chunk).or_insert(0);
        *times += 1;
        if *times > CORRUPT_REFETCHES_MAX {
            let reason = reason
                .seen(format!("fetched {times} times, each time corrupt"))
                .seen("no byte of it was written; what stands on the target does not start");
            self.fail(reason, out);
        }
    }

    fn fail(&mut self, reason: Reason, out: &mut Vec<Action>) {
        self.stage = Stage::Ended;
        out.push(Action::Fail(reason));
    }
}
