// SPDX-License-Identifier: Apache-2.0
//! RFC 7440: several blocks at a time.

use crate::drive::{begin, ended};
use pxe_core::tftp::{Action, End, Event};

#[test]
fn a_window_goes_on_after_the_last_block_that_came() {
    let (mut it, _) = begin("windowsize\x004\0blksize\x001000\0", 9_500);
    assert_eq!(it.ack(0), "1-4");
    assert_eq!(it.ack(2), "3-6", "block 3 was lost");
    assert_eq!(it.ack(1), "", "an old ACK");
    assert_eq!(it.ack(6), "7-10");
    assert_eq!(it.ack(10), "Complete");
    assert_eq!(it.session.again(), 2);
}

#[test]
fn the_last_ack_once_more_says_that_the_first_of_a_window_is_missing() {
    let (mut it, _) = begin("windowsize\x004\0", 100_000);
    assert_eq!(it.ack(0), "1-4");
    assert_eq!(it.ack(4), "5-8");
    assert_eq!(it.ack(4), "", "5 was lost, or the network has made a copy");
    assert_eq!((it.time().as_str(), it.now), ("5-8", 3), "5 was lost");
    for _ in 0..4 {
        assert_eq!(
            it.ack(4),
            "",
            "the client says so for each of 6, 7, 8 and for what came twice"
        );
    }
    assert_eq!(it.ack(8), "9-12");
    assert_eq!(it.ack(12), "13-16");
    assert_eq!(it.ack(12), "");
    assert_eq!(it.ack(16), "17-20", "it was a copy");
    assert_eq!(it.ack(16), "");
    assert_eq!(
        (it.time().as_str(), it.now),
        ("17-20", 6),
        "again it means something"
    );
    assert_eq!(it.session.again(), 8);
}

/// A client that acknowledges each block that it has already makes nobody send everything twice for ever.
#[test]
fn blocks_sent_twice_do_not_double_what_follows() {
    let (mut it, _) = begin("windowsize\x004\0", 100_000);
    it.ack(0);
    assert_eq!(it.time(), "1-4", "the client was slow, and gets them twice");
    assert_eq!(it.ack(4), "5-8");
    // Its answers to the copies.
    for _ in 0..4 {
        assert_eq!(it.ack(4), "");
    }
    for last in [8, 12, 16, 20, 24] {
        assert_eq!(it.ack(last), format!("{}-{}", last + 1, last + 4));
    }
    assert_eq!(it.session.again(), 4);
}

#[test]
fn a_late_ack_after_going_back_counts() {
    let (mut it, _) = begin("windowsize\x004\0", 100_000);
    it.ack(0);
    it.time();
    assert_eq!(it.ack(2), "3-6", "half of the first sending");
    assert_eq!(
        it.ack(4),
        "5-8",
        "the other half, before what was sent again arrived"
    );
}

#[test]
fn loss_makes_bursts_smaller_and_the_window_stays() {
    let (mut it, _) = begin("windowsize\x0064\0", 10_000_000);
    assert_eq!(it.ack(0), "1-64");
    assert_eq!(
        it.ack(20),
        "21-52",
        "lost in the middle: half a window at once"
    );
    let sent = it.now;
    assert_eq!(it.time(), "53-84", "and the other half a millisecond later");
    assert_eq!(it.now, sent + 1);
    assert_eq!(
        it.ack(84),
        "85-116",
        "the client acknowledges the whole window"
    );
    assert_eq!(it.time(), "117-148");
    let mut last = 148;
    for _ in 0..7 {
        it.ack(last);
        it.time();
        last += 64;
    }
    assert_eq!(
        it.ack(last),
        format!("{}-{}", last + 1, last + 64),
        "eight clean windows"
    );
}

#[test]
fn what_the_socket_has_no_room_for_follows() {
    let (mut it, _) = begin("windowsize\x008\0", 100_000);
    assert_eq!(it.ack(0), "1-8");
    assert_eq!(it.handle(Event::NotSent(3)), []);
    assert_eq!(it.time(), "4-8");
    assert_eq!(it.now, 1);
    assert_eq!(it.session.again(), 0, "they are sent the first time");
    assert_eq!(it.ack(8), "9-16");
    // None of them, again and again.
    for _ in 0..5 {
        it.handle(Event::NotSent(8));
        assert_eq!(it.time(), "9-16");
    }
}

#[test]
fn blocks_roll_over_to_zero() {
    let length = 140_000u64 * 8 + 3;
    for window in [1u64, 7, 64] {
        let (mut it, _) = begin(&format!("blksize\x008\0windowsize\0{window}\0"), length);
        let mut out = it.handle(Event::Packet(&[0, 4, 0, 0]));
        let mut got = 0;
        while ended(&out).is_none() {
            let mut last = [0; 2];
            for action in &out {
                let Action::Data(blocks) = action else {
                    panic!("{action:?} is not due");
                };
                for block in blocks.iter() {
                    assert_eq!(block.offset, got);
                    got += u64::from(block.length);
                    last = [block.header[2], block.header[3]];
                }
            }
            out = it.handle(Event::Packet(&[0, 4, last[0], last[1]]));
        }
        assert_eq!((got, ended(&out)), (length, Some(&End::Complete)));
    }
}
