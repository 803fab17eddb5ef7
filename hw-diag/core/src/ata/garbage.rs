// SPDX-License-Identifier: Apache-2.0
//! Random and mutated blocks never panic a decoder, and what comes out stays within bounds.

use super::fixture::{seal, smart_block};
use super::*;
use crate::disk::DiskFacts;
use crate::disk::facts::Protocol;
use alloc::vec;
use alloc::vec::Vec;
use proptest::prelude::*;

/// Feeds a block to every decoder as every page there is.
fn all(block: &[u8]) -> DiskFacts {
    let mut facts = DiskFacts::new("sda", "ioctl", Protocol::Ata);
    if let Some(identity) = identify(block) {
        identity.fill(&mut facts);
    }
    let _ = return_status(block);
    data::fill(&mut facts, block, block);
    let mut asked = 0;
    let mut page = |_: u16| {
        asked += 1;
        Some(block.to_vec())
    };
    let ata = facts.ata.get_or_insert_default();
    error_log::fill_summary(ata, block);
    error_log::fill_extended(ata, u16::MAX, &mut page);
    for number in statistics::pages(block) {
        statistics::fill(ata, number, block);
    }
    for number in 0..=u8::MAX {
        statistics::fill(ata, number, block);
    }
    self_test_log::fill_short(&mut facts, block);
    self_test_log::fill_extended(&mut facts, u16::MAX, &mut page);
    assert!(asked <= 64, "{asked} pages");
    let _ = pending_defects(block);
    let _ = Directory::read(block);
    fill_sct(&mut facts, block);
    conclude(&mut facts);
    facts
}

fn bounded(facts: &DiskFacts) -> bool {
    let ata = facts.ata.as_ref().unwrap();
    ata.attributes.len() <= 30
        && ata.errors.len() <= 8
        && ata.statistics.len() <= 64
        && facts
            .self_tests
            .as_ref()
            .is_none_or(|log| log.entries.len() <= 21)
}

/// Blocks that are whole: SMART data, a summary of errors, an extended log, a self-test log, a page of statistics.
fn wholes() -> Vec<Vec<u8>> {
    let smart = smart_block(&[
        (5, 3, 100, 100, 0),
        (9, 0x32, 90, 90, 5),
        (194, 2, 60, 50, 31),
    ]);
    let mut errors = vec![1u8; BLOCK];
    (errors[1], errors[2], errors[3]) = (5, 1, 0);
    let mut tests = vec![2u8; BLOCK];
    (tests[0], tests[1], tests[508]) = (1, 0, 21);
    let mut statistics = vec![0xc0u8; BLOCK];
    (statistics[0], statistics[1], statistics[2]) = (1, 0, 5);
    let mut list = vec![0u8; BLOCK];
    list[8..16].copy_from_slice(&[7, 1, 2, 3, 4, 5, 6, 7]);
    let mut blocks = vec![smart, errors, tests, statistics, list];
    blocks.iter_mut().for_each(|block| seal(block));
    blocks
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn random_blocks(block in prop::collection::vec(any::<u8>(), 0..1_200)) {
        prop_assert!(bounded(&all(&block)));
    }

    #[test]
    fn mutated_blocks(
        which in 0usize..5,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..10),
        end in any::<prop::sample::Index>(),
        cut in any::<bool>(),
    ) {
        let mut block = wholes().swap_remove(which);
        for (at, value) in changes {
            let at = at.index(block.len());
            block[at] = value;
        }
        if cut {
            block.truncate(end.index(block.len()));
        }
        prop_assert!(bounded(&all(&block)));
    }
}
