// SPDX-License-Identifier: Apache-2.0
//! What this node has and was told to fetch, between the plan and the deploy. It knows neither network nor disk; moments
//! come in as arguments.

use crate::image::ChunkSet;
use groundstate_api::fan_out::{
    PeerAddress, PeerTrouble, PieceSet, Pieces, ROOM_MAX, SourcesAnswer, TROUBLES_MAX, Traffic,
    TroubleKind,
};
use groundstate_api::{Bytes, Millis, NodeId};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

/// What is under way at a time, as plain bytes: enough for a fast wire between two questions.
const WINDOW: Bytes = Bytes::mib(96);
/// A piece that takes another node longer, and four times as long as usual, is given back. The one who plans sees sooner who
/// is slow beside the others: this is for what it does not see.
const SLOW: Millis = Millis::secs(6);
/// The same before anything has come: what is usual is not known, and this node itself may be what is slow.
const SLOW_FIRST: Millis = Millis::secs(20);
/// A node that nothing was asked of for so long is closed.
const UNUSED: Millis = Millis::secs(20);
/// Where so many questions in a row have no answer the repository is asked for everything.
const UNANSWERED_MAX: u32 = 3;
/// After a question without an answer.
const RETRY: Millis = Millis::secs(1);
/// When at the earliest the next question goes out, where the last one brought something.
const SOON: Millis = Millis(50);

/// Another node as a source.
#[derive(Clone, Debug)]
pub(super) struct Other {
    pub(super) node: NodeId,
    pub(super) address: SocketAddr,
    /// What it is to be asked for.
    pub(super) holds: Arc<ChunkSet>,
    pub(super) used: Millis,
}

#[derive(Clone, Copy, Debug)]
struct Told {
    from: Option<usize>,
    since: Millis,
}

#[derive(Debug)]
pub(super) struct Ledger {
    pub(super) pieces: Pieces,
    chunks: u32,
    /// Chunks of each piece that the target does not have.
    missing: Vec<u32>,
    done: Vec<bool>,
    have: PieceSet,
    told: BTreeMap<u32, Told>,
    pub(super) repository: Arc<ChunkSet>,
    pub(super) others: Vec<Other>,
    troubles: Vec<PeerTrouble>,
    window: u32,
    usual: Millis,
    /// When the next question goes out at the latest, and when the last answer came.
    ask_at: Millis,
    answered: Millis,
    was_fed: bool,
    unanswered: u32,
    traffic: Traffic,
}

impl Ledger {
    /// Of an image with so many chunks of this length.
    pub(super) fn new(chunks: u32, chunk_size: Bytes) -> Self {
        let pieces = Pieces::of(chunks, chunk_size);
        let missing = (0..pieces.count()).map(|piece| {
            let all = pieces.chunks(&(piece..piece + 1));
            all.end - all.start
        });
        let piece = chunk_size
            .0
            .saturating_mul(u64::from(pieces.length()))
            .max(1);
        let window = u32::try_from(WINDOW.0 / piece).unwrap_or(ROOM_MAX);
        Self {
            pieces,
            chunks,
            missing: missing.collect(),
            done: vec![false; index(chunks)],
            have: PieceSet::new(),
            told: BTreeMap::new(),
            repository: Arc::new(ChunkSet::new(index(chunks))),
            others: Vec::new(),
            troubles: Vec::new(),
            window: window.clamp(4, ROOM_MAX),
            usual: Millis(0),
            ask_at: Millis(0),
            answered: Millis(0),
            was_fed: false,
            unanswered: 0,
            traffic: Traffic::default(),
        }
    }

    pub(super) fn have(&self) -> &PieceSet {
        &self.have
    }

    pub(super) const fn traffic(&self) -> Traffic {
        self.traffic
    }

    /// Whether no question has ended yet.
    pub(super) fn is_new(&self) -> bool {
        self.answered == Millis(0)
    }

    pub(super) fn under_way(&self) -> PieceSet {
        self.told.keys().copied().collect()
    }

    pub(super) fn room(&self) -> u32 {
        let under_way = u32::try_from(self.told.len()).unwrap_or(u32::MAX);
        self.window.saturating_sub(under_way)
    }

    pub(super) fn is_whole(&self) -> bool {
        self.have.len() == self.pieces.count()
    }

    pub(super) fn has_chunk(&self, chunk: u32) -> bool {
        self.done.get(index(chunk)).copied().unwrap_or_default()
    }

