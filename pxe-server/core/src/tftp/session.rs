// SPDX-License-Identifier: Apache-2.0
//! One transfer to one client, without sockets.
//!
//! Blocks are counted in 64 bits here and in 16 on the wire, where they roll over to 0. A duplicate ACK is never a reason
//! to send in lock step (the "Sorcerer's Apprentice"); in a window it is, once, because RFC 7440 makes it say "the
//! first block of the window is missing".

use super::request::ReadRequest;
use alloc::string::String;
use alloc::vec::Vec;
use groundstate_api::Millis;

/// The first wait for an answer, where the client did not ask for one; it doubles up to `WAIT_MAX`.
const WAIT: Millis = Millis::secs(1);
/// The longest such wait.
const WAIT_MAX: Millis = Millis::secs(8);
/// How often the same blocks are sent again before the client counts as gone: 1 + 2 + 4 + 8 + 8 s.
const RETRIES_MAX: u32 = 5;
/// The most of a client's error text that is kept, in bytes.
const TEXT_MAX: usize = 128;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A datagram came from the client.
    Packet(&'a [u8]),
    /// [`Session::deadline`] has come.
    Timeout,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Send this packet.
    Packet(Vec<u8>),
    /// Send a DATA packet: [`data_header`] of `block`, then `length` bytes of the file from `offset`.
    Data {
        /// The block's number on the wire.
        block: u16,
        /// Where its bytes begin in the file.
        offset: u64,
        /// How many there are.
        length: u16,
    },
    /// The transfer is over; nothing follows.
    End(End),
}

/// How a transfer ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// The client has acknowledged the last block.
    Complete,
    /// The client sent an ERROR. Code 8 after a length was told is how UEFI asks for the length alone.
    ByClient {
        /// The code.
        code: u16,
        /// The text.
        text: String,
    },
    /// The client did not answer.
    Silent,
}

/// One transfer.
#[derive(Clone, Debug)]
pub struct Session {
    length: u64,
    block_bytes: u16,
    window: u64,
    oack: Option<Vec<u8>>,
    wait: Wait,
    /// Blocks acknowledged. While the OACK is not: `None`.
    acknowledged: Option<u64>,
    /// Blocks sent at least once since the last acknowledgement moved.
    sent: u64,
    resent_window: bool,
    heard: bool,
    over: bool,
}

#[derive(Clone, Copy, Debug)]
struct Wait {
    asked: Option<Millis>,
    tries: u32,
    until: Millis,
}

/// The first four bytes of a DATA packet.
#[must_use]
pub fn data_header(block: u16) -> [u8; 4] {
    let [high, low] = block.to_be_bytes();
    [0, 3, high, low]
}

impl Session {
    /// Begins the transfer of a file of `length` bytes: an OACK, or the first block.
    #[must_use]
    pub fn begin(now: Millis, request: &ReadRequest, length: u64, out: &mut Vec<Action>) -> Self {
        let asked = request.timeout.map(|seconds| Millis::secs(seconds.into()));
        let oack = request.oack(length);
        let mut session = Self {
            length,
            block_bytes: request.block_bytes(),
            window: request.windowsize.map_or(1, u64::from),
            acknowledged: if oack.is_some() { None } else { Some(0) },
            oack,
            wait: Wait {
                asked,
                tries: 0,
                until: now,
            },
            sent: 0,
            resent_window: false,
            heard: false,
            over: false,
        };
        session.send(now, out);
        session
    }

    /// When [`Event::Timeout`] is due.
    #[must_use]
    pub fn deadline(&self) -> Option<Millis> {
        (!self.over).then_some(self.wait.until)
    }

    /// Whether the client has acknowledged anything. Until then, the request may have come from anywhere.
    #[must_use]
    pub const fn heard(&self) -> bool {
        self.heard
    }

    /// Decides.
    pub fn handle(&mut self, now: Millis, event: Event<'_>, out: &mut Vec<Action>) {
        if self.over {
            return;
        }
        match event {
            Event::Timeout if now < self.wait.until => {}
            Event::Timeout if self.wait.tries >= RETRIES_MAX => self.end(End::Silent, out),
            Event::Timeout => {
                self.wait.tries += 1;
                self.send(now, out);
            }
            Event::Packet(&[0, 4, high, low]) => {
                self.acknowledge(now, u16::from_be_bytes([high, low]), out)
            }
            Event::Packet(&[0, 5, high, low, ref text @ ..]) => {
                let text = text.split(|b| *b == 0).next().unwrap_or_default();
                let text = text.get(..TEXT_MAX).unwrap_or(text);
                let text = String::from_utf8_lossy(text)
                    .chars()
                    .filter(|c| !c.is_control())
                    .collect();
                self.end(
                    End::ByClient {
                        code: u16::from_be_bytes([high, low]),
                        text,
                    },
                    out,
                );
            }
            // Anything else on this port is noise; it neither ends nor speeds a transfer.
            Event::Packet(_) => {}
        }
    }

