// SPDX-License-Identifier: Apache-2.0
//! Milliseconds since 1970 that never run backwards: read from the wall clock once, counted by the monotonic one.

use groundstate_api::Millis;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// The clock of one run of the service.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    began: Millis,
    at: Instant,
}

impl Clock {
    pub(crate) fn start() -> Self {
        let since_1970 = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Self {
            began: millis(since_1970),
            at: Instant::now(),
        }
    }

    pub(crate) fn now(&self) -> Millis {
        self.began.plus(millis(self.at.elapsed()))
    }
}

fn millis(duration: std::time::Duration) -> Millis {
    Millis(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}
