// SPDX-License-Identifier: Apache-2.0
//! How sources do: who lies, stalls or dies is dropped and named, and the others go on. The one that is the last is waited
//! for.

use super::Deploy;
use super::limits::{RATE_MIN, RATE_OVER, SLOWER_MAX, STALL_BESIDE_MAX, STALL_MAX};
use super::source::{Health, Source};
use super::words::Action;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use groundstate_api::{Bytes, Millis, Reason, ReasonCode};

impl Deploy<'_> {
    /// A lane's connection failed.
    pub(super) fn lost(&mut self, now: Millis, lane: usize, said: &str, out: &mut Vec<Action>) {
        self.give_back(lane);
        let Some(at) = self.lanes.get(lane).map(|lane| lane.source) else {
            return;
        };
        let Some(source) = self.sources.get(at) else {
            return;
        };
        // What else was under way fails with the first; it is one fault.
        if source.is_gone || matches!(source.health, Health::Down(_)) {
            return;
        }
        if source.last {
            self.away(now, at, said, out);
        } else {
            let reason = Reason::new(
                ReasonCode::ProvisionerUnreachable,
                format!("{} does not answer any more", source.name),
                "nothing, as long as other sources give the image",
            )
            .seen(said);
            self.drop_source(now, at, reason, false, out);
        }
    }

    /// The source that is waited for is away.
    fn away(&mut self, now: Millis, at: usize, said: &str, out: &mut Vec<Action>) {
        let want = format!(
            "{}, of which {} of {} bytes stand on the target",
            self.image, self.done, self.manifest.size.0
        );
        let Some(source) = self.sources.get_mut(at) else {
            return;
        };
        let reason = source.patience.away(now, &want, said);
        source.health = Health::Down(source.patience.until());
        if !self.sources.iter().any(Source::is_up) {
            self.waits = true;
            out.push(Action::Wait(reason));
        }
    }

    /// A source that is waited for answers.
    pub(super) fn answered(&mut self, at: usize, out: &mut Vec<Action>) {
        let Some(source) = self.sources.get_mut(at) else {
            return;
        };
        source.patience.back();
        source.health = Health::Up;
        self.go_on(out);
    }

    /// Right bytes came from a source.
    pub(super) fn gave(&mut self, at: usize, out: &mut Vec<Action>) {
        let Some(source) = self.sources.get_mut(at) else {
            return;
        };
        if source.health == Health::Tried {
            source.health = Health::Up;
            out.push(Action::Return {
                source: source.name.clone(),
            });
        }
        if source.is_up() {
            self.go_on(out);
        }
    }

    fn go_on(&mut self, out: &mut Vec<Action>) {
        if self.waits {
            self.waits = false;
            out.push(Action::GoOn);
        }
    }

    /// A source is not asked for a while.
    pub(super) fn drop_source(
        &mut self,
        now: Millis,
        at: usize,
        reason: Reason,
        lied: bool,
        out: &mut Vec<Action>,
    ) {
        let Some(source) = self.sources.get_mut(at) else {
            return;
        };
        if source.is_gone || (matches!(source.health, Health::Down(_)) && !lied) {
            return;
        }
        let until = source.drop_it(now, lied);
        let lanes = source.lanes.clone();
        out.push(Action::Drop {
            source: source.name.clone(),
            reason: reason.clone(),
            until,
        });
        for lane in lanes {
            if self
                .lanes
                .get(lane)
                .is_some_and(|lane| !lane.out.is_empty())
            {
                out.push(Action::Break { lane });
            }
            self.give_back(lane);
        }
        let mut others = self.sources.iter().filter(|one| !one.is_gone);
        if !others.any(|one| one.is_up() || one.last || one.until().is_some()) {
            self.fail(reason.seen("it was the last source of the image"), out);
        } else if !self.sources.iter().any(Source::is_up) && !self.waits {
            self.waits = true;
            out.push(Action::Wait(reason.then("asks again by itself")));
        }
    }

    /// Looks at how the lanes do.
    pub(super) fn tick(&mut self, now: Millis, received: &[u64], out: &mut Vec<Action>) {
        self.ticked = now;
        for (lane, all) in self.lanes.iter_mut().zip(received) {
            if *all > lane.received {
                (lane.received, lane.moved) = (*all, now);
            }
            let (since, before) = lane.mark;
            let over = now.since(since);
            if lane.out.is_empty() {
                lane.mark = (now, *all);
            } else if over >= RATE_OVER {
                lane.rate = Some(all.saturating_sub(before).saturating_mul(1_000) / over.0.max(1));
                lane.mark = (now, *all);
            }
        }
        for lane in 0..self.lanes.len() {
            if let Some(said) = self.is_slow(now, lane) {
                self.slow(now, lane, said, out);
            }
        }
        self.hedge(now, out);
    }

    /// What is wrong with a lane that has something to bring.
    fn is_slow(&self, now: Millis, lane: usize) -> Option<String> {
        let one = self.lanes.get(lane)?;
        let source = self.sources.get(one.source)?;
        if one.out.is_empty() || source.is_gone || matches!(source.health, Health::Down(_)) {
            return None;
        }
        let quiet = now.since(one.moved);
        let others = self.sources.iter().zip(0..);
        let beside = others.filter(|(other, at)| *at != one.source && other.is_up());
        let limit = if beside.count() > 0 {
            Millis(self.usual.0.saturating_mul(SLOWER_MAX)).clamp(STALL_BESIDE_MAX, STALL_MAX)
        } else {
            STALL_MAX
        };
        if quiet >= limit {
            return Some(format!("no byte came for {quiet}"));
        }
        let rate = one.rate?;
        // Where a span takes seconds from whomever, a rate of so few seconds says nothing of one source.
        if rate < RATE_MIN && (source.last || limit == STALL_BESIDE_MAX) {
            return Some(format!("{}/s came, for {RATE_OVER}", Bytes(rate)));
        }
        let best = self.lanes.iter().filter_map(|lane| lane.rate).max()?;
        let is_last_of_all = self.wanted.is_empty() && !source.last;
        (is_last_of_all && rate < best / SLOWER_MAX)
            .then(|| format!("{}/s came, {}/s from another", Bytes(rate), Bytes(best)))
    }

    fn slow(&mut self, now: Millis, lane: usize, said: String, out: &mut Vec<Action>) {
        let Some(one) = self.lanes.get_mut(lane) else {
            return;
        };
        one.rate = None;
        let at = one.source;
        let Some(source) = self.sources.get(at) else {
            return;
        };
        if source.last {
            // It is asked again, on a new connection, after a pause.
            let lanes = source.lanes.clone();
            for lane in lanes {
                out.push(Action::Break { lane });
                self.give_back(lane);
            }
            self.away(now, at, &said, out);
        } else {
            let reason = too_slow(&source.name, &said);
            self.drop_source(now, at, reason, false, out);
        }
    }
}

/// Why a source is not waited for.
pub(super) fn too_slow(name: &str, said: &str) -> Reason {
    Reason::new(
        ReasonCode::ProvisionerUnreachable,
        format!("{name} is too slow"),
        "nothing, as long as other sources give the image",
    )
    .seen(said)
}
