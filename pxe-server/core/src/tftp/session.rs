// SPDX-License-Identifier: Apache-2.0
//! One transfer to one client, without sockets.
//!
//! Blocks are counted in 64 bits here and in 16 on the wire, where they roll over to 0. A duplicate ACK is never a reason
//! to send in lock step (the "Sorcerer's Apprentice"). In a window it is, because RFC 7440 makes it say "the first block
//! of the window is missing"; but not at once, because the ACK may be a copy that the network made, and then the next one
//! is on its way. And a client may repeat its last ACK for every block that it has already, so after blocks were sent
//! again that many duplicates say nothing.

use super::blocks::Blocks;
use super::pace::{GAP, Pace};
use super::request::ReadRequest;
use super::round_trip::RoundTrip;
use alloc::string::String;
use alloc::vec::Vec;
use groundstate_api::Millis;

/// After so long without an acknowledgement that gets on, the client counts as gone.
const SILENCE_MAX: Millis = Millis::secs(45);
/// The same for a client that asked for the file's length and has acknowledged nothing: it is likely to know now what it
/// wanted, and one in earnest asks again long before.
const PROBE_MAX: Millis = Millis::secs(8);
/// How often something is sent again to a client that was never heard: the request may be of a false sender, who makes us
/// send to somebody else. A client in earnest asks again.
const UNHEARD_TRIES_MAX: u32 = 3;
/// With which ERROR firmware leaves that only wanted the length: UEFI with 8, the PXE ROMs of network cards with 0.
const LEAVES_WITH: [u16; 2] = [0, 8];
/// The most of a client's error text that is kept, in bytes.
const TEXT_MAX: usize = 128;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A datagram came from the client.
    Packet(&'a [u8]),
    /// [`Session::deadline`] has come.
    Timeout,
    /// The blocks of the last [`Action::Data`] from this one on did not go out: the socket has no room.
    NotSent(u64),
    /// The blocks of the last [`Action::Data`] from this one on have to wait: so much may be sent at a time, and others had
    /// their turn.
    PutOff {
        /// The block.
        first: u64,
        /// Until when.
        until: Millis,
    },
    /// Nobody listens at the client's port any more.
    Unreachable,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Send this packet.
    Packet(Vec<u8>),
    /// Send these DATA packets.
    Data(Blocks),
    /// The transfer is over; nothing follows.
    End(End),
}

/// How a transfer ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// The client has acknowledged the last block.
    Complete,
    /// The client asked for the length, was told, and left, as UEFI and PXE firmware do (mostly with ERROR 8).
    LengthTold,
    /// The client sent an ERROR.
    ByClient {
        /// The code.
        code: u16,
        /// The text.
        text: String,
    },
    /// The client's port is closed.
    Gone,
    /// The client did not answer.
    Silent,
}

/// One transfer.
#[derive(Clone, Debug)]
pub struct Session {
    length: u64,
    block_bytes: u16,
    window: u64,
    asked_for_length: bool,
    /// The OACK, until it is acknowledged.
    oack: Option<Vec<u8>>,
    /// Blocks acknowledged.
    acknowledged: u64,
    /// The first block that was not sent since we last went back.
    next: u64,
    /// The first block that was never sent, and what it was before the last sending.
    reached: u64,
    reached_before: u64,
    /// The acknowledgement that tells a round trip, and since when it is awaited: for what was sent once only.
    awaited: Option<(u64, Millis)>,
    /// Duplicate ACKs that blocks which were sent again may cause.
    echoes: u64,
    again: u32,
    pace: Pace,
    wait: Wait,
    heard: bool,
    over: bool,
}

#[derive(Clone, Copy, Debug)]
struct Wait {
    asked: Option<Millis>,
    trip: RoundTrip,
    tries: u32,
    /// When the client last got on.
    since: Millis,
    /// After so long without that it counts as gone.
    silence: Millis,
    /// When the rest of a window is due.
    go_on: Option<Millis>,
    /// When everything is sent again.
    until: Millis,
    /// Whether that is so soon because the last ACK came once more.
    hastened: bool,
}

