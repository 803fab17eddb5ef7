// SPDX-License-Identifier: Apache-2.0
//! Chooses what a member fetches next, and where.
//!
//! 1. A few pieces that nobody of the rack has or fetches, from the repository, while there is room in its memory for what
//!    the others still want of it.
//! 2. Pieces that another member has in memory as they are stored: that costs it next to nothing.
//! 3. More of the first kind.
//! 4. Pieces that are only on another member's disk.
//! 5. Where that gives nothing for a while: from the repository what should have come from others, one at a time.
//!
//! What was promised by one who has gone or is slow is told anew, from elsewhere.

use super::group::{Group, Scene};
use super::member::{Member, Slot, Told};
use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;
use groundstate_api::fan_out::{PeerAddress, PieceSet, Share, SourcesAnswer};
use groundstate_api::{Millis, NodeId, RunId};

/// The most pieces that one member is to send at a time; the rest goes to others, or waits.
const LOAD_MAX: u32 = 48;
/// The same of pieces from its disk, which it must read and compress again.
const LOAD_DISK_MAX: u32 = 8;
/// The most pieces that one member fetches from the repository at a time.
const COMING_MAX: u32 = 24;
/// The same before a rack is together: the others come within moments and shall have as much to fetch.
const COMING_FIRST: u32 = 2;
/// How long a rack takes to be together.
const GATHERING: Millis = Millis(500);
/// The same where a piece takes longer than [`COMING_SLOW`]: many wait for each.
const COMING_FEW: u32 = 2;
/// How far from each other two members begin; a prime, so that no length of an image puts them together.
const TURN: usize = 7_919;
/// Fewer pieces than this nobody is behind.
const LAG_MIN: u32 = 32;
/// Who has been alone for so long does not wait for others to join.
const ALONE: Millis = Millis(500);
/// A piece that takes so long from the repository is slow.
const COMING_SLOW: Millis = Millis::secs(1);
/// One who had nothing to fetch for so long gets it from the repository.
const STARVE_MAX: Millis = Millis::secs(1);
/// The same where it is promised by one that sends more slowly than the others.
const STARVE_SLOW: Millis = Millis(250);
/// The same where somebody has it who keeps up with the others, and is asked by too many.
const STARVE_HELD: Millis = Millis::secs(10);
/// The same from another's disk, though a third has it in memory: that one is asked by too many.
const STARVE_DISK: Millis = Millis(300);
/// Whom others have waited for no longer than this has no pace yet, for one that has nothing else to fetch.
const OWED_MIN: Millis = Millis(500);
/// The same for everybody.
const OWED_LONG: Millis = Millis(1_500);
/// When one asks again who got something to fetch, and has not fetched it before.
const AGAIN_FED: Millis = Millis(250);
/// When one asks again who waits for others.
const AGAIN_STARVED: Millis = Millis(40);
/// When one asks again who has it all and serves.
const AGAIN_WHOLE: Millis = Millis::secs(2);
/// With many members each asks less often, so that the plan costs the provisioner some 250 questions a second.
const AGAIN_EACH: Millis = Millis(4);

/// Where a piece can be had in the rack.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Place {
    /// The member with the smallest load that has it in memory and is not busy.
    hot: Option<(Slot, u32)>,
    /// Somebody has it in memory, perhaps one who is busy.
    warm: bool,
    /// Somebody has it who keeps up with the others, though perhaps not for the one who asks.
    held: bool,
    /// Somebody has it who may be asked, now or when there is room.
    open: bool,
}

/// A member's choice while it is made.
struct Choice<'a> {
    group: &'a mut Group,
    now: Millis,
    slot: Slot,
    /// Whom it does not count on, because they send more slowly than the others.
    slow: Vec<Slot>,
    places: Vec<Place>,
    /// Who can serve from a disk.
    disks: Vec<Slot>,
    /// Members that the others do not wait for.
    laggards: usize,
    /// Members that are quiet for too long, and no laggards: they may be gone.
    gone: usize,
    room: u32,
    /// How long nobody is quiet who lives.
    absent: Millis,
    /// The pieces that it needs and is not told to fetch, or from one who has gone or is slow.
    needed: Vec<u32>,
    told: Vec<(u32, Option<Slot>)>,
}

