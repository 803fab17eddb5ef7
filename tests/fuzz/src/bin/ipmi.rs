// SPDX-License-Identifier: Apache-2.0
//! A BMC: single records and events, and a whole walk through whatever it answers.
#![no_main]

use groundstate_fuzz::{MIB, Pieces, bounded};
use hw_core::machine::ipmi::{self, ANSWER_MAX, DeviceId, Walk};
use libfuzzer_sys::fuzz_target;

/// Heap, in bytes: 1,024 sensors, 2,048 records with a name each, the events that are kept, and their findings.
const HEAP_MAX: usize = 4 * MIB;
/// Requests until a walk is at its end: 2,048 records in pieces or with several sensors, 4,096 events, twice.
const REQUESTS_MAX: usize = 100_000;

fuzz_target!(|input: &[u8]| {
    bounded(HEAP_MAX, || {
        let _ = ipmi::record(input);
        let _ = DeviceId::decode(input);
        if let Some(event) = ipmi::entry(input) {
            assert!(event.words(Some("PSU1")).len() <= 512);
        }
        walk(Pieces::new(input));
    });
});

fn walk(start: Pieces<'_>) {
    let mut walk = Walk::new();
    let mut pieces = start;
    let mut asked = 0;
    while let Some(request) = walk.request() {
        asked += 1;
        assert!(asked <= REQUESTS_MAX, "the walk does not end");
        assert!(request.data.len() <= 8);
        if pieces.is_empty() {
            // The same answers again: what makes a walk long.
            pieces = start;
            if pieces.is_empty() {
                walk.give_up("no answer");
                continue;
            }
        }
        let answer = pieces.string();
        walk.answer(answer.get(..ANSWER_MAX).unwrap_or(answer));
    }
    let facts = walk.into_facts();
    assert!(facts.sensors.len() <= 1_024 && facts.names.len() <= 2_048);
    assert!(facts.locators.len() <= 2_048 && facts.missed.len() <= 2_048 + 16);
    let _ = ipmi::judge(&facts, Some(1_800_000_000), &[]);
    let _ = ipmi::judge(&facts, None, &[]);
}
