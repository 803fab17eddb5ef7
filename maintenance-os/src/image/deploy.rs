// SPDX-License-Identifier: Apache-2.0
//! Brings an image onto a target in one pass: lanes fetch, two threads prove, a few threads move the disk, and this one does
//! what the deploy machine says.

use super::Moved;
use super::buffer::{Aligned, Pool};
use super::clock::{Clock, seed};
use super::hand::{Answer, Effect, Order, Piece};
use super::lane::{Breaker, Lane, News, Parcel, Row, Shared, Wanted, break_off, teller};
use super::prove::{Bench, Job, Proof, Verdict};
use super::rate::Rate;
use super::source::{Outcome, Place, Progress, SourceBook};
use super::target::{REQUEST_MAX, Target};
use groundstate_api::image::{ImageKind, Manifest};
use groundstate_api::{Bytes, Millis, Reason, ReasonCode};
use image_core::deploy::limits::{HEAD, flight};
use image_core::deploy::{
    self, Action, Chunks, Event, Seed, SourceWord, Span, members, span::bit, span_size,
};
use image_core::manifest::{check, data, digest, title};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Threads that prove. Two, because decompression and SHA-256 take as long as all the rest.
const PROVERS: usize = 2;
/// How often the book of sources is opened.
const BOOK_EVERY: Duration = Duration::from_secs(1);

/// How a deploy is to go.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The image that stood on the target, where it is known: chunks that moved are looked for at its places.
    pub previous: Option<Manifest>,
    /// Whether what stands on the target is looked at first.
    pub seed: Seed,
    /// What a chunk's bytes are proved by before they are written.
    pub proof: Proof,
}

/// What a deploy moved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Bytes that came from sources.
    pub fetched: Bytes,
    /// Bytes of the image that stood on the target before, zeros included.
    pub kept: Bytes,
    /// Bytes that were written to the target; ranges that the device itself cleared are none.
    pub written: Bytes,
    /// Chunks that were asked of sources.
    pub chunks_fetched: u64,
    /// Chunks that stood on the target before, where they belong.
    pub chunks_kept: u64,
}

/// An image that stands on its target.
#[derive(Clone, Debug)]
pub struct Deployed {
    /// What was moved for it.
    pub counts: Counts,
    /// How long it took.
    pub took: Millis,
    /// Which sources were dropped on the way, and why.
    pub dropped: Vec<(String, Reason)>,
    /// What is true of it now, a line each.
    pub facts: Vec<String>,
}

/// Brings the image onto `target`, a device or a file that is at least as large, and makes it durable. What stands there
/// already is proved and kept; nothing that starts stands there before the end. `manifest` has come out of
/// [`super::fetch_manifest`] or of a repository.
///
/// # Errors
/// The target is too small or has other sectors (nothing is written then), a chunk is corrupt or missing everywhere, all
/// sources refuse, or the disk fails. A server that is away is waited for without end, told through `on`.
pub fn deploy(
    manifest: &Manifest,
    target: &Path,
    sources: &dyn SourceBook,
    options: &Options,
    on: &mut dyn FnMut(Moved),
) -> Result<Deployed, Reason> {
    deploy_within(REQUEST_MAX, manifest, target, sources, options, on)
}

