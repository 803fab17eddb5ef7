// SPDX-License-Identifier: Apache-2.0
//! What a packet capture says was fetched: each file with its length and SHA-256, put together again from the packets.
//!
//! It believes nothing that a client or the server says of itself. It reads classic pcap files of Ethernet, as tcpdump
//! writes them, of one client that fetches one file after the other.

use anyhow::{Context as _, Result, ensure};
use etherparse::{NetSlice, SlicedPacket, TransportSlice};
use groundstate_api::Digest;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

/// pcap's header, and the header of each packet, in bytes.
const FILE_HEADER: usize = 24;
const RECORD_HEADER: usize = 16;
/// Microseconds and nanoseconds, as this machine writes them.
const MAGIC: [u32; 2] = [0xa1b2_c3d4, 0xa1b2_3c4d];
const ETHERNET: u32 = 1;
const TFTP: u16 = 69;
const HTTP: u16 = 80;
/// Data without `blksize` (RFC 1350).
const BLOCK: usize = 512;

/// One file that went over the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// The name or path that was asked for.
    pub name: String,
    /// `tftp` or `http`.
    pub by: &'static str,
    /// Bytes that arrived.
    pub length: usize,
    /// Their SHA-256 in hexadecimal digits.
    pub sha256: String,
}

/// What a capture holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wire {
    /// Packets of every kind.
    pub packets: usize,
    /// DHCP packets, both directions, IPv4 and IPv6.
    pub dhcp: usize,
    /// The files, in the order in which they were asked for. One that did not arrive whole is not among them.
    pub fetched: Vec<Fetched>,
}

/// Reads a capture.
///
/// # Errors
/// A file that cannot be read or is no pcap of Ethernet.
pub(super) fn read(file: &Path) -> Result<Wire> {
    let bytes = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    let mut reader = Reader::default();
    for packet in packets(&bytes).with_context(|| file.display().to_string())? {
        reader.packet(packet);
    }
    Ok(reader.end())
}

fn packets(bytes: &[u8]) -> Result<Vec<&[u8]>> {
    let word = |at: usize| {
        let four = bytes.get(at..at + 4)?;
        Some(u32::from_le_bytes(four.try_into().ok()?))
    };
    ensure!(
        word(0).is_some_and(|magic| MAGIC.contains(&magic)),
        "this is no little-endian pcap file"
    );
    ensure!(word(20) == Some(ETHERNET), "the capture is not of Ethernet");
    let (mut all, mut at) = (Vec::new(), FILE_HEADER);
    while let Some(length) = word(at + 8) {
        let length = usize::try_from(length)?;
        // The last packet may be cut off where tcpdump was.
        let Some(packet) = bytes.get(at + RECORD_HEADER..at + RECORD_HEADER + length) else {
            break;
        };
        all.push(packet);
        at += RECORD_HEADER + length;
    }
    Ok(all)
}

/// One way of a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Way {
    from: SocketAddr,
    to: SocketAddr,
}

#[derive(Default)]
struct Reader {
    wire: Wire,
    transfers: Vec<Transfer>,
    streams: BTreeMap<Way, Stream>,
    /// The requests' order, so that files are told in it.
    order: Vec<Way>,
}

/// A TFTP transfer, known by the client's end.
struct Transfer {
    client: SocketAddr,
    name: String,
    block: usize,
    blocks: u64,
    bytes: Vec<u8>,
    complete: bool,
}

#[derive(Default)]
struct Stream {
    /// Pieces by their offset from the first byte.
    pieces: BTreeMap<u32, Vec<u8>>,
    first: Option<u32>,
}

impl Reader {
    fn packet(&mut self, packet: &[u8]) {
        self.wire.packets += 1;
        let Ok(sliced) = SlicedPacket::from_ethernet(packet) else {
            return;
        };
        let (from, to): (IpAddr, IpAddr) = match &sliced.net {
            Some(NetSlice::Ipv4(ip)) => (
                ip.header().source_addr().into(),
                ip.header().destination_addr().into(),
            ),
            Some(NetSlice::Ipv6(ip)) => (
                ip.header().source_addr().into(),
                ip.header().destination_addr().into(),
            ),
            _ => return,
        };
        match &sliced.transport {
            Some(TransportSlice::Udp(udp)) => {
                let way = Way {
                    from: (from, udp.source_port()).into(),
                    to: (to, udp.destination_port()).into(),
                };
                if [67, 68, 546, 547, 4011].contains(&way.to.port()) {
                    self.wire.dhcp += 1;
                } else {
                    self.tftp(way, udp.payload());
                }
            }
            Some(TransportSlice::Tcp(tcp)) => {
                let way = Way {
                    from: (from, tcp.source_port()).into(),
                    to: (to, tcp.destination_port()).into(),
                };
                if way.from.port() == HTTP || way.to.port() == HTTP {
                    self.tcp(way, tcp.sequence_number(), tcp.syn(), tcp.payload());
                }
            }
            _ => {}
        }
    }

