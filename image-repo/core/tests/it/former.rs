// SPDX-License-Identifier: Apache-2.0
//! The image before as a lead: what it had is looked for where it had it, nothing else is, and a wrong word costs time only.

use crate::deploy::{Case, Does, manifest};
use groundstate_api::image::Manifest;
use groundstate_api::{Bytes, Digest};
use image_core::deploy::{Event, Former, Span, span::bit};
use proptest::prelude::*;
use std::collections::BTreeMap;

const MIB: u64 = 1 << 20;
const CHUNK: u64 = 256 << 10;
/// Chunks of a span.
const SPAN: usize = 4;

/// A disk with an older image, of which pieces go while the new one is written.
#[derive(Debug, Default)]
pub(crate) struct Before {
    /// What the deploy is told of it.
    pub(crate) former: Option<Former>,
    /// What still stands there, by its place.
    stands: BTreeMap<u64, Digest>,
    /// Spans whose chunks were looked for in other places.
    borrowed: usize,
}

impl Before {
    /// It stands there, and the deploy is told.
    fn of(manifest: &Manifest) -> Self {
        let rows = manifest.chunks.iter();
        Self {
            former: Some(Former::of(manifest)),
            stands: rows.map(|row| (row.offset.0, row.digest)).collect(),
            borrowed: 0,
        }
    }

    /// What of the new image stands where it belongs.
    fn in_place(&self, manifest: &Manifest) -> impl Iterator<Item = usize> {
        let rows = manifest.chunks.iter().zip(0..);
        let there = rows.filter(|(row, _)| self.stands.get(&row.offset.0) == Some(&row.digest));
        there.map(|(_, index)| index)
    }

    pub(crate) fn borrow(
        &mut self,
        manifest: &Manifest,
        (span, place): (usize, Span),
        from: &[(usize, Bytes)],
    ) -> Event {
        assert!(!from.is_empty() && !place.is_zero());
        self.borrowed += 1;
        let right = |(index, at): &&(usize, Bytes)| {
            self.stands.get(&at.0) == Some(&manifest.chunks[*index].digest)
        };
        let good = from.iter().filter(right);
        Event::Proved {
            span,
            good: good.fold(0, |all, (index, _)| all | bit(place, *index)),
            bad: Vec::new(),
        }
    }

    /// Something else stands there now.
    pub(crate) fn gone(&mut self, from: u64, to: u64) {
        self.stands.retain(|at, _| *at < from || *at >= to);
    }
}

/// A case in which the disk has `old`, and the deploy knows.
fn over<'m>(old: &Manifest, new: &'m Manifest) -> Case<'m> {
    let mut case = Case::new(new);
    case.before = Before::of(old);
    case.disk = case.before.in_place(new).collect();
    case
}

fn fresh(number: usize) -> Digest {
    Digest::of(format!("new {number}").as_bytes())
}

#[test]
fn what_the_image_before_had_is_read_and_only_the_rest_is_asked_for() {
    let old = manifest(CHUNK, 64 * MIB, |_| true);
    let mut new = old.clone();
    // Twelve spans are new, and one has what stood, and stands, elsewhere.
    let (changed, moved) = (25 * SPAN..37 * SPAN, 50 * SPAN..51 * SPAN);
    for index in changed.clone() {
        new.chunks[index].digest = fresh(index);
    }
    for index in moved.clone() {
        new.chunks[index].digest = old.chunks[index - 40 * SPAN].digest;
    }
    let world = over(&old, &new).run(|_, _| Does::Gives);
    world.is_whole();
    assert_eq!(world.reads, 64 - 12 - 1, "what changed is not even read");
    assert_eq!(world.before.borrowed, 1);
    let mut asked: Vec<usize> = world.gets.iter().map(|(_, span)| *span).collect();
    asked.sort_unstable();
    let head_and_changed: Vec<usize> = std::iter::once(0).chain(25..37).collect();
    assert_eq!(asked, head_and_changed);
}

