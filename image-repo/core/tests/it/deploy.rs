// SPDX-License-Identifier: Apache-2.0
//! The deploy in a simulated world: sources that lie, stall, die and return, a disk that remembers what was asked of it.

use crate::behind::Behind;
use crate::former::Before;
use groundstate_api::image::{Chunk, Manifest};
use groundstate_api::{Bytes, Digest, Millis, Reason, ReasonCode};
use image_core::deploy::limits::{FLIGHT_MAX, HEAD, RATE_OVER};
use image_core::deploy::{
    Action, ChunkSet, Chunks, Deploy, Event, Seed, SourceWord, Span, members, span::bit,
};
use image_core::proof::Corrupt;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

const MIB: u64 = 1 << 20;

/// What a source does with a question.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Does {
    Gives,
    /// Other bytes than it should.
    Lies,
    /// The connection breaks; the first chunk of the span came before.
    Breaks,
    /// Nothing comes any more.
    Stalls,
    /// It does not have the first chunk.
    Lacks,
}

pub(crate) struct World<'m> {
    manifest: &'m Manifest,
    spans: Vec<Span>,
    now: Millis,
    /// Which chunks stand on the disk.
    disk: BTreeSet<usize>,
    zeros: BTreeMap<u64, u64>,
    head_is_clear: bool,
    flushed: bool,
    names: Vec<String>,
    pub(crate) gets: Vec<(String, usize)>,
    arrived: BTreeMap<(usize, usize), Chunks>,
    lies: BTreeSet<(usize, usize)>,
    waits: Vec<Reason>,
    went_on: usize,
    dropped: Vec<(String, Reason)>,
    returned: Vec<String>,
    writes: usize,
    pub(crate) reads: usize,
    events: VecDeque<Event>,
    end: Option<Result<(), Reason>>,
    done: u64,
    kept: u64,
    pub(crate) behind: Behind,
    pub(crate) before: Before,
}

pub(crate) fn word(name: &str, last: bool) -> SourceWord {
    SourceWord {
        name: name.to_owned(),
        lanes: 1,
        last,
        holds: None,
    }
}

pub(crate) struct Case<'m> {
    manifest: &'m Manifest,
    pub(crate) disk: BTreeSet<usize>,
    pub(crate) zeros: bool,
    seed: Seed,
    pub(crate) words: Vec<SourceWord>,
    pub(crate) behind: Behind,
    pub(crate) before: Before,
}

impl<'m> Case<'m> {
    pub(crate) fn new(manifest: &'m Manifest) -> Self {
        Self {
            manifest,
            behind: Behind::default(),
            before: Before::default(),
            disk: BTreeSet::new(),
            zeros: false,
            seed: Seed::Auto,
            words: vec![word("repository", true)],
        }
    }

    /// Runs to the end. `does(source, question number)` says what a source does.
    pub(crate) fn run(self, mut does: impl FnMut(&str, usize) -> Does) -> World<'m> {
        let former = self.before.former.clone();
        let mut deploy = Deploy::new(self.manifest, former.as_ref(), self.seed, 7);
        if let Some(behind) = self.behind.bytes {
            deploy = deploy.reading_back(behind);
        }
        let mut world = World {
            manifest: self.manifest,
            spans: deploy.spans().to_vec(),
            now: Millis(1_000),
            disk: self.disk,
            zeros: BTreeMap::new(),
            head_is_clear: false,
            flushed: false,
            names: Vec::new(),
            gets: Vec::new(),
            arrived: BTreeMap::new(),
            lies: BTreeSet::new(),
            waits: Vec::new(),
            went_on: 0,
            dropped: Vec::new(),
            returned: Vec::new(),
            writes: 0,
            reads: 0,
            events: VecDeque::from([Event::Sources(self.words), Event::Start]),
            end: None,
            done: 0,
            kept: 0,
            behind: self.behind,
            before: self.before,
        };
        for _ in 0..1_000_000 {
            if world.end.is_some() {
                world.behind.read_back = deploy.were_read_back();
                return world;
            }
            world.behind.turn(&mut world.events);
            let event = world.events.pop_front().unwrap_or_else(|| {
                world.now = deploy
                    .deadline()
                    .expect("it waits for nothing and is not at its end");
                // A lane that stalls brings nothing.
                Event::Tick {
                    received: vec![0; world.names.len()],
                }
            });
            world.behind.heard(&event, &world.spans);
            let mut out = Vec::new();
            deploy.handle(world.now, event, &mut out);
            for action in out {
                world.act(action, self.zeros, &mut does);
            }
        }
        panic!("it never ends");
    }
}

