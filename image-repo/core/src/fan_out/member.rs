// SPDX-License-Identifier: Apache-2.0
//! One member of a rack: what it said it has, what it was told to fetch, and how it is thought of.

use super::{ABSENT, FORGET, PRESENT};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::net::SocketAddr;
use groundstate_api::fan_out::{PieceSet, Traffic};
use groundstate_api::{Millis, NodeId, RunId};

/// So few pieces do not keep a member's cable busy.
const IDLE_MAX: usize = 4;

/// A member's place in its group.
pub(super) type Slot = u16;

/// What a member was told to fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Told {
    /// From which member; none is the repository.
    pub(super) from: Option<Slot>,
    pub(super) since: Millis,
}

/// Who is left alone, until when, and how often that was so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Rest {
    pub(super) until: Millis,
    pub(super) times: u32,
}

#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) node: NodeId,
    pub(super) run: RunId,
    pub(super) address: Option<SocketAddr>,
    pub(super) disk: bool,
    pub(super) have: PieceSet,
    pub(super) hot: PieceSet,
    /// Since when it has each of them.
    pub(super) hot_since: BTreeMap<u32, Millis>,
    pub(super) shelf: u32,
    pub(super) told: BTreeMap<u32, Told>,
    pub(super) joined: Millis,
    pub(super) heard: Millis,
    /// Since when it has nothing to fetch and needs something.
    pub(super) starved: Option<Millis>,
    /// Pieces that others were told to fetch from it.
    pub(super) load: u32,
    /// Whom it does not fetch from for now.
    pub(super) avoids: BTreeMap<Slot, Rest>,
    /// Nobody fetches from it for now.
    pub(super) out: Rest,
    /// Who had trouble with it of late.
    pub(super) reports: Vec<(Slot, Millis)>,
    /// How many others it called liars.
    pub(super) accusations: u32,
    pub(super) traffic: Traffic,
    pub(super) left: bool,
}

impl Member {
    pub(super) fn new(node: NodeId, run: RunId, now: Millis) -> Self {
        Self {
            node,
            run,
            address: None,
            disk: false,
            have: PieceSet::new(),
            hot: PieceSet::new(),
            hot_since: BTreeMap::new(),
            shelf: 0,
            told: BTreeMap::new(),
            joined: now,
            heard: now,
            starved: None,
            load: 0,
            avoids: BTreeMap::new(),
            out: Rest::default(),
            reports: Vec::new(),
            accusations: 0,
            traffic: Traffic::default(),
            left: false,
        }
    }

    /// Whether it was heard lately enough to serve.
    pub(super) fn is_present(&self, now: Millis) -> bool {
        !self.left && now.since(self.heard) <= PRESENT
    }

    /// Whether what it was told to fetch may still be waited for.
    pub(super) fn fetches(&self, now: Millis) -> bool {
        !self.left && now.since(self.heard) <= ABSENT && self.out.until <= now
    }

    /// Whether it has next to nothing to fetch: what is left may be what a slow one owes it.
    pub(super) fn is_idle(&self) -> bool {
        self.told.len() <= IDLE_MAX
    }

    pub(super) fn forget_at(&self) -> Millis {
        self.heard.plus(FORGET)
    }

    /// Whether `by` may be sent to it.
    pub(super) fn serves(&self, by: &Self, slot: Slot, now: Millis) -> bool {
        self.address.is_some()
            && self.is_present(now)
            && self.out.until <= now
            && by.avoids.get(&slot).is_none_or(|rest| rest.until <= now)
    }

    /// Takes what it has in memory now.
    pub(super) fn keeps(&mut self, hot: PieceSet, now: Millis) {
        self.hot_since.retain(|piece, _| hot.has(*piece));
        for piece in hot.iter() {
            self.hot_since.entry(piece).or_insert(now);
        }
        self.hot = hot;
    }

    /// Whether it has had the piece in memory for so long that others should have it by now.
    pub(super) fn is_stale(&self, piece: u32, now: Millis, after: Millis) -> bool {
        let since = self.hot_since.get(&piece);
        since.is_some_and(|since| now.since(*since) > after)
    }

    /// Average bytes of a piece as it went over the network; none before the first.
    pub(super) fn piece_bytes(&self) -> Option<u64> {
        let bytes = self.traffic.from_repository.0 + self.traffic.from_peers.0;
        bytes.checked_div(u64::from(self.have.len()))
    }
}
