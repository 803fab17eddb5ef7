// SPDX-License-Identifier: Apache-2.0
//! A session and clients of several kinds at the ends of a wire that loses, doubles and reorders datagrams: the file
//! arrives, and what is sent stays within bounds.

use crate::drive::request;
use groundstate_api::Millis;
use proptest::prelude::*;
use pxe_core::tftp::{Action, End, Event, Session};
use std::collections::BTreeMap;

/// How a client acknowledges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    /// As RFC 7440 says: the window's last block, and once where one is missing.
    Strict,
    /// For every block that it does not expect, its last ACK once more (UEFI).
    Eager,
    /// Every block by itself, whatever the window.
    EachBlock,
}

/// What the wire does, a hundredth each.
#[derive(Clone, Copy, Debug)]
struct Wire {
    lost: u32,
    doubled: u32,
    late: u32,
}

/// Numbers that look random.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        u32::try_from(self.0 % u64::from(end)).unwrap()
    }
}

/// Datagrams on their way, by when they arrive and in which order they were sent.
#[derive(Default)]
struct Flight<T>(BTreeMap<(u64, u64), T>, u64);

impl<T: Clone> Flight<T> {
    fn send(&mut self, wire: Wire, dice: &mut Dice, now: u64, datagram: &T) {
        let copies = if dice.below(100) < wire.doubled { 2 } else { 1 };
        for _ in 0..copies {
            if dice.below(100) < wire.lost {
                continue;
            }
            let late = if dice.below(100) < wire.late {
                dice.below(30)
            } else {
                0
            };
            self.1 += 1;
            self.0
                .insert((now + 1 + u64::from(late), self.1), datagram.clone());
        }
    }

    fn next(&self) -> Option<u64> {
        self.0.keys().next().map(|(at, _)| *at)
    }

    fn take(&mut self, now: u64) -> Option<T> {
        let entry = self.0.first_entry().filter(|entry| entry.key().0 <= now)?;
        Some(entry.remove())
    }
}

struct Client {
    manner: Manner,
    window: u64,
    block_bytes: u64,
    /// Blocks that it has, and since its last ACK.
    have: u64,
    since: u64,
    told_gap: bool,
    got: u64,
    done: bool,
    due: u64,
}

/// How long a client waits until it repeats its last ACK.
const CLIENT_WAIT: u64 = 1_000;

impl Client {
    /// A DATA packet of `length` bytes from `offset`; what it acknowledges.
    fn take(&mut self, now: u64, (wire, offset, length): (u16, u64, u64)) -> Option<u16> {
        let wanted = u16::try_from((self.have + 1) & 0xffff).unwrap();
        let last = u16::try_from(self.have & 0xffff).unwrap();
        if wire != wanted {
            let again = match self.manner {
                Manner::Eager => true,
                // What it has already is no gap.
                Manner::Strict if last.wrapping_sub(wire) < 1_000 => return None,
                Manner::Strict => !std::mem::replace(&mut self.told_gap, true),
                Manner::EachBlock => false,
            };
            self.since = 0;
            return again.then_some(last);
        }
        assert_eq!(
            offset, self.got,
            "the number is the next one's, so are the bytes"
        );
        self.due = now + CLIENT_WAIT;
        self.told_gap = false;
        self.have += 1;
        self.got += length;
        self.since += 1;
        self.done = length < self.block_bytes;
        let is_due = self.done || self.since >= self.window || self.manner == Manner::EachBlock;
        is_due.then(|| {
            self.since = 0;
            wanted
        })
    }
}

/// How it ended, how many blocks were sent, how many the file has, and how long it took.
fn transfer(
    (length, window, block_bytes): (u64, u64, u64),
    manner: Manner,
    wire: Wire,
    seed: u64,
) -> (Option<End>, bool, u64, u64, u64) {
    let mut dice = Dice(seed | 1);
    let options = format!("blksize\0{block_bytes}\0windowsize\0{window}\0");
    let mut out = Vec::new();
    let mut session = Session::begin(Millis(0), &request(&options), length, &mut out);
    let mut client = Client {
        manner,
        window,
        block_bytes,
        have: 0,
        since: 0,
        told_gap: false,
        got: 0,
        done: false,
        due: CLIENT_WAIT,
    };
    let (mut down, mut up) = (Flight::default(), Flight::default());
    let (mut now, mut sent, mut end) = (0, 0, None);
    loop {
        for action in out.drain(..) {
            match action {
                Action::Packet(_) => down.send(wire, &mut dice, now, &None),
                Action::Data(blocks) => {
                    for block in blocks.iter() {
                        sent += 1;
                        let number = u16::from_be_bytes([block.header[2], block.header[3]]);
                        let data = (number, block.offset, u64::from(block.length));
                        down.send(wire, &mut dice, now, &Some(data));
                    }
                }
                Action::End(how) => end = Some(how),
            }
        }
        if end.is_some() {
            break;
        }
        let client_due = (!client.done).then_some(client.due);
        let session_due = session.deadline().map(|at| at.0);
        let next = [down.next(), up.next(), client_due, session_due];
        now = next.into_iter().flatten().min().unwrap().max(now);
        while let Some(datagram) = down.take(now) {
            let ack = match datagram {
                // The OACK: acknowledged each time, while nothing else has come.
                None => (client.have == 0).then_some(0),
                Some(data) => client.take(now, data),
            };
            if let Some(ack) = ack {
                up.send(wire, &mut dice, now, &ack);
            }
        }
        if !client.done && client.due <= now {
            client.due = now + CLIENT_WAIT;
            let last = u16::try_from(client.have & 0xffff).unwrap();
            up.send(wire, &mut dice, now, &last);
        }
        while let Some(ack) = up.take(now) {
            let [high, low] = ack.to_be_bytes();
            session.handle(Millis(now), Event::Packet(&[0, 4, high, low]), &mut out);
        }
        session.handle(Millis(now), Event::Timeout, &mut out);
    }
    (
        end,
        client.done && client.got == length,
        sent,
        length / block_bytes + 1,
        now,
    )
}

