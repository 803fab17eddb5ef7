// SPDX-License-Identifier: Apache-2.0
//! Who is too slow to be counted on: measured by what the others of the rack send meanwhile, never by a clock alone.
//!
//! Where everybody is slow, nobody is: a rack whose processors or whose switch are busy waits for itself, and the
//! repository is not asked again for what is on its way.

use super::group::Group;
use super::member::{Member, Rest, Slot, Told};
use alloc::vec::Vec;
use groundstate_api::Millis;

/// How often the members are compared.
const JUDGE_EVERY: Millis = Millis(500);
/// A pace is that of so long at least.
const WATCH_MIN: Millis = Millis::secs(2);
/// And it is forgotten after so long, so that one that becomes slow is seen.
const WATCH_MAX: Millis = Millis::secs(6);
/// So many times slower than the one in the middle is slow.
const SLOWER: u64 = 8;
/// Who should have sent fewer pieces than this by the pace of the others is not judged: chance is as large.
const EXPECTED_MIN: u64 = 8;
/// Members to compare with, the one that is judged among them.
const COMPARED_MIN: usize = 3;
/// How long one that is slow is left alone the first time, and at most.
const REST_FIRST: Millis = Millis::secs(8);
const REST_MAX: Millis = Millis::secs(60);
/// Who owes pieces and has sent none for so long, and eight times as long as a piece usually takes, is slow as well, where
/// others send meanwhile.
const PROMISED_MIN: Millis = Millis::secs(4);

/// A pace is pieces in so many milliseconds.
const PER: u64 = 1_000_000;
/// So many pieces one has delivered before its pace counts for what it may fetch from the repository.
const KNOWN: u32 = 8;
/// What one fetches from the repository before its pace is known, and at least while it keeps up.
const FIRST: u32 = 1;
const LEAST: u32 = 2;
/// What one has from the repository should be with the others within this.
const SPREAD_WITHIN: u64 = 2_000;
/// So many times slower than the one in the middle gets nothing more from the repository: the others would wait for it.
const TOO_SLOW: u64 = 2;
/// So many times slower than the one in the middle is not waited for by who has nothing else to fetch.
const WAITED_FOR: u64 = 3;

impl Group {
    /// How many pieces of the repository's a member may have that others still want.
    pub(super) fn credit(&self, now: Millis, member: &Member) -> u32 {
        let others = self.present_at(now).saturating_sub(1);
        let Some(others) = u64::try_from(others)
            .ok()
            .filter(|_| others >= COMPARED_MIN)
        else {
            return u32::MAX;
        };
        if member.delivered < KNOWN {
            return FIRST;
        }
        let middle = self.middle(now);
        let pace = member.pace(now, PER);
        if pace.saturating_mul(TOO_SLOW) < middle {
            return 0;
        }
        let spread = pace.saturating_mul(SPREAD_WITHIN) / PER / others;
        u32::try_from(spread).unwrap_or(u32::MAX).max(LEAST)
    }

    /// The pace of the one in the middle, of those whose pace is known.
    fn middle(&self, now: Millis) -> u64 {
        let known = |member: &Member| member.delivered >= KNOWN && !member.left;
        let paces = self.slots().filter(|(_, member)| known(member));
        let mut paces: Vec<u64> = paces.map(|(_, member)| member.pace(now, PER)).collect();
        paces.sort_unstable();
        paces.get(paces.len() / 2).copied().unwrap_or_default()
    }

    /// Who sends so slowly that nobody should have nothing but that to wait for.
    pub(super) fn slow(&self, now: Millis, least: Millis) -> Vec<Slot> {
        let middle = self.middle(now);
        let slow = self.slots().filter(|(_, member)| {
            let owed = member.owed.0 + member.owes.map_or(0, |owes| now.since(owes).0);
            owed >= least.0 && member.pace(now, PER).saturating_mul(WAITED_FOR) < middle
        });
        slow.map(|(slot, _)| slot).collect()
    }

    /// Compares the members that have enough to send.
    pub(super) fn judge(&mut self, now: Millis) {
        if now.since(self.judged) < JUDGE_EVERY {
            return;
        }
        self.judged = now;
        let watched = self.slots().filter_map(|(slot, member)| {
            let (since, before) = member.busy?;
            let took = now.since(since);
            (!member.left && took >= WATCH_MIN).then(|| {
                let sent = u64::from(member.delivered.saturating_sub(before));
                (slot, took, sent, sent * PER / took.0.max(1))
            })
        });
        let watched: Vec<(Slot, Millis, u64, u64)> = watched.collect();
        let mut paces: Vec<u64> = watched.iter().map(|(.., pace)| *pace).collect();
        paces.sort_unstable();
        let middle = paces.get(paces.len() / 2).copied().unwrap_or_default();
        for (slot, took, sent, _) in &watched {
            let expected = middle * took.0 / PER;
            if watched.len() >= COMPARED_MIN && expected >= EXPECTED_MIN && sent * SLOWER < expected
            {
                self.lags(now, *slot);
            } else if *took >= WATCH_MAX
                && let Some(member) = self.member_mut(*slot)
            {
                member.busy = Some((now, member.delivered));
            }
        }
        for slot in self.mute(now) {
            self.lags(now, slot);
        }
    }

    /// Who owes pieces and has sent none for long, while others did.
    fn mute(&self, now: Millis) -> Vec<Slot> {
        let most = Millis(PROMISED_MIN.0.max(self.usual_peer.0.saturating_mul(8)));
        let is_small = self.present_at(now) < COMPARED_MIN;
        let middle = self.middle(now);
        let mute = self.slots().filter(|(_, member)| {
            let since = member.owes.map(|owes| owes.max(member.delivered_at));
            let quiet = since.map_or(Millis(0), |since| now.since(since));
            let beside = self.delivered.saturating_sub(member.delivered_then);
            let others_do = u64::from(beside) >= EXPECTED_MIN
                && middle.saturating_mul(quiet.0) / PER >= EXPECTED_MIN;
            member.lags.until <= now && quiet > most && (is_small || others_do)
        });
        mute.map(|(slot, _)| slot).collect()
    }

    fn lags(&mut self, now: Millis, slot: Slot) {
        let Some(member) = self.member_mut(slot) else {
            return;
        };
        member.busy = Some((now, member.delivered));
        member.owes = Some(now);
        let rest = REST_FIRST.0.checked_shl(member.lags.times.min(16));
        let rest = Millis(rest.unwrap_or(REST_MAX.0).min(REST_MAX.0));
        member.lags = Rest {
            until: now.plus(rest),
            times: member.lags.times.saturating_add(1),
        };
    }

    /// Whether what a member was promised will not come: who has it has gone, or is slow.
    pub(super) fn is_broken(&self, now: Millis, told: &Told) -> bool {
        let Some(from) = told.from.and_then(|slot| self.member(slot)) else {
            return false;
        };
        !from.keeps_up(now, self.absent())
    }
}
