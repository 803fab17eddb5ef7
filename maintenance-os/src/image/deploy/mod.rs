// SPDX-License-Identifier: Apache-2.0
//! Brings an image onto a target in one pass: lanes fetch, two threads prove, a few threads move the disk, and this one does
//! what the deploy machine says.

mod act;
mod deployed;
mod hear;
mod order;

pub use deployed::{Counts, Deployed};

use super::Moved;
use super::buffer::{Aligned, Pool};
use super::clock::{Clock, seed};
use super::hand::Answer;
use super::lane::{Breaker, Errand, News, Parcel, Shared, break_off};
use super::prove::{Bench, Job, Proof, Verdict};
use super::rate::Rate;
use super::read_back::Proven;
use super::source::{Place, SourceBook, SourceEntry};
use super::target::{REQUEST_MAX, Target};
use crate::medium::Access;
use groundstate_api::image::Manifest;
use groundstate_api::{Bytes, Millis, Reason};
use image_core::deploy::limits::flight;
use image_core::deploy::{self, Chunks, Event, Former, Seed, SourceWord, Span, span_size};
use image_core::manifest::{check, title};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Threads that prove. Two, because decompression and SHA-256 take as long as all the rest.
const PROVERS: usize = 2;
/// How often the book of sources is opened.
const BOOK_EVERY: Duration = Duration::from_secs(1);

/// How a deploy is to go.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The image that stood on the target, where it is known: its chunks are looked for where it had them, and nothing else
    /// is. A wrong guess costs time only.
    pub former: Option<Former>,
    /// Whether what stands on the target is looked at first.
    pub seed: Seed,
    /// What a chunk's bytes are proved by before they are written.
    pub proof: Proof,
    /// What comes is proved and let go, and the target is not touched: for who has no disk for it, and serves it.
    pub nowhere: bool,
    /// Behind an image of a whole disk stands nothing that starts, and it stays: a table of the plan's own.
    pub tail_stays: bool,
    /// What was written is read back while the rest is written, once so much more data was written after it and the disk
    /// was told to make it durable. Only on a disk that reads past the page cache and does not turn; what was not read back
    /// by the end is [`super::read_back_rest`]'s.
    pub read_behind: Option<Bytes>,
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
pub(in crate::image) fn deploy_within(
    patience: Duration,
    manifest: &Manifest,
    target: &Path,
    sources: &dyn SourceBook,
    options: &Options,
    on: &mut dyn FnMut(Moved),
) -> Result<Deployed, Reason> {
    check(manifest).map_err(|error| error.reason(&title(manifest)))?;
    let (tell, events) = mpsc::channel();
    let target = opened(target, manifest, options, patience, tell.clone())?;
    let changed = Mutex::new(tell.clone());
    sources.begins(Box::new(move || {
        // Nobody listens any more where it is over.
        let changed = changed.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = changed.send(Message::Book);
    }));
    let mut machine = decides(manifest, options, &target);
    let spans = machine.spans().to_vec();
    let span = span_size(manifest.chunk_size);
    let pool = Arc::new(Pool::new(longest(&spans).max(1), flight(span)));
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
        tail_stays: options.tail_stays,
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
        let ended = actor.run(&mut machine, &events);
        actor.end();
        ended
    });
    ended?;
    let proven = Proven::of(actor.target.path(), manifest, &machine);
    Ok(actor.deployed(fact, proven))
}

/// What decides, reading back on the way where that is wanted and the target allows it.
fn decides<'m>(
    manifest: &'m Manifest,
    options: &'m Options,
    target: &Target,
) -> deploy::Deploy<'m> {
    let machine = deploy::Deploy::new(manifest, options.former.as_ref(), options.seed, seed());
    let reads = !options.nowhere && target.reads_while_it_writes();
    match options.read_behind.filter(|_| reads) {
        Some(behind) => machine.reading_back(behind),
        None => machine,
    }
}

/// The longest piece of data, in bytes.
fn longest(spans: &[Span]) -> usize {
    let data = spans.iter().filter(|one| !one.is_zero());
    let longest = data.map(|one| one.length().0).max().unwrap_or(0);
    usize::try_from(longest).unwrap_or(0)
}

/// The target, whose answers go to `tell`.
fn opened(
    target: &Path,
    manifest: &Manifest,
    options: &Options,
    patience: Duration,
    tell: Sender<Message>,
) -> Result<Target, Reason> {
    let access = if options.nowhere {
        Access::Nowhere(manifest.size.max(manifest.minimum_size).0)
    } else {
        Access::WriteAloneDirect
    };
    Target::open(target, manifest, access, patience, move |number, answer| {
        // Nobody listens any more where it is over.
        let _ = tell.send(Message::Disk(number, answer));
    })
}

/// What the threads tell the one that acts.
enum Message {
    Disk(u64, Answer),
    Verdict(Verdict),
    News(News),
    /// The book of sources has changed.
    Book,
}

/// A lane, from the side of who gives it orders.
struct LaneEnd {
    orders: Option<Sender<Errand>>,
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
    /// A flush while more is written.
    Settle,
    Back(usize),
    /// Zeros, from there to there.
    BackZeros(usize, u64, u64),
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
    /// What stands behind an image of a whole disk is not cleared.
    tail_stays: bool,
    on: &'a mut dyn FnMut(Moved),
}

impl Actor<'_> {
    /// Until the end.
    fn run(
        &mut self,
        machine: &mut deploy::Deploy<'_>,
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
        let word = |entry: SourceEntry| SourceWord {
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
            Ok(Message::Book) => {
                self.book_at = None;
                Ok(None)
            }
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

    /// Ends the threads.
    fn end(&mut self) {
        self.work = None;
        self.pool.plain.end();
        self.lanes.iter_mut().for_each(LaneEnd::close);
    }
}

impl LaneEnd {
    fn close(&mut self) {
        self.orders = None;
        break_off(&self.breaker);
    }
}
