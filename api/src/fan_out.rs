// SPDX-License-Identifier: Apache-2.0
//! Who fetches what of an image from whom: what a node tells of its own copy, and what it is told to fetch.
//!
//! The plan is the provisioner's. A node that has a part of an image serves it to the nodes of its rack under the same paths
//! as the repository; every chunk is verified by its digest, so that a node needs to believe nobody.

use crate::digest::Digest;
use crate::ids::{NodeId, RunId};
use crate::units::{Bytes, Millis};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::ops::Range;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The most pieces that an image is told in: a set of them is a text of 1,024 characters, and a piece of an image with 5 GB
/// of data is 2 MiB.
pub const PIECES_MAX: u32 = 4_096;
/// How long a piece is at least, where chunks are not longer: what is asked for, proved and written as one has one source.
pub const PIECE_MIN: Bytes = Bytes::mib(1);
/// The most pieces that a node may take on with one question.
pub const ROOM_MAX: u32 = 128;
/// The most troubles in one question; what is left comes with the next.
pub const TROUBLES_MAX: usize = 32;
/// The largest question: two sets, a set of what is under way, and the troubles.
pub const QUESTION_MAX: Bytes = Bytes(16 * 1024);
/// What follows a node's name in the name that its certificate proves to another node.
pub const PEER_DOMAIN: &str = "nodes.groundstate.internal";

/// The name that the node's certificate proves to the others of its site: it has no place in any name server.
#[must_use]
pub fn peer_name(node: &NodeId) -> String {
    format!("{node}.{PEER_DOMAIN}")
}

/// An image cut into pieces of consecutive chunks; both sides cut alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pieces {
    chunks: u32,
    /// The least number of chunks of a piece, a power of two.
    least: u32,
}

impl Pieces {
    /// Of an image with so many chunks of this size; one that is not known is zero.
    #[must_use]
    pub const fn of(chunks: u32, chunk_size: Bytes) -> Self {
        Self {
            chunks,
            least: chunks_of_piece(chunk_size),
        }
    }

    /// How many pieces.
    #[must_use]
    pub const fn count(self) -> u32 {
        self.chunks.div_ceil(self.length())
    }

    /// How many chunks a piece has, a power of two; the last may have fewer.
    #[must_use]
    pub const fn length(self) -> u32 {
        let length = self.chunks.div_ceil(PIECES_MAX);
        let length = if length > self.least {
            length
        } else {
            self.least
        };
        // No image has so many chunks that there is no next power of two.
        match length.checked_next_power_of_two() {
            Some(length) => length,
            None => u32::MAX,
        }
    }

    /// The chunks of these pieces, by their index in the manifest.
    #[must_use]
    pub fn chunks(self, pieces: &Range<u32>) -> Range<u32> {
        let at = |piece: u32| piece.saturating_mul(self.length()).min(self.chunks);
        at(pieces.start)..at(pieces.end)
    }

    /// The piece that a chunk is in.
    #[must_use]
    pub const fn of_chunk(self, chunk: u32) -> u32 {
        chunk / self.length()
    }
}

/// How many chunks of this size make [`PIECE_MIN`], rounded up to a power of two; one where the size is not known.
#[must_use]
pub const fn chunks_of_piece(chunk_size: Bytes) -> u32 {
    if chunk_size.0 == 0 {
        return 1;
    }
    let count = PIECE_MIN.0.div_ceil(chunk_size.0).next_power_of_two();
    // It is at most 1,048,576.
    (count & 0x00ff_ffff) as u32
}

/// A set of pieces, for example those that a node has. As text: a hexadecimal digit for four pieces, the first piece the
/// highest bit of the first digit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PieceSet {
    words: Vec<u64>,
    count: u32,
}