impl Wait {
    fn begin(&mut self, now: Millis) {
        let wait = self.asked.unwrap_or_else(|| self.trip.wait(self.tries));
        self.until = now.plus(wait).min(self.since.plus(self.silence));
        self.hastened = false;
    }

    fn hasten(&mut self, now: Millis) {
        let soon = now.plus(self.trip.copy());
        if !self.hastened && soon < self.until {
            self.until = soon;
            self.hastened = true;
        }
    }
}

impl Session {
    /// Begins the transfer of a file of `length` bytes: an OACK, or the first block.
    #[must_use]
    pub fn begin(now: Millis, request: &ReadRequest, length: u64, out: &mut Vec<Action>) -> Self {
        let window = request.windowsize.unwrap_or(1);
        let mut session = Self {
            length,
            block_bytes: request.block_bytes(),
            window: window.into(),
            asked_for_length: request.tsize,
            oack: request.oack(length),
            acknowledged: 0,
            next: 0,
            reached: 0,
            reached_before: 0,
            awaited: None,
            echoes: 0,
            again: 0,
            pace: Pace::new(window),
            wait: Wait {
                asked: request.timeout.map(|seconds| Millis::secs(seconds.into())),
                trip: RoundTrip::default(),
                tries: 0,
                since: now,
                silence: if request.tsize {
                    PROBE_MAX
                } else {
                    SILENCE_MAX
                },
                go_on: None,
                until: now,
                hastened: false,
            },
            heard: false,
            over: false,
        };
        session.send(now, out);
        session
    }

    /// When [`Event::Timeout`] is due.
    #[must_use]
    pub fn deadline(&self) -> Option<Millis> {
        let until = self.wait.go_on.unwrap_or(self.wait.until);
        (!self.over).then_some(until.min(self.wait.until))
    }

    /// Whether the client has acknowledged anything. Until then, the request may have come from anywhere.
    #[must_use]
    pub const fn heard(&self) -> bool {
        self.heard
    }

    /// When the client last got on.
    #[must_use]
    pub const fn since(&self) -> Millis {
        self.wait.since
    }

    /// Blocks that were sent again.
    #[must_use]
    pub const fn again(&self) -> u32 {
        self.again
    }

    /// Decides.
    pub fn handle(&mut self, now: Millis, event: Event<'_>, out: &mut Vec<Action>) {
        if self.over {
            return;
        }
        match event {
            Event::Timeout => self.time(now, out),
            Event::NotSent(first) => self.put_off(first, now.plus(GAP)),
            Event::PutOff { first, until } => {
                self.put_off(first, until);
                // Its client cannot answer what was not sent.
                self.wait.begin(until);
            }
            Event::Unreachable => self.end(End::Gone, out),
            Event::Packet(&[0, 4, high, low]) => {
                self.acknowledge(now, u16::from_be_bytes([high, low]), out)
            }
            Event::Packet(&[0, 5, high, low, ref text @ ..]) => {
                let code = u16::from_be_bytes([high, low]);
                let is_probe = self.asked_for_length && self.oack.is_some();
                let end = if is_probe && LEAVES_WITH.contains(&code) {
                    End::LengthTold
                } else {
                    let text = plain_text(text);
                    End::ByClient { code, text }
                };
                self.end(end, out);
            }
            // Anything else on this port is noise; it neither ends nor speeds a transfer.
            Event::Packet(_) => {}
        }
    }

    fn put_off(&mut self, first: u64, until: Millis) {
        self.next = first.clamp(self.acknowledged, self.next);
        self.reached = self.next.max(self.reached_before);
        self.awaited = None;
        self.wait.go_on = Some(until);
    }

