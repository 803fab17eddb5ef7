// SPDX-License-Identifier: Apache-2.0
//! The fetch in a simulated world: a server that goes away and lies, a disk that remembers what was asked of it.

use crate::manifest::manifest;
use groundstate_api::image::Manifest;
use groundstate_api::{Bytes, Millis, Reason, ReasonCode};
use image_core::limits::{FLIGHT_MAX, WIRE_MAX};
use image_core::proof::Corrupt;
use image_core::{Action, Event, Fetch};
use proptest::prelude::*;
use std::collections::VecDeque;

const MIB: u64 = 1 << 20;

/// What the server does with the n-th question.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Does {
    Gives,
    GivesShort,
    GivesWrong,
    Nothing,
}

#[derive(Default)]
struct World {
    now: Millis,
    /// Bytes that were put on the disk, in order: (from, to, chunk).
    disk: Vec<(u64, u64, Option<usize>)>,
    gets: Vec<usize>,
    waits: Vec<Reason>,
    went_on: usize,
    end: Option<Result<(), Reason>>,
    held: usize,
    held_max: usize,
    events: VecDeque<Event>,
    proofs: VecDeque<Event>,
    flushed: bool,
}

/// Runs to the end. `server(question number, chunk)` says what the server does; proofs come back late and in reverse
/// order when `reverse` is set.
fn run(manifest: &Manifest, reverse: bool, mut server: impl FnMut(usize, usize) -> Does) -> World {
    let mut world = World {
        now: Millis(1_000),
        ..World::default()
    };
    let mut fetch = Fetch::new(manifest, 7);
    world.events.push_back(Event::Start);
    for _ in 0..100_000 {
        if world.end.is_some() {
            return world;
        }
        let late = |world: &mut World| {
            if reverse {
                world.proofs.pop_back()
            } else {
                world.proofs.pop_front()
            }
        };
        let event = match world.events.pop_front().or_else(|| late(&mut world)) {
            Some(event) => event,
            None => {
                world.now = fetch
                    .deadline()
                    .expect("it waits for nothing and is not at its end");
                Event::Timeout
            }
        };
        let mut out = Vec::new();
        fetch.handle(world.now, event, &mut out);
        let gets = out.iter().filter(|a| matches!(a, Action::Get { .. }));
        assert!(gets.count() <= WIRE_MAX);
        for action in out {
            world.act(manifest, action, &mut server);
        }
    }
    panic!("it does not come to an end");
}

impl World {
    fn act(
        &mut self,
        manifest: &Manifest,
        action: Action,
        server: &mut impl FnMut(usize, usize) -> Does,
    ) {
        match action {
            Action::Get { chunk } => {
                let does = server(self.gets.len(), chunk);
                self.gets.push(chunk);
                self.answer(chunk, does);
            }
            Action::Zero { from, to } => {
                self.disk.push((from.0, to.0, None));
                self.events.push_back(Event::Wrote { to });
            }
            Action::Write { chunk } => {
                self.held -= 1;
                let piece = manifest.chunks[chunk];
                let to = piece.offset.0 + piece.length.0;
                self.disk.push((piece.offset.0, to, Some(chunk)));
                self.events.push_back(Event::Wrote { to: Bytes(to) });
            }
            Action::Flush => {
                self.flushed = true;
                self.events.push_back(Event::Flushed);
            }
            Action::Progress { done, total } => assert!(done <= total),
            Action::Wait(reason) => self.waits.push(reason),
            Action::GoOn => self.went_on += 1,
            Action::Done => self.end = Some(Ok(())),
            Action::Fail(reason) => self.end = Some(Err(reason)),
        }
    }

    fn answer(&mut self, chunk: usize, does: Does) {
        let fault = Corrupt::StoredLength {
            expected: Bytes(2),
            found: Bytes(1),
        };
        match does {
            Does::Gives => {
                self.held += 1;
                self.held_max = self.held_max.max(self.held);
                self.events.push_back(Event::Fetched { chunk });
                self.proofs.push_back(Event::Proved { chunk });
            }
            Does::GivesWrong => {
                self.events.push_back(Event::Fetched { chunk });
                self.proofs.push_back(Event::Corrupt { chunk, fault });
            }
            Does::GivesShort => self.events.push_back(Event::Corrupt { chunk, fault }),
            Does::Nothing => self.events.push_back(Event::Away {
                chunk,
                said: "connection refused".into(),
            }),
        }
    }
}

/// The disk was written from the first byte to `end`, in order, each chunk at its place.
fn covered(world: &World, end: u64) {
    let mut at = 0;
    for (from, to, _) in &world.disk {
        assert_eq!(*from, at);
        at = *to;
    }
    assert_eq!(at, end);
}

#[test]
fn an_image_with_holes_is_written_in_order_and_flushed() {
    let manifest = manifest(&[4 * MIB, 8 * MIB, 20 * MIB], 30 * MIB);
    for reverse in [false, true] {
        let world = run(&manifest, reverse, |_, _| Does::Gives);
        assert_eq!(world.end, Some(Ok(())));
        assert!(world.flushed);
        covered(&world, 30 * MIB);
        let holes: Vec<_> = world
            .disk
            .iter()
            .filter(|(.., chunk)| chunk.is_none())
            .map(|(from, to, _)| (from / MIB, to / MIB))
            .collect();
        assert_eq!(holes, [(0, 4), (12, 20), (24, 30)]);
        assert_eq!(world.gets, [0, 1, 2]);
    }
}

