// SPDX-License-Identifier: Apache-2.0
//! Random and mutated logs never panic a decoder, and what comes out stays within bounds.

use super::*;
use crate::disk::DiskFacts;
use crate::disk::facts::Protocol;
use alloc::vec;
use alloc::vec::Vec;
use proptest::prelude::*;

fn all(log: &[u8]) -> bool {
    let mut facts = DiskFacts::new("nvme0n1", "ioctl", Protocol::Nvme);
    let controller = identify_controller(log);
    if let Some(controller) = &controller {
        controller.fill(&mut facts);
    }
    fill_smart(&mut facts, log);
    let tests = self_test_log(log, controller.as_ref());
    for page in 0..=u8::MAX {
        let _ = lists_page(log, page);
    }
    errors(log).len() <= usize::from(ERROR_ENTRIES_MAX)
        && tests.is_none_or(|t| t.entries.len() <= 20 && t.running.is_none_or(|r| r <= 100))
        && facts.identity.model.is_ascii()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn random_logs(log in prop::collection::vec(any::<u8>(), 0..5_000)) {
        prop_assert!(all(&log));
    }

    #[test]
    fn mutated_logs(
        fill in any::<u8>(),
        changes in prop::collection::vec((0usize..IDENTIFY_LENGTH, any::<u8>()), 1..30),
        end in 0..=IDENTIFY_LENGTH,
    ) {
        let mut log: Vec<u8> = vec![fill; IDENTIFY_LENGTH];
        for (at, value) in changes {
            log[at] = value;
        }
        prop_assert!(all(&log) && all(&log[..end]));
    }
}
