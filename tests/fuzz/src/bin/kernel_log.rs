// SPDX-License-Identifier: Apache-2.0
//! Lines of the kernel's log, and small texts of sysfs.
#![no_main]

use groundstate_fuzz::{MIB, bounded};
use hw_core::machine::kernel_log::LogFacts;
use hw_core::machine::{self, MachineFacts, aer_counters, cpu_list, matches_modalias};
use hw_core::{clean, slot};
use libfuzzer_sys::fuzz_target;

/// Heap, in bytes: 256 lines of 128 characters and what is said of them; a list of 8,192 processors.
const HEAP_MAX: usize = 2 * MIB;

fuzz_target!(|input: &[u8]| {
    bounded(HEAP_MAX, || {
        let text = String::from_utf8_lossy(input);
        let mut log = LogFacts::default();
        for line in text.lines() {
            log.take(line);
            let _ = slot::usb_device(line);
            let _ = slot::ancestor(line, "ata");
            if let Some((pattern, alias)) = line.split_once(' ') {
                let _ = matches_modalias(pattern, alias);
            }
        }
        assert!(log.missing_firmware.len() <= 64 && log.machine_checks.len() <= 16);
        assert!(log.about.len() <= 256);
        let facts = MachineFacts {
            log,
            ..MachineFacts::default()
        };
        let _ = machine::judge(&facts);
        assert!(aer_counters(&text).len() <= 32);
        assert!(cpu_list(&text).is_none_or(|list| list.len() <= 8_192));
        assert!(clean(input).chars().count() <= 128);
    });
});