impl World<'_> {
    fn act(&mut self, action: Action, zeros: bool, does: &mut impl FnMut(&str, usize) -> Does) {
        assert!(self.end.is_none(), "nothing follows the end: {action:?}");
        match action {
            Action::Open { lane, source } => {
                assert_eq!(lane, self.names.len());
                self.names.push(source);
            }
            Action::Break { .. }
            | Action::Close { .. }
            | Action::OnDisk { .. }
            | Action::Forget { .. } => {}
            Action::Read { span } => {
                self.reads += 1;
                let place = self.spans[span];
                let kept = members(place, place.all());
                let kept = kept.filter(|index| self.disk.contains(index));
                let kept = kept.fold(0, |all, index| all | bit(place, index));
                self.events.push_back(Event::Read { span, kept });
            }
            Action::Borrow { span, from } => self.borrow(span, &from),
            Action::Look { span, .. } => {
                self.events.push_back(Event::Looked { span, clear: zeros });
            }
            Action::Get { lane, span, chunks } => self.get(lane, span, chunks, does),
            Action::Prove { lane, span } => self.prove(lane, span),
            Action::Discard { lane, span } => {
                self.arrived.remove(&(lane, span));
            }
            Action::Shut => {
                assert!(!self.head_is_clear, "once is enough");
                self.head_is_clear = true;
                self.before.gone(0, HEAD.0);
                let head = self.manifest.chunks.iter().zip(0..);
                for (_, index) in head.filter(|(chunk, _)| chunk.offset < HEAD) {
                    self.disk.remove(&index);
                }
                self.events.push_back(Event::Shut);
            }
            Action::Write { span, chunks, .. } => self.write(span, chunks),
            Action::Clear { span, from, to, .. } => {
                assert!(self.head_is_clear, "zeros before the head was cleared");
                self.zeros.insert(from.0, to.0);
                self.before.gone(from.0, to.0);
                self.events.push_back(Event::Wrote { span });
            }
            Action::Settle => self.behind.settle(&mut self.events),
            Action::Back { span, from, to } => {
                let place = self.spans[span];
                assert!(
                    place.is_zero() || place.from >= HEAD,
                    "the head is written last"
                );
                self.behind.back(span, place, (from, to), &mut self.events);
            }
            Action::Flush => {
                self.flushed = true;
                self.events.push_back(Event::Flushed);
            }
            Action::Progress { done, kept } => {
                assert!(done.0 >= self.done && done <= self.manifest.size);
                (self.done, self.kept) = (done.0, kept.0);
            }
            Action::Wait(reason) => self.waits.push(reason),
            Action::GoOn => self.went_on += 1,
            Action::Drop { source, reason, .. } => self.dropped.push((source, reason)),
            Action::Return { source } => self.returned.push(source),
            Action::Done => self.end = Some(Ok(())),
            Action::Fail(reason) => self.end = Some(Err(reason)),
        }
    }

    fn borrow(&mut self, span: usize, from: &[(usize, Bytes)]) {
        let place = (span, self.spans[span]);
        let borrowed = self.before.borrow(self.manifest, place, from);
        self.events.push_back(borrowed);
    }

    fn get(
        &mut self,
        lane: usize,
        span: usize,
        chunks: Chunks,
        does: &mut impl FnMut(&str, usize) -> Does,
    ) {
        assert_ne!(chunks, 0);
        let name = self.names[lane].clone();
        let place = self.spans[span];
        let first = members(place, chunks).next().unwrap();
        let what = does(&name, self.gets.len());
        self.gets.push((name, span));
        assert!(self.arrived.len() <= FLIGHT_MAX + 2);
        let mut arrive = |chunks| {
            self.arrived.insert((lane, span), chunks);
            self.events.push_back(Event::Arrived { lane, span, chunks });
        };
        match what {
            Does::Gives => arrive(chunks),
            Does::Lies => {
                self.lies.insert((lane, span));
                arrive(chunks);
            }
            Does::Breaks => {
                arrive(bit(place, first));
                let said = "reset".to_owned();
                self.events.push_back(Event::Lost { lane, said });
            }
            Does::Stalls => {}
            Does::Lacks => {
                let reason = Reason::new(ReasonCode::ImageMissing, "not there", "import it");
                self.events.push_back(Event::Refused {
                    lane,
                    chunk: first,
                    lacks: true,
                    reason,
                });
                let chunks = chunks & !bit(place, first);
                self.arrived.insert((lane, span), chunks);
                self.events.push_back(Event::Arrived { lane, span, chunks });
            }
        }
    }

    fn prove(&mut self, lane: usize, span: usize) {
        let chunks = self
            .arrived
            .remove(&(lane, span))
            .expect("what came is proved");
        let place = self.spans[span];
        let (good, bad) = if self.lies.remove(&(lane, span)) {
            let first = members(place, chunks).next().unwrap();
            let fault = Corrupt::StoredDigest {
                expected: Digest::of(b"right"),
                found: Digest::of(b"wrong"),
            };
            (chunks & !bit(place, first), vec![(first, fault)])
        } else {
            (chunks, Vec::new())
        };
        self.events.push_back(Event::Proved { span, good, bad });
    }

    fn write(&mut self, span: usize, chunks: Chunks) {
        assert!(self.head_is_clear, "a write before the head was cleared");
        let place = self.spans[span];
        if place.from < HEAD {
            let rows = self.manifest.chunks.iter().zip(0..);
            let mut rest = rows.filter(|(_, index)| place.first() + place.count() <= *index);
            assert!(
                self.flushed && rest.all(|(_, index)| self.disk.contains(&index)),
                "the head goes last, after a flush"
            );
        }
        self.writes += 1;
        for index in members(place, chunks) {
            let row = &self.manifest.chunks[index];
            self.before.gone(row.offset.0, row.offset.0 + row.length.0);
            self.disk.insert(index);
        }
        self.events.push_back(Event::Wrote { span });
    }

    /// Everything stands on the disk, and is counted once.
    pub(crate) fn is_whole(&self) {
        assert_eq!(self.end, Some(Ok(())));
        assert_eq!(self.disk.len(), self.manifest.chunks.len());
        assert_eq!(self.done, self.manifest.size.0);
        assert!(self.flushed);
    }
}