    fn acknowledge(&mut self, now: Millis, wire: u16, out: &mut Vec<Action>) {
        let Some(base) = self.acknowledged else {
            if wire == 0 {
                self.advance(now, 0, out);
            }
            return;
        };
        // How far ahead of the last acknowledgement: at most a window, so 16 bits tell old from new.
        let low = u16::try_from(base & 0xffff).unwrap_or_default();
        let ahead = u64::from(wire.wrapping_sub(low));
        if ahead == 0 {
            if self.window > 1 && self.sent > base && !self.resent_window {
                self.send(now, out);
                self.resent_window = true;
            }
        } else if base + ahead <= self.sent {
            self.advance(now, base + ahead, out);
        }
    }

    fn advance(&mut self, now: Millis, acknowledged: u64, out: &mut Vec<Action>) {
        self.acknowledged = Some(acknowledged);
        self.heard = true;
        self.wait.tries = 0;
        self.resent_window = false;
        if acknowledged == self.blocks() {
            self.end(End::Complete, out);
        } else {
            self.send(now, out);
        }
    }

    /// Sends what is due from the last acknowledgement on, and sets the wait.
    fn send(&mut self, now: Millis, out: &mut Vec<Action>) {
        let doubled = Millis(WAIT.0 << self.wait.tries.min(8)).min(WAIT_MAX);
        self.wait.until = now.plus(self.wait.asked.unwrap_or(doubled));
        let Some(base) = self.acknowledged else {
            out.extend(self.oack.clone().map(Action::Packet));
            return;
        };
        self.sent = self.blocks().min(base + self.window);
        let size = u64::from(self.block_bytes);
        for number in base..self.sent {
            let offset = number * size;
            let length =
                u16::try_from((self.length - offset).min(size)).unwrap_or(self.block_bytes);
            let block = u16::try_from((number + 1) & 0xffff).unwrap_or_default();
            out.push(Action::Data {
                block,
                offset,
                length,
            });
        }
    }

    /// How many blocks the file has; the last one is shorter than the others, and may be empty.
    fn blocks(&self) -> u64 {
        self.length / u64::from(self.block_bytes) + 1
    }

    fn end(&mut self, end: End, out: &mut Vec<Action>) {
        self.over = true;
        out.push(Action::End(end));
    }
}

#[cfg(test)]
mod tests {
    use super::super::request::read_request;
    use super::*;

    fn begin(options: &str, length: u64) -> (Session, Vec<Action>) {
        let mut out = Vec::new();
        let request = read_request(std::format!("\0\u{1}f\0octet\0{options}").as_bytes()).unwrap();
        let session = Session::begin(Millis(0), &request, length, &mut out);
        (session, out)
    }

    fn handle(session: &mut Session, now: u64, event: Event<'_>) -> Vec<Action> {
        let mut out = Vec::new();
        session.handle(Millis(now), event, &mut out);
        out
    }

    fn ack(session: &mut Session, block: u16) -> Vec<Action> {
        let [high, low] = block.to_be_bytes();
        handle(session, 0, Event::Packet(&[0, 4, high, low]))
    }

    fn data(block: u16, offset: u64, length: u16) -> Action {
        Action::Data {
            block,
            offset,
            length,
        }
    }

    #[test]
    fn lock_step_with_an_empty_last_block() {
        let (mut session, out) = begin("", 1_024);
        assert_eq!(out, [data(1, 0, 512)]);
        assert_eq!(
            ack(&mut session, 0),
            [],
            "a duplicate ACK sends nothing in lock step"
        );
        assert_eq!(ack(&mut session, 1), [data(2, 512, 512)]);
        assert_eq!(ack(&mut session, 1), []);
        assert_eq!(
            ack(&mut session, 7),
            [],
            "an ACK for a block that was not sent"
        );
        assert_eq!(ack(&mut session, 2), [data(3, 1_024, 0)]);
        assert_eq!(ack(&mut session, 3), [Action::End(End::Complete)]);
        assert_eq!(ack(&mut session, 3), []);
        assert_eq!(session.deadline(), None);
    }

    #[test]
    fn uefi_asks_for_the_length_and_leaves_with_error_8() {
        let (mut session, out) = begin("tsize\x000\0blksize\x001468\0", 3_000);
        assert!(
            matches!(out.as_slice(), [Action::Packet(p)] if p.starts_with(b"\0\x06blksize\x001468\0tsize\x003000\0"))
        );
        let end = handle(
            &mut session,
            5,
            Event::Packet(b"\0\x05\0\x08User aborted the transfer\0"),
        );
        let text = String::from("User aborted the transfer");
        assert_eq!(end, [Action::End(End::ByClient { code: 8, text })]);
    }

