// SPDX-License-Identifier: Apache-2.0
//! A TFTP request and everything the client says afterwards.
#![no_main]

use groundstate_api::Millis;
use groundstate_fuzz::{KIB, Pieces, bounded};
use libfuzzer_sys::fuzz_target;
use pxe_core::tftp::{Action, Event, Session, error_packet, read_request};

/// Heap, in bytes: a window is 64 blocks that are named, not copied.
const HEAP_MAX: usize = 256 * KIB;

fuzz_target!(|input: &[u8]| {
    bounded(HEAP_MAX, || session(Pieces::new(input)));
});

fn session(mut pieces: Pieces<'_>) {
    let length = pieces.long();
    let request = match read_request(pieces.string()) {
        Ok(request) => request,
        Err(refusal) => {
            assert!(error_packet(&refusal).is_none_or(|packet| packet.len() <= 512));
            return;
        }
    };
    assert!((8..=1_468).contains(&request.block_bytes()));
    let mut now = Millis(0);
    let mut out = Vec::new();
    let mut session = Session::begin(now, &request, length, &mut out);
    look(&out, length);
    while !pieces.is_empty() {
        let control = pieces.byte();
        let mut out = Vec::new();
        if control & 1 == 1 {
            now = session.deadline().map_or(now, |at| at.max(now));
            session.handle(now, Event::Timeout, &mut out);
        } else if control & 2 == 0 {
            let [high, low] = pieces.half().to_be_bytes();
            session.handle(now, Event::Packet(&[0, 4, high, low]), &mut out);
        } else {
            session.handle(now, Event::Packet(pieces.string()), &mut out);
        }
        look(&out, length);
    }
}

fn look(actions: &[Action], length: u64) {
    assert!(actions.len() <= 65, "{} packets for one", actions.len());
    for action in actions {
        match action {
            Action::Packet(packet) => assert!(packet.len() <= 512),
            Action::Data {
                offset,
                length: part,
                ..
            } => {
                assert!(
                    offset
                        .checked_add(u64::from(*part))
                        .is_some_and(|end| end <= length)
                );
            }
            Action::End(_) => {}
        }
    }
}
