// SPDX-License-Identifier: Apache-2.0
//! The JSON of smartctl, and the verdict on what it says.
#![no_main]

use groundstate_fuzz::{MIB, bounded};
use hw_core::{capture, disk};
use libfuzzer_sys::fuzz_target;

/// Heap, in bytes: serde_json's tree of the values that are read at most is the largest part.
const HEAP_MAX: usize = 24 * MIB;

fuzz_target!(|input: &[u8]| {
    bounded(HEAP_MAX, || {
        if let Ok(facts) = capture::smartctl_json(input, "capture") {
            if let Some(ata) = &facts.ata {
                assert!(ata.attributes.len() <= 255 && ata.errors.len() <= 32);
                assert!(ata.statistics.len() <= 512);
            }
            assert!(
                facts
                    .self_tests
                    .as_ref()
                    .is_none_or(|log| log.entries.len() <= 64)
            );
            assert!(
                facts.missed.len() <= 64,
                "{} lines of what was missed",
                facts.missed.len()
            );
            let _ = disk::judge(&facts, &[]);
        }
    });
});
