// SPDX-License-Identifier: Apache-2.0
//! One block at a time, options, and time.

use crate::drive::{begin, shown};
use pxe_core::tftp::{Action, Event};

#[test]
fn lock_step_with_an_empty_last_block() {
    let (mut it, out) = begin("", 1_024);
    assert_eq!(shown(&out), "1");
    assert_eq!(it.ack(0), "", "a duplicate ACK sends nothing in lock step");
    assert_eq!(it.ack(1), "2");
    assert_eq!(it.ack(1), "");
    assert_eq!(it.ack(7), "", "an ACK for a block that was not sent");
    assert_eq!(it.ack(2), "3");
    assert_eq!(it.ack(3), "Complete");
    assert_eq!(it.ack(3), "");
    assert_eq!(it.session.deadline(), None);
    assert_eq!(it.session.again(), 0);
}

#[test]
fn an_empty_file_is_one_empty_block() {
    let (mut it, out) = begin("", 0);
    let [Action::Data(blocks)] = out.as_slice() else {
        panic!("{out:?}");
    };
    assert_eq!((blocks.count, blocks.bytes()), (1, 0));
    assert_eq!(it.ack(1), "Complete");
}

#[test]
fn uefi_asks_for_the_length_and_leaves_with_error_8() {
    for (packet, end) in [
        (
            &b"\0\x05\0\x08User aborted the transfer\0"[..],
            "LengthTold",
        ),
        (b"\0\x05\0\0TFTP Aborted\0", "LengthTold"),
        (
            b"\0\x05\0\x03disk full\0",
            "ByClient { code: 3, text: \"disk full\" }",
        ),
    ] {
        let (mut it, out) = begin("tsize\x000\0blksize\x001468\0", 3_000);
        assert_eq!(shown(&out), "|\u{6}blksize|1468|tsize|3000|");
        assert_eq!(shown(&it.handle(Event::Packet(packet))), end);
    }
    // Once it has taken blocks, an ERROR is an ERROR; what it says is cut and made plain.
    let (mut it, _) = begin("tsize\x000\0blksize\x001468\0", 3_000);
    it.ack(0);
    let text = [b"\0\x05\0\x08no\nmore ".as_slice(), &[b'x'; 300]].concat();
    let end = shown(&it.handle(Event::Packet(&text)));
    assert!(
        end.starts_with("ByClient { code: 8, text: \"nomore xxx"),
        "{end}"
    );
    assert!(end.len() < 200);
}

#[test]
fn who_asks_for_the_length_and_falls_silent_gives_its_place_back_soon() {
    // Whatever it asked for besides: to be told again seldom, too.
    for options in [
        "tsize\x000\0",
        "tsize\x000\0blksize\x001468\0windowsize\x004\0",
        "tsize\x000\0timeout\x0020\0",
    ] {
        let (mut it, _) = begin(options, 3_000);
        let mut said = String::new();
        while let Some(deadline) = it.session.deadline() {
            it.now = deadline.0;
            said = it.time();
        }
        assert_eq!((it.now, said.as_str()), (8_000, "Silent"), "{options}");
    }
    // One that went on to take blocks is waited for as any other.
    let (mut it, _) = begin("tsize\x000\0", 3_000);
    it.ack(0);
    while let Some(deadline) = it.session.deadline() {
        it.now = deadline.0;
        it.time();
    }
    assert_eq!(it.now, 45_000);
}

#[test]
fn blocks_that_had_to_wait_go_out_when_it_is_their_turn() {
    let (mut it, _) = begin("windowsize\x004\0", 3_000);
    it.ack(0);
    let first = 0;
    let until = groundstate_api::Millis(5_000);
    assert_eq!(it.handle(Event::PutOff { first, until }), []);
    assert_eq!(
        it.session.deadline(),
        Some(until),
        "and no repetition before"
    );
    it.now = 5_000;
    let out = it.handle(Event::Timeout);
    assert!(
        matches!(out.as_slice(), [Action::Data(blocks)] if (blocks.first, blocks.count) == (0, 4)),
        "{out:?}"
    );
    assert_eq!(it.session.again(), 0);
}

