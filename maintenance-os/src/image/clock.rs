// SPDX-License-Identifier: Apache-2.0
//! A clock that never runs backwards and still reads like the calendar: the time of day at its start, plus what has
//! gone by since.

use groundstate_api::Millis;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970 that never run backwards.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    began: Instant,
    at: Millis,
}

impl Clock {
    pub(super) fn start() -> Self {
        let at = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or(Duration::ZERO);
        Self {
            began: Instant::now(),
            at: millis(at),
        }
    }

    pub(super) fn now(&self) -> Millis {
        self.at.plus(self.took())
    }

    /// Since the start.
    pub(super) fn took(&self) -> Millis {
        millis(self.began.elapsed())
    }

    /// How long until `moment`.
    pub(super) fn until(&self, moment: Millis) -> Duration {
        Duration::from_millis(moment.since(self.now()).0)
    }
}

fn millis(time: Duration) -> Millis {
    Millis(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}

/// Entropy for pauses: the keys that the standard library draws from the kernel for its hash maps. Not for secrets.
pub(super) fn seed() -> u64 {
    use std::hash::{BuildHasher as _, RandomState};
    RandomState::new().hash_one(0u8)
}