    fn time(&mut self, now: Millis, out: &mut Vec<Action>) {
        if now >= self.wait.until {
            let is_gone = now >= self.wait.since.plus(self.wait.silence)
                || (!self.heard && self.wait.tries >= UNHEARD_TRIES_MAX);
            if is_gone {
                return self.end(End::Silent, out);
            }
            if !self.wait.hastened {
                self.wait.tries += 1;
            }
            self.go_back();
            self.send(now, out);
        } else if self.wait.go_on.is_some_and(|at| now >= at) {
            self.send(now, out);
        }
    }

    fn acknowledge(&mut self, now: Millis, wire: u16, out: &mut Vec<Action>) {
        if self.oack.is_some() {
            if wire == 0 {
                self.oack = None;
                self.advance(now, 0, out);
            }
            return;
        }
        // How far ahead of the last acknowledgement: at most a window, so 16 bits tell old from new.
        let low = u16::try_from(self.acknowledged & 0xffff).unwrap_or_default();
        let ahead = u64::from(wire.wrapping_sub(low));
        if ahead == 0 {
            self.duplicate(now);
        } else if ahead <= self.reached - self.acknowledged {
            self.advance(now, self.acknowledged + ahead, out);
        }
    }

    /// The last acknowledgement once more.
    fn duplicate(&mut self, now: Millis) {
        if self.echoes > 0 {
            self.echoes -= 1;
        } else if self.window > 1 && self.next > self.acknowledged {
            self.wait.hasten(now);
        }
    }

    fn advance(&mut self, now: Millis, acknowledged: u64, out: &mut Vec<Action>) {
        if let Some((_, since)) = self.awaited.take_if(|(block, _)| *block == acknowledged) {
            self.wait.trip.measured(now.since(since));
            self.pace.arrived();
            self.echoes = 0;
        }
        self.acknowledged = acknowledged;
        self.heard = true;
        self.wait.tries = 0;
        self.wait.since = now;
        self.wait.silence = SILENCE_MAX;
        if acknowledged == self.blocks() {
            return self.end(End::Complete, out);
        }
        if acknowledged < self.next {
            // What was sent after it did not arrive.
            self.go_back();
        } else {
            self.next = acknowledged;
        }
        self.send(now, out);
    }

    /// Begins again after the last acknowledgement.
    fn go_back(&mut self) {
        self.next = self.acknowledged;
        self.echoes = self
            .window
            .min(self.echoes + self.reached - self.acknowledged);
        self.awaited = None;
        self.pace.lost();
    }

    /// Sends what is due, and sets the wait.
    fn send(&mut self, now: Millis, out: &mut Vec<Action>) {
        self.wait.go_on = None;
        self.wait.begin(now);
        if let Some(oack) = &self.oack {
            self.awaited = (self.wait.tries == 0).then_some((0, now));
            out.push(Action::Packet(oack.clone()));
            return;
        }
        let end = self.blocks().min(self.acknowledged + self.window);
        let count = end.saturating_sub(self.next).min(self.pace.burst());
        let first = self.next;
        self.next += count;
        let again = self.reached.min(self.next).saturating_sub(first);
        self.again = self
            .again
            .saturating_add(u32::try_from(again).unwrap_or(u32::MAX));
        self.awaited = (first >= self.reached).then_some((self.next, now));
        self.reached_before = self.reached;
        self.reached = self.reached.max(self.next);
        self.wait.go_on = (self.next < end).then(|| now.plus(GAP));
        if count > 0 {
            out.push(Action::Data(Blocks {
                first,
                count: u16::try_from(count).unwrap_or(u16::MAX),
                block_bytes: self.block_bytes,
                file_bytes: self.length,
            }));
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

/// What a client says in an ERROR, fit for a line of a log.
fn plain_text(text: &[u8]) -> String {
    let text = text.split(|b| *b == 0).next().unwrap_or_default();
    let text = text.get(..TEXT_MAX).unwrap_or(text);
    let text = String::from_utf8_lossy(text);
    text.chars().filter(|c| !c.is_control()).collect()
}
