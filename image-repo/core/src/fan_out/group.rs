// SPDX-License-Identifier: Apache-2.0
//! The members of one rack that fetch one image: what each has, and what each was told.

use super::member::{Member, Slot, Told};
use super::{ABSENT, Action, MEMBERS_MAX, PRESENT, Settings};
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use groundstate_api::fan_out::{
    PieceSet, Pieces, ROOM_MAX, Share, SourcesAnswer, SourcesQuestion, TROUBLES_MAX, Traffic,
};
use groundstate_api::{Bytes, Digest, Millis, NodeId, RunId};

/// Which group: a member that counts the chunks otherwise is in another one, and disturbs nobody.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) image: Digest,
    pub(super) chunks: u32,
    pub(super) chunk_size: Bytes,
    pub(super) rack: String,
}

/// What holds while one event is handled.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scene {
    pub(super) now: Millis,
    pub(super) settings: Settings,
    /// Members of all groups.
    pub(super) members: usize,
}

#[derive(Clone, Debug)]
pub(super) struct Group {
    image: Digest,
    pieces: Pieces,
    members: Vec<Member>,
    /// How many members have each piece.
    pub(super) copies: Vec<u16>,
    /// Who fetches each piece from the repository, since when.
    pub(super) coming: Vec<Option<(Slot, Millis)>>,
    /// How long a piece takes from the repository, smoothed; zero before the first.
    pub(super) usual: Millis,
    /// How long a piece takes from another member, from being told to standing there, smoothed; zero before the first.
    pub(super) usual_peer: Millis,
    /// Pieces that came from the repository.
    brought: u32,
    /// Pieces that came from members.
    pub(super) delivered: u32,
    /// How long a member that needs something is quiet between two questions, smoothed.
    interval: Millis,
    /// When the members' paces were last compared.
    pub(super) judged: Millis,
    /// When the first member came.
    pub(super) began: Option<Millis>,
}

impl Group {
    pub(super) fn new(key: &Key) -> Self {
        let pieces = Pieces::of(key.chunks, key.chunk_size);
        let count = usize::try_from(pieces.count()).unwrap_or_default();
        Self {
            image: key.image,
            pieces,
            members: Vec::new(),
            copies: vec![0; count],
            coming: vec![None; count],
            usual: Millis(0),
            usual_peer: Millis(0),
            brought: 0,
            delivered: 0,
            interval: Millis(0),
            judged: Millis(0),
            began: None,
        }
    }

    pub(super) const fn image(&self) -> Digest {
        self.image
    }

    pub(super) const fn count(&self) -> u32 {
        self.pieces.count()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.members.iter().all(|member| member.left)
    }

    /// Members that have not left.
    pub(super) fn present(&self) -> usize {
        self.members.iter().filter(|member| !member.left).count()
    }

    pub(super) fn present_at(&self, now: Millis) -> usize {
        self.members.iter().filter(|m| m.is_present(now)).count()
    }

    pub(super) fn knows(&self, node: &NodeId) -> bool {
        self.slot_of(node).is_some()
    }

    pub(super) fn traffic(&self, node: &NodeId) -> Option<Traffic> {
        let member = self.slot_of(node).and_then(|slot| self.member(slot))?;
        Some(member.traffic)
    }

    pub(super) fn deadline(&self) -> Option<Millis> {
        self.members
            .iter()
            .filter(|member| !member.left)
            .map(Member::forget_at)
            .min()
    }

    pub(super) fn member(&self, slot: Slot) -> Option<&Member> {
        self.members.get(usize::from(slot))
    }

    pub(super) fn member_mut(&mut self, slot: Slot) -> Option<&mut Member> {
        self.members.get_mut(usize::from(slot))
    }

    pub(super) fn slot_of(&self, node: &NodeId) -> Option<Slot> {
        self.slots()
            .find(|(_, member)| !member.left && member.node == *node)
            .map(|(slot, _)| slot)
    }

