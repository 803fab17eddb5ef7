// SPDX-License-Identifier: Apache-2.0
//! One transfer: its session, its socket and its file.

use super::budget::Budget;
use super::spans::{Packets, Spans, in_one};
use super::window::{HEADER, Source};
use super::wire::{CALL_MAX, SEGMENTS_MAX, Sent, Wire};
use groundstate_api::Millis;
use pxe_core::tftp::{
    Action, Blocks, End, Event, ReadRequest, Session, TftpRefusal, TransferId, encoded_length,
    error_packet,
};
use std::io;
use std::net::SocketAddr;

/// How often a transfer waits, a millisecond at a time, for its file to come from the disk before everybody does.
const PATIENCE: u32 = 200;
/// Bytes of a netascii file that are counted at a time.
const COUNTED: usize = 256 << 10;

/// One transfer.
#[derive(Debug)]
pub(super) struct Transfer {
    pub(super) id: TransferId,
    pub(super) peer: SocketAddr,
    pub(super) wire: Wire,
    pub(super) name: String,
    /// When it is looked at next, as the timers have it.
    pub(super) armed: Option<Millis>,
    /// Whether the table knows that the client was heard.
    pub(super) told: bool,
    pub(super) began: Millis,
    source: Source,
    stage: Stage,
    waited: u32,
    /// Bytes of data sent since they were last counted.
    pub(super) bytes: u64,
    /// The window that went out last, where all of it did.
    sent: Option<Blocks>,
    /// When bytes may go out that had to wait.
    turn: Option<Millis>,
}

/// What all transfers use in turn.
pub(super) struct Means<'r> {
    pub(super) scratch: &'r mut [u8],
    pub(super) spans: &'r mut Spans,
    pub(super) budget: &'r mut Budget,
}

#[derive(Debug)]
enum Stage {
    /// How long a netascii file is on the wire: so much of it was counted.
    Counting {
        request: ReadRequest,
        source: u64,
        wire: u64,
    },
    Sending(Session),
}

/// How it ends.
#[derive(Debug)]
pub(super) enum Ended {
    /// As the session says.
    Session(End),
    /// The file cannot be read any more.
    Unreadable(io::Error),
}

impl Transfer {
    /// A transfer that sends nothing yet.
    pub(super) fn new(
        (id, peer): (TransferId, SocketAddr),
        wire: Wire,
        request: ReadRequest,
        source: Source,
        began: Millis,
    ) -> Self {
        Self {
            id,
            peer,
            wire,
            name: request.name.clone(),
            armed: None,
            told: false,
            began,
            source,
            stage: Stage::Counting {
                request,
                source: 0,
                wire: 0,
            },
            waited: 0,
            bytes: 0,
            sent: None,
            turn: None,
        }
    }

    /// Makes ready what is needed before the first packet, piece by piece: true when the first packet is sent.
    pub(super) fn prepare(
        &mut self,
        now: Millis,
        scratch: &mut [u8],
        out: &mut Vec<Action>,
    ) -> io::Result<bool> {
        let Stage::Counting {
            request,
            source,
            wire,
        } = &mut self.stage
        else {
            return Ok(true);
        };
        let length = self.source.content.length();
        if self.source.netascii.is_none() {
            *wire = length;
        } else {
            let until = length.min(*source + COUNTED as u64);
            while *source < until {
                let left = usize::try_from(until - *source).unwrap_or(usize::MAX);
                let most = left.min(scratch.len());
                let piece = scratch.get_mut(..most).unwrap_or_default();
                self.source.content.read_at(*source, piece)?;
                *wire += encoded_length(piece);
                *source += piece.len() as u64;
            }
            if *source < length {
                return Ok(false);
            }
        }
        let session = Session::begin(now, request, *wire, out);
        self.stage = Stage::Sending(session);
        Ok(true)
    }

    /// Its session, once it sends.
    pub(super) fn session(&self) -> Option<&Session> {
        match &self.stage {
            Stage::Counting { .. } => None,
            Stage::Sending(session) => Some(session),
        }
    }

