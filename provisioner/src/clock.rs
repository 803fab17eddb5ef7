// SPDX-License-Identifier: Apache-2.0
//! The wall clock: the only place of this crate that reads it.

use groundstate_api::Millis;
use std::time::{SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970 (UTC); zero where the clock stands before 1970.
#[must_use]
pub fn now() -> Millis {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
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