impl PieceSet {
    /// No piece.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            words: Vec::new(),
            count: 0,
        }
    }

    /// Whether it holds the piece.
    #[must_use]
    pub fn has(&self, piece: u32) -> bool {
        let (word, bit) = place(piece);
        self.words.get(word).is_some_and(|word| word & bit != 0)
    }

    /// Adds a piece; nothing at or beyond [`PIECES_MAX`] is one. Whether it is new.
    pub fn add(&mut self, piece: u32) -> bool {
        if piece >= PIECES_MAX || self.has(piece) {
            return false;
        }
        let (at, bit) = place(piece);
        if self.words.len() <= at {
            self.words.resize(at + 1, 0);
        }
        if let Some(word) = self.words.get_mut(at) {
            *word |= bit;
        }
        self.count += 1;
        true
    }

    /// Takes a piece out. Whether it was there.
    pub fn remove(&mut self, piece: u32) -> bool {
        if !self.has(piece) {
            return false;
        }
        let (at, bit) = place(piece);
        if let Some(word) = self.words.get_mut(at) {
            *word &= !bit;
        }
        self.count -= 1;
        true
    }

    /// How many pieces.
    #[must_use]
    pub const fn len(&self) -> u32 {
        self.count
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The pieces, in order.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        (0u32..)
            .step_by(64)
            .zip(&self.words)
            .flat_map(|(first, word)| {
                let word = *word;
                (first..first + 64).filter(move |piece| word & place(*piece).1 != 0)
            })
    }
}

/// The word that a piece is in, and its bit there.
const fn place(piece: u32) -> (usize, u64) {
    ((piece / 64) as usize, 1 << (63 - piece % 64))
}

impl FromIterator<u32> for PieceSet {
    fn from_iter<T: IntoIterator<Item = u32>>(pieces: T) -> Self {
        let mut set = Self::new();
        for piece in pieces {
            set.add(piece);
        }
        set
    }
}

impl Serialize for PieceSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut text = String::with_capacity(self.words.len() * 16);
        for word in &self.words {
            text.push_str(&format!("{word:016x}"));
        }
        serializer.serialize_str(text.trim_end_matches('0'))
    }
}

impl<'de> Deserialize<'de> for PieceSet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let mut set = Self::new();
        for (first, digit) in (0u32..).step_by(4).zip(text.chars()) {
            let four = digit
                .to_digit(16)
                .filter(|_| first < PIECES_MAX)
                .ok_or_else(|| {
                    serde::de::Error::custom(format!(
                        "a set of pieces is at most {} hexadecimal digits",
                        PIECES_MAX / 4
                    ))
                })?;
            for bit in 0..4 {
                if four & (8 >> bit) != 0 {
                    set.add(first + bit);
                }
            }
        }
        Ok(set)
    }
}

/// What a node that fetches an image tells of itself, and by that asks what to fetch next, and where.
///
/// It is whole each time: the one who plans holds nothing that a lost question or a restart could make wrong.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourcesQuestion {
    /// The run.
    pub run: RunId,
    /// The manifest's digest.
    pub image: Digest,
    /// How many chunks the manifest has.
    pub chunks: u32,
    /// How long they are; both sides cut the image into the same pieces by it.
    #[serde(default)]
    pub chunk_size: Bytes,
    /// The TCP port on which it serves what it has; without one it serves nobody.
    #[serde(default)]
    pub port: Option<u16>,
    /// Whether it can serve what it has from its disk, compressed again to the form that the manifest names.
    #[serde(default)]
    pub disk: bool,
    /// The pieces that it needs no more.
    pub have: PieceSet,
    /// The pieces that it has in memory as they are stored.
    #[serde(default)]
    pub hot: PieceSet,
    /// For how many of those there is room.
    #[serde(default)]
    pub shelf: u32,
    /// The pieces that it was told to fetch and still will, or is fetching.
    #[serde(default)]
    pub under_way: PieceSet,
    /// How many more it would take on now, at most [`ROOM_MAX`].
    pub room: u32,
    /// What went wrong with other nodes since the last question.
    #[serde(default)]
    pub troubles: Vec<PeerTrouble>,
    /// What came from where, and what it has sent, in all.
    #[serde(default)]
    pub traffic: Traffic,
}

