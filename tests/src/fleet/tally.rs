// SPDX-License-Identifier: Apache-2.0
//! What is counted while a fleet runs: latencies by kind of call, how many nodes came how far, and what went wrong.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Steps in each doubling of a latency: a bucket is at most 9 % wide.
const STEPS: usize = 8;
/// Doublings from 1 microsecond: the last bucket ends at 67 s.
const DOUBLINGS: usize = 26;
/// Different failures that are kept with their words.
const FAILURES_MAX: usize = 16;

/// Latencies in buckets that grow by a twelfth root each, so that every quantile is known to 9 %.
#[derive(Debug)]
pub struct Latencies(Vec<AtomicU64>);

impl Default for Latencies {
    fn default() -> Self {
        Self((0..STEPS * DOUBLINGS).map(|_| AtomicU64::new(0)).collect())
    }
}

impl Latencies {
    /// Counts one.
    pub fn count(&self, took: Duration) {
        let micros = took.as_secs_f64() * 1e6;
        let steps = f64::from(u32::try_from(STEPS).unwrap_or(1));
        let place = (micros.max(1.0).log2() * steps).floor();
        let last = self.0.len() - 1;
        let at = (0..last).rfind(|at| index(*at) <= place).unwrap_or(0);
        if let Some(bucket) = self.0.get(at) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many.
    #[must_use]
    pub fn counted(&self) -> u64 {
        self.0.iter().map(|one| one.load(Ordering::Relaxed)).sum()
    }

    /// The latency that this part of all did not exceed, in milliseconds, as its bucket's upper end; 0 where there is none.
    #[must_use]
    pub fn quantile(&self, part: f64) -> f64 {
        let all = self.counted();
        if all == 0 {
            return 0.0;
        }
        let wanted = part * to_f64(all);
        let mut below = 0;
        for (at, bucket) in self.0.iter().enumerate() {
            below += bucket.load(Ordering::Relaxed);
            if to_f64(below) >= wanted {
                return upper_ms(at);
            }
        }
        upper_ms(self.0.len())
    }

    /// Begins anew.
    pub fn clear(&self) {
        for bucket in &self.0 {
            bucket.store(0, Ordering::Relaxed);
        }
    }
}

fn index(at: usize) -> f64 {
    f64::from(u32::try_from(at).unwrap_or(u32::MAX))
}

fn upper_ms(at: usize) -> f64 {
    let steps = index(STEPS);
    2f64.powf((index(at) + 1.0) / steps) / 1e3
}

/// Exact below 2^53: no count comes near it.
#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
fn to_f64(count: u64) -> f64 {
    count as f64
}

/// Everything that is counted.
#[derive(Debug, Default)]
pub struct Tally {
    /// Calls of nodes in their runs.
    pub run: Latencies,
    /// Heartbeats and registrations of hosts.
    pub host: Latencies,
    /// Calls of operators.
    pub operator: Latencies,
    /// Nodes that have enrolled.
    pub enrolled: AtomicU64,
    /// Inventories that were taken.
    pub inventories: AtomicU64,
    /// Plans that were given out.
    pub planned: AtomicU64,
    /// Hosts that registered.
    pub ready: AtomicU64,
    /// Heartbeats that were answered.
    pub beats: AtomicU64,
    /// Calls that got no answer.
    pub unanswered: AtomicU64,
    /// Calls that were refused because there were too many (429, 503).
    pub put_off: AtomicU64,
    /// Other refusals, by their words, at most 16 of them.
    failures: Mutex<BTreeMap<String, u64>>,
}

impl Tally {
    /// One more.
    pub fn add(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// How many so far.
    #[must_use]
    pub fn of(counter: &AtomicU64) -> u64 {
        counter.load(Ordering::Relaxed)
    }

    /// Counts a refusal that should not be.
    pub fn failed(&self, what: String) {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        if failures.len() < FAILURES_MAX || failures.contains_key(&what) {
            *failures.entry(what).or_default() += 1;
        }
    }

    /// The refusals that should not have been, with how often.
    #[must_use]
    pub fn failures(&self) -> Vec<(String, u64)> {
        let failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        failures
            .iter()
            .map(|(what, times)| (what.clone(), *times))
            .collect()
    }

    /// Forgets latencies, not counts: for another stretch of time.
    pub fn clear_latencies(&self) {
        for one in [&self.run, &self.host, &self.operator] {
            one.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_right_to_a_bucket() {
        let all = Latencies::default();
        for ms in 1..=1_000u64 {
            all.count(Duration::from_millis(ms));
        }
        assert_eq!(all.counted(), 1_000);
        for (part, right) in [(0.5, 500.0), (0.99, 990.0), (1.0, 1_000.0)] {
            let said = all.quantile(part);
            assert!(
                said >= right * 0.99 && said <= right * 1.1,
                "{part}: {said}"
            );
        }
    }

    #[test]
    fn nothing_has_no_quantile() {
        assert!(Latencies::default().quantile(0.99) < f64::EPSILON);
    }
}