    /// Decides.
    pub(super) fn handle(&mut self, now: Millis, event: Event<'_>, out: &mut Vec<Action>) {
        if let Stage::Sending(session) = &mut self.stage {
            session.handle(now, event, out);
        }
    }

    /// Acts; how it ends, where it does.
    pub(super) fn act(
        &mut self,
        now: Millis,
        mut means: Means<'_>,
        actions: &mut Vec<Action>,
    ) -> Option<Ended> {
        let mut ended = None;
        // What one of them leads to (a socket without room, a closed port) follows them.
        let mut at = 0;
        while let Some(action) = actions.get(at).cloned() {
            at += 1;
            match action {
                Action::Packet(packet) => {
                    if self.wire.send(self.peer, &packet, packet.len()) == Sent::Refused {
                        self.handle(now, Event::Unreachable, actions);
                    }
                }
                Action::Data(blocks) => {
                    if let Err(error) = self.send(now, blocks, &mut means, actions) {
                        let packet = error_packet(&TftpRefusal::Unreadable).unwrap_or_default();
                        let _lost = self.wire.send(self.peer, &packet, packet.len());
                        ended = Some(Ended::Unreadable(error));
                        break;
                    }
                }
                Action::End(end) => ended = Some(Ended::Session(end)),
            }
        }
        actions.clear();
        ended
    }

    fn send(
        &mut self,
        now: Millis,
        blocks: Blocks,
        means: &mut Means<'_>,
        actions: &mut Vec<Action>,
    ) -> io::Result<()> {
        let packet = HEADER + usize::from(blocks.block_bytes);
        let by_call = u16::try_from(CALL_MAX / packet).unwrap_or(u16::MAX);
        let whole = blocks;
        let mut left = Some(whole);
        while let Some(blocks) = left {
            let (part, rest) = blocks.split(by_call.min(SEGMENTS_MAX).min(in_one(blocks)));
            left = rest;
            if let Some(until) = self.waits(now, part, means.budget) {
                let first = part.first;
                self.handle(now, Event::PutOff { first, until }, actions);
                break;
            }
            let patience = self.waited < PATIENCE;
            let packets = if self.source.netascii.is_some() {
                self.source.encoded(part, means.scratch)?
            } else {
                let content = &self.source.content;
                match means.spans.packets(content, part, patience)? {
                    Packets::Ready(packets) => packets,
                    Packets::Soon => {
                        self.waited += 1;
                        self.handle(now, Event::NotSent(part.first), actions);
                        break;
                    }
                }
            };
            self.waited = 0;
            self.sent = left.is_none().then_some(whole);
            match self.wire.send(self.peer, packets, packet) {
                Sent::All => self.bytes += part.bytes(),
                Sent::Before(number) => {
                    let first = part.first + u64::from(number);
                    self.handle(now, Event::NotSent(first), actions);
                    break;
                }
                Sent::Refused => {
                    self.handle(now, Event::Unreachable, actions);
                    break;
                }
            }
        }
        Ok(())
    }

    /// Until when these blocks have to wait, if they have to. Their turn is kept until they go out.
    fn waits(&mut self, now: Millis, blocks: Blocks, budget: &mut Budget) -> Option<Millis> {
        let turn = match self.turn {
            Some(turn) => turn,
            None => budget.take(now, blocks.bytes()),
        };
        self.turn = (turn > now).then_some(turn);
        self.turn
    }

    /// Makes ready what its client asks for next where nothing is lost. An error is left for then.
    pub(super) fn look_ahead(&mut self, spans: &mut Spans) {
        let next = self.sent.take().and_then(|sent| sent.following());
        let Some(next) = next.filter(|_| self.source.netascii.is_none()) else {
            return;
        };
        let (next, _) = next.split(in_one(next));
        let _later = spans.packets(&self.source.content, next, true);
    }

    /// The file's length on the wire.
    pub(super) fn length(&self) -> u64 {
        self.source.content.length()
    }
}
