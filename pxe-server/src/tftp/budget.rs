// SPDX-License-Identifier: Apache-2.0
//! So many bytes a second, all transfers together: when the next bytes may go out.
//!
//! Who has to wait is given a time of its own, one after the other, and is not asked again before: thousands that wait
//! cost no more than thousands that send.

use groundstate_api::Millis;

/// What may go out at once after a pause, in milliseconds of the rate.
const BURST: u64 = 20;
/// Microseconds in a millisecond, and in a second.
const MILLI: u64 = 1_000;
const SECOND: u64 = 1_000_000;

/// The rate, where there is one.
#[derive(Debug)]
pub(super) struct Budget {
    rate: Option<u64>,
    /// When what was granted so far will have gone out, in microseconds.
    until: u64,
}

impl Budget {
    /// So many bytes a second; `None` for as many as there are.
    pub(super) const fn new(rate: Option<u64>) -> Self {
        Self { rate, until: 0 }
    }

    /// When so many bytes may go out. They count as gone, whether or not it is now.
    pub(super) fn take(&mut self, now: Millis, bytes: u64) -> Millis {
        let Some(rate) = self.rate else { return now };
        let begin = self.until.max(now.0.saturating_sub(BURST) * MILLI);
        let takes = u128::from(bytes) * u128::from(SECOND) / u128::from(rate.max(1));
        self.until = begin.saturating_add(u64::try_from(takes).unwrap_or(u64::MAX));
        Millis(begin / MILLI).max(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_bytes_go_out_in_a_second_and_a_pause_saves_little() {
        let mut budget = Budget::new(Some(1_000_000));
        let mut now = Millis(50_000);
        let mut sent = 0;
        while now < Millis(51_000) {
            now = budget.take(now, 5_872);
            sent += 5_872;
        }
        assert!((1_000_000..1_050_000).contains(&sent), "{sent}");
        let later = now.plus(Millis::secs(60));
        let mut at_once = 0;
        while budget.take(later, 1_000) == later {
            at_once += 1_000;
        }
        assert!(at_once <= 21_000, "{at_once}");
        let mut none = Budget::new(None);
        assert_eq!(none.take(later, u64::MAX), later);
    }
}
