// SPDX-License-Identifier: Apache-2.0
//! What is read back while the rest is written: never before it is durable, never before enough was written after it, and
//! all of it once.

use crate::deploy::{Case, Does, image, manifest, word};
use groundstate_api::Bytes;
use image_core::deploy::limits::LOOKED_AT_ONCE;
use image_core::deploy::{Event, Span};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

const MIB: u64 = 1 << 20;

/// A disk that remembers what it was told to make durable, and when.
#[derive(Debug, Default)]
pub(crate) struct Behind {
    pub(crate) bytes: Option<Bytes>,
    /// So many turns go by before a flush on the way, or a piece that is read, is answered.
    pub(crate) slow: usize,
    /// Bytes of each span's last write, as they were heard of; and how many had been written by then.
    marks: BTreeMap<usize, u64>,
    written: u64,
    /// Spans whose writes ended before the flush began that is under way, and those that are durable.
    flushing: Option<BTreeSet<usize>>,
    durable: BTreeSet<usize>,
    /// What answers are to come, and in how many turns.
    later: VecDeque<(usize, Event)>,
    /// How far each span was read back, in order.
    read: BTreeMap<usize, u64>,
    settles: usize,
    pub(crate) read_back: Vec<bool>,
}

impl Behind {
    pub(crate) fn turn(&mut self, events: &mut VecDeque<Event>) {
        for (turns, _) in &mut self.later {
            *turns = turns.saturating_sub(1);
        }
        // Where nothing else happens, what is slow comes at last.
        while self.later.front().is_some_and(|(turns, _)| *turns == 0)
            || (events.is_empty() && !self.later.is_empty())
        {
            events.extend(self.later.pop_front().map(|(_, event)| event));
        }
    }

    pub(crate) fn heard(&mut self, event: &Event, spans: &[Span]) {
        match event {
            Event::Wrote { span } => {
                self.durable.remove(span);
                self.flushing.iter_mut().for_each(|all| {
                    all.remove(span);
                });
                if !spans[*span].is_zero() {
                    self.written += spans[*span].length().0;
                }
                self.marks.insert(*span, self.written);
            }
            Event::Settled => self.durable.extend(self.flushing.take().unwrap()),
            Event::Flushed => self.durable.extend(self.marks.keys()),
            _ => {}
        }
    }

    pub(crate) fn settle(&mut self, events: &mut VecDeque<Event>) {
        assert!(self.flushing.is_none(), "one flush at a time is enough");
        self.settles += 1;
        self.flushing = Some(self.marks.keys().copied().collect());
        self.answer(Event::Settled, events);
    }

    pub(crate) fn back(
        &mut self,
        span: usize,
        place: Span,
        (from, to): (Bytes, Bytes),
        events: &mut VecDeque<Event>,
    ) {
        let behind = self.bytes.expect("nobody wants anything read back");
        if let Some(mark) = self.marks.get(&span) {
            assert!(self.durable.contains(&span), "{span} is not durable");
            let after = self.written - mark;
            assert!(after >= behind.0, "{after} bytes behind {span}");
        }
        let next = self.read.entry(span).or_insert(place.from.0);
        assert_eq!(*next, from.0, "each byte is read once");
        assert!(from < to && to <= place.to);
        assert!(place.is_zero() || (from, to) == (place.from, place.to));
        assert!(to.0 - from.0 <= LOOKED_AT_ONCE.0);
        *next = to.0;
        self.answer(Event::Back { span }, events);
    }

    fn answer(&mut self, event: Event, events: &mut VecDeque<Event>) {
        if self.slow == 0 {
            events.push_back(event);
        } else {
            self.later.push_back((self.slow, event));
        }
    }

    /// What the machine says was read back was, whole, and nothing else is said; in bytes.
    fn proven(&self, spans: &[Span]) -> u64 {
        // A flush on the way is not waited for: the last one makes everything durable.
        let is_flush = |(_, event): &(usize, Event)| matches!(event, Event::Settled);
        assert!(
            self.later.iter().all(is_flush),
            "the end waits for what is being read"
        );
        let mut all = 0;
        for (at, span) in spans.iter().enumerate() {
            let is_whole = self.read.get(&at) == Some(&span.to.0);
            assert_eq!(self.read_back[at], is_whole, "span {at}");
            all += if is_whole { span.length().0 } else { 0 };
        }
        all
    }
}

fn spans(manifest: &groundstate_api::image::Manifest) -> Vec<Span> {
    image_core::deploy::cut(manifest)
}

#[test]
fn most_of_an_image_is_read_back_while_the_rest_is_written() {
    // 2 GiB, one MiB in three is a hole.
    let manifest = manifest(256 << 10, 2_048 * MIB, |number| number / 4 % 3 < 2);
    // How much is read back by the end depends on how slow the disk of this world is with flushes and reads.
    for (behind, slow, least) in [(0, 0, 1_200), (64, 0, 1_100), (64, 200, 40), (512, 7, 500)] {
        let mut case = Case::new(&manifest);
        (case.behind.bytes, case.behind.slow) = (Some(Bytes::mib(behind)), slow);
        let world = case.run(|_, _| Does::Gives);
        world.is_whole();
        let proven = world.behind.proven(&spans(&manifest)) / MIB;
        assert!(proven >= least, "{behind} {slow}: {proven}");
        assert!(proven <= 2_048 - behind, "{behind} {slow}: {proven}");
    }
}

#[test]
fn nothing_is_read_back_on_the_way_where_nobody_wants_it_or_too_little_is_written() {
    let manifest = image();
    let world = Case::new(&manifest).run(|_, _| Does::Gives);
    world.is_whole();
    assert_eq!(world.behind.proven(&spans(&manifest)), 0);
    let mut case = Case::new(&manifest);
    case.behind.bytes = Some(Bytes::mib(64));
    let world = case.run(|_, _| Does::Gives);
    world.is_whole();
    assert_eq!(world.behind.proven(&spans(&manifest)), 0);
    assert_eq!(world.behind.settles, 0, "no flush for nothing");
}

#[test]
fn an_image_that_stands_there_is_left_to_the_reading_after_it() {
    let manifest = image();
    let mut case = Case::new(&manifest);
    (case.disk, case.zeros) = ((0..manifest.chunks.len()).collect(), true);
    case.behind.bytes = Some(Bytes::mib(1));
    let world = case.run(|_, _| panic!("nothing is asked for"));
    world.is_whole();
    assert_eq!(world.behind.proven(&spans(&manifest)), 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// However slow flushes and reads are, and whatever peers do: nothing is read too early, and the image comes whole.
    #[test]
    fn whatever_happens_nothing_is_read_before_it_is_durable(
        behind in 0u64..24,
        slow in 0usize..40,
        lies in proptest::collection::btree_set(0usize..60, 0..6),
        here in proptest::collection::btree_set(0usize..140, 0..60),
        zeros in any::<bool>(),
    ) {
        let manifest = image();
        let mut case = Case::new(&manifest);
        case.disk = here.into_iter().filter(|index| *index < manifest.chunks.len()).collect();
        case.zeros = zeros;
        (case.behind.bytes, case.behind.slow) = (Some(Bytes::mib(behind)), slow);
        case.words.push(word("one", false));
        let world = case.run(|name, number| {
            if name == "one" && lies.contains(&number) { Does::Lies } else { Does::Gives }
        });
        world.is_whole();
        world.behind.proven(&spans(&manifest));
    }
}
