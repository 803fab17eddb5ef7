// SPDX-License-Identifier: Apache-2.0
//! Everything that a SCSI disk answers, and the verdict on it.
#![no_main]

use groundstate_fuzz::{MIB, Pieces, bounded};
use hw_core::disk::facts::Protocol;
use hw_core::disk::{self, DiskFacts};
use hw_core::scsi::{self, Sense, log_page};
use libfuzzer_sys::fuzz_target;

/// Heap, in bytes: no page is kept, and its 4,096 parameters are counted one by one.
const HEAP_MAX: usize = 2 * MIB;
/// The most answers to one disk's questions.
const ANSWERS_MAX: usize = 32;

fuzz_target!(|input: &[u8]| {
    bounded(HEAP_MAX, || disk(Pieces::new(input)));
});

fn disk(mut pieces: Pieces<'_>) {
    let mut facts = DiskFacts::new("sdb", "ioctl", Protocol::Scsi);
    for _ in 0..ANSWERS_MAX {
        if pieces.is_empty() {
            break;
        }
        let (kind, page) = (pieces.byte(), pieces.byte());
        answer(&mut facts, kind, page, pieces.string());
    }
    let log = facts.self_tests.as_ref();
    assert!(log.is_none_or(|log| log.entries.len() <= 64));
    let _ = disk::judge(&facts, &[]);
}

fn answer(facts: &mut DiskFacts, kind: u8, page: u8, bytes: &[u8]) {
    match kind % 12 {
        0 => {
            scsi::fill_inquiry(facts, bytes);
        }
        1 => {
            assert!(scsi::pages(bytes).len() <= bytes.len());
            assert!(scsi::unit_serial(bytes).len() <= 3 * 128);
        }
        2 => {
            // NAA and EUI names have 16 bytes at most: `naa.` and 32 digits.
            assert!(scsi::unit_name(bytes).is_none_or(|name| name.len() <= 64));
            facts.identity.rotation_rpm = scsi::rotation(bytes);
        }
        3 | 4 => {
            scsi::fill_log(facts, page, bytes);
        }
        // The page that the answer says it is: what a disk that answers rightly would be asked for.
        5 | 6 => {
            let page = bytes.first().map_or(0, |byte| byte & 0x3f);
            scsi::fill_log(facts, page, bytes);
        }
        7 => {
            scsi::fill_pending(facts, bytes);
        }
        8 => {
            scsi::fill_exceptions_control(facts, bytes, page & 1 == 0);
            scsi::fill_extended_minutes(facts, bytes, page & 1 == 0);
        }
        9 => {
            let grown = scsi::grown_defects(bytes, page & 1 == 0);
            facts.scsi.get_or_insert_default().grown_defects = grown;
        }
        10 => {
            if let Some(sense) = Sense::read(bytes) {
                assert!(sense.self_test_remaining().is_none_or(|left| left <= 100));
                assert!(sense.to_string().len() <= 512);
                scsi::exception(facts, sense.code, sense.qualifier);
            }
        }
        _ => {
            assert!(log_page::supported(bytes).len() <= bytes.len());
            let _ = log_page::length(bytes);
        }
    }
}
