// SPDX-License-Identifier: Apache-2.0
//! Writes a server's message: the header that echoes the request, options by importance, never more bytes than the
//! client takes.
//!
//! What does not fit the options field goes into `file` and `sname` where they are unused (option 52), but for a NAK; what
//! fits nowhere is left out, the least important first. A value beyond 255 bytes stands in several pieces (RFC 3396). The relay
//! agent's information is echoed byte for byte, last in the options field (RFC 3046), and always has room.

use super::options::{HEADER, code};
use super::request::Request;
use alloc::vec::Vec;
use core::net::Ipv4Addr;
use core::ops::Range;

/// BOOTP's length without options; some ROMs and relays drop what is shorter (RFC 1542 section 2.1).
const REPLY_MIN: usize = 300;
const BOOTREPLY: u8 = 2;
const ETHERNET: [u8; 2] = [1, 6];
const COOKIE: [u8; 4] = [99, 130, 83, 99];
/// Number and length of an option.
const HEAD: usize = 2;
/// The longest piece of an option, in bytes.
const PIECE: usize = 255;
/// `file` and `sname` hold text with a closing zero, in bytes.
const FILE: usize = 128;
const SNAME: usize = 64;

/// Message types of a server (option 53).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Offer,
    Ack,
    Nak,
}

impl Kind {
    const fn number(self) -> u8 {
        match self {
            Self::Offer => 2,
            Self::Ack => 5,
            Self::Nak => 6,
        }
    }
}

/// A message that is being written.
#[derive(Debug)]
pub(crate) struct Reply<'a> {
    request: &'a Request,
    flags: [u8; 2],
    ciaddr: Ipv4Addr,
    yiaddr: Ipv4Addr,
    siaddr: Ipv4Addr,
    server_name: &'a [u8],
    file: Vec<u8>,
    /// Whether `file` and `sname` may hold options: never in a NAK (RFC 2131 table 3).
    lends: bool,
    /// The options' values, one after the other, and what each is, the most important first.
    values: Vec<u8>,
    options: Vec<(u8, Range<usize>)>,
}

impl<'a> Reply<'a> {
    /// A reply with its message type and its server identifier.
    pub(crate) fn new(request: &'a Request, kind: Kind, server_id: Ipv4Addr) -> Self {
        let mut reply = Self {
            request,
            flags: request.flags,
            ciaddr: Ipv4Addr::UNSPECIFIED,
            yiaddr: Ipv4Addr::UNSPECIFIED,
            siaddr: Ipv4Addr::UNSPECIFIED,
            server_name: &[],
            file: Vec::new(),
            lends: kind != Kind::Nak,
            values: Vec::with_capacity(256),
            options: Vec::with_capacity(24),
        };
        reply.option(code::MESSAGE_TYPE, &[kind.number()]);
        reply.option(code::SERVER_ID, &server_id.octets());
        reply
    }

    pub(crate) fn set_ciaddr(&mut self, address: Ipv4Addr) {
        self.ciaddr = address;
    }
    pub(crate) fn set_yiaddr(&mut self, address: Ipv4Addr) {
        self.yiaddr = address;
    }
    pub(crate) fn set_siaddr(&mut self, address: Ipv4Addr) {
        self.siaddr = address;
    }
    /// The relay agent is to broadcast this.
    pub(crate) fn set_broadcast(&mut self) {
        let [first, _] = &mut self.flags;
        *first |= 0x80;
    }

    /// An option; one without a value is not sent.
    pub(crate) fn option(&mut self, code: u8, value: &[u8]) {
        if value.is_empty() {
            return;
        }
        let begin = self.values.len();
        self.values.extend_from_slice(value);
        self.options.push((code, begin..self.values.len()));
    }

    pub(crate) fn seconds(&mut self, code: u8, seconds: u32) {
        self.option(code, &seconds.to_be_bytes());
    }

