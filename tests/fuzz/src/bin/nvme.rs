// SPDX-License-Identifier: Apache-2.0
//! Everything that an NVMe disk answers, and the verdict on it.
#![no_main]

use groundstate_fuzz::{MIB, Pieces, bounded};
use hw_core::disk::facts::Protocol;
use hw_core::disk::{self, DiskFacts};
use hw_core::nvme;
use libfuzzer_sys::fuzz_target;

/// Heap, in bytes: 16 errors and 20 self-tests are kept.
const HEAP_MAX: usize = MIB;

fuzz_target!(|input: &[u8]| {
    bounded(HEAP_MAX, || controller(Pieces::new(input)));
});

fn controller(mut pieces: Pieces<'_>) {
    let whole = pieces.byte();
    let mut log = |bit: u8, length: usize| {
        if whole >> bit & 1 == 0 {
            pieces.block(length)
        } else {
            pieces.string().to_vec()
        }
    };
    let mut facts = DiskFacts::new("nvme0", "ioctl", Protocol::Nvme);
    let controller = nvme::identify_controller(&log(0, nvme::IDENTIFY_LENGTH));
    if let Some(controller) = &controller {
        controller.fill(&mut facts);
    }
    nvme::fill_smart(&mut facts, &log(1, nvme::LOG_LENGTH));
    let tests = log(2, nvme::SELF_TEST_LENGTH);
    facts.self_tests = nvme::self_test_log(&tests, controller.as_ref());
    if let Some(log) = &facts.self_tests {
        assert!(log.entries.len() <= 20 && log.running.is_none_or(|left| left <= 100));
    }
    let errors = nvme::errors(&log(3, 3 * nvme::ERROR_ENTRY));
    assert!(errors.len() <= usize::from(nvme::ERROR_ENTRIES_MAX));
    facts.nvme.get_or_insert_default().errors = errors;
    let supported = log(4, nvme::SUPPORTED_LENGTH);
    for page in 0..=u8::MAX {
        let _ = nvme::lists_page(&supported, page);
    }
    let _ = disk::judge(&facts, &[]);
}
