// SPDX-License-Identifier: Apache-2.0
//! A TFTP request and everything the client says afterwards; what a window of the file becomes on the wire.
#![no_main]

use groundstate_api::Millis;
use groundstate_fuzz::{KIB, Pieces, bounded};
use libfuzzer_sys::fuzz_target;
use pxe_core::tftp::{
    Action, Encoder, Event, Session, encoded_length, error_packet, is_error, read_request,
    with_slashes,
};

/// Heap, in bytes: a window is a row that names its blocks.
const HEAP_MAX: usize = 256 * KIB;

fuzz_target!(|input: &[u8]| {
    bounded(HEAP_MAX, || session(Pieces::new(input)));
});

fn session(mut pieces: Pieces<'_>) {
    let length = pieces.long();
    let packet = pieces.string();
    netascii(packet);
    let mut request = match read_request(packet) {
        Ok(request) => request,
        Err(refusal) => {
            let error = error_packet(&refusal);
            assert!(error.is_none_or(|packet| packet.len() <= 512 && is_error(&packet)));
            return;
        }
    };
    let slashes = with_slashes(&request.name);
    assert!(
        slashes
            .is_none_or(|name| name.len() == request.name.len() && with_slashes(&name).is_none())
    );
    // Frames of every size, from the seed's own bytes, so that the seeds stay what they are.
    let block_max = u16::try_from(length % 65_536).unwrap_or_default();
    request.fit(block_max);
    assert!(
        request
            .blksize
            .is_none_or(|size| size >= 8 && size <= block_max.max(8))
    );
    let mut now = Millis(0);
    let mut out = Vec::new();
    let mut session = Session::begin(now, &request, length, &mut out);
    look(&out, length);
    let mut last = 0;
    while !pieces.is_empty() {
        let control = pieces.byte();
        out.clear();
        if control & 1 == 1 {
            now = session.deadline().map_or(now, |at| at.max(now));
            session.handle(now, Event::Timeout, &mut out);
        } else if control & 6 == 0 {
            let [high, low] = pieces.half().to_be_bytes();
            session.handle(now, Event::Packet(&[0, 4, high, low]), &mut out);
        } else if control & 6 == 2 {
            session.handle(now, Event::Packet(pieces.string()), &mut out);
        } else if control & 6 == 4 {
            session.handle(now, Event::NotSent(last), &mut out);
        } else {
            // A client that goes on: the next one of a window.
            let [.., high, low] = (last + 1).to_be_bytes();
            session.handle(now, Event::Packet(&[0, 4, high, low]), &mut out);
        }
        last = look(&out, length).unwrap_or(last);
    }
}

/// The last block that is sent.
fn look(actions: &[Action], length: u64) -> Option<u64> {
    let mut last = None;
    assert!(actions.len() <= 2, "{} things for one", actions.len());
    for action in actions {
        match action {
            Action::Packet(packet) => assert!(packet.len() <= 512),
            Action::Data(blocks) => {
                assert!((1..=64).contains(&blocks.count));
                let mut bytes = 0;
                for block in blocks.iter() {
                    let end = block.offset.checked_add(block.length.into());
                    assert!(end.is_some_and(|end| end <= length));
                    bytes += u64::from(block.length);
                }
                assert_eq!(bytes, blocks.bytes());
                last = Some(blocks.first + u64::from(blocks.count) - 1);
            }
            Action::End(_) => {}
        }
    }
    last
}

fn netascii(file: &[u8]) {
    let mut encoder = Encoder::default();
    let mut to = [0; 100];
    loop {
        let from = usize::try_from(encoder.source).expect("inside the file");
        if encoder.encode(&file[from..], &mut to) < to.len() {
            break;
        }
    }
    assert_eq!(encoder.wire, encoded_length(file));
}
