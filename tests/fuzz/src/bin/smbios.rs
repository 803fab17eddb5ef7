// SPDX-License-Identifier: Apache-2.0
//! A table of SMBIOS, raw or as a dump: memory, the machine, its firmware and parts.
#![no_main]

use groundstate_fuzz::{MIB, bounded};
use hw_core::machine::FirmwareFacts;
use hw_core::smbios::{DIMMS_MAX, STRUCTURES_MAX, Version, capture, decode};
use hw_core::{clean, memory};
use libfuzzer_sys::fuzz_target;

/// Heap, in bytes: 8,192 structures, and 1,024 slots with a few lines each.
const HEAP_MAX: usize = 16 * MIB;
/// Lines about faults of a table: one a structure at most, and a few about the whole of it.
const NOTES_MAX: usize = STRUCTURES_MAX + 16;

fuzz_target!(|input: &[u8]| {
    bounded(HEAP_MAX, || {
        if let Ok(dimms) = memory::from_smbios(input) {
            assert!(dimms.slots.len() <= DIMMS_MAX);
            assert_eq!(dimms.details.modules.len(), dimms.slots.len());
            assert_eq!(dimms.populated + dimms.empty, dimms.slots.len());
            assert!(
                dimms.notes.len() <= NOTES_MAX,
                "{} notes",
                dimms.notes.len()
            );
            for slot in &dimms.slots {
                assert_eq!(slot.slot, clean(slot.slot.as_bytes()));
            }
            for at in [0, 1 << 30, u64::MAX] {
                let _ = memory::locate(&dimms.slots, &dimms.details, at);
            }
            let _ = memory::DimmsReport::from(dimms).lines();
        }
        if let Ok(found) = capture(input) {
            let facts = FirmwareFacts::decode(found.table);
            assert!(facts.sockets.len() <= 64 && facts.supplies.len() <= 64);
        }
        let smbios = decode(input, Version { major: 2, minor: 4 });
        assert!(smbios.notes.len() <= NOTES_MAX);
    });
});
