// SPDX-License-Identifier: Apache-2.0
//! A frame that a switch sent.
#![no_main]

use groundstate_fuzz::{KIB, bounded};
use hw_core::machine::lldp;
use libfuzzer_sys::fuzz_target;

/// Heap, in bytes: five texts, 16 addresses and 16 VLAN names.
const HEAP_MAX: usize = 64 * KIB;
/// Characters of any text that is shown, in bytes of UTF-8.
const TEXT_MAX: usize = 3 * 128;

fuzz_target!(|input: &[u8]| {
    bounded(HEAP_MAX, || {
        if let Ok(seen) = lldp::neighbour(input) {
            assert!(seen.addresses.len() <= 16 && seen.vlan_names.len() <= 16);
            for text in [
                &seen.chassis,
                &seen.port,
                &seen.system,
                &seen.system_description,
            ] {
                assert!(text.len() <= TEXT_MAX && !text.chars().any(char::is_control));
            }
            assert!(seen.words().len() <= 4 * TEXT_MAX);
        }
    });
});
