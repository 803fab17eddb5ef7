// SPDX-License-Identifier: Apache-2.0
//! A hardware profile, held against one machine.
#![no_main]

use groundstate_fuzz::{MIB, bounded};
use hw_core::collected::Collected;
use hw_core::profile::{self, Profile};
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

/// Heap, in bytes, for an input of 16 KiB at most: toml's spans and tables.
const HEAP_MAX: usize = 16 * MIB;

/// The machine.
static SEEN: LazyLock<Collected> = LazyLock::new(|| {
    Collected::parse(include_bytes!("../../seeds/collected/machine.json"))
        .expect("the capture in seeds/collected is one")
});

fuzz_target!(|input: &[u8]| {
    let seen = &*SEEN;
    bounded(HEAP_MAX, || {
        let Ok(text) = str::from_utf8(input) else {
            return;
        };
        if let Ok(profile) = toml::from_str::<Profile>(text) {
            let _ = profile::judge(&profile, &seen.inventory);
            // What is written is read back as the same.
            let written = toml::to_string(&profile).expect("a profile can be written");
            let read: Profile = toml::from_str(&written).expect("what was written can be read");
            assert_eq!(read, profile);
        }
    });
});