#[test]
fn the_same_image_again_is_read_and_nothing_is_asked_for() {
    let image = manifest(CHUNK, 64 * MIB, |_| true);
    let world = over(&image, &image).run(|_, _| panic!("nothing is asked for"));
    world.is_whole();
    assert_eq!((world.reads, world.before.borrowed), (64, 0));
    // A wipe before took both ends: they, and the head, are fetched.
    let mut case = over(&image, &image);
    case.disk = (5 * SPAN..62 * SPAN).collect();
    let world = case.run(|_, _| Does::Gives);
    world.is_whole();
    assert_eq!(world.gets.len(), 5 + 2);
}

#[test]
fn a_wrong_guess_is_hardly_read() {
    let image = manifest(CHUNK, 1_024 * MIB, |_| true);
    let mut case = over(&image, &image);
    (case.disk, case.before) = Default::default();
    case.before.former = Some(Former::of(&image));
    let world = case.run(|_, _| Does::Gives);
    world.is_whole();
    assert!(world.reads < 60, "{}", world.reads);
    // Nor is what is said to have moved looked for without end.
    let mut moved = image.clone();
    let digests: Vec<Digest> = image.chunks.iter().map(|row| row.digest).collect();
    for (row, digest) in moved.chunks.iter_mut().zip(digests.into_iter().rev()) {
        row.digest = digest;
    }
    let mut case = Case::new(&moved);
    case.before.former = Some(Former::of(&image));
    let world = case.run(|_, _| Does::Gives);
    world.is_whole();
    assert!(world.before.borrowed < 60, "{}", world.before.borrowed);
}

#[test]
fn an_image_that_has_nothing_in_common_is_as_good_as_none() {
    let new = manifest(CHUNK, 64 * MIB, |_| true);
    let mut other = new.clone();
    for (row, number) in other.chunks.iter_mut().zip(0..) {
        row.digest = fresh(number);
    }
    let mut case = Case::new(&new);
    case.disk = (0..new.chunks.len()).collect();
    case.before.former = Some(Former::of(&other));
    let world = case.run(|_, _| panic!("it stands there"));
    world.is_whole();
    assert_eq!(world.reads, 64);
}

#[test]
fn after_a_long_stretch_that_was_lost_the_rest_is_still_found() {
    let image = manifest(CHUNK, 1_024 * MIB, |_| true);
    let mut case = over(&image, &image);
    case.disk = (512 * SPAN..1_024 * SPAN).collect();
    let world = case.run(|_, _| Does::Gives);
    world.is_whole();
    // What was asked for before it was found is lost.
    assert!(world.gets.len() < 512 + 256, "{}", world.gets.len());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Wherever chunks went, and whatever of the old image is lost: the new one comes whole.
    #[test]
    fn whatever_moved_and_whatever_is_lost_the_image_comes_whole(
        from in proptest::collection::vec(proptest::option::weighted(0.8, 0usize..160), 160),
        lost in proptest::collection::btree_set(0usize..160, 0..60),
        breaks in proptest::collection::btree_set(0usize..60, 0..6),
        stays in 0usize..160,
    ) {
        let old = manifest(CHUNK, 40 * MIB, |number| number % 23 >= 3);
        let mut new = old.clone();
        let count = new.chunks.len();
        for (index, from) in from.iter().enumerate().take(count).skip(stays) {
            new.chunks[index].digest = match from {
                Some(from) => old.chunks[from % count].digest,
                None => fresh(index),
            };
        }
        let mut case = over(&old, &new);
        for index in lost {
            let at = old.chunks[index % count].offset.0;
            case.before.gone(at, at + 1);
        }
        case.disk = case.before.in_place(&new).collect();
        let world = case.run(|_, number| {
            if breaks.contains(&number) { Does::Breaks } else { Does::Gives }
        });
        world.is_whole();
    }
}