    pub(super) fn slots(&self) -> impl Iterator<Item = (Slot, &Member)> {
        (0..).zip(&self.members)
    }

    /// A member's run is over.
    pub(super) fn left(&mut self, node: &NodeId) {
        if let Some(slot) = self.slot_of(node) {
            self.empty(slot);
            for other in &mut self.members {
                other.callers.remove(&slot);
            }
            if let Some(member) = self.member_mut(slot) {
                member.left = true;
            }
        }
    }

    /// Lets those go who were not heard for long.
    pub(super) fn forget(&mut self, now: Millis) {
        let gone: Vec<NodeId> = self
            .members
            .iter()
            .filter(|member| !member.left && member.forget_at() <= now)
            .map(|member| member.node.clone())
            .collect();
        for node in gone {
            self.left(&node);
        }
    }

    /// Takes back what a member has and was told.
    fn empty(&mut self, slot: Slot) {
        let Some(member) = self.member_mut(slot) else {
            return;
        };
        member.address = None;
        member.hot = PieceSet::new();
        let now = member.heard;
        let have = core::mem::take(&mut member.have);
        let told = core::mem::take(&mut member.told);
        for piece in have.iter() {
            self.count_copy(piece, false);
        }
        for (piece, told) in told {
            self.untold(now, slot, piece, told, false);
        }
    }

    fn count_copy(&mut self, piece: u32, is_new: bool) {
        let at = usize::try_from(piece).unwrap_or(usize::MAX);
        if let Some(copies) = self.copies.get_mut(at) {
            *copies = if is_new {
                copies.saturating_add(1)
            } else {
                copies.saturating_sub(1)
            };
        }
    }

    /// A member no longer fetches a piece: it came, or is given back.
    fn untold(&mut self, now: Millis, slot: Slot, piece: u32, told: Told, came: bool) {
        if let Some(from) = told.from {
            self.delivered = self.delivered.saturating_add(u32::from(came));
            let all = self.delivered;
            if let Some(peer) = self.member_mut(from) {
                peer.released(now);
                if came {
                    peer.delivered(now, all);
                }
            }
            if came {
                self.usual_peer = smoothed(self.usual_peer, now.since(told.since));
            }
            return;
        }
        if came {
            let took = now.since(told.since);
            self.usual = smoothed(self.usual, took);
            self.brought = self.brought.saturating_add(1);
            if let Some(member) = self.member_mut(slot) {
                member.brought = Some((took, now));
            }
        }
        let at = usize::try_from(piece).unwrap_or(usize::MAX);
        if let Some(coming) = self.coming.get_mut(at)
            && coming.is_some_and(|(by, _)| by == slot)
        {
            *coming = None;
        }
    }

    /// Takes a question and answers it.
    pub(super) fn asked(
        &mut self,
        scene: &Scene,
        node: NodeId,
        from: IpAddr,
        question: SourcesQuestion,
        liars: &mut BTreeMap<NodeId, RunId>,
        out: &mut Vec<Action>,
    ) {
        let Some(slot) = self.enter(node, &question.run, scene.now) else {
            out.push(Action::Answer(everything_from_the_repository(
                &question,
                scene.settings.rate,
            )));
            return;
        };
        self.hear(scene.now, slot, from, &question);
        self.judge(scene.now);
        for trouble in question.troubles.iter().take(TROUBLES_MAX) {
            self.trouble(scene, slot, trouble, liars, out);
        }
        let answer = self.answer(scene, slot, question.room.min(ROOM_MAX), liars);
        out.push(Action::Answer(answer));
    }