/// An image with chunks of `chunk_size` where `has` says so.
pub(crate) fn manifest(chunk_size: u64, size: u64, has: impl Fn(u64) -> bool) -> Manifest {
    let mut made = crate::manifest::manifest(&[], size);
    made.chunk_size = Bytes(chunk_size);
    let numbers = (0..size.div_ceil(chunk_size)).filter(|number| has(*number));
    made.chunks = numbers
        .map(|number| Chunk {
            offset: Bytes(number * chunk_size),
            length: Bytes(chunk_size.min(size - number * chunk_size)),
            digest: Digest::of(&number.to_le_bytes()),
            stored_length: Bytes(100_000),
            stored_digest: Digest::of(&number.to_be_bytes()),
        })
        .collect();
    made
}

/// 40 MiB of chunks of 256 KiB with holes; the last one is short.
pub(crate) fn image() -> Manifest {
    manifest(256 << 10, 40 * MIB + 4096, |number| number % 23 >= 3)
}

#[test]
fn an_image_comes_whole_and_each_span_is_asked_for_once() {
    let manifest = image();
    let world = Case::new(&manifest).run(|_, _| Does::Gives);
    world.is_whole();
    let asked: BTreeSet<usize> = world.gets.iter().map(|(_, span)| *span).collect();
    assert_eq!(asked.len(), world.gets.len());
    assert!(world.waits.is_empty() && world.dropped.is_empty());
}

