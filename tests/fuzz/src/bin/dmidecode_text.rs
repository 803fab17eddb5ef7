// SPDX-License-Identifier: Apache-2.0
//! The text of dmidecode.
#![no_main]

use groundstate_fuzz::{MIB, bounded};
use hw_core::memory;
use hw_core::smbios::{DIMMS_MAX, STRUCTURES_MAX};
use libfuzzer_sys::fuzz_target;

/// Heap, in bytes: 8,192 structures with up to 64 borrowed fields each.
const HEAP_MAX: usize = 24 * MIB;

fuzz_target!(|input: &[u8]| {
    bounded(HEAP_MAX, || {
        if let Ok(dimms) = memory::from_dmidecode_text(input) {
            assert!(dimms.slots.len() <= DIMMS_MAX);
            assert_eq!(dimms.details.modules.len(), dimms.slots.len());
            assert_eq!(dimms.populated + dimms.empty, dimms.slots.len());
            assert!(
                dimms.notes.len() <= STRUCTURES_MAX + 16,
                "{} notes",
                dimms.notes.len()
            );
            let _ = memory::DimmsReport::from(dimms).lines();
        }
    });
});