/// Bytes of chunks as they went over the network.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Traffic {
    /// Fetched from the repository.
    pub from_repository: Bytes,
    /// Fetched from other nodes.
    pub from_peers: Bytes,
    /// Sent to other nodes.
    pub to_peers: Bytes,
}

/// Trouble with another node.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PeerTrouble {
    /// The other node.
    pub peer: NodeId,
    /// The piece that was asked for.
    pub piece: u32,
    /// What it was.
    pub what: TroubleKind,
}

/// What can be wrong with another node.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TroubleKind {
    /// It cannot be reached, or broke off.
    Away,
    /// It takes too long.
    Slow,
    /// It does not have the piece any more, or has no place for another caller.
    Gone,
    /// What it gave is not what the manifest says.
    Lied,
}

/// Where to get the next pieces.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourcesAnswer {
    /// The nodes that are named in `fetch`.
    pub peers: Vec<PeerAddress>,
    /// What to fetch, and where.
    pub fetch: Vec<Share>,
    /// Pieces that it has in memory and nobody is waiting for any more.
    #[serde(default, skip_serializing_if = "PieceSet::is_empty")]
    pub shed: PieceSet,
    /// How long to wait before the next question, where none of `fetch` is left before.
    pub again: Millis,
    /// The most bytes that the node may send to others in a second; without it, as many as it can.
    #[serde(default)]
    pub rate: Option<Bytes>,
}

/// Another node that serves.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PeerAddress {
    /// Which. Its certificate proves [`peer_name`].
    pub node: NodeId,
    /// Where it serves.
    pub address: SocketAddr,
}

/// Consecutive pieces from one place.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Share {
    /// The first piece.
    pub first: u32,
    /// The first piece after them.
    pub end: u32,
    /// The place in [`SourcesAnswer::peers`]; without it, the repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<u16>,
}

impl Share {
    /// The pieces.
    #[must_use]
    pub const fn pieces(&self) -> Range<u32> {
        self.first..self.end
    }
}

/// How a site gives images out (`[images]` in the site file).
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageRules {
    /// Whether nodes give each other what they have. On is the default: every chunk is verified by who fetches it.
    #[serde(default = "peers_default")]
    pub peers: bool,
    /// The most that a node sends to others in a second, for example `100MiB`; without it as much as it can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer_rate: Option<String>,
    /// The most that the repository sends to all nodes together in a second, for example `1GiB`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total_rate: Option<String>,
    /// The most that the repository sends to one node in a second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_rate: Option<String>,
    /// Whether a cache that others share may keep what is served: where images are no secret.
    #[serde(default, skip_serializing_if = "is_false")]
    pub shared_caches: bool,
    /// The racks of nodes that the site says no slot of: a slot's rack counts first. A node of none of them shares one with all
    /// such nodes.
    #[serde(default, rename = "rack", skip_serializing_if = "Vec::is_empty")]
    pub racks: Vec<Rack>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_false(flag: &bool) -> bool {
    !*flag
}

impl Default for ImageRules {
    fn default() -> Self {
        Self {
            peers: peers_default(),
            peer_rate: None,
            total_rate: None,
            node_rate: None,
            shared_caches: false,
            racks: Vec::new(),
        }
    }
}

impl ImageRules {
    /// Whether this is what holds where nothing is said.
    #[must_use]
    pub fn is_usual(&self) -> bool {
        *self == Self::default()
    }

    /// The rack of a node at this address: the one that names it, else the one whose network it is in, else the nameless one.
    #[must_use]
    pub fn rack_of(&self, node: &NodeId, address: IpAddr) -> &str {
        let named = self.racks.iter().find(|rack| rack.nodes.contains(node));
        let near = || self.racks.iter().find(|rack| rack.has(address));
        named.or_else(near).map_or("", |rack| &rack.name)
    }

    /// [`ImageRules::peer_rate`] in bytes a second.
    #[must_use]
    pub fn rate(&self) -> Option<Bytes> {
        self.peer_rate.as_deref().and_then(Bytes::parse)
    }
}

/// Machines behind one switch.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rack {
    /// Its name.
    pub name: String,
    /// The nodes that stand in it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nodes: Vec<NodeId>,
    /// Its network, where a relay agent gives it one of its own: `10.4.0.0/24`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<String>,
}

