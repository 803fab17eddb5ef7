// SPDX-License-Identifier: Apache-2.0
//! A boot loader entry of the ESP, a kernel command line, and texts of the virtual disks' names.
#![no_main]

use groundstate_fuzz::{KIB, bounded};
use libfuzzer_sys::fuzz_target;
use mos_core::loader_entry::{LoaderEntry, starts_from};

/// Heap, in bytes: an entry of 16 KiB, a few times.
const HEAP_MAX: usize = 512 * KIB;

fuzz_target!(|input: &[u8]| {
    bounded(HEAP_MAX, || {
        let Ok(entry) = LoaderEntry::parse(input) else {
            return;
        };
        for path in entry.initrd.iter().chain([&entry.linux]) {
            let up = path.split(['/', '\\']).any(|part| part == "..");
            assert!(
                !path.is_empty() && !path.starts_with('/') && !up,
                "{path:?} leaves the ESP"
            );
        }
        let _ = starts_from(&entry.options, "00000000-0000-0000-0000-000000000000");
        if let Ok(text) = entry.render() {
            // What is written is read back as the same, but for blanks at an end.
            let read = LoaderEntry::parse(text.as_bytes()).expect("what was written can be read");
            assert_eq!(
                (read.title, read.linux, read.initrd),
                (entry.title, entry.linux, entry.initrd)
            );
            assert_eq!(read.options, entry.options.trim());
        }
    });
});