    /// When the next question is due.
    pub(super) fn due(&self) -> Millis {
        let is_low = self.told.len() <= index(self.window / 4);
        if is_low && self.was_fed && !self.is_whole() {
            self.answered.plus(SOON).min(self.ask_at)
        } else if self.troubles.is_empty() {
            self.ask_at
        } else {
            self.answered.plus(SOON).min(self.ask_at)
        }
    }

    pub(super) fn take_troubles(&mut self) -> Vec<PeerTrouble> {
        let most = self.troubles.len().min(TROUBLES_MAX);
        self.troubles.drain(..most).collect()
    }

    /// Keeps troubles that nobody heard of.
    pub(super) fn keep(&mut self, troubles: Vec<PeerTrouble>) {
        self.troubles.extend(troubles);
        self.troubles.truncate(TROUBLES_MAX * 4);
    }

    /// A chunk came; where from the plan knows. Whether it is for the shelf.
    pub(super) fn came(&mut self, chunk: u32, bytes: u64) -> bool {
        let piece = self.pieces.of_chunk(chunk);
        let from = self.told.get(&piece).and_then(|told| told.from);
        if from.is_some() {
            self.traffic.from_peers.0 += bytes;
        } else {
            self.traffic.from_repository.0 += bytes;
        }
        from.is_none()
    }

    pub(super) fn sent(&mut self, bytes: u64) {
        self.traffic.to_peers = Bytes(bytes);
    }

    /// The target has the chunk.
    pub(super) fn stands(&mut self, now: Millis, chunk: u32) {
        let Some(done) = self.done.get_mut(index(chunk)).filter(|done| !**done) else {
            return;
        };
        *done = true;
        let piece = self.pieces.of_chunk(chunk);
        let Some(missing) = self.missing.get_mut(index(piece)) else {
            return;
        };
        *missing = missing.saturating_sub(1);
        if *missing == 0 {
            self.have.add(piece);
            if let Some(told) = self.told.remove(&piece) {
                let took = now.since(told.since);
                self.usual = if self.usual == Millis(0) {
                    took
                } else {
                    Millis((self.usual.0 * 7 + took.0) / 8)
                };
                self.close(piece, told.from);
            }
        }
    }

    /// Takes an answer: what it says is asked for from now on.
    pub(super) fn take(&mut self, now: Millis, answer: &SourcesAnswer) {
        if self.unanswered >= UNANSWERED_MAX {
            for chunk in 0..self.chunks {
                let piece = self.pieces.of_chunk(chunk);
                let told = self.told.get(&piece);
                if told.is_none_or(|told| told.from.is_some()) {
                    self.repository.remove(index(chunk));
                }
            }
        }
        self.unanswered = 0;
        self.answered = now;
        self.ask_at = now.plus(answer.again);
        self.was_fed = !answer.fetch.is_empty();
        let places: Vec<usize> = answer
            .peers
            .iter()
            .map(|peer| self.place(now, peer))
            .collect();
        for share in &answer.fetch {
            let from = match share.peer {
                None => None,
                Some(peer) => match places.get(usize::from(peer)) {
                    Some(place) => Some(*place),
                    None => continue,
                },
            };
            for piece in share.pieces().take(index(ROOM_MAX)) {
                if piece >= self.pieces.count() || self.have.has(piece) {
                    continue;
                }
                // From elsewhere than it was told before: it is not waited for there any more.
                if let Some(before) = self.told.insert(piece, Told { from, since: now }) {
                    self.close(piece, before.from);
                }
                self.open(now, piece, from);
            }
        }
    }

    /// Nobody answered the question.
    pub(super) fn unanswered(&mut self, now: Millis) {
        self.unanswered = self.unanswered.saturating_add(1);
        self.answered = now;
        self.ask_at = now.plus(RETRY);
        self.was_fed = false;
        if self.unanswered == UNANSWERED_MAX {
            self.repository.fill();
        }
    }

    /// A source was dropped by the deploy.
    pub(super) fn dropped(&mut self, name: &str, what: TroubleKind) {
        let at = self.others.iter().position(|other| other.name() == name);
        if let Some(at) = at {
            self.give_back(at, what);
        }
    }

    /// Gives back what takes another node too long. Whether there was any.
    pub(super) fn look(&mut self, now: Millis) -> bool {
        let slow = if self.usual == Millis(0) {
            SLOW_FIRST
        } else {
            Millis(SLOW.0.max(self.usual.0 * 4))
        };
        let late = |told: &Told| told.from.filter(|_| now.since(told.since) > slow);
        let mut gave_back = false;
        while let Some(at) = self.told.values().find_map(late) {
            self.give_back(at, TroubleKind::Slow);
            gave_back = true;
        }
        gave_back
    }

