// SPDX-License-Identifier: Apache-2.0
//! Lines for people: what is being done, and how long it took.

use anyhow::Result;
use groundstate_api::units::Millis;
use std::time::{Duration, Instant};

/// Says what begins, does it, and says how long it took.
pub(crate) fn step<T>(what: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    println!("  {what} ...");
    let began = Instant::now();
    let result = work();
    let took = length(began.elapsed());
    match &result {
        Ok(_) => println!("  {what}: done in {took}"),
        Err(_) => println!("  {what}: FAILED after {took}"),
    }
    result
}

/// One fact.
pub(crate) fn note(text: &str) {
    println!("  {text}");
}

/// A length of time as the product writes it.
pub(crate) fn length(duration: Duration) -> Millis {
    Millis(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}