#[test]
fn what_stands_there_is_neither_fetched_nor_written() {
    let manifest = image();
    let all: BTreeSet<usize> = (0..manifest.chunks.len()).collect();
    let mut case = Case::new(&manifest);
    (case.disk, case.zeros) = (all.clone(), true);
    let world = case.run(|_, _| panic!("nothing is asked for"));
    world.is_whole();
    assert!(!world.head_is_clear && world.writes == 0);
    assert_eq!(world.kept, manifest.size.0);

    // One chunk in the middle is another: it, and the head, are fetched.
    let middle = all.len() / 2;
    let mut case = Case::new(&manifest);
    (case.disk, case.zeros) = (all.clone(), true);
    case.disk.remove(&middle);
    let world = case.run(|_, _| Does::Gives);
    world.is_whole();
    assert_eq!(world.gets.len(), 2, "{:?}", world.gets);

    // The same where nothing is looked at.
    let mut case = Case::new(&manifest);
    (case.disk, case.zeros, case.seed) = (all, true, Seed::Never);
    let world = case.run(|_, _| Does::Gives);
    world.is_whole();
    assert_eq!((world.reads, world.kept), (0, 0));
}

#[test]
fn a_disk_of_another_is_hardly_read() {
    let manifest = manifest(256 << 10, 1024 * MIB, |_| true);
    let world = Case::new(&manifest).run(|_, _| Does::Gives);
    world.is_whole();
    assert!(world.reads < 60, "{}", world.reads);
    // An old image that begins in its middle is found nevertheless, but for what was asked for already.
    let half = manifest.chunks.len() / 2;
    let mut case = Case::new(&manifest);
    case.disk = (half..manifest.chunks.len()).collect();
    let world = case.run(|_, _| Does::Gives);
    world.is_whole();
    assert!(world.kept > 256 * MIB, "{}", world.kept / MIB);
}

#[test]
fn a_liar_a_sleeper_and_a_dead_one_are_dropped_and_named() {
    let manifest = image();
    for (does, word_said) in [
        (Does::Lies, "not what its manifest says"),
        (Does::Stalls, "is too slow"),
        (Does::Breaks, "does not answer any more"),
    ] {
        let mut case = Case::new(&manifest);
        case.words.insert(0, word("peer", false));
        let world = case.run(|name, _| if name == "peer" { does } else { Does::Gives });
        world.is_whole();
        let (name, reason) = &world.dropped[0];
        assert_eq!(name, "peer");
        assert!(reason.to_string().contains(word_said), "{reason}");
        assert!(
            world.waits.is_empty(),
            "the deploy goes on: {:?}",
            world.waits
        );
    }
}

#[test]
fn a_source_that_lacks_chunks_is_no_liar_and_one_that_holds_few_is_asked_for_few() {
    let manifest = image();
    let mut case = Case::new(&manifest);
    case.words.insert(0, word("peer", false));
    let world = case.run(|name, _| {
        if name == "peer" {
            Does::Lacks
        } else {
            Does::Gives
        }
    });
    world.is_whole();
    assert!(world.dropped.is_empty(), "{:?}", world.dropped);

    let few = ChunkSet::new(manifest.chunks.len());
    few.insert(50);
    let mut case = Case::new(&manifest);
    case.words.insert(0, word("peer", false));
    case.words[0].holds = Some(Arc::new(few));
    let world = case.run(|_, _| Does::Gives);
    world.is_whole();
    let of_peer = world.gets.iter().filter(|(name, _)| name == "peer");
    assert_eq!(of_peer.count(), 1);
}

