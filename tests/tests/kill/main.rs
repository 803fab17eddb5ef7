// SPDX-License-Identifier: Apache-2.0
//! The provisioner is killed (SIGKILL) at random moments while simulated nodes enrol, deploy and register over real HTTPS;
//! afterwards its journal must hold everything that a node was ever told, once, and every node must have come to its end.
//!
//! `GROUNDSTATE_KILLS`, `GROUNDSTATE_KILL_NODES` and `GROUNDSTATE_KILL_SEED` make it longer, or the same again.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::too_many_lines,
    reason = "a test that unwraps what is not there has failed, and a judgement is read from its top"
)]

mod child;
mod failover;
mod judge;
mod relay;
mod world;

use groundstate_api::view::Phase;
use groundstate_journal::peer::Cluster;
use std::time::{Duration, Instant};
use world::{Noise, World, number};

/// A whole test may take as long, and so much longer for each kill that it does; a machine of two cores that does other work
/// needs a third.
const PATIENCE: Duration = Duration::from_secs(90);
const PATIENCE_PER_KILL: Duration = Duration::from_secs(4);
/// A life is as long as this at least, and as this and so much for each node more at most: all nodes come back at once, and
/// what one gets done in a moment is shared by all.
const LIFE_MIN_MS: u64 = 60;
const LIFE_MORE_MS: u64 = 700;
const LIFE_MORE_PER_NODE_MS: u64 = 5;

#[test]
fn killed_at_random_moments_nothing_acknowledged_is_lost_and_nothing_is_doubled() {
    let kills = number("GROUNDSTATE_KILLS", 40);
    let nodes = u32::try_from(number("GROUNDSTATE_KILL_NODES", 16)).unwrap();
    let seed = number("GROUNDSTATE_KILL_SEED", 1);
    let mut noise = Noise(seed);
    let mut world = World::sqlite(nodes, seed);
    world.run(async |world| {
        let began = Instant::now();
        world.power_on_all();
        let until = Instant::now() + PATIENCE + PATIENCE_PER_KILL * u32::try_from(kills).unwrap();
        for kill in 0..kills {
            let more = LIFE_MORE_MS + LIFE_MORE_PER_NODE_MS * u64::from(nodes);
            let lives = Duration::from_millis(LIFE_MIN_MS + noise.below(more));
            world.order_for(lives).await;
            world.kill(0);
            world.start(0).await;
            assert!(Instant::now() < until, "{kill} kills took too long");
        }
        eprintln!("{kills} kills took {:.0?}", began.elapsed());
        world.until_all_end(until).await;
    });
    let found = world.judge();
    eprintln!("seed {seed}, {kills} kills, {nodes} nodes: {found}");
    assert!(
        found.runs >= u64::from(nodes),
        "every node had a run: {found}"
    );
}

#[test]
fn the_leader_and_a_member_of_three_die_in_a_wave_of_fifty() {
    let Some(cluster) = Cluster::start(3) else {
        return;
    };
    let nodes = 50;
    let mut world = World::etcd(nodes, 7, cluster);
    world.run(async |world| {
        let until = Instant::now() + PATIENCE * 3;
        let first = world.leader(until).await;
        world.power_on_all();
        world.order_who_waits().await;
        world.until_steps_move(100, until).await;
        world.kill_member(1);
        world.kill(first);
        let died = Instant::now();
        let second = world.leader(until).await;
        let acts = world.until_somebody_acts(died, until).await;
        assert_ne!(first, second);
        eprintln!("provisioner {second} acts {acts:?} after provisioner {first} was killed");
        world.start(first).await;
        world.until_all_are(Phase::Ready, until).await;
    });
    let found = world.judge();
    eprintln!("{nodes} nodes: {found}");
    assert!(found.leaders >= 2, "{found}");
    assert_eq!(found.runs, u64::from(nodes));
}