    pub(crate) fn addresses<'b>(
        &mut self,
        code: u8,
        addresses: impl IntoIterator<Item = &'b Ipv4Addr>,
    ) {
        let begin = self.values.len();
        for address in addresses {
            self.values.extend_from_slice(&address.octets());
        }
        if self.values.len() > begin {
            self.options.push((code, begin..self.values.len()));
        }
    }

    /// The boot file: option 67, and the header's field where it fits.
    pub(crate) fn boot_file(&mut self, name: &str) {
        self.option(code::BOOT_FILE, name.as_bytes());
        if name.len() < FILE {
            self.file = name.as_bytes().to_vec();
        }
    }

    /// The server's name in the header's field.
    pub(crate) fn server_name(&mut self, name: &'a str) {
        if name.len() < SNAME {
            self.server_name = name.as_bytes();
        }
    }

    /// The bytes.
    pub(crate) fn finish(self) -> Vec<u8> {
        let relay = self.request.relay.as_deref();
        let echo = relay.map_or(0, |relay| HEAD + relay.len());
        let room = self.request.reply_max.saturating_sub(HEADER + echo + 1);
        let wanted: usize = self
            .options
            .iter()
            .map(|(_, value)| encoded(value.len()))
            .sum();
        let mut fields = Fields {
            options: Vec::with_capacity(room),
            file: self.file.clone(),
            sname: self.server_name.to_vec(),
        };
        if wanted <= room {
            for (code, value) in &self.options {
                put(&mut fields.options, *code, self.value(value));
            }
        } else {
            self.squeeze(room, &mut fields);
        }
        if let Some(relay) = relay {
            fields.options.push(code::RELAY_AGENT);
            fields
                .options
                .push(u8::try_from(relay.len()).unwrap_or(u8::MAX));
            fields.options.extend_from_slice(relay);
        }
        fields.options.push(code::END);
        self.assemble(&fields)
    }

    /// Places each option where there is room, those before others first.
    fn squeeze(&self, room: usize, fields: &mut Fields) {
        const OVERLOAD: usize = HEAD + 1;
        let free = |field: &[u8], length: usize| {
            if self.lends && field.is_empty() {
                length - 1
            } else {
                0
            }
        };
        let room = room.saturating_sub(OVERLOAD);
        let (file, sname) = (free(&fields.file, FILE), free(&fields.sname, SNAME));
        // The message type is the first option and stays it; where there are more fields is told at once after it.
        let mut placed = Vec::with_capacity(room);
        for (code, value) in &self.options {
            let value = self.value(value);
            let length = encoded(value.len());
            let fields = [
                (&mut placed, room),
                (&mut fields.file, file),
                (&mut fields.sname, sname),
            ];
            let whole = value.len() <= PIECE;
            let found = fields
                .into_iter()
                .enumerate()
                .find(|(at, (field, room))| (*at == 0 || whole) && field.len() + length <= *room);
            if let Some((_, (field, _))) = found {
                put(field, *code, value);
            }
        }
        let mut overload = 0;
        for (bit, field, room) in [(1, &mut fields.file, file), (2, &mut fields.sname, sname)] {
            if room > 0 && !field.is_empty() {
                overload |= bit;
                field.push(code::END);
            }
        }
        let (first, rest) = placed.split_at(placed.len().min(HEAD + 1));
        fields.options.extend_from_slice(first);
        if overload != 0 {
            put(&mut fields.options, code::OVERLOAD, &[overload]);
        }
        fields.options.extend_from_slice(rest);
    }

    fn assemble(&self, fields: &Fields) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(REPLY_MIN.max(HEADER + fields.options.len()));
        bytes.push(BOOTREPLY);
        bytes.extend(ETHERNET);
        bytes.push(0);
        bytes.extend(self.request.xid.to_be_bytes());
        bytes.extend([0, 0]);
        bytes.extend(self.flags);
        for address in [self.ciaddr, self.yiaddr, self.siaddr, self.request.giaddr] {
            bytes.extend(address.octets());
        }
        bytes.extend(self.request.chaddr);
        for (field, length) in [(&fields.sname, SNAME), (&fields.file, FILE)] {
            let end = bytes.len() + length;
            bytes.extend_from_slice(field);
            bytes.resize(end, 0);
        }
        bytes.extend(COOKIE);
        bytes.extend_from_slice(&fields.options);
        if bytes.len() < REPLY_MIN {
            bytes.resize(REPLY_MIN, code::PAD);
        }
        bytes
    }

    fn value(&self, range: &Range<usize>) -> &[u8] {
        self.values.get(range.clone()).unwrap_or_default()
    }
}

/// The fields of a message that hold options or text.
struct Fields {
    options: Vec<u8>,
    file: Vec<u8>,
    sname: Vec<u8>,
}

fn encoded(length: usize) -> usize {
    length + HEAD * length.div_ceil(PIECE)
}

fn put(field: &mut Vec<u8>, code: u8, value: &[u8]) {
    for piece in value.chunks(PIECE) {
        field.push(code);
        field.push(u8::try_from(piece.len()).unwrap_or(u8::MAX));
        field.extend_from_slice(piece);
    }
}