    fn tftp(&mut self, way: Way, payload: &[u8]) {
        if way.to.port() == TFTP {
            if let Some(name) = read_request(payload) {
                self.transfers.push(Transfer {
                    client: way.from,
                    name,
                    block: BLOCK,
                    blocks: 0,
                    bytes: Vec::new(),
                    complete: false,
                });
            }
            return;
        }
        let transfer = self
            .transfers
            .iter_mut()
            .rev()
            .find(|transfer| transfer.client == way.to);
        if let Some(transfer) = transfer {
            transfer.packet(payload);
        }
    }

    fn tcp(&mut self, way: Way, sequence: u32, syn: bool, payload: &[u8]) {
        if syn {
            // A new connection over the same ports would be a second conversation; clients here do not do that.
            self.order.push(way);
            self.streams.entry(way).or_default().first = Some(sequence.wrapping_add(1));
            return;
        }
        let Some(stream) = self.streams.get_mut(&way) else {
            return;
        };
        if let Some(first) = stream.first.filter(|_| !payload.is_empty()) {
            let piece = stream
                .pieces
                .entry(sequence.wrapping_sub(first))
                .or_default();
            if piece.len() < payload.len() {
                *piece = payload.to_vec();
            }
        }
    }

    fn end(mut self) -> Wire {
        for transfer in self.transfers.iter().filter(|transfer| transfer.complete) {
            let name = transfer.name.clone();
            self.wire
                .fetched
                .push(fetched(name, "tftp", &transfer.bytes));
        }
        for way in &self.order {
            if way.to.port() != HTTP {
                continue;
            }
            let back = Way {
                from: way.to,
                to: way.from,
            };
            let both = self.streams.get(way).zip(self.streams.get(&back));
            if let Some((asked, answered)) = both {
                self.wire
                    .fetched
                    .extend(http(&asked.whole(), &answered.whole()));
            }
        }
        self.wire
    }
}

impl Transfer {
    fn packet(&mut self, payload: &[u8]) {
        match payload {
            [0, 6, options @ ..] => {
                let mut words = options
                    .split(|byte| *byte == 0)
                    .map(String::from_utf8_lossy);
                while let (Some(name), Some(value)) = (words.next(), words.next()) {
                    if name.eq_ignore_ascii_case("blksize") {
                        self.block = value.parse().unwrap_or(BLOCK);
                    }
                }
            }
            // A kernel that leaves segmentation to the device shows several blocks as one packet.
            [0, 3, ..] => payload
                .chunks(self.block + 4)
                .for_each(|one| self.data(one)),
            _ => {}
        }
    }

    fn data(&mut self, packet: &[u8]) {
        let [0, 3, high, low, data @ ..] = packet else {
            return;
        };
        let number = u64::from(u16::from_be_bytes([*high, *low]));
        // Repeats and what comes too early (a block before it was lost) are sent again later.
        if !self.complete && number == (self.blocks + 1) % 65_536 {
            self.blocks += 1;
            self.bytes.extend_from_slice(data);
            self.complete = data.len() < self.block;
        }
    }
}

impl Stream {
    fn whole(&self) -> Vec<u8> {
        let mut bytes: Vec<u8> = Vec::new();
        for (at, piece) in &self.pieces {
            let Ok(at) = usize::try_from(*at) else { break };
            // A hole: what follows was not seen.
            if at > bytes.len() {
                break;
            }
            bytes.extend_from_slice(piece.get(bytes.len() - at..).unwrap_or_default());
        }
        bytes
    }
}

/// Pairs the requests of a connection with the replies; a reply to HEAD has no body.
fn http(asked: &[u8], answered: &[u8]) -> Vec<Fetched> {
    let (mut asked, mut answered, mut all) = (asked, answered, Vec::new());
    while let (Some((request, rest)), Some((reply, body))) = (head(asked), head(answered)) {
        asked = rest;
        let mut words = request.split(' ');
        let (method, path) = (
            words.next().unwrap_or_default(),
            words.next().unwrap_or_default(),
        );
        let length = reply.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            let is_length = name.eq_ignore_ascii_case("content-length");
            is_length.then(|| value.trim().parse::<usize>().ok())?
        });
        let length = length.filter(|_| method != "HEAD").unwrap_or_default();
        let Some((body, rest)) = body.split_at_checked(length) else {
            break;
        };
        if method == "GET" && reply.split(' ').nth(1) == Some("200") {
            all.push(fetched(path.to_owned(), "http", body));
        }
        answered = rest;
    }
    all
}