    /// The nodes that are asked, or were a moment ago.
    pub(super) fn in_use(&self, now: Millis) -> impl Iterator<Item = &Other> {
        let is_asked =
            move |other: &&Other| !other.holds.is_empty() || now.since(other.used) <= UNUSED;
        self.others.iter().filter(is_asked)
    }

    fn give_back(&mut self, at: usize, what: TroubleKind) {
        let pieces: Vec<u32> = self
            .told
            .iter()
            .filter(|(_, told)| told.from == Some(at))
            .map(|(piece, _)| *piece)
            .collect();
        for piece in &pieces {
            self.told.remove(piece);
            self.close(*piece, Some(at));
        }
        if let Some(other) = self.others.get(at) {
            self.troubles.push(PeerTrouble {
                peer: other.node.clone(),
                piece: pieces.first().copied().unwrap_or_default(),
                what,
            });
        }
    }

    fn place(&mut self, now: Millis, peer: &PeerAddress) -> usize {
        let same = |other: &Other| other.node == peer.node && other.address == peer.address;
        if let Some(place) = self.others.iter().position(same) {
            return place;
        }
        self.others.push(Other {
            node: peer.node.clone(),
            address: peer.address,
            holds: Arc::new(ChunkSet::new(index(self.chunks))),
            used: now,
        });
        self.others.len() - 1
    }

    fn open(&mut self, now: Millis, piece: u32, from: Option<usize>) {
        let chunks = self.pieces.chunks(&(piece..piece + 1));
        for chunk in chunks
            .filter(|chunk| !self.has_chunk(*chunk))
            .collect::<Vec<_>>()
        {
            match from {
                None => self.repository.insert(index(chunk)),
                Some(at) => {
                    if let Some(other) = self.others.get_mut(at) {
                        other.used = now;
                        other.holds.insert(index(chunk));
                    }
                }
            }
        }
    }

    fn close(&self, piece: u32, from: Option<usize>) {
        let set = match from {
            None => Some(&self.repository),
            Some(at) => self.others.get(at).map(|other| &other.holds),
        };
        for chunk in self.pieces.chunks(&(piece..piece + 1)) {
            if let Some(set) = set {
                set.remove(index(chunk));
            }
        }
    }
}

impl Other {
    /// The name that the deploy knows it by: a node that came back at another address is another source.
    pub(super) fn name(&self) -> String {
        format!("{} at {}", self.node, self.address)
    }
}

fn index(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use groundstate_api::fan_out::Share;

    fn told(first: u32, end: u32, whom: &str) -> SourcesAnswer {
        SourcesAnswer {
            peers: vec![PeerAddress {
                node: whom.parse().unwrap(),
                address: "10.0.0.1:4433".parse().unwrap(),
            }],
            fetch: vec![Share {
                first,
                end,
                peer: Some(0),
            }],
            shed: PieceSet::new(),
            again: Millis(100),
            rate: None,
        }
    }

    fn holds(ledger: &Ledger, chunk: usize) -> Vec<&str> {
        let others = ledger.others.iter();
        let holders = others.filter(|other| other.holds.contains(chunk));
        holders.map(|other| other.node.as_str()).collect()
    }

    #[test]
    fn a_piece_that_is_told_anew_is_asked_of_the_later_one_only() {
        let mut ledger = Ledger::new(8, Bytes::mib(1));
        ledger.take(Millis(1), &told(0, 4, "n2"));
        assert_eq!(holds(&ledger, 2), ["n2"]);
        ledger.take(Millis(2), &told(2, 3, "n3"));
        assert_eq!(holds(&ledger, 2), ["n3"]);
        assert_eq!(holds(&ledger, 1), ["n2"]);
        assert_eq!(ledger.under_way().len(), 4);
        assert!(ledger.take_troubles().is_empty());
    }

    #[test]
    fn nobody_is_slow_before_anything_has_come_from_anybody() {
        let mut ledger = Ledger::new(8, Bytes::mib(1));
        ledger.take(Millis(1), &told(0, 4, "n2"));
        assert!(!ledger.look(Millis(1).plus(SLOW_FIRST)));
        assert!(ledger.look(Millis(2).plus(SLOW_FIRST)));
        assert_eq!(holds(&ledger, 0), [""; 0]);
        // Where pieces take two seconds, four times as long is slow.
        let mut ledger = Ledger::new(8, Bytes::mib(1));
        ledger.take(Millis(0), &told(0, 4, "n2"));
        ledger.stands(Millis(2_000), 0);
        assert!(!ledger.look(Millis(8_000)));
        assert!(ledger.look(Millis(8_001)));
    }
}