#[test]
fn an_image_of_zeros_only_needs_no_server() {
    let world = run(&manifest(&[], 4 * MIB), false, |_, _| Does::Nothing);
    assert_eq!((world.end, world.gets.len()), (Some(Ok(())), 0));
}

#[test]
fn a_server_that_goes_away_is_waited_for_and_it_goes_on() {
    let offsets: Vec<u64> = (0..20).map(|i| i * 4 * MIB).collect();
    let manifest = manifest(&offsets, 80 * MIB);
    let world = run(&manifest, false, |n, _| {
        if (7..60).contains(&n) {
            Does::Nothing
        } else {
            Does::Gives
        }
    });
    assert_eq!(world.end, Some(Ok(())));
    covered(&world, 80 * MIB);
    assert_eq!(world.went_on, 1);
    // One question per pause, but for those that were under way when it went.
    assert!(
        world.waits.len() >= 52 && world.waits.len() <= 53,
        "{}",
        world.waits.len()
    );
    assert!(
        world
            .waits
            .iter()
            .all(|reason| reason.code == ReasonCode::ProvisionerUnreachable
                && reason.since == world.waits[0].since
                && reason.deadline > reason.since)
    );
    assert!(world.held_max <= FLIGHT_MAX);
}

#[test]
fn a_corrupt_chunk_is_fetched_again_three_times_and_nothing_after_it_is_written() {
    let manifest = manifest(&[0, 4 * MIB, 8 * MIB, 12 * MIB], 16 * MIB);
    for lie in [Does::GivesWrong, Does::GivesShort] {
        for reverse in [false, true] {
            let world = run(&manifest, reverse, |_, chunk| {
                if chunk == 1 { lie } else { Does::Gives }
            });
            let Some(Err(reason)) = &world.end else {
                panic!("a lie must not get through")
            };
            assert_eq!(reason.code, ReasonCode::ChunkCorrupt);
            let text = reason.to_string();
            assert!(
                text.contains("debian-host 12.11-1")
                    && text.contains("at byte 4194304")
                    && text.contains(&manifest.chunks[1].digest.to_string()),
                "{text}"
            );
            assert_eq!(world.gets.iter().filter(|chunk| **chunk == 1).count(), 4);
            assert!(world.disk.iter().all(|(_, to, _)| *to <= 4 * MIB));
            assert!(!world.flushed);
        }
    }
    // Three lies and then the truth is good enough.
    let mut lies = 3;
    let world = run(&manifest, false, |_, chunk| {
        if chunk == 1 && lies > 0 {
            lies -= 1;
            Does::GivesWrong
        } else {
            Does::Gives
        }
    });
    assert_eq!(world.end, Some(Ok(())));
}

#[test]
fn a_refusal_ends_it_and_what_comes_later_is_ignored() {
    let manifest = manifest(&[0, 4 * MIB], 8 * MIB);
    let mut fetch = Fetch::new(&manifest, 1);
    let mut out = Vec::new();
    fetch.handle(Millis(0), Event::Start, &mut out);
    let reason = Reason::new(ReasonCode::ImageMissing, "gone", "import");
    fetch.handle(
        Millis(0),
        Event::Stopped {
            reason: reason.clone(),
        },
        &mut out,
    );
    assert_eq!(out.pop(), Some(Action::Fail(reason)));
    out.clear();
    fetch.handle(Millis(0), Event::Proved { chunk: 0 }, &mut out);
    assert_eq!((out.len(), fetch.deadline()), (0, None));
}

proptest! {
    /// Whatever the server does, the disk gets the image from its start, in order, and ends whole or with a reason.
    #[test]
    fn order_and_bounds_hold_whatever_the_server_does(
        present in proptest::collection::vec(any::<bool>(), 1..30),
        does in proptest::collection::vec(prop_oneof![5 => Just(Does::Gives), 1 => Just(Does::GivesWrong), 1 => Just(Does::GivesShort), 2 => Just(Does::Nothing)], 0..200),
        reverse in any::<bool>(),
    ) {
        let size = present.len() as u64 * 4 * MIB;
        let offsets: Vec<u64> = (0u64..).zip(&present).filter(|(_, p)| **p).map(|(i, _)| i * 4 * MIB).collect();
        let manifest = manifest(&offsets, size);
        let world = run(&manifest, reverse, |n, _| does.get(n).copied().unwrap_or(Does::Gives));
        prop_assert!(world.held_max <= FLIGHT_MAX);
        match &world.end {
            Some(Ok(())) => {
                covered(&world, size);
                prop_assert_eq!(world.disk.iter().filter_map(|(.., chunk)| *chunk).collect::<Vec<_>>(), (0..offsets.len()).collect::<Vec<_>>());
            }
            Some(Err(reason)) => {
                prop_assert_eq!(reason.code, ReasonCode::ChunkCorrupt);
                covered(&world, world.disk.last().map_or(0, |(_, to, _)| *to));
            }
            None => prop_assert!(false, "no end"),
        }
    }
}
