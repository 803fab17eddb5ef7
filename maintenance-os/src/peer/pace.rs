// SPDX-License-Identifier: Apache-2.0
//! No more bytes in a second than the site allows.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What has gathered may go out at once: a quarter of a second's worth.
const GATHER: Duration = Duration::from_millis(250);

/// One rate for all callers together.
#[derive(Debug)]
pub(super) struct Pace(Mutex<State>);

#[derive(Debug)]
struct State {
    /// Bytes a second; none is no limit.
    rate: Option<u64>,
    /// Until when what was sent uses the rate up.
    until: Instant,
}

impl Pace {
    pub(super) fn new() -> Self {
        Self(Mutex::new(State {
            rate: None,
            until: Instant::now(),
        }))
    }

    pub(super) fn set(&self, rate: Option<u64>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).rate = rate.filter(|rate| *rate > 0);
    }

    /// How long to wait before so many bytes may go.
    pub(super) fn wait(&self, bytes: usize, now: Instant) -> Duration {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(rate) = state.rate else {
            return Duration::ZERO;
        };
        let nanos = u128::try_from(bytes).unwrap_or(0) * 1_000_000_000 / u128::from(rate);
        let takes = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        let from = state.until.max(now.checked_sub(GATHER).unwrap_or(now));
        state.until = from + takes;
        from.saturating_duration_since(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_holds_the_rate_and_what_had_gathered() {
        let (pace, began) = (Pace::new(), Instant::now());
        assert_eq!(pace.wait(1 << 30, began), Duration::ZERO);
        pace.set(Some(1_000_000));
        let began = began + Duration::from_secs(10);
        let mut now = began;
        let mut sent = 0;
        while now < began + Duration::from_secs(4) {
            now += pace.wait(100_000, now);
            sent += 100_000;
        }
        assert!((4_000_000..=4_500_000).contains(&sent), "{sent}");
    }
}