fn head(bytes: &[u8]) -> Option<(String, &[u8])> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    let (head, rest) = bytes.split_at(end + 4);
    Some((String::from_utf8_lossy(head).into_owned(), rest))
}

fn read_request(payload: &[u8]) -> Option<String> {
    let name = payload.strip_prefix(&[0, 1])?;
    let end = name.iter().position(|byte| *byte == 0)?;
    Some(String::from_utf8_lossy(name.get(..end)?).into_owned())
}

fn fetched(name: String, by: &'static str, bytes: &[u8]) -> Fetched {
    Fetched {
        name,
        by,
        length: bytes.len(),
        sha256: Digest::of(bytes).hex(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use etherparse::PacketBuilder;

    const SERVER: [u8; 4] = [10, 77, 0, 1];
    const CLIENT: [u8; 4] = [10, 77, 0, 9];

    fn udp(from: ([u8; 4], u16), to: ([u8; 4], u16), payload: &[u8]) -> Vec<u8> {
        let builder = PacketBuilder::ethernet2([2; 6], [4; 6])
            .ipv4(from.0, to.0, 64)
            .udp(from.1, to.1);
        let mut bytes = Vec::new();
        builder.write(&mut bytes, payload).unwrap();
        bytes
    }

    fn tcp(
        from: ([u8; 4], u16),
        to: ([u8; 4], u16),
        sequence: u32,
        syn: bool,
        payload: &[u8],
    ) -> Vec<u8> {
        let builder = PacketBuilder::ethernet2([2; 6], [4; 6])
            .ipv4(from.0, to.0, 64)
            .tcp(from.1, to.1, sequence, 1_000);
        let builder = if syn { builder.syn() } else { builder };
        let mut bytes = Vec::new();
        builder.write(&mut bytes, payload).unwrap();
        bytes
    }

    fn told(packets: &[Vec<u8>]) -> Wire {
        let mut reader = Reader::default();
        packets.iter().for_each(|packet| reader.packet(packet));
        reader.end()
    }

    #[test]
    fn a_tftp_transfer_is_put_together_from_windows_repeats_and_joined_segments() {
        let (client, tid) = ((CLIENT, 2_000), (SERVER, 3_000));
        let data = |number: u8, bytes: &[u8]| [&[0, 3, 0, number], bytes].concat();
        let joined = [data(2, b"efgh"), data(3, b"ijkl")].concat();
        let wire = told(&[
            udp(
                client,
                (SERVER, 69),
                b"\0\x01boot.efi\0octet\0blksize\x004\0",
            ),
            udp(tid, client, b"\0\x06blksize\x004\0"),
            udp(tid, client, &data(1, b"abcd")),
            udp(tid, client, &data(1, b"abcd")),
            udp(tid, client, &data(3, b"ijkl")),
            udp(tid, client, &joined),
            udp(tid, client, &data(4, b"m")),
        ]);
        assert_eq!(
            wire.fetched,
            [fetched("boot.efi".into(), "tftp", b"abcdefghijklm")]
        );
        assert_eq!(wire.packets, 7);
    }

    #[test]
    fn http_is_put_together_out_of_order_and_head_has_no_body() {
        let (client, server) = ((CLIENT, 4_000), (SERVER, 80));
        let asked = b"HEAD /a HTTP/1.1\r\n\r\nGET /a HTTP/1.1\r\nHost: x\r\n\r\n";
        let answered = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";
        let (one, two) = answered.split_at(50);
        let wire = told(&[
            tcp(client, server, 99, true, b""),
            tcp(server, client, u32::MAX - 9, true, b""),
            tcp(client, server, 100, false, asked),
            tcp(server, client, (u32::MAX - 8).wrapping_add(50), false, two),
            tcp(server, client, u32::MAX - 8, false, one),
            tcp(server, client, u32::MAX - 8, false, one),
        ]);
        assert_eq!(wire.fetched, [fetched("/a".into(), "http", b"hello")]);
    }

    #[test]
    fn what_is_not_whole_is_not_told() {
        let (client, tid) = ((CLIENT, 2_000), (SERVER, 3_000));
        let begun = [b"\0\x03\0\x01".to_vec(), vec![7; 512]].concat();
        let wire = told(&[
            udp(client, (SERVER, 69), b"\0\x01x\0octet\0"),
            udp(tid, client, &begun),
            udp((CLIENT, 68), (SERVER, 67), b"?"),
        ]);
        assert_eq!((wire.dhcp, wire.fetched.len()), (1, 0));
        assert!(packets(b"no pcap").is_err());
    }
}
