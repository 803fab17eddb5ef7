// SPDX-License-Identifier: Apache-2.0
//! What HTTP clients say: the two readers of `Range`, boot paths, and the command line of a script.
#![no_main]

use groundstate_fuzz::{KIB, Pieces, bounded};
use image_core::range::{Wanted, wanted};
use libfuzzer_sys::fuzz_target;
use pxe_core::names::read_path;
use pxe_core::range::{Part, read_range};
use pxe_core::script::CommandLine;
use pxe_core::uki;

/// Heap, in bytes: nothing but a command line and the names of a PE file's sections is kept.
const HEAP_MAX: usize = 256 * KIB;

fuzz_target!(|input: &[u8]| {
    bounded(HEAP_MAX, || {
        let mut pieces = Pieces::new(input);
        let length = pieces.long();
        let first = String::from_utf8_lossy(pieces.string());
        let second = String::from_utf8_lossy(pieces.rest());
        if let Part::Bytes(range) = read_range(&first, length) {
            assert!(
                range.start < range.end && range.end <= length,
                "{range:?} of {length}"
            );
        }
        for validator in [None, Some(second.as_ref())] {
            if let Wanted::Part { first, last } = wanted(Some(&first), validator, length, "\"x\"") {
                assert!(first <= last && last < length, "{first}-{last} of {length}");
            }
        }
        let _ = read_path(&first);
        if let Ok(line) = CommandLine::parse(&first) {
            assert_eq!(CommandLine::parse(line.as_str()).as_ref(), Ok(&line));
        }
        if let Ok(sections) = uki::sections(input) {
            assert!(sections.iter().all(|(_, place)| place.start <= place.end));
        }
    });
});
