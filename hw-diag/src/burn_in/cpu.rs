// SPDX-License-Identifier: Apache-2.0
//! Known work on every logical processor: the same numbers must come out each time, on each of them.

use super::Shared;
use hw_core::burn_in::CpuLoad;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, mpsc};
use std::time::Instant;

/// Steps of one round: about 2 ms, so that a processor is asked to stop often enough.
const STEPS: u32 = 1 << 19;
/// Stack of a working thread in bytes.
const STACK: usize = 64 * 1024;

/// One processor's results with how often each came out.
type Results = BTreeMap<u64, u64>;

/// Working threads.
pub(super) struct Running {
    receive: mpsc::Receiver<(u32, Result<Results, String>)>,
    started: Vec<u32>,
    not_loaded: Vec<String>,
}

/// Starts a thread on each logical processor that this process may use.
pub(super) fn start(shared: &Arc<Shared>) -> Running {
    let (send, receive) = mpsc::channel();
    let mut running = Running {
        receive,
        started: Vec::new(),
        not_loaded: Vec::new(),
    };
    let allowed = match sched_getaffinity(None) {
        Ok(allowed) => allowed,
        Err(error) => {
            running
                .not_loaded
                .push(format!("which processors may be used: {error}"));
            return running;
        }
    };
    for cpu in (0..CpuSet::MAX_CPU).filter(|cpu| allowed.is_set(*cpu)) {
        let Ok(number) = u32::try_from(cpu) else {
            continue;
        };
        let send = send.clone();
        let shared = Arc::clone(shared);
        let thread = std::thread::Builder::new()
            .name(format!("burn-{cpu}"))
            .stack_size(STACK);
        let spawned = thread.spawn(move || {
            let mut only = CpuSet::new();
            only.set(cpu);
            let results = sched_setaffinity(None, &only)
                .map(|()| work(&shared))
                .map_err(|error| format!("processor {cpu}: {error}"));
            // Nobody listens any more when the grace ended.
            let _ = send.send((number, results));
        });
        match spawned {
            Ok(_) => running.started.push(number),
            Err(error) => running.not_loaded.push(format!("processor {cpu}: {error}")),
        }
    }
    running
}

fn work(shared: &Shared) -> Results {
    let mut results = Results::new();
    while !shared.stop.load(Ordering::Relaxed) {
        *results.entry(round()).or_insert(0) += 1;
        shared.rounds.fetch_add(1, Ordering::Relaxed);
    }
    results
}

/// Integer and floating-point work whose result is the same on every processor that follows IEEE 754.
fn round() -> u64 {
    let mut integer = std::hint::black_box(0x9e37_79b9_7f4a_7c15_u64);
    let mut real = std::hint::black_box(1.000_000_1_f64);
    for step in 0..STEPS {
        integer ^= integer << 13;
        integer ^= integer >> 7;
        integer ^= integer << 17;
        integer = integer
            .wrapping_mul(0xff51_afd7_ed55_8ccd)
            .rotate_left(step & 63);
        real = (real * 1.000_001 + 0.5).sqrt() / 1.1 + 1.0;
    }
    integer ^ real.to_bits()
}

impl Running {
    /// Collects what each processor computed; what most of them computed is right.
    pub(super) fn finish(mut self, until: Instant) -> CpuLoad {
        let mut by_cpu = BTreeMap::new();
        while by_cpu.len() < self.started.len() {
            let left = until.saturating_duration_since(Instant::now());
            match self.receive.recv_timeout(left) {
                Ok((cpu, Ok(results))) => {
                    by_cpu.insert(cpu, results);
                }
                Ok((cpu, Err(why))) => {
                    self.not_loaded.push(why);
                    by_cpu.insert(cpu, Results::new());
                }
                Err(_) => break,
            }
        }
        for cpu in self.started.iter().filter(|cpu| !by_cpu.contains_key(cpu)) {
            self.not_loaded
                .push(format!("processor {cpu} did not come back from its work"));
        }
        tally(&by_cpu, self.not_loaded)
    }
}

fn tally(by_cpu: &BTreeMap<u32, Results>, not_loaded: Vec<String>) -> CpuLoad {
    let mut all = Results::new();
    for (result, times) in by_cpu.values().flatten() {
        *all.entry(*result).or_insert(0) += times;
    }
    let right = all
        .iter()
        .max_by_key(|(_, times)| **times)
        .map(|(result, _)| *result);
    let mut load = CpuLoad {
        not_loaded,
        ..CpuLoad::default()
    };
    for (cpu, results) in by_cpu {
        load.rounds.insert(*cpu, results.values().sum());
        let wrong: u64 = results
            .iter()
            .filter(|(result, _)| Some(**result) != right)
            .map(|(_, times)| times)
            .sum();
        if wrong > 0 {
            load.wrong.insert(*cpu, wrong);
        }
    }
    load
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processor_that_differs_is_the_wrong_one() {
        let by_cpu = BTreeMap::from([
            (0, Results::from([(7, 100)])),
            (1, Results::from([(7, 90), (8, 2)])),
            (2, Results::from([(7, 95)])),
        ]);
        let load = tally(&by_cpu, Vec::new());
        assert_eq!(load.wrong, BTreeMap::from([(1, 2)]));
        assert_eq!(load.rounds, BTreeMap::from([(0, 100), (1, 92), (2, 95)]));
    }

    #[test]
    fn the_same_work_gives_the_same_number() {
        assert_eq!(round(), round());
    }
}
