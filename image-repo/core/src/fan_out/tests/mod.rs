// SPDX-License-Identifier: Apache-2.0
//! What the plan is worth, on simulated time, and that everybody finishes whatever the others do.

#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "tests")]

mod world;

use proptest::prelude::*;
use world::{Outcome, Spec, World, capped};

fn rack(count: usize) -> Vec<Spec> {
    vec![Spec::usual(0); count]
}

fn healthy() -> Outcome {
    World::new(rack(32)).run()
}

fn all_done(outcome: &Outcome) {
    let missing = outcome.took.iter().filter(|took| took.is_none()).count();
    assert_eq!(missing, 0, "{missing} did not finish");
}

fn median(outcome: &Outcome) -> f64 {
    outcome.quantile(0.5)
}

fn even(outcome: &Outcome) {
    let ratio = outcome.quantile(0.99) / median(outcome);
    assert!(ratio <= 1.3, "p99/p50 {ratio:.2}");
}

#[test]
fn a_rack_of_32_costs_the_repository_little_more_than_one_image() {
    let outcome = healthy();
    all_done(&outcome);
    assert!(outcome.egress <= 1.5, "egress {:.2}", outcome.egress);
    even(&outcome);
    // Without peers the repository's 10 Gb/s need 14.5 s for 32 images.
    assert!(median(&outcome) <= 12_000.0, "{}", median(&outcome));
    for sent in &outcome.sent {
        assert!(*sent <= 1.6, "one sent {sent:.2} images");
    }
}

#[test]
fn two_hundred_nodes_in_five_racks_cost_two_images_a_rack_at_most() {
    let nodes = (0..200).map(|node| Spec::usual(node / 40)).collect();
    let outcome = World::new(nodes).run();
    all_done(&outcome);
    assert!(outcome.egress <= 10.0, "egress {:.2}", outcome.egress);
    even(&outcome);
    let seconds = outcome.quantile(1.0) / 1_000.0;
    let a_second = f64::from(outcome.questions) / seconds;
    assert!(a_second <= 2_000.0, "{a_second:.0} questions a second");
}

#[test]
fn a_repository_at_one_gigabit_is_no_bottleneck_for_five_racks() {
    let nodes = (0..200).map(|node| Spec::usual(node / 40)).collect();
    let mut world = World::new(nodes);
    world.server = 118_000.0;
    let outcome = world.run();
    all_done(&outcome);
    assert!(outcome.egress <= 10.0, "egress {:.2}", outcome.egress);
    even(&outcome);
    // Five images through the cable are 22.8 s; two hundred would be 910 s.
    assert!(median(&outcome) <= 40_000.0, "{}", median(&outcome));
}

#[test]
fn memory_alone_is_enough_where_nobody_has_a_disk() {
    let mut nodes = rack(32);
    for (index, node) in nodes.iter_mut().enumerate() {
        node.disk = index % 8 == 0;
    }
    let outcome = World::new(nodes).run();
    all_done(&outcome);
    assert!(outcome.egress <= 1.5, "egress {:.2}", outcome.egress);
    even(&outcome);
}

#[test]
fn one_dead_peer_costs_the_others_little() {
    for disk in [true, false] {
        let mut nodes = rack(32);
        nodes.iter_mut().for_each(|node| node.disk = disk);
        let before = large(nodes.clone()).run();
        nodes[5].dies = Some(2_000);
        let after = large(nodes).run();
        assert_eq!(after.took.iter().filter(|took| took.is_none()).count(), 1);
        cost(&before, &after, 1.05);
        assert!(after.egress <= 1.5, "egress {:.2}", after.egress);
    }
}

/// An image of 768 MiB as it is stored: what a fault costs is a matter of seconds, whatever the image.
fn large(nodes: Vec<Spec>) -> World {
    let mut world = World::new(nodes);
    world.pieces += world.pieces / 2;
    world
}

fn cost(before: &Outcome, after: &Outcome, most: f64) {
    let ratio = median(after) / median(before);
    assert!(ratio <= most, "median {ratio:.3}");
}

#[test]
fn one_slow_peer_costs_the_others_little() {
    for disk in [true, false] {
        let mut nodes = rack(32);
        nodes.iter_mut().for_each(|node| node.disk = disk);
        let before = large(nodes.clone()).run();
        nodes[5].rate /= 20.0;
        let after = large(nodes).run();
        all_done(&after);
        cost(&before, &after, 1.05);
        assert!(after.egress <= 2.5, "egress {:.2}", after.egress);
    }
}

#[test]
fn a_rack_that_is_slow_as_a_whole_does_not_go_back_to_the_repository() {
    // As 32 machines on two processors are: everything takes forty times as long.
    let mut nodes = rack(32);
    nodes.iter_mut().for_each(|node| node.rate /= 40.0);
    let mut world = World::new(nodes);
    world.server /= 40.0;
    world.pieces = 160;
    let outcome = world.run();
    all_done(&outcome);
    assert!(outcome.egress <= 1.5, "egress {:.2}", outcome.egress);
    even(&outcome);
}