impl Group {
    /// What the member in this place does next.
    pub(super) fn answer(
        &mut self,
        scene: &Scene,
        slot: Slot,
        room: u32,
        liars: &BTreeMap<NodeId, RunId>,
    ) -> SourcesAnswer {
        let now = scene.now;
        let load_max = |member: &Member| match (scene.settings.rate, member.piece_bytes()) {
            // What it may send in a second.
            (Some(rate), Some(piece)) => u32::try_from(rate.0 / piece.max(1))
                .unwrap_or(LOAD_MAX)
                .clamp(1, LOAD_MAX),
            (None, _) | (_, None) => LOAD_MAX,
        };
        let load_max = |member: &Member| load_max(member).min(member.load_max(now));
        let slow = self.slow_for(now, slot);
        let (places, disks) = self.places(now, slot, (liars, &slow), load_max);
        let mut choice = Choice {
            group: self,
            now,
            slot,
            slow,
            places,
            disks,
            laggards: 0,
            gone: 0,
            room,
            absent: Millis(0),
            needed: Vec::new(),
            told: Vec::new(),
        };
        choice.absent = choice.group.absent();
        (choice.laggards, choice.gone) = choice.count_laggards();
        choice.needed = choice.pieces_needed();
        let shed = choice.shed();
        choice.choose();
        let told = choice.told;
        let again = self.again(scene, slot, !told.is_empty());
        let (peers, fetch) = self.shares(told);
        SourcesAnswer {
            peers,
            fetch,
            shed,
            again,
            rate: scene.settings.rate,
        }
    }

    /// Who sends too slowly to be counted on by the member in this place: it sees that sooner where it has nothing else to
    /// fetch.
    fn slow_for(&self, now: Millis, slot: Slot) -> Vec<Slot> {
        let since = self.member(slot).and_then(|me| me.starved);
        let starves = since.is_some_and(|since| now.since(since) >= STARVE_SLOW);
        self.slow(now, if starves { OWED_MIN } else { OWED_LONG })
    }

    /// Where each piece can be had by the member in this place, and who has a disk to serve from.
    fn places(
        &self,
        now: Millis,
        slot: Slot,
        (liars, slow): (&BTreeMap<NodeId, RunId>, &[Slot]),
        load_max: impl Fn(&Member) -> u32,
    ) -> (Vec<Place>, Vec<Slot>) {
        let mut places = vec![Place::default(); self.copies.len()];
        let mut disks = Vec::new();
        let Some(me) = self.member(slot) else {
            return (places, disks);
        };
        let absent = self.absent();
        for (peer, member) in self.slots() {
            let lied = liars.get(&member.node) == Some(&member.run);
            let is_slow = slow.contains(&peer);
            if peer == slot || lied || is_slow || !member.keeps_up(now, absent) {
                continue;
            }
            let is_open = member.is_open_to(me, slot, peer, now);
            let is_free = is_open && member.load < load_max(member);
            for piece in member.hot.iter() {
                let Some(place) = at_mut(&mut places, piece) else {
                    continue;
                };
                (place.warm, place.held) = (true, true);
                place.open |= is_open;
                if is_free && place.hot.is_none_or(|(_, load)| member.load < load) {
                    place.hot = Some((peer, member.load));
                }
            }
            if member.disk {
                for piece in member.have.iter() {
                    if let Some(place) = at_mut(&mut places, piece) {
                        place.held = true;
                        place.open |= is_open;
                    }
                }
                if is_free {
                    disks.push(peer);
                }
            }
        }
        (places, disks)
    }

