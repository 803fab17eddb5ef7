// SPDX-License-Identifier: Apache-2.0
//! The clock, and chance.

use groundstate_api::Millis;
use std::hash::{BuildHasher as _, RandomState};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970.
pub(crate) fn now() -> Millis {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// Chance that spreads pauses; nothing secret hangs on it.
pub(crate) fn chance() -> u64 {
    RandomState::new().hash_one(0u8)
}

pub(crate) const fn duration(millis: Millis) -> Duration {
    Duration::from_millis(millis.0)
}
