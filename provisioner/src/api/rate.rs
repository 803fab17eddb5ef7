// SPDX-License-Identifier: Apache-2.0
//! How many orders one caller may give in a short time. A loop that went wild must not fill the journal.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Orders in a burst: a fabric controller that orders a run of every node of a large hall at once.
pub(crate) const ORDERS_BURST: u32 = 2_000;
/// Orders a second after that: more than the journal of a slow disk takes.
const ORDERS_PER_SECOND: u32 = 100;
/// Callers that are remembered. Each has a certificate of ours; the one that was silent longest is forgotten first.
const CALLERS_MAX: usize = 1_024;

/// A bucket of orders for each caller.
#[derive(Debug, Default)]
pub(crate) struct Rates(Mutex<HashMap<String, Bucket>>);

#[derive(Clone, Copy, Debug)]
struct Bucket {
    left: f64,
    at: Instant,
}

impl Rates {
    /// Takes one order; or how long to wait.
    pub(crate) fn take(&self, caller: &str, now: Instant) -> Result<(), Duration> {
        // A bucket is put in whole.
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= CALLERS_MAX && !buckets.contains_key(caller) {
            let oldest = buckets.iter().min_by_key(|(_, bucket)| bucket.at);
            if let Some(name) = oldest.map(|(name, _)| name.clone()) {
                buckets.remove(&name);
            }
        }
        let full = Bucket {
            left: f64::from(ORDERS_BURST),
            at: now,
        };
        let bucket = buckets.entry(caller.to_owned()).or_insert(full);
        let gone = now.saturating_duration_since(bucket.at).as_secs_f64();
        let more = gone * f64::from(ORDERS_PER_SECOND);
        bucket.left = (bucket.left + more).min(f64::from(ORDERS_BURST));
        bucket.at = now;
        if bucket.left >= 1.0 {
            bucket.left -= 1.0;
            return Ok(());
        }
        let wait = (1.0 - bucket.left) / f64::from(ORDERS_PER_SECOND);
        Err(Duration::from_secs_f64(wait))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_taken_then_as_many_as_flow_in_and_others_are_not_touched() {
        let (rates, begin) = (Rates::default(), Instant::now());
        for _ in 0..ORDERS_BURST {
            rates.take("fabric:a", begin).unwrap();
        }
        let wait = rates.take("fabric:a", begin).unwrap_err();
        assert!(
            wait > Duration::ZERO && wait <= Duration::from_millis(10),
            "{wait:?}"
        );
        rates.take("operator:b", begin).unwrap();
        let later = begin + Duration::from_secs(1);
        for _ in 0..ORDERS_PER_SECOND {
            rates.take("fabric:a", later).unwrap();
        }
        rates.take("fabric:a", later).unwrap_err();
    }

    #[test]
    fn callers_are_forgotten_and_not_gathered() {
        let (rates, begin) = (Rates::default(), Instant::now());
        for n in 0..CALLERS_MAX + 10 {
            let at = begin + Duration::from_millis(u64::try_from(n).unwrap());
            rates.take(&format!("viewer:{n}"), at).unwrap();
        }
        assert_eq!(rates.0.lock().unwrap().len(), CALLERS_MAX);
    }
}
