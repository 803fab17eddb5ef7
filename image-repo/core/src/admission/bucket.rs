// SPDX-License-Identifier: Apache-2.0
//! A token bucket that may go into debt: a piece goes out whole as soon as there is any credit, and is paid off before
//! the next one. So a cap below one piece a second still lets every piece through, and holds over time.

use groundstate_api::Millis;

/// How much credit gathers while nothing is sent, in milliseconds of the rate: a burst that no switch notices.
const BURST_MS: u64 = 125;
/// The highest rate that is told from none, in bytes a second: a terabyte. The sums below stay in 64 bits.
const RATE_MAX: u64 = 1 << 40;

/// A bucket of bytes. Levels are in thousandths of a byte, so that no rate is lost by rounding at a millisecond.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bucket {
    rate: Option<u64>,
    level: i64,
    at: Millis,
}

impl Bucket {
    /// A full bucket of so many bytes a second; without a rate it is never dry.
    pub(super) fn new(rate: Option<u64>, now: Millis) -> Self {
        let rate = rate.map(|rate| rate.clamp(1, RATE_MAX));
        let mut bucket = Self {
            rate,
            level: 0,
            at: now,
        };
        bucket.level = bucket.brim();
        bucket
    }

    fn brim(&self) -> i64 {
        signed(self.rate.unwrap_or(0).saturating_mul(BURST_MS))
    }

    /// Credits the time that has passed.
    pub(super) fn fill(&mut self, now: Millis) {
        let Some(rate) = self.rate else {
            return;
        };
        let gained = signed(rate.saturating_mul(now.since(self.at).0));
        self.level = self.level.saturating_add(gained).min(self.brim());
        self.at = now;
    }

    pub(super) const fn is_dry(&self) -> bool {
        self.rate.is_some() && self.level <= 0
    }

    pub(super) fn is_full(&self) -> bool {
        self.level >= self.brim()
    }

    /// When it is no longer dry; `now` must be the moment of the last [`Bucket::fill`].
    pub(super) fn ready_at(&self) -> Millis {
        let Some(rate) = self.rate else {
            return self.at;
        };
        let debt = u64::try_from(1 - self.level).unwrap_or(0);
        self.at.plus(Millis(debt.div_ceil(rate)))
    }

    pub(super) fn take(&mut self, bytes: u64) {
        if self.rate.is_some() {
            self.level = self
                .level
                .saturating_sub(signed(bytes.saturating_mul(1000)));
        }
    }
}

fn signed(amount: u64) -> i64 {
    i64::try_from(amount).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn over_a_minute_exactly_the_rate_goes_through_and_the_first_burst() {
        for rate in [1u64, 1_000, 1_048_576, 1_250_000_000] {
            let mut bucket = Bucket::new(Some(rate), Millis(0));
            let piece = 262_144;
            let (mut sent, mut now) = (0u64, Millis(0));
            while now < Millis::secs(60) {
                bucket.fill(now);
                if bucket.is_dry() {
                    assert!(bucket.ready_at() > now);
                    now = bucket.ready_at();
                } else {
                    bucket.take(piece);
                    sent += piece;
                }
            }
            let most = rate * 60 + rate / 8 + piece;
            assert!(sent <= most + 1, "{sent} of {most} at {rate}");
            assert!(sent + piece >= rate * 60, "{sent} at {rate}");
        }
    }

    #[test]
    fn without_a_rate_it_never_dries() {
        let mut bucket = Bucket::new(None, Millis(5));
        bucket.take(u64::MAX);
        assert!(!bucket.is_dry() && bucket.is_full());
        assert_eq!(bucket.ready_at(), Millis(5));
    }
}
