// SPDX-License-Identifier: Apache-2.0
//! Everything that an ATA disk answers, block by block in any order, and the verdict on it.
#![no_main]

use groundstate_fuzz::{MIB, Pieces, bounded};
use hw_core::ata::{self, BLOCK, data, error_log, self_test_log, statistics};
use hw_core::disk::facts::Protocol;
use hw_core::disk::{self, DiskFacts};
use libfuzzer_sys::fuzz_target;

/// Heap, in bytes: a log of several blocks is given as it is asked for, and none is kept.
const HEAP_MAX: usize = 2 * MIB;
/// The most answers to one disk's questions: each statistics page and each log once, and some twice.
const ANSWERS_MAX: usize = 24;

fuzz_target!(|input: &[u8]| {
    bounded(HEAP_MAX, || disk(Pieces::new(input)));
});

/// A block, whose last byte makes its checksum fit where `fit` says so.
fn block(pieces: &mut Pieces<'_>, fit: bool) -> Vec<u8> {
    let mut block = pieces.block(BLOCK);
    if fit {
        let sum = block[..BLOCK - 1]
            .iter()
            .fold(0u8, |sum, byte| sum.wrapping_add(*byte));
        block[BLOCK - 1] = sum.wrapping_neg();
    }
    block
}

fn disk(mut pieces: Pieces<'_>) {
    let mut facts = DiskFacts::new("sda", "ioctl", Protocol::Ata);
    for _ in 0..ANSWERS_MAX {
        if pieces.is_empty() {
            break;
        }
        let kind = pieces.byte();
        answer(&mut facts, kind & 0x0f, kind & 0x80 == 0, &mut pieces);
    }
    ata::conclude(&mut facts);
    if let Some(ata) = &facts.ata {
        assert!(ata.attributes.len() <= 255 && ata.errors.len() <= 32);
        assert!(ata.block_faults.len() <= 2 * ANSWERS_MAX);
    }
    let log = facts.self_tests.as_ref();
    assert!(log.is_none_or(|log| log.entries.len() <= 64));
    let _ = disk::judge(&facts, &[]);
}

fn answer(facts: &mut DiskFacts, kind: u8, fit: bool, pieces: &mut Pieces<'_>) {
    let first = block(pieces, fit);
    match kind {
        0 => {
            if let Some(identity) = ata::identify(&first) {
                identity.fill(facts);
            }
        }
        1 => {
            let thresholds = block(pieces, fit);
            data::fill(facts, &first, &thresholds);
            assert!(data::attributes(&first, &thresholds).len() <= 30);
            if let Some(abilities) = ata::Abilities::read(&first) {
                assert!(abilities.running().is_none_or(|left| left <= 100));
            }
        }
        2 => {
            error_log::fill_summary(facts.ata.get_or_insert_default(), &first);
        }
        3 | 4 => {
            let pages = pieces.half();
            let second = block(pieces, fit);
            let mut asked = 0;
            let page = |number: u16| {
                asked += 1;
                // The disk may stop answering in the middle.
                match number % 3 {
                    0 => Some(first.clone()),
                    1 => Some(second.clone()),
                    _ => None,
                }
            };
            if kind == 3 {
                error_log::fill_extended(facts.ata.get_or_insert_default(), pages, page);
            } else {
                self_test_log::fill_extended(facts, pages, page);
            }
            assert!(asked <= 64, "{asked} pages of a log were asked for");
        }
        5 => {
            self_test_log::fill_short(facts, &first);
        }
        6 => {
            for page in statistics::pages(&first) {
                statistics::fill(facts.ata.get_or_insert_default(), page, &block(pieces, fit));
            }
        }
        7 => {
            if let Some(directory) = ata::Directory::read(&first) {
                for address in 0..=u8::MAX {
                    assert_eq!(directory.lists(address), directory.pages(address) > 0);
                }
            }
        }
        8 => facts.ata.get_or_insert_default().pending_defects = ata::pending_defects(&first),
        9 => ata::fill_sct(facts, &first),
        // Sense data, short blocks: as long as they are.
        10 => facts.assessment = ata::return_status(pieces.string()),
        11 => data::fill(facts, pieces.string(), pieces.string()),
        _ => {
            let short = pieces.string();
            let _ = ata::identify(short);
            error_log::fill_summary(facts.ata.get_or_insert_default(), short);
            self_test_log::fill_short(facts, short);
            statistics::fill(facts.ata.get_or_insert_default(), kind, short);
            ata::fill_sct(facts, short);
        }
    }
}
