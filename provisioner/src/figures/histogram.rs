// SPDX-License-Identifier: Apache-2.0
//! Times by size, counted without a lock.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds in milliseconds: around the 100 ms that an answer may take, and up to a long poll.
pub(crate) const BOUNDS_MS: [u64; 12] = [1, 2, 5, 10, 25, 50, 100, 250, 500, 1_000, 5_000, 30_000];

/// A histogram of times.
#[derive(Debug, Default)]
pub(crate) struct Histogram {
    buckets: [AtomicU64; BOUNDS_MS.len()],
    count: AtomicU64,
    micros: AtomicU64,
}

impl Histogram {
    /// Counts one.
    pub(crate) fn observe(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let within = BOUNDS_MS
            .iter()
            .zip(&self.buckets)
            .find(|(bound, _)| micros <= **bound * 1_000);
        if let Some((_, bucket)) = within {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        self.count.fetch_add(1, Ordering::Relaxed);
        self.micros.fetch_add(micros, Ordering::Relaxed);
    }

    /// How many were counted.
    pub(crate) fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// Counts up to each bound, in seconds as text; the sum in microseconds last.
    pub(crate) fn read(&self) -> (Vec<(String, u64)>, u64) {
        let mut sum = 0;
        let up_to = BOUNDS_MS.iter().zip(&self.buckets).map(|(bound, bucket)| {
            sum += bucket.load(Ordering::Relaxed);
            (seconds(bound * 1_000), sum)
        });
        (up_to.collect(), self.micros.load(Ordering::Relaxed))
    }
}

/// Microseconds as seconds.
pub(crate) fn seconds(micros: u64) -> String {
    let text = format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