/// The same to a disk none of whose requests may take longer than `patience`.
pub(super) fn deploy_within(
    patience: Duration,
    manifest: &Manifest,
    target: &Path,
    sources: &dyn SourceBook,
    options: &Options,
    on: &mut dyn FnMut(Moved),
) -> Result<Deployed, Reason> {
    check(manifest).map_err(|error| error.reason(&title(manifest)))?;
    let (tell, events) = mpsc::channel();
    let answers = tell.clone();
    let target = Target::open(target, manifest, true, patience, move |number, answer| {
        // Nobody listens any more where it is over.
        let _ = answers.send(Message::Disk(number, answer));
    })?;
    let machine = deploy::Deploy::new(manifest, options.previous.as_ref(), options.seed, seed());
    let spans = machine.spans().to_vec();
    let span = span_size(manifest.chunk_size);
    let longest = spans
        .iter()
        .filter(|one| !one.is_zero())
        .map(|one| one.length().0);
    let length = usize::try_from(longest.max().unwrap_or(0)).unwrap_or(0);
    let pool = Arc::new(Pool::new(length.max(1), flight(span)));
    let (work, works) = mpsc::channel();
    let works = Mutex::new(works);
    let bench = Bench {
        manifest,
        spans: &spans,
        pool: &pool,
        book: sources,
        proof: options.proof,
    };
    let fact = target.fact();
    let mut actor = Actor {
        manifest,
        spans: &spans,
        target,
        book: sources,
        pool: &pool,
        shared: Arc::new(Shared {
            title: title(manifest),
            pool: Arc::clone(&pool),
            parts: Mutex::default(),
        }),
        clock: Clock::start(),
        lanes: Vec::new(),
        arrived: BTreeMap::new(),
        proved: BTreeMap::new(),
        doing: BTreeMap::new(),
        borrowed: BTreeMap::new(),
        work: Some(work),
        tell,
        places: BTreeMap::new(),
        book_at: None,
        counts: Counts::default(),
        done: Bytes(0),
        rate: Rate::default(),
        dropped: Vec::new(),
        on,
    };
    let ended = std::thread::scope(|scope| {
        for _ in 0..PROVERS {
            let (tell, bench, works) = (actor.tell.clone(), &bench, &works);
            scope.spawn(move || {
                bench.prove(works, |verdict| {
                    tell.send(Message::Verdict(verdict)).is_ok()
                });
            });
        }
        let ended = actor.run(machine, &events);
        actor.end();
        ended
    });
    ended?;
    Ok(actor.deployed(fact))
}

/// What the threads tell the one that acts.
enum Message {
    Disk(u64, Answer),
    Verdict(Verdict),
    News(News),
}

/// A lane, from the side of who gives it orders.
struct LaneEnd {
    orders: Option<Sender<Wanted>>,
    received: Arc<AtomicU64>,
    breaker: Breaker,
}

/// What an order to the disk is for.
#[derive(Clone, Copy, Debug)]
enum Doing {
    Read(usize),
    Borrow(usize, Chunks),
    Look(usize),
    Write(usize),
    Clear(usize),
    /// Clear the head, as the last of so many pieces, then flush.
    Shut,
    ShutFlush,
    Flush,
}

struct Actor<'a> {
    manifest: &'a Manifest,
    spans: &'a [Span],
    target: Target,
    book: &'a dyn SourceBook,
    pool: &'a Pool,
    shared: Arc<Shared>,
    clock: Clock,
    lanes: Vec<LaneEnd>,
    arrived: BTreeMap<(usize, usize), Parcel>,
    proved: BTreeMap<usize, Aligned>,
    doing: BTreeMap<u64, Doing>,
    /// Spans whose buffers are those for reading.
    borrowed: BTreeMap<usize, ()>,
    work: Option<Sender<Job>>,
    tell: Sender<Message>,
    /// Where the sources of the book are, by name.
    places: BTreeMap<String, Place>,
    book_at: Option<Instant>,
    counts: Counts,
    done: Bytes,
    rate: Rate,
    dropped: Vec<(String, Reason)>,
    on: &'a mut dyn FnMut(Moved),
}

