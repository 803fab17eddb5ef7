// SPDX-License-Identifier: Apache-2.0
//! How a step that counts bytes goes on: how fast of late, and how long the rest takes at that rate. It knows no clock, and
//! promises nothing: a disk that becomes slower makes the rest longer.

use core::fmt;
use groundstate_api::{Bytes, Millis};

/// Over so long a rate is taken, and at most twice as long.
const OVER: Millis = Millis::secs(5);
/// Before so long a rate says nothing.
const LEAST: Millis = Millis::secs(1);

/// Where a step stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moving {
    /// Bytes done.
    pub done: Bytes,
    /// Bytes in all.
    pub total: Bytes,
    /// Bytes done in a second, of late, once that is known.
    pub rate: Option<Bytes>,
    /// How long the rest takes at this rate.
    pub left: Option<Millis>,
}

/// `1.2 GiB of 5.4 GiB, 230 MiB/s, 18 s left`.
impl fmt::Display for Moving {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} of {}", self.done, self.total)?;
        if let Some(rate) = self.rate {
            write!(out, ", {rate}/s")?;
        }
        match self.left {
            // Tenths of a second would only flicker.
            Some(left) => write!(out, ", {} left", Millis(left.0.div_ceil(1_000) * 1_000)),
            None => Ok(()),
        }
    }
}

/// What was done when, since a step began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pace {
    before: (Millis, Bytes),
    since: (Millis, Bytes),
}

impl Pace {
    /// A step begins.
    pub(crate) const fn begin(now: Millis) -> Self {
        Self {
            before: (now, Bytes(0)),
            since: (now, Bytes(0)),
        }
    }

    /// The step stands there now.
    pub(crate) fn at(&mut self, now: Millis, done: Bytes, total: Bytes) -> Moving {
        // It began anew, after a break: what was done before says nothing.
        if done < self.since.1 {
            (self.before, self.since) = ((now, done), (now, done));
        }
        if now.since(self.since.0) >= OVER {
            (self.before, self.since) = (self.since, (now, done));
        }
        let (from, was) = self.before;
        let took = now.since(from);
        let moved = done.0.saturating_sub(was.0);
        let rate = (took >= LEAST && moved > 0)
            .then(|| Bytes(moved.saturating_mul(1_000) / took.0.max(1)));
        let rest = total.0.saturating_sub(done.0);
        let left = rate
            .filter(|_| rest > 0)
            .and_then(|rate| rest.saturating_mul(1_000).checked_div(rate.0))
            .map(Millis);
        Moving {
            done,
            total,
            rate,
            left,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString as _;

    #[test]
    fn the_rate_is_that_of_the_last_seconds_and_tells_what_is_left() {
        let mut pace = Pace::begin(Millis(1_000));
        let total = Bytes::mib(1_000);
        let mut at = |second: u64, mib| {
            pace.at(Millis(1_000 + second * 1_000), Bytes::mib(mib), total)
                .to_string()
        };
        assert_eq!(at(0, 0), "0 B of 1000 MiB");
        assert_eq!(at(2, 200), "200 MiB of 1000 MiB, 100 MiB/s, 8.0 s left");
        for second in 3..20 {
            at(second, 200 + second);
        }
        assert_eq!(
            at(20, 220),
            "220 MiB of 1000 MiB, 1 MiB/s, 13 min 00 s left"
        );
        assert_eq!(at(30, 1_000), "1000 MiB of 1000 MiB, 78 MiB/s");
        assert_eq!(at(31, 10), "10 MiB of 1000 MiB", "it began anew");
    }
}
