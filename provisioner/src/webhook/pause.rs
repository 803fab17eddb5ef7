// SPDX-License-Identifier: Apache-2.0
//! How long to wait before a webhook is tried again: twice as long each time, and never the same, so that many do not come at once.

use ring::rand::{SecureRandom as _, SystemRandom};
use std::time::Duration;

/// Before the second try, in milliseconds.
const FIRST: u64 = 1_000;
/// The longest pause, in milliseconds.
const LONGEST: u64 = 5 * 60 * 1_000;

/// The pause after so many tries that failed.
pub(super) fn before(tries: u32) -> Duration {
    let doubled = FIRST.saturating_mul(
        1_u64
            .checked_shl(tries.saturating_sub(1))
            .unwrap_or(u64::MAX),
    );
    let longest = doubled.min(LONGEST);
    // Half of it for sure, the other half by chance. Without chance, which the kernel always has, it is the whole.
    let mut chance = [0xff; 4];
    let _ = SystemRandom::new().fill(&mut chance);
    let share = u64::from(u32::from_le_bytes(chance));
    let more = (longest / 2).saturating_mul(share) / u64::from(u32::MAX);
    Duration::from_millis(longest / 2 + more)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_five_minutes_and_differ() {
        for (tries, most) in [
            (1, 1_000),
            (2, 2_000),
            (5, 16_000),
            (9, 256_000),
            (10, LONGEST),
            (200, LONGEST),
        ] {
            for _ in 0..20 {
                let pause = u64::try_from(before(tries).as_millis()).unwrap();
                assert!((most / 2..=most).contains(&pause), "{tries}: {pause}");
            }
        }
        let some: std::collections::BTreeSet<Duration> = (0..20).map(|_| before(10)).collect();
        assert!(some.len() > 10);
    }
}