    /// The member's place; none where there are too many.
    fn enter(&mut self, node: NodeId, run: &RunId, now: Millis) -> Option<Slot> {
        if let Some(slot) = self.slot_of(&node) {
            if self.member(slot).is_some_and(|member| member.run != *run) {
                self.empty(slot);
                *self.member_mut(slot)? = Member::new(node, run.clone(), now);
            }
            return Some(slot);
        }
        // Whoever comes after all have gone begins anew.
        if self.present_at(now) == 0 {
            self.began = Some(now);
        }
        let member = Member::new(node, run.clone(), now);
        let free = self.slots().find(|(_, member)| member.left);
        if let Some(slot) = free.map(|(slot, _)| slot) {
            // What is still told of the one that was here before is not this one's.
            for member in &mut self.members {
                member.avoids.remove(&slot);
                member.reports.retain(|(by, _)| *by != slot);
                member.callers.remove(&slot);
            }
            *self.member_mut(slot)? = member;
            return Some(slot);
        }
        if self.members.len() >= MEMBERS_MAX {
            return None;
        }
        self.members.push(member);
        Slot::try_from(self.members.len() - 1).ok()
    }

    /// Makes what the member says what we know of it.
    fn hear(&mut self, now: Millis, slot: Slot, from: IpAddr, question: &SourcesQuestion) {
        let count = self.count();
        let have: PieceSet = question.have.iter().filter(|p| *p < count).collect();
        let Some(member) = self.member_mut(slot) else {
            return;
        };
        member.heard = now;
        member.address = question.port.map(|port| SocketAddr::new(from, port));
        member.disk = question.disk;
        member.shelf = question.shelf;
        member.traffic = question.traffic;
        member.hot = question.hot.iter().filter(|p| *p < count).collect();
        member.needs_nothing = have.len() >= count;
        let before = core::mem::replace(&mut member.have, have.clone());
        let mut over = Vec::new();
        member.told.retain(|piece, told| {
            let keep = !have.has(*piece) && question.under_way.has(*piece);
            if !keep {
                over.push((*piece, *told));
            }
            keep
        });
        // The one who planned before us told it so: then it is from the repository for all that we know.
        let unknown: Vec<u32> = question
            .under_way
            .iter()
            .filter(|p| *p < count && !have.has(*p) && !member.told.contains_key(p))
            .collect();
        for piece in before.iter().filter(|piece| !have.has(*piece)) {
            self.count_copy(piece, false);
        }
        for piece in have.iter().filter(|piece| !before.has(*piece)) {
            self.count_copy(piece, true);
        }
        for (piece, told) in over {
            self.untold(now, slot, piece, told, have.has(piece));
        }
        for piece in unknown {
            self.tell(now, slot, piece, None);
        }
    }

    /// Notes that the member is told to fetch the piece, from now on from there.
    pub(super) fn tell(&mut self, now: Millis, slot: Slot, piece: u32, from: Option<Slot>) {
        let before = self.member_mut(slot).and_then(|me| me.told.remove(&piece));
        if let Some(before) = before {
            self.untold(now, slot, piece, before, false);
        }
        match from {
            Some(from) => {
                if let Some(peer) = self.member_mut(from) {
                    peer.called(slot, now);
                }
            }
            None => {
                let at = usize::try_from(piece).unwrap_or(usize::MAX);
                if let Some(coming) = self.coming.get_mut(at) {
                    *coming = Some((slot, now));
                }
            }
        }
        if let Some(member) = self.member_mut(slot) {
            member.told.insert(piece, Told { from, since: now });
        }
    }

    /// Whether somebody fetches the piece from the repository who may still be waited for.
    pub(super) fn is_coming(&self, now: Millis, piece: u32, is_starved: bool) -> bool {
        let at = usize::try_from(piece).unwrap_or(usize::MAX);
        let Some((by, since)) = self.coming.get(at).copied().flatten() else {
            return false;
        };
        let absent = self.absent();
        now.since(since) <= self.overdue(is_starved)
            && self
                .member(by)
                .is_some_and(|member| member.fetches(now, absent))
    }

