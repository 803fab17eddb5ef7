// SPDX-License-Identifier: Apache-2.0
//! The clocks: the only place of this crate that reads them.
//!
//! Deadlines are decided on a clock that begins at the wall clock's time and then only runs: when NTP steps the wall
//! clock, nobody is held for it. The journal keeps what the wall clock says.

use groundstate_api::Millis;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Where the wall clock is off the steady one by less, the steady one is written down too: it is then the same time,
/// and what is read back from the journal is exactly what was decided on.
const STEP_MIN: Millis = Millis::secs(1);

/// A steady clock with the wall clock beside it.
#[derive(Clone, Debug)]
pub(crate) struct Clock {
    wall: fn() -> Millis,
    began_wall: Millis,
    began: Instant,
}

impl Clock {
    /// Begins now.
    pub(crate) fn new() -> Self {
        Self::reading(wall)
    }

    /// Begins now, with this wall clock.
    pub(crate) fn reading(wall: fn() -> Millis) -> Self {
        Self {
            wall,
            began_wall: wall(),
            began: Instant::now(),
        }
    }

    /// For decisions: the wall clock's time when we began, and what has passed since.
    pub(crate) fn steady(&self) -> Millis {
        let passed = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.began_wall.plus(Millis(passed))
    }

    /// For what carries a date: signatures and their expiry. It may step.
    pub(crate) fn wall(&self) -> Millis {
        (self.wall)()
    }

    /// For the journal: what the wall clock says of this moment of the steady one.
    pub(crate) fn written(&self, steady: Millis) -> Millis {
        let wall = (self.wall)();
        let off = wall.since(steady).max(steady.since(wall));
        if off < STEP_MIN { steady } else { wall }
    }
}

/// Milliseconds since 1970 (UTC); zero where the clock stands before 1970.
fn wall() -> Millis {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// The wall clock, for what carries a date.
#[must_use]
pub fn now() -> Millis {
    wall()
}

/// A moment for people: `2026-11-22 02:04:43 UTC`.
#[must_use]
pub fn words(at: Millis) -> String {
    i64::try_from(at.0)
        .ok()
        .and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok())
        .map_or_else(
            || format!("{} ms since 1970", at.0),
            |stamp| stamp.strftime("%Y-%m-%d %H:%M:%S UTC").to_string(),
        )
}
