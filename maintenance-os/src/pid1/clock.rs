// SPDX-License-Identifier: Apache-2.0
//! Time since the kernel started: the only clock that PID 1 orders its work by.

use groundstate_api::Millis;
use rustix::time::{ClockId, clock_gettime};

/// Milliseconds since the kernel started (`CLOCK_BOOTTIME`).
#[must_use]
pub(super) fn now() -> Millis {
    let time = clock_gettime(ClockId::Boottime);
    let secs = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanos = u64::try_from(time.tv_nsec).unwrap_or(0);
    Millis(secs * 1_000 + nanos / 1_000_000)
}