    #[test]
    fn a_window_goes_on_after_the_last_block_that_came() {
        let (mut session, _) = begin("windowsize\x004\0blksize\x001000\0", 9_500);
        assert_eq!(ack(&mut session, 0).len(), 4);
        assert_eq!(
            ack(&mut session, 2),
            [
                data(3, 2_000, 1_000),
                data(4, 3_000, 1_000),
                data(5, 4_000, 1_000),
                data(6, 5_000, 1_000)
            ],
            "block 3 was lost"
        );
        assert_eq!(ack(&mut session, 1), [], "an old ACK");
        assert_eq!(
            ack(&mut session, 2).len(),
            4,
            "the first of the window was lost"
        );
        assert_eq!(ack(&mut session, 2), [], "once only");
        assert_eq!(ack(&mut session, 6).len(), 4);
        assert_eq!(ack(&mut session, 10), [Action::End(End::Complete)]);
    }

    #[test]
    fn silence_is_answered_a_bounded_number_of_times() {
        let (mut session, _) = begin("", 10);
        let mut times = Vec::new();
        let mut last = Vec::new();
        while let Some(at) = session.deadline() {
            times.push(at.0);
            assert_eq!(
                handle(&mut session, at.0 - 1, Event::Timeout),
                [],
                "not yet due"
            );
            last = handle(&mut session, at.0, Event::Timeout);
        }
        assert_eq!(times, [1_000, 3_000, 7_000, 15_000, 23_000, 31_000]);
        assert_eq!(last, [Action::End(End::Silent)]);
    }

    #[test]
    fn whatever_timeout_is_asked_for_silence_ends_a_transfer_within_48_seconds() {
        for seconds in [1u64, 8, 9, 255] {
            let (mut session, _) = begin(&std::format!("timeout\0{seconds}\0"), 10);
            let mut last = 0;
            while let Some(at) = session.deadline() {
                last = at.0;
                handle(&mut session, last, Event::Timeout);
            }
            assert!(last <= 48_000, "{seconds} s: ends at {last} ms");
        }
    }

    #[test]
    fn only_an_acknowledgement_counts_as_heard() {
        for options in ["", "blksize\x00100\0"] {
            let (mut session, _) = begin(options, 2_000);
            for noise in [&b"\0\x04\xff\xff"[..], b"\0\x03\0\x01", b"", b"\0\x04"] {
                handle(&mut session, 0, Event::Packet(noise));
            }
            handle(&mut session, 1_000, Event::Timeout);
            assert!(!session.heard(), "{options:?}");
            ack(&mut session, u16::from(options.is_empty()));
            assert!(session.heard(), "{options:?}");
        }
    }

    #[test]
    fn blocks_roll_over_to_zero() {
        let length = 70_000u64 * 8 + 3;
        for window in [1u64, 7, 64] {
            let (mut session, _) = begin(
                &std::format!("blksize\x008\0windowsize\0{window}\0"),
                length,
            );
            let mut out = ack(&mut session, 0);
            let mut got = 0;
            loop {
                let mut last = 0;
                for action in &out {
                    match action {
                        Action::Data {
                            block,
                            offset,
                            length,
                        } => {
                            assert_eq!(*offset, got);
                            got += u64::from(*length);
                            last = *block;
                        }
                        Action::End(end) => {
                            assert_eq!((got, end), (length, &End::Complete));
                            break;
                        }
                        Action::Packet(_) => panic!("no packet is due"),
                    }
                }
                if session.deadline().is_none() {
                    break;
                }
                out = ack(&mut session, last);
            }
        }
    }

    proptest::proptest! {
        /// Whatever comes, a session sends at most a window per event, stays inside the file, and ends.
        #[test]
        fn no_packet_breaks_a_session(
            length in 0u64..200_000,
            window in 1u64..80,
            packets in proptest::collection::vec(
                (0u8..8, proptest::collection::vec(0u8.., 0..8), 0u64..9_000), 0..60),
        ) {
            let (mut session, _) = begin(&std::format!("blksize\x00100\0windowsize\0{window}\0"), length);
            let mut now = 0;
            for (op, tail, step) in packets {
                now += step;
                let mut packet = std::vec![0, op];
                packet.extend(tail);
                for event in [Event::Packet(&packet), Event::Timeout] {
                    let out = handle(&mut session, now, event);
                    proptest::prop_assert!(out.len() <= 64);
                    for action in out {
                        if let Action::Data { offset, length: bytes, .. } = action {
                            proptest::prop_assert!(offset + u64::from(bytes) <= length);
                        }
                    }
                }
            }
            let mut left = 0;
            while let Some(at) = session.deadline() {
                left += 1;
                proptest::prop_assert!(left <= RETRIES_MAX + 1);
                handle(&mut session, at.0, Event::Timeout);
            }
        }
    }
}
