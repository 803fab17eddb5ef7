// SPDX-License-Identifier: Apache-2.0
//! Random and mutated answers never panic a decoder, and what comes out stays within bounds.

use super::*;
use crate::disk::DiskFacts;
use crate::disk::facts::Protocol;
use alloc::vec;
use alloc::vec::Vec;
use proptest::prelude::*;

fn all(answer: &[u8]) -> bool {
    let mut facts = DiskFacts::new("sda", "ioctl", Protocol::Scsi);
    fill_inquiry(&mut facts, answer);
    for page in 0..=0x3f {
        fill_log(&mut facts, page, answer);
    }
    fill_pending(&mut facts, answer);
    let _ = log_page::length(answer);
    let _ = unit_name(answer);
    let _ = rotation(answer);
    for ten in [true, false] {
        fill_exceptions_control(&mut facts, answer, ten);
        fill_extended_minutes(&mut facts, answer, ten);
        let _ = grown_defects(answer, ten);
    }
    if let Some(sense) = Sense::read(answer) {
        assert!(sense.self_test_remaining().is_none_or(|rest| rest <= 100));
    }
    unit_serial(answer).is_ascii()
        && pages(answer).len() <= answer.len()
        && log_page::supported(answer).len() <= answer.len()
        && facts
            .self_tests
            .is_none_or(|log| log.entries.len() <= answer.len())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn random_answers(answer in prop::collection::vec(any::<u8>(), 0..2_000)) {
        prop_assert!(all(&answer));
    }

    #[test]
    fn mutated_log_pages(
        page in prop::sample::select(vec![0u8, 2, 3, 5, 6, 0x0d, 0x10, 0x11, 0x15, 0x2f, 0x55]),
        lengths in prop::collection::vec(0u8..30, 0..40),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        end in any::<prop::sample::Index>(),
    ) {
        let mut answer: Vec<u8> = vec![page, u8::from(page == 0x55), 0, 0];
        for (code, length) in (0u8..).zip(&lengths) {
            answer.extend([0, code, 3, *length]);
            answer.extend(vec![code ^ 0x5a; usize::from(*length)]);
        }
        let length = u16::try_from(answer.len() - 4).unwrap();
        answer[2..4].copy_from_slice(&length.to_be_bytes());
        for (at, value) in changes {
            let at = at.index(answer.len());
            answer[at] = value;
        }
        let end = end.index(answer.len());
        prop_assert!(all(&answer) && all(&answer[..end]));
    }
}
