// SPDX-License-Identifier: Apache-2.0
//! How fast it goes, of late, and how long it will take.

use groundstate_api::{Bytes, Millis};
use std::collections::VecDeque;

/// Over so long a rate is taken.
const OVER: Millis = Millis(5_000);
/// Between two moments that are remembered.
const STEP: Millis = Millis(250);

/// What was done when.
#[derive(Debug, Default)]
pub(super) struct Rate {
    marks: VecDeque<(Millis, Bytes)>,
}

impl Rate {
    /// The rate at a moment, in bytes a second, where so much is done by then.
    pub(super) fn at(&mut self, now: Millis, done: Bytes) -> Bytes {
        if self
            .marks
            .back()
            .is_none_or(|(at, _)| now.since(*at) >= STEP)
        {
            self.marks.push_back((now, done));
        }
        while self.marks.len() > 1
            && self
                .marks
                .front()
                .is_some_and(|(at, _)| now.since(*at) > OVER)
        {
            self.marks.pop_front();
        }
        let Some((since, before)) = self.marks.front() else {
            return Bytes(0);
        };
        let took = now.since(*since).0.max(1);
        Bytes(done.0.saturating_sub(before.0).saturating_mul(1_000) / took)
    }

    /// How long the rest takes at this rate.
    pub(super) fn left(rate: Bytes, rest: Bytes) -> Option<Millis> {
        let milliseconds = rest.0.saturating_mul(1_000).checked_div(rate.0)?;
        Some(Millis(milliseconds))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_that_of_the_last_seconds() {
        let mut rate = Rate::default();
        assert_eq!(rate.at(Millis(0), Bytes(0)), Bytes(0));
        assert_eq!(rate.at(Millis(1_000), Bytes(500)), Bytes(500));
        for second in 2..20 {
            rate.at(Millis(second * 1_000), Bytes(500 + (second - 1) * 2_000));
        }
        assert_eq!(
            rate.at(Millis(20_000), Bytes(500 + 19 * 2_000)),
            Bytes(2_000)
        );
        assert_eq!(Rate::left(Bytes(2_000), Bytes(5_000)), Some(Millis(2_500)));
        assert_eq!(Rate::left(Bytes(0), Bytes(5_000)), None);
    }
}