#[test]
fn nothing_is_sent_twice_where_nothing_is_lost() {
    let wire = Wire {
        lost: 0,
        doubled: 0,
        late: 0,
    };
    for manner in [Manner::Strict, Manner::Eager] {
        for window in [1, 4, 16, 64] {
            let (end, whole, sent, blocks, _) = transfer((300_000, window, 512), manner, wire, 1);
            assert_eq!((end, whole, sent), (Some(End::Complete), true, blocks));
        }
    }
}

#[test]
fn a_wire_that_doubles_everything_makes_us_send_nothing_twice() {
    let wire = Wire {
        lost: 0,
        doubled: 100,
        late: 0,
    };
    for (manner, window) in [
        (Manner::Strict, 1),
        (Manner::Strict, 4),
        (Manner::Strict, 16),
        (Manner::Strict, 64),
        (Manner::Eager, 1),
        (Manner::EachBlock, 1),
    ] {
        let (_, whole, sent, blocks, _) = transfer((300_000, window, 512), manner, wire, 1);
        assert!(whole, "{manner:?} {window}");
        assert_eq!(sent, blocks, "{manner:?} {window}");
    }
}

#[test]
fn with_five_in_a_hundred_lost_both_ways_200_of_200_finish() {
    let wire = Wire {
        lost: 5,
        doubled: 0,
        late: 0,
    };
    for seed in 1..=200u64 {
        let window = [1, 4, 16, 64][usize::try_from(seed % 4).unwrap()];
        let manner = if seed % 8 < 4 {
            Manner::Strict
        } else {
            Manner::Eager
        };
        let (_, whole, sent, blocks, took) =
            transfer((1 << 20, window, 1_468), manner, wire, seed * 7_919);
        assert!(whole, "{seed}: {manner:?} {window}");
        // A window of 64 loses three or so, and is sent again from each of them.
        assert!(
            sent <= 6 * blocks,
            "{seed}: {manner:?} {window}: {sent} for {blocks}"
        );
        assert!(took <= 120_000, "{seed}: {manner:?} {window}: {took} ms");
    }
}

fn manner() -> impl Strategy<Value = Manner> {
    prop_oneof![
        Just(Manner::Strict),
        Just(Manner::Eager),
        Just(Manner::EachBlock)
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Whatever the wire does, the file is right, every event sends at most a window, and nothing goes on for ever.
    #[test]
    fn the_file_arrives_whole(
        length in 0u64..60_000,
        window in 1u64..=64,
        block_bytes in 8u64..600,
        manner in manner(),
        lost in 0u32..20,
        doubled in 0u32..40,
        late in 0u32..40,
        seed in 1u64..,
    ) {
        let length = length.min(block_bytes * 200);
        let wire = Wire { lost, doubled, late };
        let (end, whole, sent, blocks, took) = transfer((length, window, block_bytes), manner, wire, seed);
        // The last ACK may be lost more often than the client says it; the client has the file all the same.
        prop_assert!(whole, "{end:?} after {took} ms");
        let bound = (blocks + 8) * 4 * (window.min(blocks) + 2);
        prop_assert!(sent <= bound, "{sent} for {blocks}");
    }

    /// Whatever comes, a session sends at most a window for each event, stays inside the file, and ends.
    #[test]
    fn no_packet_breaks_a_session(
        length in 0u64..200_000,
        window in 1u64..80,
        packets in prop::collection::vec((0u8..8, prop::collection::vec(0u8.., 0..8), 0u64..9_000), 0..60),
    ) {
        let options = format!("blksize\x00100\0windowsize\0{window}\0");
        let mut out = Vec::new();
        let mut session = Session::begin(Millis(0), &request(&options), length, &mut out);
        let mut now = 0;
        for (op, tail, step) in packets {
            now += step;
            let mut packet = vec![0, op];
            packet.extend(tail);
            for event in [Event::Packet(&packet), Event::Timeout, Event::NotSent(step)] {
                out.clear();
                session.handle(Millis(now), event, &mut out);
                prop_assert!(out.len() <= 1);
                for action in &out {
                    if let Action::Data(blocks) = action {
                        prop_assert!((1..=64).contains(&blocks.count));
                        prop_assert!(blocks.offset() + blocks.bytes() <= length);
                    }
                }
            }
        }
        let mut left = 0;
        while let Some(at) = session.deadline() {
            left += 1;
            prop_assert!(left <= 100);
            out.clear();
            session.handle(at, Event::Timeout, &mut out);
        }
    }
}