impl Actor<'_> {
    /// Until the end.
    fn run(
        &mut self,
        mut machine: deploy::Deploy<'_>,
        events: &Receiver<Message>,
    ) -> Result<(), Reason> {
        let mut actions = Vec::new();
        let words = self.words();
        machine.handle(self.clock.now(), Event::Sources(words), &mut actions);
        machine.handle(self.clock.now(), Event::Start, &mut actions);
        loop {
            // What an action brings about at once is told at once.
            let mut next = 0;
            while let Some(action) = actions.get(next).cloned() {
                next += 1;
                if let Some(end) = self.act(action)? {
                    return end;
                }
            }
            actions.clear();
            if self.book_at.is_none_or(|at| at.elapsed() >= BOOK_EVERY) {
                let words = self.words();
                machine.handle(self.clock.now(), Event::Sources(words), &mut actions);
                if !actions.is_empty() {
                    continue;
                }
            }
            if let Some(event) = self.wait(events, machine.deadline())? {
                machine.handle(self.clock.now(), event, &mut actions);
            }
        }
    }

    /// Who gives chunks now.
    fn words(&mut self) -> Vec<SourceWord> {
        self.book_at = Some(Instant::now());
        let entries = self.book.sources();
        self.places = entries
            .iter()
            .map(|one| (one.name.clone(), one.place.clone()))
            .collect();
        let word = |entry: super::source::SourceEntry| SourceWord {
            name: entry.name,
            lanes: usize::try_from(entry.weight).unwrap_or(1),
            last: entry.last,
            holds: entry.holds,
        };
        entries.into_iter().map(word).collect()
    }

    fn wait(
        &mut self,
        events: &Receiver<Message>,
        deadline: Option<Millis>,
    ) -> Result<Option<Event>, Reason> {
        let machine = deadline.map(|moment| self.clock.until(moment));
        let disk = self.target.deadline();
        let disk = disk.map(|at| at.saturating_duration_since(Instant::now()));
        let message = match machine.into_iter().chain(disk).min() {
            Some(limit) => events.recv_timeout(limit),
            None => events.recv().map_err(RecvTimeoutError::from),
        };
        match message {
            Ok(Message::Disk(number, answer)) => self.disk(number, answer),
            Ok(Message::Verdict(verdict)) => Ok(Some(self.verdict(verdict))),
            Ok(Message::News(news)) => Ok(Some(self.news(news))),
            Err(RecvTimeoutError::Timeout) => {
                if self
                    .target
                    .deadline()
                    .is_some_and(|at| at <= Instant::now())
                {
                    return Err(self.target.silent());
                }
                let received = self.lanes.iter();
                let received = received.map(|lane| lane.received.load(Ordering::Relaxed));
                Ok(Some(Event::Tick {
                    received: received.collect(),
                }))
            }
            // This thread holds a sender itself.
            Err(RecvTimeoutError::Disconnected) => Ok(None),
        }
    }

    fn news(&mut self, news: News) -> Event {
        match news {
            News::Arrived(parcel) => {
                let (lane, span, chunks) = (parcel.lane, parcel.span, parcel.chunks);
                self.counts.chunks_fetched += parcel.rows.len() as u64;
                self.arrived.insert((lane, span), parcel);
                Event::Arrived { lane, span, chunks }
            }
            News::Lost { lane, said } => Event::Lost { lane, said },
            News::Refused {
                lane,
                chunk,
                lacks,
                reason,
            } => Event::Refused {
                lane,
                chunk,
                lacks,
                reason,
            },
        }
    }

    fn verdict(&mut self, verdict: Verdict) -> Event {
        match verdict {
            Verdict::Proved {
                span,
                buffer,
                good,
                bad,
            } => {
                if good == 0 {
                    self.buffer_back(span, buffer);
                } else {
                    self.proved.insert(span, buffer);
                }
                Event::Proved { span, good, bad }
            }
            Verdict::Kept { span, kept } => {
                self.counts.chunks_kept += u64::from(kept.count_ones());
                Event::Read { span, kept }
            }
            Verdict::Stopped(reason) => Event::Stopped { reason },
        }
    }

    fn buffer_back(&mut self, span: usize, buffer: Aligned) {
        if self.borrowed.remove(&span).is_some() {
            self.pool.reads.give_back(buffer);
        } else {
            self.pool.plain.give_back(buffer);
        }
    }

    fn disk(&mut self, number: u64, answer: Answer) -> Result<Option<Event>, Reason> {
        let doing = self.doing.remove(&number);
        let Effect { written, is_clear } = self.target.answered(number, answer.done)?;
        self.counts.written.0 += written;
        let Some(doing) = doing else {
            return Ok(None);
        };
        let event = match (doing, answer.buffer) {
            (Doing::Read(span), Some(buffer)) => {
                self.job(Job::Place(span, buffer));
                return Ok(None);
            }
            (Doing::Borrow(span, chunks), Some(buffer)) => {
                self.job(Job::Borrowed(span, chunks, buffer));
                return Ok(None);
            }
            (Doing::Write(span), Some(buffer)) => {
                self.buffer_back(span, buffer);
                Event::Wrote { span }
            }
            (Doing::Look(span), _) => Event::Looked {
                span,
                clear: is_clear,
            },
            (Doing::Clear(span), _) => Event::Wrote { span },
            (Doing::Shut, _) => {
                if !self.doing.values().any(|one| matches!(one, Doing::Shut)) {
                    self.order(Doing::ShutFlush, "flushed".to_owned(), Order::Flush)?;
                }
                return Ok(None);
            }
            (Doing::ShutFlush, _) => Event::Shut,
            (Doing::Flush, _) => Event::Flushed,
            (Doing::Read(_) | Doing::Borrow(..) | Doing::Write(_), None) => {
                return Err(broken("a buffer did not come back from the disk"));
            }
        };
        Ok(Some(event))
    }

    /// A closed channel means that it is over anyway.
    fn job(&self, job: Job) {
        if let Some(work) = &self.work {
            let _ = work.send(job);
        }
    }

    fn order(&mut self, doing: Doing, done: String, order: Order) -> Result<(), Reason> {
        let number = self.target.order(done, order)?;
        self.doing.insert(number, doing);
        Ok(())
    }

    fn act(&mut self, action: Action) -> Result<Option<Result<(), Reason>>, Reason> {
        match action {
            Action::Open { lane, source } => self.open(lane, &source),
            Action::Break { lane } => self.lane(lane, |end| break_off(&end.breaker)),
            Action::Close { lane } => self.lane(lane, LaneEnd::close),
            Action::Get { lane, span, chunks } => self.get(lane, span, chunks),
            Action::Prove { lane, span } => {
                if let Some(parcel) = self.arrived.remove(&(lane, span)) {
                    self.job(Job::Parcel(parcel));
                }
            }
            Action::Discard { lane, span } => {
                if let Some(parcel) = self.arrived.remove(&(lane, span)) {
                    self.pool.stored_back(parcel.bytes);
                }
            }
            Action::Forget { span } => {
                if let Some(buffer) = self.proved.remove(&span) {
                    self.buffer_back(span, buffer);
                }
            }
            Action::Read { span } => self.read(span)?,
            Action::Borrow { span, from } => self.borrow(span, &from)?,
            Action::Look { span, from, to } => {
                let done = format!("read at byte {}", from.0);
                self.order(Doing::Look(span), done, Order::Look(from.0, to.0))?;
            }
            Action::Clear {
                span,
                from,
                to,
                compare,
            } => {
                let done = format!("cleared at byte {}", from.0);
                self.order(
                    Doing::Clear(span),
                    done,
                    Order::Clear(from.0, to.0, compare),
                )?;
            }
            Action::Write {
                span,
                chunks,
                compare,
            } => self.write(span, chunks, compare)?,
            Action::Shut => self.shut()?,
            Action::Flush => self.order(Doing::Flush, "flushed".to_owned(), Order::Flush)?,
            Action::OnDisk { span, chunks } => {
                let span = self.spans.get(span).copied();
                let indexes = span.into_iter().flat_map(|span| members(span, chunks));
                indexes.for_each(|index| self.book.on_disk(index));
            }
            Action::Done => return Ok(Some(Ok(()))),
            Action::Fail(reason) => return Ok(Some(Err(reason))),
            Action::Progress { .. }
            | Action::Wait(_)
            | Action::GoOn
            | Action::Drop { .. }
            | Action::Return { .. } => self.say(action),
        }
        Ok(None)
    }

    fn say(&mut self, action: Action) {
        match action {
            Action::Progress { done, kept } => {
                self.done = done;
                self.counts.kept = kept;
                let progress = self.progress();
                (self.on)(Moved::Progress(progress));
            }
            Action::Wait(reason) => (self.on)(Moved::Waiting(reason)),
            Action::GoOn => (self.on)(Moved::GoingOn),
            Action::Drop {
                source,
                reason,
                until,
            } => {
                let outcome = Outcome::Dropped {
                    reason: reason.clone(),
                    until,
                };
                self.book.report(&source, &outcome);
                self.dropped.push((source.clone(), reason.clone()));
                (self.on)(Moved::Dropped { source, reason });
            }
            Action::Return { source } => {
                self.book.report(&source, &Outcome::Back);
                (self.on)(Moved::Returned { source });
            }
            _ => {}
        }
    }

    fn progress(&mut self) -> Progress {
        let total = self.manifest.size;
        let rate = self.rate.at(self.clock.took(), self.done);
        Progress {
            done: self.done,
            total,
            fetched: self.fetched(),
            kept: self.counts.kept,
            written: self.counts.written,
            rate,
            left: Rate::left(rate, Bytes(total.0.saturating_sub(self.done.0))),
        }
    }

    fn fetched(&self) -> Bytes {
        let lanes = self.lanes.iter();
        Bytes(
            lanes
                .map(|lane| lane.received.load(Ordering::Relaxed))
                .sum(),
        )
    }

    fn lane(&mut self, lane: usize, act: impl FnOnce(&mut LaneEnd)) {
        if let Some(end) = self.lanes.get_mut(lane) {
            act(end);
        }
    }

    /// The lane's thread is not waited for at the end: a server that does not answer keeps nobody.
    fn open(&mut self, lane: usize, source: &str) {
        let (orders, ordered) = mpsc::channel();
        let end = LaneEnd {
            orders: Some(orders),
            received: Arc::default(),
            breaker: Arc::default(),
        };
        if let Some(place) = self.places.get(source).cloned() {
            let runner = Lane {
                lane,
                shared: Arc::clone(&self.shared),
                received: Arc::clone(&end.received),
                breaker: Arc::clone(&end.breaker),
                tell: teller(self.tell.clone(), Message::News),
            };
            std::thread::spawn(move || runner.run(&place, &ordered));
        }
        self.lanes.push(end);
    }

    fn get(&mut self, lane: usize, span: usize, chunks: Chunks) {
        let Some(place) = self.spans.get(span) else {
            return;
        };
        let rows = members(*place, chunks).filter_map(|index| {
            Some(Row {
                index,
                bit: bit(*place, index),
                chunk: *self.manifest.chunks.get(index)?,
            })
        });
        let wanted = Wanted {
            span,
            rows: rows.collect(),
        };
        let orders = self.lanes.get(lane).and_then(|end| end.orders.as_ref());
        if orders.is_none_or(|orders| orders.send(wanted).is_err()) {
            let said = "its thread has ended".to_owned();
            let _ = self.tell.send(Message::News(News::Lost { lane, said }));
        }
    }

    fn read(&mut self, span: usize) -> Result<(), Reason> {
        let Some(place) = self.spans.get(span) else {
            return Ok(());
        };
        let piece = Piece {
            start: 0,
            length: usize::try_from(place.length().0).unwrap_or(usize::MAX),
            at: place.from.0,
        };
        let buffer = self.reads()?;
        let done = format!("read at byte {}", place.from.0);
        self.order(Doing::Read(span), done, Order::Read(buffer, vec![piece]))
    }

    /// There is one: the machine counts them.
    fn reads(&self) -> Result<Aligned, Reason> {
        let buffer = self.pool.reads.take(&self.pool.count);
        buffer.ok_or_else(|| broken("a span was to be read after the end"))
    }

    fn borrow(&mut self, span: usize, from: &[(usize, Bytes)]) -> Result<(), Reason> {
        let Some(place) = self.spans.get(span).copied() else {
            return Ok(());
        };
        let (mut pieces, mut chunks) = (Vec::new(), 0);
        for (index, at) in from {
            let Some(chunk) = self.manifest.chunks.get(*index) else {
                continue;
            };
            // A former image may have been longer than this target.
            if at.0.saturating_add(chunk.length.0) > self.target.size() {
                continue;
            }
            chunks |= bit(place, *index);
            pieces.push(Piece {
                start: usize::try_from(chunk.offset.0 - place.from.0).unwrap_or(usize::MAX),
                length: usize::try_from(chunk.length.0).unwrap_or(usize::MAX),
                at: at.0,
            });
        }
        self.borrowed.insert(span, ());
        let buffer = self.reads()?;
        let done = format!("read for byte {}", place.from.0);
        self.order(
            Doing::Borrow(span, chunks),
            done,
            Order::Read(buffer, pieces),
        )
    }

    /// Consecutive chunks go as one piece.
    fn write(&mut self, span: usize, chunks: Chunks, compare: bool) -> Result<(), Reason> {
        let (Some(place), Some(buffer)) =
            (self.spans.get(span).copied(), self.proved.remove(&span))
        else {
            return Err(broken("a span was to be written that was not proved"));
        };
        let mut pieces: Vec<Piece> = Vec::new();
        for index in members(place, chunks) {
            let Some(chunk) = self.manifest.chunks.get(index) else {
                continue;
            };
            let length = usize::try_from(chunk.length.0).unwrap_or(usize::MAX);
            match pieces.last_mut() {
                Some(last) if last.at + last.length as u64 == chunk.offset.0 => {
                    last.length += length;
                }
                Some(_) | None => pieces.push(Piece {
                    start: usize::try_from(chunk.offset.0 - place.from.0).unwrap_or(usize::MAX),
                    length,
                    at: chunk.offset.0,
                }),
            }
        }
        let done = format!("written at byte {}", place.from.0);
        self.order(
            Doing::Write(span),
            done,
            Order::Write(buffer, pieces, compare),
        )
    }

    /// Nothing starts from a target without its head. Firmware mends a GPT by the copy in a disk's last sectors.
    fn shut(&mut self) -> Result<(), Reason> {
        let size = self.target.size();
        let head = HEAD.0.min(self.manifest.size.0);
        let clear = |from, to| Order::Clear(from, to, true);
        self.order(Doing::Shut, "cleared at byte 0".to_owned(), clear(0, head))?;
        if self.manifest.kind == ImageKind::WholeDisk {
            let tail = size.saturating_sub(HEAD.0).max(head);
            // What belongs to the image is written as such, or was found to be right.
            let tail = tail.max(self.manifest.size.0.min(size));
            if tail < size {
                let done = format!("cleared at byte {tail}");
                self.order(Doing::Shut, done, clear(tail, size))?;
            }
        }
        Ok(())
    }

    /// Ends the threads.
    fn end(&mut self) {
        self.work = None;
        self.pool.plain.end();
        self.lanes.iter_mut().for_each(LaneEnd::close);
    }

    fn deployed(mut self, fact: String) -> Deployed {
        self.counts.fetched = self.fetched();
        let took = self.clock.took();
        let mut facts = self.facts(took);
        facts.push(fact);
        let names = self.dropped.iter();
        facts.extend(names.map(|(name, reason)| format!("{name} was dropped: {}", reason.what)));
        Deployed {
            counts: self.counts,
            took,
            dropped: std::mem::take(&mut self.dropped),
            facts,
        }
    }

    fn facts(&self, took: Millis) -> Vec<String> {
        let (manifest, counts) = (self.manifest, &self.counts);
        let rate = manifest.size.0.saturating_mul(1_000) / took.0.max(1);
        vec![
            format!(
                "{} of {} stand on the target after {took} ({}/s): {} of data in {} chunks, zeros between them",
                manifest.size,
                title(manifest),
                Bytes(rate),
                data(manifest),
                manifest.chunks.len(),
            ),
            format!(
                "fetched {} bytes in {} chunks, kept {} bytes in {} chunks and zeros, written {} bytes",
                counts.fetched.0,
                counts.chunks_fetched,
                counts.kept.0,
                counts.chunks_kept,
                counts.written.0
            ),
            format!("manifest {}", digest(manifest)),
            "each chunk was proved before it was written or kept; flushed to the disk".to_owned(),
            format!("buffers held at most {} bytes", self.pool.count.peak()),
        ]
    }
}

impl LaneEnd {
    fn close(&mut self) {
        self.orders = None;
        break_off(&self.breaker);
    }
}

fn broken(what: &str) -> Reason {
    Reason::new(
        ReasonCode::Internal,
        what,
        "keep this machine's log and report it, then order the run anew",
    )
}