    /// When the member asks again.
    fn again(&mut self, scene: &Scene, slot: Slot, got_some: bool) -> Millis {
        let count = self.count();
        let now = scene.now;
        let Some(member) = self.member_mut(slot) else {
            return AGAIN_STARVED;
        };
        if member.have.len() >= count {
            member.starved = None;
            return AGAIN_WHOLE;
        }
        if member.is_idle() {
            member.starved.get_or_insert(now);
        } else {
            member.starved = None;
        }
        let least = if got_some { AGAIN_FED } else { AGAIN_STARVED };
        let shared = u64::try_from(scene.members)
            .unwrap_or(u64::MAX)
            .saturating_mul(AGAIN_EACH.0);
        Millis(shared.clamp(least.0, AGAIN_WHOLE.0))
    }

    /// Consecutive pieces of one source as one share.
    fn shares(&self, mut told: Vec<(u32, Option<Slot>)>) -> (Vec<PeerAddress>, Vec<Share>) {
        told.sort_unstable();
        let (mut peers, mut slots, mut shares) = (Vec::new(), Vec::<Slot>::new(), Vec::new());
        for (piece, from) in told {
            let peer = from.and_then(|slot| {
                if let Some(known) = slots.iter().position(|other| *other == slot) {
                    return u16::try_from(known).ok();
                }
                let member = self.member(slot)?;
                peers.push(PeerAddress {
                    node: member.node.clone(),
                    address: member.address?,
                });
                slots.push(slot);
                u16::try_from(slots.len() - 1).ok()
            });
            match shares.last_mut() {
                Some(Share {
                    end, peer: last, ..
                }) if *end == piece && *last == peer => *end += 1,
                Some(_) | None => shares.push(Share {
                    first: piece,
                    end: piece + 1,
                    peer,
                }),
            }
        }
        (peers, shares)
    }
}

fn at_mut(places: &mut [Place], piece: u32) -> Option<&mut Place> {
    places.get_mut(usize::try_from(piece).ok()?)
}

