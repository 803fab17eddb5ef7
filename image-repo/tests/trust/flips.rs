// SPDX-License-Identifier: Apache-2.0
//! One flipped bit at 1,000 random places of each document: 1,000 refused.

use crate::world::{NOW, World, role, root};
use groundstate_api::trust::{KeyId, RevokedPart, TrustRoot};
use image_core::trust::{canonical, next};
use std::path::Path;

const FLIPS: u64 = 1_000;

/// SplitMix64: the same places each time.
fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// How many flips in this file, outside of its first `free` bytes, are refused.
fn refused(world: &World, file: &Path, free: u64, seed: u64) -> u64 {
    let good = std::fs::read(file).unwrap();
    let mut state = seed;
    let mut refused = 0;
    for _ in 0..FLIPS {
        let at = free + random(&mut state) % (good.len() as u64 - free);
        let mut bad = good.clone();
        bad[usize::try_from(at).unwrap()] ^= 1 << (random(&mut state) % 8);
        std::fs::write(file, &bad).unwrap();
        refused += u64::from(world.resolve(NOW).is_err());
    }
    std::fs::write(file, &good).unwrap();
    world.resolve(NOW).unwrap();
    refused
}

/// A root of three keys, one for each use: with fewer keys to read, a thousand questions take less time.
fn small_root(version: u64) -> TrustRoot {
    let mut root = root(version);
    root.keys.retain(|key| [1, 3, 5].contains(&key.id.0));
    root.roles.root = role(&[1], 1);
    root.roles.images = role(&[3], 1);
    root.roles.channels = role(&[5], 1);
    root
}

/// With a second root and a second catalogue, so that every kind of document is in use.
fn world() -> World {
    let world = World::of_root(&small_root(1));
    let part = RevokedPart::Key(KeyId(9));
    let next = next::revoked(world.next(NOW), part, "an example".into());
    world.publish(&next, &[5]);
    world.plant("root/2.json", &canonical(&small_root(2)), &[1]);
    world.resolve(NOW).unwrap();
    world
}

/// Flips bits of the document and of the signature beside it.
fn flip(world: &World, file: &str, number: u64) {
    let path = world.trust().join(file);
    assert_eq!(refused(world, &path, 0, number), FLIPS, "{file}");
    let path = world.trust().join(format!("{file}.{number:016X}.minisig"));
    let text = std::fs::read_to_string(&path).unwrap();
    // The comment that nobody signs may say anything.
    let comment = text.find('\n').unwrap() as u64;
    assert_eq!(refused(world, &path, comment, number), FLIPS, "{file}");
}

#[test]
fn every_flipped_bit_of_a_catalogue_is_refused() {
    flip(&world(), "catalogue/2.json", 5);
}

#[test]
fn every_flipped_bit_of_a_root_is_refused() {
    flip(&world(), "root/2.json", 1);
}

#[test]
fn every_flipped_bit_of_a_statement_is_refused() {
    let world = world();
    flip(&world, &world.statement_file(&world.image("1")), 3);
}

#[test]
fn every_flipped_bit_of_a_manifest_is_refused() {
    let world = world();
    let manifest = world.image("1").manifest.hex();
    let manifest = world.dir.path().join("images/manifests").join(manifest);
    assert_eq!(refused(&world, &manifest, 0, 7), FLIPS);
}