    /// Whether somebody was told to fetch the piece from the repository and has not brought it.
    pub(super) fn was_coming(&self, piece: u32) -> bool {
        let at = usize::try_from(piece).unwrap_or(usize::MAX);
        self.coming.get(at).copied().flatten().is_some()
    }

    /// A member that needs something and was not heard for so long has died. Where all are slow to ask, nobody has.
    pub(super) fn absent(&self) -> Millis {
        Millis((self.interval.0 * 8).clamp(ABSENT.0, PRESENT.0))
    }

    /// Whether the repository's pieces take this member so much longer than the others that they would wait for it.
    pub(super) fn brings_slowly(&self, now: Millis, member: &Member) -> bool {
        self.brought >= BROUGHT_MIN
            && member.brought.is_some_and(|(took, at)| {
                took.0 > self.usual.0.saturating_mul(3).max(BRINGS_MIN.0)
                    && now.since(at) < BRINGS_AGE
            })
    }

    /// Whether the member has so much less than the one in the middle, of those who still need something, that what it
    /// fetches will come late.
    pub(super) fn is_behind(&self, now: Millis, member: &Member) -> bool {
        let members = self.slots().map(|(_, member)| member);
        let needing = members.filter(|other| other.is_present(now) && !other.needs_nothing);
        let mut have: Vec<u32> = needing.map(|other| other.have.len()).collect();
        have.sort_unstable();
        let middle = have.get(have.len() / 2).copied().unwrap_or_default();
        middle >= BEHIND_MIN && member.have.len() < middle - middle / 3
    }

    /// A piece that takes so long from the repository is fetched by another: four times the usual, twice for one that has
    /// nothing else to wait for.
    fn overdue(&self, is_starved: bool) -> Millis {
        if self.usual == Millis(0) {
            return OVERDUE_MAX;
        }
        let (times, least) = if is_starved {
            (2, LATE_MIN)
        } else {
            (4, OVERDUE_MIN)
        };
        Millis((self.usual.0 * times).clamp(least.0, OVERDUE_MAX.0))
    }
}

/// A new value among those before.
pub(super) fn smoothed(before: Millis, new: Millis) -> Millis {
    if before == Millis(0) {
        new
    } else {
        Millis((before.0 * 7 + new.0) / 8)
    }
}

/// After so many pieces it is known how long one usually takes.
const BROUGHT_MIN: u32 = 16;
/// Who brings a piece within this brings it soon enough.
const BRINGS_MIN: Millis = Millis(300);
/// What was slow so long ago is tried again.
const BRINGS_AGE: Millis = Millis::secs(10);
/// Shorter than this a wait is nobody's fault; who is gone is noticed sooner than that.
const OVERDUE_MIN: Millis = Millis::secs(8);
/// The same for one that has nothing else to wait for.
const LATE_MIN: Millis = Millis::secs(1);
/// Before the one in the middle has so many pieces nobody is behind.
const BEHIND_MIN: u32 = 16;
/// A repository that is slower than this is waited for by all alike.
const OVERDUE_MAX: Millis = Millis::secs(60);
/// How soon one asks again who is not planned for.
const UNPLANNED_AGAIN: Millis = Millis::secs(1);

/// The answer to one for whom there is no plan: as before there were peers.
#[must_use]
pub fn everything_from_the_repository(
    question: &SourcesQuestion,
    rate: Option<Bytes>,
) -> SourcesAnswer {
    let pieces = Pieces::of(question.chunks, question.chunk_size);
    let room = usize::try_from(question.room.min(ROOM_MAX)).unwrap_or_default();
    let fetch = (0..pieces.count())
        .filter(|piece| !question.have.has(*piece) && !question.under_way.has(*piece))
        .take(room)
        .map(|piece| Share {
            first: piece,
            end: piece + 1,
            peer: None,
        })
        .collect();
    SourcesAnswer {
        peers: Vec::new(),
        fetch,
        shed: question.hot.clone(),
        again: UNPLANNED_AGAIN,
        rate,
    }
}