impl Choice<'_> {
    fn choose(&mut self) {
        let allowed = self.allowed();
        let few = allowed.min((self.room / 4).max(1)).min(self.fair_bite());
        let first = self.take_from_repository(few);
        self.take_from_memory();
        self.take_from_repository(allowed - first);
        self.take_from_disks();
        self.where_starved();
    }

    fn me(&self) -> Option<&Member> {
        self.group.member(self.slot)
    }

    /// What is still to be fetched; what is to be told anew takes no room that it has not taken before.
    fn pieces_needed(&mut self) -> Vec<u32> {
        let Some(me) = self.me() else {
            return Vec::new();
        };
        let starves = self.starved() >= STARVE_SLOW;
        let broken = |told: &Told| {
            let is_slow = starves && told.from.is_some_and(|from| self.slow.contains(&from));
            is_slow || self.group.is_broken(self.now, told)
        };
        let anew = me.told.values().filter(|told| broken(told)).count();
        let needed = (0..self.group.count())
            .filter(|piece| !me.have.has(*piece) && me.told.get(piece).is_none_or(&broken));
        let needed: Vec<u32> = needed.collect();
        self.room = self
            .room
            .saturating_add(u32::try_from(anew).unwrap_or(u32::MAX));
        needed
    }

    /// What is still needed, to go through; [`Choice::put_back`] takes the rest.
    fn take_needed(&mut self) -> Vec<u32> {
        core::mem::take(&mut self.needed)
    }

    fn put_back(&mut self, mut needed: Vec<u32>) {
        needed.retain(|piece| self.told.iter().all(|(told, _)| told != piece));
        self.needed = needed;
    }

    fn place(&self, piece: u32) -> Place {
        let at = usize::try_from(piece).unwrap_or(usize::MAX);
        self.places.get(at).copied().unwrap_or_default()
    }

    fn take(&mut self, piece: u32, from: Option<Slot>) {
        self.group.tell(self.now, self.slot, piece, from);
        self.told.push((piece, from));
        self.room = self.room.saturating_sub(1);
    }

    /// How many more pieces it may fetch from the repository. What it has fetched and the others still want fills its memory.
    fn allowed(&self) -> u32 {
        let Some(me) = self.me() else { return 0 };
        let coming = me.told.values().filter(|told| told.from.is_none()).count();
        let coming = u32::try_from(coming).unwrap_or(u32::MAX);
        let most = if self.group.usual > COMING_SLOW {
            COMING_FEW
        } else {
            COMING_MAX
        };
        let alone = self.now.since(me.joined) >= ALONE && self.group.present_at(self.now) <= 1;
        let free = if alone {
            return self.room;
        } else if me.address.is_none() {
            most
        } else {
            // What a slow one fetches waits in its memory for all the others.
            let is_slow = me.lags.until > self.now
                || self.group.brings_slowly(self.now, me)
                || self.group.is_behind(self.now, me);
            if is_slow && self.group.present_at(self.now) > 2 {
                return 0;
            }
            // Nobody keeps room for one that may be gone; what it still wants stays here as long as there is room.
            let wanted = me
                .hot
                .iter()
                .filter(|p| self.is_wanted(*p, self.gone))
                .count();
            let wanted = u32::try_from(wanted).unwrap_or(u32::MAX);
            let credit = self.group.credit(self.now, me);
            let owed = credit.saturating_sub(self.owed(me));
            me.shelf.saturating_sub(wanted).min(owed)
        };
        let most = if self.gathers() { COMING_FIRST } else { most };
        free.min(most).saturating_sub(coming)
    }

    /// Whether the rack may not be together yet.
    fn gathers(&self) -> bool {
        let began = self.group.began;
        began.is_some_and(|began| self.now.since(began) < GATHERING)
    }

    /// How many pieces the others still want of what the member has in memory, all of them: one that half have is half a piece.
    fn owed(&self, me: &Member) -> u32 {
        let present = self.group.present_at(self.now);
        let missing = me.hot.iter().map(|piece| {
            let at = usize::try_from(piece).unwrap_or(usize::MAX);
            let copies = self.group.copies.get(at).copied().unwrap_or_default();
            present.saturating_sub(usize::from(copies))
        });
        let (missing, others) = (missing.sum::<usize>(), present.saturating_sub(1).max(1));
        u32::try_from((missing + others / 2) / others).unwrap_or(u32::MAX)
    }

    /// What the member may begin with, so that each of the rack fetches its part of what nobody has yet.
    fn fair_bite(&self) -> u32 {
        if self.gathers() {
            return COMING_FIRST;
        }
        let open = |piece: &&u32| !self.place(**piece).held && !self.is_coming(**piece);
        let open = self.needed.iter().filter(open).count();
        let share = open.div_ceil(2 * self.group.present_at(self.now).max(1));
        u32::try_from(share).unwrap_or(u32::MAX)
    }

    /// Whether somebody still needs the piece who is not far behind: a rack does not wait for its slowest.
    fn is_wanted(&self, piece: u32, gone: usize) -> bool {
        let at = usize::try_from(piece).unwrap_or(usize::MAX);
        let copies = self.group.copies.get(at).copied().unwrap_or_default();
        let present = self.group.present_at(self.now);
        present.saturating_sub(usize::from(copies)) > self.laggards + gone
    }

    /// Members that have less than half of what the one in the middle has, and those who are gone.
    fn count_laggards(&self) -> (usize, usize) {
        let members = self.group.slots().map(|(_, member)| member);
        let mut have: Vec<u32> = members
            .filter(|member| member.is_present(self.now))
            .map(|member| member.have.len())
            .collect();
        have.sort_unstable();
        let middle = have.get(have.len() / 2).copied().unwrap_or_default();
        let behind = have.partition_point(|have| *have + LAG_MIN < middle / 2);
        let gone = self.group.slots().filter(|(_, member)| {
            member.is_present(self.now)
                && !member.needs_nothing
                && !member.fetches(self.now, self.absent)
                && member.have.len() + LAG_MIN >= middle / 2
        });
        (behind, gone.count())
    }

    /// What the member has in memory and nobody is waiting for.
    fn shed(&self) -> PieceSet {
        let Some(me) = self.me() else {
            return PieceSet::new();
        };
        me.hot
            .iter()
            .filter(|p| me.have.has(*p) && !self.is_wanted(*p, 0))
            .collect()
    }

    /// Pieces that nobody of the rack has or fetches. How many it took.
    fn take_from_repository(&mut self, most: u32) -> u32 {
        if most == 0 || self.room == 0 {
            return 0;
        }
        let mut taken = 0;
        let needed = self.take_needed();
        for piece in &needed {
            if taken == most || self.room == 0 {
                break;
            }
            if !self.place(*piece).held && !self.is_coming(*piece) {
                self.take(*piece, None);
                taken += 1;
            }
        }
        self.put_back(needed);
        taken
    }

    /// Pieces that others have in memory.
    fn take_from_memory(&mut self) {
        let mut taken: BTreeMap<Slot, u32> = BTreeMap::new();
        let mut needed = self.take_needed();
        // Each begins elsewhere, so that not all of them call the same one.
        let turn = usize::from(self.slot).wrapping_mul(TURN);
        let turn = turn.checked_rem(needed.len()).unwrap_or_default();
        needed.rotate_left(turn);
        for piece in &needed {
            if self.room == 0 {
                break;
            }
            let Some((peer, load)) = self.place(*piece).hot else {
                continue;
            };
            let now = taken.entry(peer).or_default();
            // As much from one as from others: the next question brings more.
            if *now + load >= LOAD_MAX || *now > self.room / 2 {
                continue;
            }
            *now += 1;
            self.take(*piece, Some(peer));
        }
        self.put_back(needed);
    }

    /// Pieces that others have on their disks and nobody has in memory, each from the one with the smallest load.
    fn take_from_disks(&mut self) {
        // They cost the other one a core: who has something else to fetch does not ask for them.
        if !self.is_idle() || self.disks.is_empty() {
            return;
        }
        let patience = Millis(STARVE_DISK.0.max(self.group.usual_peer.0.saturating_mul(4)));
        let despite_memory = self.starved() >= patience;
        let most = self.room / 2 + 1;
        let mut taken = 0;
        let needed = self.take_needed();
        for piece in &needed {
            if taken == most || self.room == 0 {
                break;
            }
            let place = self.place(*piece);
            if !place.held || place.warm && !despite_memory {
                continue;
            }
            let holders = self.disks.iter().filter_map(|slot| {
                let member = self.group.member(*slot)?;
                let can = member.load < LOAD_DISK_MAX && member.have.has(*piece);
                can.then_some((member.load, *slot))
            });
            if let Some((_, peer)) = holders.min() {
                self.take(*piece, Some(peer));
                taken += 1;
            }
        }
        self.put_back(needed);
    }

    /// Who waited for others long enough fetches from the repository what nobody else fetches there. What somebody has who
    /// keeps up with the others is waited for.
    fn where_starved(&mut self) {
        let starved = self.starved();
        if self.room == 0 || !self.is_idle() || starved < STARVE_SLOW {
            return;
        }
        let held = Millis(STARVE_HELD.0.max(self.group.usual_peer.0.saturating_mul(8)));
        let mut needed = self.needed.iter().copied();
        let piece = needed.find(|piece| {
            // Who was to bring it is late.
            let is_late = self.group.was_coming(*piece);
            (!self.place(*piece).open || starved >= held)
                && (starved >= STARVE_MAX || is_late)
                && !self.is_coming(*piece)
        });
        if let Some(piece) = piece {
            self.take(piece, None);
        }
    }

    /// Whether somebody fetches the piece from the repository who is still waited for.
    fn is_coming(&self, piece: u32) -> bool {
        let is_starved = self.starved() >= STARVE_SLOW;
        self.group.is_coming(self.now, piece, is_starved)
    }

    fn is_idle(&self) -> bool {
        self.me().is_some_and(Member::is_idle)
    }

    /// How long it has had next to nothing to fetch.
    fn starved(&self) -> Millis {
        let since = self.me().and_then(|me| me.starved);
        since.map_or(Millis(0), |since| self.now.since(since))
    }
}