#[test]
fn what_a_source_is_not_asked_for_any_more_is_asked_of_another_at_once() {
    let manifest = image();
    let sets = [(); 2].map(|()| Arc::new(ChunkSet::new(manifest.chunks.len())));
    sets[0].fill();
    let words = || {
        let named = ["peer", "repository"].into_iter().zip(&sets);
        let word = named.map(|(name, set)| SourceWord {
            holds: Some(Arc::clone(set)),
            ..word(name, name == "repository")
        });
        word.collect::<Vec<_>>()
    };
    let gets = |out: &[Action]| {
        let get = |action: &Action| match action {
            Action::Get { lane, span, .. } => Some((*lane, *span)),
            _ => None,
        };
        out.iter().filter_map(get).collect::<Vec<_>>()
    };
    let mut deploy = Deploy::new(&manifest, None, Seed::Never, 7);
    let mut out = Vec::new();
    deploy.handle(Millis(0), Event::Sources(words()), &mut out);
    deploy.handle(Millis(0), Event::Start, &mut out);
    let (peer, span) = gets(&out)[0];
    let place = deploy.spans()[span];
    for index in members(place, place.all()) {
        sets[0].remove(index);
        sets[1].insert(index);
    }
    out.clear();
    deploy.handle(Millis(10), Event::Sources(words()), &mut out);
    let again = gets(&out);
    assert!(
        again
            .iter()
            .any(|(lane, one)| *one == span && *lane != peer),
        "{again:?}"
    );
    let blames = |action: &Action| matches!(action, Action::Drop { .. } | Action::Break { .. });
    assert!(!out.iter().any(blames), "nobody is to be blamed");
    // What the first one still brings is too late.
    out.clear();
    let late = Event::Arrived {
        lane: peer,
        span,
        chunks: place.all(),
    };
    deploy.handle(Millis(20), late, &mut out);
    assert!(matches!(out.first(), Some(Action::Discard { .. })));
}

#[test]
fn the_repository_is_waited_for_and_goes_on() {
    let manifest = image();
    let world = Case::new(&manifest).run(|_, number| match number {
        5..9 => Does::Breaks,
        _ => Does::Gives,
    });
    world.is_whole();
    assert!(!world.waits.is_empty() && world.went_on > 0);
    assert!(world.dropped.is_empty(), "it is waited for, not dropped");
    for reason in &world.waits {
        assert_eq!(reason.code, ReasonCode::ProvisionerUnreachable);
    }
    // One that falls silent is given up and asked again, on a new connection.
    let world = Case::new(&manifest).run(|_, number| match number {
        5 => Does::Stalls,
        _ => Does::Gives,
    });
    world.is_whole();
    assert!(world.now.0 >= RATE_OVER.0);
}

#[test]
fn a_chunk_that_is_always_corrupt_ends_it_and_one_that_is_nowhere() {
    let manifest = image();
    let world = Case::new(&manifest).run(
        |_, number| {
            if number == 0 { Does::Lies } else { Does::Gives }
        },
    );
    world.is_whole();
    let world = Case::new(&manifest).run(|_, _| Does::Lies);
    let Some(Err(reason)) = world.end else {
        panic!("{:?}", world.end)
    };
    assert_eq!(reason.code, ReasonCode::ChunkCorrupt);
    assert!(reason.to_string().contains("fetched 4 times"), "{reason}");
    let world = Case::new(&manifest).run(|_, number| {
        if number == 3 {
            Does::Lacks
        } else {
            Does::Gives
        }
    });
    let Some(Err(reason)) = world.end else {
        panic!("{:?}", world.end)
    };
    assert_eq!(reason.code, ReasonCode::ImageMissing);
}

#[test]
fn sixteen_exbibytes_of_nothing_are_few_spans() {
    let mut manifest = manifest(1 << 20, MIB, |_| true);
    manifest.size = Bytes(1 << 63);
    assert_eq!(Deploy::new(&manifest, None, Seed::Auto, 1).spans().len(), 2);
}

fn mood() -> impl Strategy<Value = Does> {
    prop_oneof![
        6 => Just(Does::Gives),
        1 => Just(Does::Lies),
        1 => Just(Does::Breaks),
        1 => Just(Does::Stalls),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Whatever peers do, an honest repository brings the image whole, and the head goes last.
    #[test]
    fn peers_can_do_what_they_like(
        moods in proptest::collection::vec(mood(), 1..60),
        here in proptest::collection::btree_set(0usize..140, 0..140),
        zeros in any::<bool>(),
        breaks in proptest::collection::btree_set(0usize..60, 0..6),
    ) {
        let manifest = image();
        let mut case = Case::new(&manifest);
        case.disk = here.into_iter().filter(|index| *index < manifest.chunks.len()).collect();
        case.zeros = zeros;
        case.words.push(word("one", false));
        case.words.push(word("two", false));
        let world = case.run(|name, number| match name {
            "repository" if breaks.contains(&number) => Does::Breaks,
            "repository" => Does::Gives,
            _ => moods[number % moods.len()],
        });
        world.is_whole();
    }
}