impl Rack {
    /// The network's first address and the length of its prefix; `None` where it is none or says none.
    #[must_use]
    pub fn prefix(&self) -> Option<(Ipv4Addr, u32)> {
        let (address, length) = self.network.as_deref()?.split_once('/')?;
        let length = length
            .parse()
            .ok()
            .filter(|length| (1..=32).contains(length))?;
        Some((address.parse().ok()?, length))
    }

    fn has(&self, address: IpAddr) -> bool {
        let (IpAddr::V4(address), Some((network, length))) = (address, self.prefix()) else {
            return false;
        };
        (u32::from(address) ^ u32::from(network)) >> (32 - length) == 0
    }
}

fn peers_default() -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString as _;

    #[test]
    fn every_chunk_is_in_one_piece() {
        let sizes = [
            Bytes(0),
            Bytes(1),
            Bytes(64 << 10),
            Bytes(256 << 10),
            Bytes::mib(4),
        ];
        let counts = [0, 1, 7, 4_095, 4_096, 4_097, 20_600, 262_144];
        for (chunks, size) in counts
            .into_iter()
            .flat_map(|chunks| sizes.map(|size| (chunks, size)))
        {
            let pieces = Pieces::of(chunks, size);
            assert!(pieces.count() <= PIECES_MAX, "{chunks}");
            let is_long = size == Bytes(0) || u64::from(pieces.length()) * size.0 >= PIECE_MIN.0;
            assert!(is_long, "{chunks} of {size}");
            let mut next = 0;
            assert!(pieces.length() >= 1);
            for piece in 0..pieces.count() {
                let of_piece = pieces.chunks(&(piece..piece + 1));
                assert_eq!(of_piece.start, next);
                assert!(
                    of_piece
                        .clone()
                        .all(|chunk| pieces.of_chunk(chunk) == piece)
                );
                next = of_piece.end;
            }
            assert_eq!(next, chunks);
        }
    }

    #[test]
    fn a_set_is_its_text() {
        for (pieces, text) in [
            (alloc::vec![], "\"\""),
            (alloc::vec![0], "\"8\""),
            (alloc::vec![0, 1, 2, 3, 5, 70], "\"f40000000000000002\""),
            (alloc::vec![PIECES_MAX - 1], ""),
        ] {
            let set: PieceSet = pieces.iter().copied().collect();
            let written = serde_json::to_string(&set).unwrap();
            if !text.is_empty() {
                assert_eq!(written, text);
            }
            let read: PieceSet = serde_json::from_str(&written).unwrap();
            assert_eq!(read.iter().collect::<Vec<_>>(), pieces);
            assert_eq!(read.len() as usize, pieces.len());
        }
        for bad in ["\"x\"".to_string(), format!("\"{}\"", "0".repeat(1_025))] {
            assert!(serde_json::from_str::<PieceSet>(&bad).is_err());
        }
    }

    #[test]
    fn a_rack_is_named_or_is_where_the_address_is() {
        let rack = |name: &str, nodes: &[&str], network: Option<&str>| Rack {
            name: name.to_string(),
            nodes: nodes.iter().map(|node| node.parse().unwrap()).collect(),
            network: network.map(ToString::to_string),
        };
        let rules = ImageRules {
            racks: alloc::vec![
                rack("a", &["n1"], Some("10.4.0.0/24")),
                rack("b", &[], Some("10.4.1.0/24")),
            ],
            ..ImageRules::default()
        };
        for (node, address, expected) in [
            ("n1", "10.4.1.9", "a"),
            ("n2", "10.4.1.9", "b"),
            ("n2", "10.4.0.255", "a"),
            ("n2", "10.4.2.0", ""),
            ("n2", "fe80::1", ""),
        ] {
            let found = rules.rack_of(&node.parse().unwrap(), address.parse().unwrap());
            assert_eq!(found, expected, "{node} at {address}");
        }
    }
}
