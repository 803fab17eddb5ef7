// SPDX-License-Identifier: Apache-2.0
//! A capture of a whole machine that somebody sent, everything that is judged from it, and its redaction.
#![no_main]

use groundstate_fuzz::{MIB, bounded};
use hw_core::collected::Collected;
use hw_core::{disk, machine, profile, reports};
use libfuzzer_sys::fuzz_target;

/// Heap, in bytes, for an input of 64 KiB at most: the document, its tree, and the reports on it.
const HEAP_MAX: usize = 32 * MIB;

fuzz_target!(|input: &[u8]| {
    bounded(HEAP_MAX, || {
        let Ok(seen) = Collected::parse(input) else {
            return;
        };
        for facts in &seen.disks {
            let _ = disk::judge(facts, &[]);
        }
        let _ = machine::judge(&seen.machine);
        let _ = reports(&seen.inventory, None, Some(&seen.inventory), &[]);
        let learnt = profile::learn("learnt", &seen.inventory);
        let _ = profile::judge(&learnt, &seen.inventory);
        if let Ok(redacted) = seen.redact(b"salt") {
            assert!(redacted.redacted);
            assert_eq!(redacted.disks.len(), seen.disks.len());
        }
    });
});