#[test]
fn silence_is_answered_less_and_less_often_and_ends_within_a_minute() {
    // A client that was never heard: three more times.
    let (mut it, _) = begin("", 10);
    let mut times = Vec::new();
    let mut said = String::new();
    while it.session.deadline().is_some() {
        it.now = it.session.deadline().unwrap().0 - 1;
        assert_eq!(it.handle(Event::Timeout), [], "not yet due");
        said = it.time();
        times.push(it.now);
    }
    assert_eq!(
        (times, said.as_str()),
        (vec![1_000, 3_000, 7_000, 15_000], "Silent")
    );
    // One that was heard: from the shortest wait up to the longest.
    let (mut it, _) = begin("", 10_000);
    it.ack(1);
    let mut times = Vec::new();
    while it.session.deadline().is_some() {
        said = it.time();
        times.push(it.now);
    }
    let wanted = [
        200, 600, 1_400, 3_000, 6_200, 12_600, 20_600, 28_600, 36_600, 44_600, 45_000,
    ];
    assert_eq!((times.as_slice(), said.as_str()), (&wanted[..], "Silent"));
}

#[test]
fn the_timeout_that_was_asked_for_is_the_wait() {
    for (seconds, option) in [
        (1u64, true),
        (3, true),
        (20, true),
        (21, false),
        (255, false),
    ] {
        let (mut it, out) = begin(&format!("timeout\0{seconds}\0"), 10_000);
        assert_eq!(shown(&out).contains("timeout"), option, "{seconds} s");
        if option {
            it.ack(0);
            assert_eq!(it.time(), "1");
            assert_eq!(it.now, seconds * 1_000);
            assert_eq!(it.time(), "1");
            assert_eq!(
                it.now,
                seconds * 2_000,
                "no back-off: both sides agreed on it"
            );
        }
        while it.session.deadline().is_some() {
            it.time();
        }
        assert!(it.now <= 60_000, "{seconds} s: ends at {} ms", it.now);
    }
    // One that is not acknowledged is as if it had not been asked for, beside options that are, too.
    let waits = |options: &str| {
        let (mut it, out) = begin(options, 10_000);
        let mut said = vec![(0, shown(&out))];
        while it.session.deadline().is_some() {
            let what = it.time();
            said.push((it.now, what));
        }
        said
    };
    for seconds in [0u64, 21, 100, 255, 256] {
        for others in ["", "blksize\x001468\0"] {
            let asked = format!("{others}timeout\0{seconds}\0");
            assert_eq!(waits(&asked), waits(others), "{seconds} s");
        }
    }
}

#[test]
fn the_wait_follows_a_slow_client() {
    let (mut it, _) = begin("", 100_000);
    for block in 1..40 {
        it.now += 900;
        assert_eq!(it.ack(block), format!("{}", block + 1), "sent once");
    }
    let wait = it.session.deadline().unwrap().0 - it.now;
    assert!((900..1_500).contains(&wait), "{wait} ms");
    assert_eq!(it.session.again(), 0);
}

#[test]
fn only_an_acknowledgement_counts_as_heard() {
    for options in ["", "blksize\x00100\0"] {
        let (mut it, _) = begin(options, 2_000);
        for noise in [&b"\0\x04\xff\xff"[..], b"\0\x03\0\x01", b"", b"\0\x04"] {
            it.handle(Event::Packet(noise));
        }
        it.time();
        assert!(!it.session.heard(), "{options:?}");
        it.ack(u16::from(options.is_empty()));
        assert!(it.session.heard(), "{options:?}");
    }
}

#[test]
fn a_closed_port_ends_it() {
    let (mut it, _) = begin("", 2_000);
    assert_eq!(shown(&it.handle(Event::Unreachable)), "Gone");
    assert_eq!(it.session.deadline(), None);
}
