// SPDX-License-Identifier: Apache-2.0
//! Waiting for a server that is away: as long as it takes, at pauses that grow and are never the same on two nodes.

use crate::limits::{RETRY_FIRST, RETRY_MAX};
use alloc::format;
use groundstate_api::{Millis, Reason, ReasonCode};

/// The patience of one client with one server.
#[derive(Clone, Debug)]
pub struct Patience {
    seed: u64,
    faults: u32,
    since: Option<Millis>,
    until: Option<Millis>,
}

impl Patience {
    /// `seed` is entropy: two nodes with different seeds do not ask in step.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self {
            seed,
            faults: 0,
            since: None,
            until: None,
        }
    }

    /// The server did not answer; `said` is what the network said and `want` what was asked for. Returns why we wait.
    pub fn away(&mut self, now: Millis, want: &str, said: &str) -> Reason {
        let since = *self.since.get_or_insert(now);
        let until = now.plus(self.pause());
        self.until = Some(until);
        self.faults = self.faults.saturating_add(1);
        let mut reason = Reason::new(
            ReasonCode::ProvisionerUnreachable,
            format!("the provisioner does not give {want}"),
            "see that the provisioner runs and that the cable and the switch port are up",
        )
        .seen(format!("{said} (fault {} in a row)", self.faults))
        .then("asks again until it is back, then goes on where it stopped");
        reason.since = Some(since);
        reason.deadline = Some(until);
        reason
    }

    /// When to ask again, while it is away.
    #[must_use]
    pub const fn until(&self) -> Option<Millis> {
        self.until
    }

    /// Whether the server has not answered since its last fault.
    #[must_use]
    pub const fn is_away(&self) -> bool {
        self.since.is_some()
    }

    /// The pause is over: a question is under way.
    pub const fn ask(&mut self) {
        self.until = None;
    }

    /// The server answered. Whether it had been away.
    pub const fn back(&mut self) -> bool {
        self.faults = 0;
        self.until = None;
        self.since.take().is_some()
    }

    /// From half of the step to the whole of it.
    fn pause(&mut self) -> Millis {
        let step = RETRY_FIRST
            .0
            .checked_shl(self.faults.min(16))
            .unwrap_or(RETRY_MAX.0)
            .min(RETRY_MAX.0);
        let half = step / 2;
        Millis(half + self.entropy() % (step - half + 1))
    }

    /// SplitMix64 (Steele, Lea, Flood 2014): enough to keep two nodes apart.
    const fn entropy(&mut self) -> u64 {
        self.seed = self.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.seed;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_the_limit_and_stay_there() {
        for seed in 0..100 {
            let mut patience = Patience::new(seed);
            let mut now = Millis(1_000);
            for fault in 0..40u32 {
                let reason = patience.away(now, "a chunk", "connection refused");
                let step = (RETRY_FIRST.0 << fault.min(16)).min(RETRY_MAX.0);
                let pause = patience.until().unwrap().since(now);
                assert!(pause.0 >= step / 2 && pause.0 <= step, "{fault}: {pause}");
                assert_eq!(reason.since, Some(Millis(1_000)), "since the first fault");
                assert_eq!(reason.deadline, patience.until());
                now = now.plus(pause);
                patience.ask();
            }
            assert!(patience.back());
            assert!(!patience.back());
            let _ = patience.away(now, "a chunk", "reset");
            assert!(
                patience.until().unwrap().since(now) <= RETRY_FIRST,
                "from the start again"
            );
        }
    }
}