#[test]
fn late_joiners_cost_the_repository_nothing_where_others_have_finished() {
    let mut nodes = rack(24);
    for (index, node) in nodes.iter_mut().enumerate() {
        if index >= 16 {
            node.joins = 3_000 * u64::try_from(index - 15).unwrap();
        }
    }
    let outcome = World::new(nodes).run();
    all_done(&outcome);
    assert!(outcome.egress <= 1.5, "egress {:.2}", outcome.egress);
    assert!(
        outcome.again > 0,
        "the last come when nobody has it in memory"
    );
}

#[test]
fn a_liar_is_named_once_and_not_asked_again() {
    let mut nodes = rack(16);
    nodes[3].lies = true;
    let outcome = World::new(nodes).run();
    all_done(&outcome);
    assert_eq!(outcome.liars.len(), 1);
    assert_eq!(outcome.liars[0].as_str(), "n3");
    assert_eq!(outcome.asked_after, 0);
    assert!(outcome.egress <= 1.8, "egress {:.2}", outcome.egress);
}

#[test]
fn one_alone_gets_it_all_from_the_repository() {
    let outcome = World::new(rack(1)).run();
    all_done(&outcome);
    assert!((outcome.egress - 1.0).abs() < 0.01, "{}", outcome.egress);
    assert!(median(&outcome) <= 6_500.0, "{}", median(&outcome));
}

#[test]
fn small_racks_gain_too() {
    for count in [2, 3, 4, 8] {
        for disk in [true, false] {
            let mut nodes = rack(count);
            nodes.iter_mut().for_each(|node| node.disk = disk);
            let outcome = World::new(nodes).run();
            all_done(&outcome);
            assert!(outcome.egress <= 1.2, "{count}: {:.2}", outcome.egress);
            assert!(median(&outcome) <= 9_000.0, "{count}: {}", median(&outcome));
        }
    }
}

#[test]
fn a_cap_spreads_the_load() {
    let mut world = World::new(rack(8));
    world.settings = capped(2 << 20);
    all_done(&world.run());
}

#[test]
fn it_is_the_same_every_time() {
    let (one, other) = (World::new(rack(8)).run(), World::new(rack(8)).run());
    assert_eq!(one.took, other.took);
    assert_eq!(one.questions, other.questions);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn everybody_who_lives_finishes(
        nodes in proptest::collection::vec(
            (0usize..3, 0u64..8_000, proptest::option::of(0u64..8_000), 0u8..8, any::<bool>(), 1u32..30),
            1..14,
        ),
        shelf in 0u32..6,
    ) {
        let specs: Vec<Spec> = nodes.iter().map(|(rack, joins, dies, lies, disk, slower)| Spec {
            joins: *joins,
            dies: dies.map(|after| joins + after),
            lies: *lies == 0,
            disk: *disk,
            rate: Spec::usual(0).rate / f64::from(*slower),
            ..Spec::usual(*rack)
        }).collect();
        let mut world = World::new(specs);
        world.pieces = 64;
        world.shelf = shelf;
        let outcome = world.run();
        for (took, spec) in outcome.took.iter().zip(&world.nodes) {
            prop_assert!(took.is_some() || spec.dies.is_some());
        }
        prop_assert_eq!(outcome.asked_after, 0);
    }
}

/// A small image: 160 pieces of 620 kB, and cables that are so many times slower than usual.
fn small(mut nodes: Vec<Spec>, slower: f64) -> World {
    nodes.iter_mut().for_each(|node| node.rate /= slower);
    let mut world = World::new(nodes);
    (world.pieces, world.piece) = (160, 620_000.0);
    world
}

#[test]
fn whoever_is_slow_keeps_a_small_image_from_nobody() {
    // Bytes a millisecond of the slow one; the others have 23,600 and 118,000.
    for (slower, slow) in [(5.0, 2_500.0), (1.0, 20_000.0)] {
        let before = small(rack(32), slower).run();
        // The first that ask, some in the middle, the last: who it is must not matter.
        for at in [0, 1, 2, 5, 10, 16, 25, 31] {
            let mut world = small(rack(32), slower);
            world.nodes[at].rate = slow;
            let after = world.run();
            all_done(&after);
            cost(&before, &after, 1.12);
            assert!(after.egress <= 1.15, "egress {:.2} with {at}", after.egress);
        }
    }
}

#[test]
fn whoever_asks_first_does_not_take_what_the_others_should_fetch() {
    let outcome = small(rack(32), 5.0).run();
    all_done(&outcome);
    let most = outcome.sent.iter().copied().fold(0.0, f64::max);
    // One that took sixteen pieces at once sent them to 31 others: 3.1 images.
    assert!(most <= 1.7, "one sent {most:.2} images");
}
