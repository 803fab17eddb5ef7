// SPDX-License-Identifier: Apache-2.0
//! Erases of simulated drives: honest ones of every method, and those that lie in every way that we could think of.

mod drive;
mod lies;
mod words;

use super::*;
use alloc::vec::Vec;
use drive::{Filled, Sim};
use groundstate_api::erase::{EraseClass, EraseMethod, EraseOutcome};
use proptest::prelude::*;

#[test]
fn every_method_of_an_honest_drive_is_proved_whatever_the_drive_held() {
    for method in EraseMethod::ALL {
        for filled in [Filled::Full, Filled::Blank, Filled::Half] {
            for rotational in [false, true] {
                let mut sim = Sim::new(method, filled);
                sim.rotational = rotational;
                let record = sim.erase(EraseClass::Clear);
                let class = method.class(rotational);
                assert_eq!(
                    record.outcome,
                    EraseOutcome::Erased { method, class },
                    "{method} {filled:?}: {record:?}"
                );
                assert!(sim.canaries() == 0, "{method} {filled:?}");
                assert!(record.sample.whole && record.sample.witnesses >= 256);
                let planted = record.sample.planted > 0;
                assert!(planted || filled != Filled::Blank);
                assert!(!planted || filled != Filled::Full);
            }
        }
    }
}

#[test]
fn what_does_not_reach_the_level_is_never_begun() {
    let mut sim = Sim::new(EraseMethod::Overwrite, Filled::Full);
    let record = sim.erase(EraseClass::Purge);
    assert!(
        matches!(&record.outcome, EraseOutcome::Quarantine { method: None, why } if why.contains("purge")),
        "{record:?}"
    );
    assert_eq!(sim.begun, [], "nothing was begun");
    assert!(sim.canaries() > 0);
}

#[test]
fn a_refused_method_is_followed_by_the_next_and_a_begun_one_by_none() {
    let mut sim = Sim::new(EraseMethod::NvmeFormatUserData, Filled::Full);
    sim.refuses = Vec::from([
        EraseMethod::NvmeSanitizeCrypto,
        EraseMethod::NvmeSanitizeBlock,
        EraseMethod::NvmeSanitizeOverwrite,
        EraseMethod::NvmeFormatCrypto,
    ]);
    sim.all_of_its_kind = true;
    let record = sim.erase(EraseClass::Clear);
    assert!(
        matches!(
            record.outcome,
            EraseOutcome::Erased {
                method: EraseMethod::NvmeFormatUserData,
                ..
            }
        ),
        "{record:?}"
    );
    let refused: Vec<EraseMethod> = record.not_used.iter().map(|one| one.method).collect();
    assert_eq!(refused, sim.refuses);
    assert_eq!(sim.begun, [EraseMethod::NvmeFormatUserData]);
    sim = Sim::new(EraseMethod::NvmeSanitizeCrypto, Filled::Full);
    sim.all_of_its_kind = true;
    sim.lie = drive::Lie::SaysFailed;
    let record = sim.erase(EraseClass::Clear);
    assert!(matches!(record.outcome, EraseOutcome::Quarantine { .. }));
    assert_eq!(sim.begun, [EraseMethod::NvmeSanitizeCrypto]);
}

#[test]
fn a_disk_of_a_gibibyte_is_read_whole_and_a_large_one_at_both_ends_and_everywhere_between() {
    for size in [512, 1 << 20, 1 << 30, WHOLE_MAX, WHOLE_MAX + 512] {
        let whole = Range {
            start: 0,
            length: size,
        };
        assert_eq!(plan(size, 7), [whole], "{size}");
    }
    assert_ne!(plan(1 << 42, 1), plan(1 << 42, 2), "chance decides");
}

/// A record that is believed.
static GOOD: std::sync::OnceLock<groundstate_api::erase::EraseRecord> = std::sync::OnceLock::new();

proptest! {
    #[test]
    fn no_stretch_of_a_large_disk_escapes(
        size in (2 * END + (RANDOM_BLOCKS + 1) * BLOCK) / 512..(20u64 << 40) / 512,
        seed: u64,
        at: u64,
    ) {
        let size = size * 512;
        let ranges = plan(size, seed);
        let middle = (size - 2 * END) / BLOCK;
        prop_assert_eq!(ranges.len() as u64, RANDOM_BLOCKS + 2);
        prop_assert_eq!((ranges[0].start, ranges[0].length), (0, END));
        let last = ranges[ranges.len() - 1];
        prop_assert_eq!((last.start, last.length), (size - END, END));
        for pair in ranges.windows(2) {
            prop_assert!(pair[0].start + pair[0].length <= pair[1].start, "{:?}", pair);
            prop_assert_eq!(pair[1].start % 512, 0);
        }
        // A stretch of two strips holds one strip whole, and so a block that is read.
        let stretch = 2 * (middle.div_ceil(RANDOM_BLOCKS) + 1) * BLOCK;
        if middle * BLOCK > stretch {
            let from = END + at % (middle * BLOCK - stretch);
            let inside = |range: &&Range| range.start >= from && range.start + range.length <= from + stretch;
            prop_assert!(ranges.iter().any(|range| inside(&range)), "{from}");
        }
    }

    #[test]
    fn a_changed_byte_changes_the_fingerprint_and_the_seed_does_too(
        mut bytes in proptest::collection::vec(any::<u8>(), 2..300),
        at: usize,
        seed: u64,
    ) {
        bytes[0] = 1;
        bytes[1] = 2;
        let before = Content::of(&bytes, seed);
        prop_assert_eq!(before, Content::of(&bytes, seed));
        prop_assert_ne!(before, Content::of(&bytes, seed ^ 1));
        let at = at % bytes.len();
        bytes[at] ^= 0x40;
        prop_assert_ne!(before, Content::of(&bytes, seed));
    }

    #[test]
    fn a_record_with_any_figure_against_it_is_not_believed(which in 0usize..9, by in 1u64..1_000_000) {
        let mut record = GOOD.get_or_init(|| {
            Sim::new(EraseMethod::NvmeSanitizeBlock, Filled::Full).erase(EraseClass::Purge)
        }).clone();
        prop_assert_eq!(proves(&record, EraseClass::Purge), Ok(()));
        let sample = &mut record.sample;
        match which {
            0 => sample.unchanged += by,
            1 => sample.unreadable += by,
            2 => sample.sectors -= by.min(sample.sectors),
            3 => sample.blank -= by.min(sample.blank),
            4 => sample.witnesses = 0,
            5 => sample.whole = false,
            6 => sample.recognised.push("ext4".into()),
            7 => record.size.0 += by * 512,
            _ => record.outcome = EraseOutcome::Erased {
                method: EraseMethod::Overwrite,
                class: EraseClass::Purge,
            },
        }
        prop_assert!(proves(&record, EraseClass::Purge).is_err());
    }
}
