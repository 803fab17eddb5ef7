// SPDX-License-Identifier: Apache-2.0
//! Says a thing once in a while, however often it happens: a flood must not become a flood of log lines.

use std::sync::Mutex;
use std::time::{Duration, Instant};

/// When it was said last, and how often it was not said since.
#[derive(Debug)]
pub(crate) struct Slowly {
    every: Duration,
    last: Mutex<(Option<Instant>, u64)>,
}

impl Slowly {
    /// Says it at most once in `every`.
    pub(crate) const fn new(every: Duration) -> Self {
        Self {
            every,
            last: Mutex::new((None, 0)),
        }
    }

    /// Whether it may be said now; then, how often it was not said since the last time.
    pub(crate) fn now(&self) -> Option<u64> {
        let mut last = self
            .last
            .lock()
            .expect("nothing panics while it reads a clock");
        if last.0.is_some_and(|said| said.elapsed() < self.every) {
            last.1 += 1;
            return None;
        }
        let unsaid = last.1;
        *last = (Some(Instant::now()), 0);
        Some(unsaid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_said_is_counted() {
        let slowly = Slowly::new(Duration::from_secs(3_600));
        assert_eq!(slowly.now(), Some(0));
        assert_eq!((slowly.now(), slowly.now()), (None, None));
        let always = Slowly::new(Duration::ZERO);
        assert_eq!((always.now(), always.now()), (Some(0), Some(0)));
    }
}
