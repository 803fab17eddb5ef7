// SPDX-License-Identifier: Apache-2.0
//! One member of a rack: what it said it has, what it was told to fetch, and how it is thought of.

use super::{FORGET, PRESENT};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::net::SocketAddr;
use groundstate_api::fan_out::{PieceSet, Traffic};
use groundstate_api::{Millis, NodeId, RunId};

/// From so many pieces on that others wait for, a member's pace can be seen.
const BUSY: u32 = 4;
/// The most others that are sent to one member: a node takes 64 callers, and each keeps its place for a while.
const CALLERS_MAX: usize = 48;
/// So long a caller keeps its connection open for nothing.
const CALLER_STAYS: Millis = Millis::secs(20);
/// So few pieces do not keep a member's cable busy.
const IDLE_MAX: usize = 4;

/// So many pieces may be under way from a member whose pace is not known, and from the slowest.
const LOAD_FIRST: u32 = 8;
/// And from others as many as they send in so many milliseconds.
const LOAD_WITHIN: u64 = 1_000;

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
    pub(super) shelf: u32,
    pub(super) told: BTreeMap<u32, Told>,
    pub(super) joined: Millis,
    pub(super) heard: Millis,
    /// Since when it has nothing to fetch and needs something.
    pub(super) starved: Option<Millis>,
    /// Pieces that others were told to fetch from it.
    pub(super) load: u32,
    /// Pieces that others have fetched from it.
    pub(super) delivered: u32,
    /// When the last one was.
    pub(super) delivered_at: Millis,
    /// What the whole group had delivered then.
    pub(super) delivered_then: u32,
    /// How long its last piece from the repository took, and when it came.
    pub(super) brought: Option<(Millis, Millis)>,
    /// Since when others wait for anything of it.
    pub(super) owes: Option<Millis>,
    /// How long they did before that.
    pub(super) owed: Millis,
    /// Since when it has enough to send that its pace can be seen, and what it had delivered then.
    pub(super) busy: Option<(Millis, u32)>,
    /// It is far behind the pace of the others: nobody counts on it for now.
    pub(super) lags: Rest,
    /// Who was sent to it, and when last: each has a connection open.
    pub(super) callers: BTreeMap<Slot, Millis>,
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
    /// It has the whole image.
    pub(super) needs_nothing: bool,
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
            shelf: 0,
            told: BTreeMap::new(),
            joined: now,
            heard: now,
            starved: None,
            load: 0,
            delivered: 0,
            delivered_at: now,
            delivered_then: 0,
            brought: None,
            owes: None,
            owed: Millis(0),
            busy: None,
            lags: Rest::default(),
            callers: BTreeMap::new(),
            avoids: BTreeMap::new(),
            out: Rest::default(),
            reports: Vec::new(),
            accusations: 0,
            traffic: Traffic::default(),
            left: false,
            needs_nothing: false,
        }
    }

    /// Whether it was heard lately enough to serve.
    pub(super) fn is_present(&self, now: Millis) -> bool {
        !self.left && now.since(self.heard) <= PRESENT
    }

    /// Whether what it was told to fetch may still be waited for; `absent` is how long nobody is quiet here who lives.
    pub(super) fn fetches(&self, now: Millis, absent: Millis) -> bool {
        !self.left && now.since(self.heard) <= absent && self.out.until <= now
    }

    /// Whether it has next to nothing to fetch: what is left may be what a slow one owes it.
    pub(super) fn is_idle(&self) -> bool {
        self.told.len() <= IDLE_MAX
    }

    pub(super) fn forget_at(&self) -> Millis {
        self.heard.plus(FORGET)
    }

    /// Whether the others may count on it for what it has, where it is quiet for no longer than `absent`.
    pub(super) fn keeps_up(&self, now: Millis, absent: Millis) -> bool {
        self.address.is_some()
            && self.fetches(now, absent.max(self.patience()))
            && self.lags.until <= now
    }

    /// Who has it all asks less often than others.
    fn patience(&self) -> Millis {
        if self.needs_nothing {
            PRESENT
        } else {
            Millis(0)
        }
    }

    /// Whether `by` may be sent to it.
    pub(super) fn is_open_to(&self, by: &Self, by_slot: Slot, slot: Slot, now: Millis) -> bool {
        by.avoids.get(&slot).is_none_or(|rest| rest.until <= now)
            && (self.callers.contains_key(&by_slot) || self.callers.len() < CALLERS_MAX)
    }

    /// Notes that another was sent to it.
    pub(super) fn called(&mut self, by: Slot, now: Millis) {
        self.callers
            .retain(|_, last| now.since(*last) <= CALLER_STAYS);
        self.callers.insert(by, now);
        self.load = self.load.saturating_add(1);
        self.owes.get_or_insert(now);
        if self.load >= BUSY && self.busy.is_none() {
            self.busy = Some((now, self.delivered));
        }
    }

    /// Another no longer waits for a piece of it.
    pub(super) fn released(&mut self, now: Millis) {
        self.load = self.load.saturating_sub(1);
        if self.load == 0
            && let Some(owes) = self.owes.take()
        {
            self.owed = Millis(self.owed.0.saturating_add(now.since(owes).0));
        }
        if self.load < BUSY {
            self.busy = None;
        }
    }

    /// Pieces that it delivered in `per` milliseconds, over the time in which others waited for any.
    pub(super) fn pace(&self, now: Millis, per: u64) -> u64 {
        let owed = self.owed.0 + self.owes.map_or(0, |owes| now.since(owes).0);
        u64::from(self.delivered) * per / owed.max(1)
    }

    /// How many pieces may be under way from it at a time: what it sends in a second at its pace.
    pub(super) fn load_max(&self, now: Millis) -> u32 {
        if self.delivered < LOAD_FIRST {
            return LOAD_FIRST;
        }
        let sends = self.pace(now, LOAD_WITHIN);
        u32::try_from(sends).unwrap_or(u32::MAX).max(LOAD_FIRST)
    }

    /// A piece of it came; the whole group has delivered so many by now.
    pub(super) fn delivered(&mut self, now: Millis, all: u32) {
        self.delivered = self.delivered.saturating_add(1);
        (self.delivered_at, self.delivered_then) = (now, all);
    }

    /// Average bytes of a piece as it went over the network; none before the first.
    pub(super) fn piece_bytes(&self) -> Option<u64> {
        let bytes = self.traffic.from_repository.0 + self.traffic.from_peers.0;
        bytes.checked_div(u64::from(self.have.len()))
    }
}
