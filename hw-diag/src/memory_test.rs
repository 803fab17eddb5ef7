// SPDX-License-Identifier: Apache-2.0
//! Tests memory that nobody uses: writes patterns over as much as it is given, reads them back, and names what differs.
//!
//! It asks the kernel for the memory like any process, so it touches none that belongs to somebody else, and leaves a
//! reserve so that PID 1 is not killed for it. It therefore cannot test what the kernel and its processes occupy. Where
//! memory cannot be locked or physical addresses are not told, it says so in words and goes on.

mod pagemap;
mod patterns;
mod region;
mod worker;

use crate::sysfs::Tree;
use groundstate_api::units::{Bytes, Millis};
pub use hw_core::memory::{Ended, MemoryTestReport, Mismatch};
use patterns::{PATTERNS, ROW};
use region::Region;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};
use worker::{Chunk, Order, Outcome};

/// What must stay available: the kernel's own buffers, PID 1 and its screen take under 64 MiB together.
pub const RESERVE: Bytes = Bytes::mib(128);
/// One part in this many of what is available stays too: on large machines the page tables of the test and the network
/// buffers grow with the memory.
pub const RESERVE_SHARE: u64 = 32;
/// The least that is tested: less than a cache holds says nothing of memory.
pub const LEAST: Bytes = Bytes::mib(8);
/// Wrong words that are kept with all their figures; the rest is counted.
pub const MISMATCHES_MAX: usize = 64;
/// One part in this many of the time may go into taking the memory.
const TAKING_SHARE: u32 = 4;
/// How often the progress is told.
const TICK: Duration = Duration::from_millis(200);

/// How much memory to test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Amount {
    /// So many percent of what is available.
    Percent(u8),
    /// So many bytes, or as many as there are without the reserve.
    Bytes(Bytes),
}

/// A memory test to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryTest {
    /// How much memory.
    pub amount: Amount,
    /// How many passes; `None` for as many as fit the time, or one where there is no time limit either.
    pub passes: Option<u32>,
    /// How long at most.
    pub time: Option<Duration>,
    /// How many threads; `None` for one on each processor.
    pub threads: Option<usize>,
}

/// How far a test is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The pass under way, from 1.
    pub pass: u32,
    /// How many there will be; `None` where the time limit ends the test.
    pub passes: Option<u32>,
    /// The pattern under way.
    pub pattern: &'static str,
    /// Bytes written and read so far.
    pub moved: Bytes,
    /// Words that read back wrong so far.
    pub wrong_words: u64,
    /// Since the first word was written.
    pub elapsed: Duration,
}

/// Why no test could be run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MemoryTestError {
    /// `/proc/meminfo` does not say how much memory is available.
    NotSaid,
    /// There is too little beside the reserve.
    TooLittle {
        /// What is available.
        available: Bytes,
        /// What must stay.
        reserve: Bytes,
    },
    /// The kernel refused the memory.
    Refused {
        /// How much was asked for.
        asked: Bytes,
        /// Its words.
        why: String,
    },
    /// A thread of the test ended without a result.
    Lost,
}

impl std::fmt::Display for MemoryTestError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotSaid => write!(f, "/proc/meminfo does not say how much memory is available"),
            Self::TooLittle { available, reserve } => write!(
                f,
                "{available} of memory are available, {reserve} of it must stay for the system, and a test needs {LEAST}"
            ),
            Self::Refused { asked, why } => {
                write!(f, "the kernel gave no {asked} of memory: {why}")
            }
            Self::Lost => write!(f, "a thread of the memory test ended without a result"),
        }
    }
}

impl std::error::Error for MemoryTestError {}

/// What the threads tell while they work.
#[derive(Default)]
struct Shared {
    pass: AtomicU32,
    pattern: AtomicU32,
    moved: AtomicU64,
    wrong: AtomicU64,
}

/// Runs a memory test. `progress` is called some times a second; `cancel` set to true ends it within the time of one
/// MiB.
///
/// # Errors
/// There is not enough memory to test; see [`MemoryTestError`].
pub fn run(
    test: &MemoryTest,
    progress: &mut dyn FnMut(Progress),
    cancel: &AtomicBool,
) -> Result<MemoryTestReport, MemoryTestError> {
    run_at(&Tree::machine(), test, progress, cancel)
}

fn run_at(
    tree: &Tree,
    test: &MemoryTest,
    progress: &mut dyn FnMut(Progress),
    cancel: &AtomicBool,
) -> Result<MemoryTestReport, MemoryTestError> {
    let reserve = reserve(available(tree)?);
    let asked = amount(tree, test.amount, reserve)?;
    let mut notes = Vec::new();
    let began = Instant::now();
    // The kernel clears what it gives, some GiB a second: a short test takes less memory instead of more time.
    let in_time = || {
        test.time
            .is_none_or(|time| began.elapsed() < time / TAKING_SHARE)
    };
    let enough = || in_time() && available(tree).is_ok_and(|left| left > reserve);
    let mut region =
        Region::new(asked, &enough, &mut notes).map_err(|error| MemoryTestError::Refused {
            asked,
            why: error.to_string(),
        })?;
    let tested = Bytes(region.bytes());
    if tested < asked {
        notes.push(format!(
            "{tested} of {asked} were tested: more would have gone into the {reserve} that stay for the system"
        ));
    }
    let started = Instant::now();
    let order = Order {
        passes: match (test.passes, test.time) {
            (Some(passes), _) => Some(passes.max(1)),
            (None, Some(_)) => None,
            (None, None) => Some(1),
        },
        until: test.time.map(|time| began + time),
        // The random pattern differs from run to run; the report's mismatches carry the words themselves.
        seed: seed(tree),
    };
    let locked = region.locked();
    let (mut outcome, threads) = work(&mut region, test.threads, &order, progress, cancel)?;
    if locked {
        physical(&region, &mut outcome.mismatches, &mut notes);
    } else if outcome.wrong > 0 {
        notes.push(
            "physical addresses were not looked up: memory that is not locked may have moved"
                .into(),
        );
    }
    if outcome.passing > 0 {
        notes.push(format!(
            "{} times a MiB differed when it was read and was right when its words were looked at",
            outcome.passing
        ));
    }
    let took = started.elapsed();
    notes.push(format!("{threads} threads"));
    let done = order.passes.is_some_and(|passes| outcome.passes >= passes);
    Ok(MemoryTestReport {
        tested,
        locked,
        passes: outcome.passes,
        patterns: outcome.patterns,
        moved: Bytes(outcome.moved),
        took: Millis(u64::try_from(took.as_millis()).unwrap_or(u64::MAX)),
        ended: if done {
            Ended::Done
        } else if cancel.load(Ordering::Relaxed) {
            Ended::Cancelled
        } else {
            Ended::TimeUp
        },
        wrong_words: outcome.wrong,
        mismatches: outcome.mismatches,
        notes,
    })
}

/// Every thread works on a part of its own; this one tells the progress meanwhile.
fn work(
    region: &mut Region,
    threads: Option<usize>,
    order: &Order,
    progress: &mut dyn FnMut(Progress),
    cancel: &AtomicBool,
) -> Result<(Outcome, usize), MemoryTestError> {
    let shared = Shared::default();
    let words = region.words();
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    // A part smaller than a MiB is not worth a thread.
    let most = ((words.len() * 8) >> 20).max(1);
    let threads = threads.unwrap_or(processors).clamp(1, most);
    let share = words.len().div_ceil(threads).next_multiple_of(ROW);
    let started = Instant::now();
    let (send, receive) = mpsc::channel();
    std::thread::scope(|scope| {
        let mut row = 0u64;
        let mut running = 0;
        for part in words.chunks_mut(share) {
            let chunk = Chunk { row, words: part };
            row += u64::try_from(chunk.words.len() / ROW).unwrap_or(0);
            let (send, shared) = (send.clone(), &shared);
            running += 1;
            scope.spawn(move || {
                let outcome = worker::run(chunk, order, shared, cancel, &|_, _| {});
                // The receiver lives until every thread has sent.
                let _ = send.send(outcome);
            });
        }
        drop(send);
        let mut outcomes = Vec::new();
        while outcomes.len() < running {
            match receive.recv_timeout(TICK) {
                Ok(outcome) => outcomes.push(outcome),
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    progress(told(&shared, order, started.elapsed()));
                }
                Err(mpsc::RecvTimeoutError::Disconnected) => return Err(MemoryTestError::Lost),
            }
        }
        progress(told(&shared, order, started.elapsed()));
        Ok((Outcome::of_all(outcomes), running))
    })
}

fn told(shared: &Shared, order: &Order, elapsed: Duration) -> Progress {
    let pattern = usize::try_from(shared.pattern.load(Ordering::Relaxed)).unwrap_or(0);
    Progress {
        pass: shared.pass.load(Ordering::Relaxed).max(1),
        passes: order.passes,
        pattern: PATTERNS.get(pattern).map_or("", |pattern| pattern.name()),
        moved: Bytes(shared.moved.load(Ordering::Relaxed)),
        wrong_words: shared.wrong.load(Ordering::Relaxed),
        elapsed,
    }
}

fn physical(region: &Region, mismatches: &mut [Mismatch], notes: &mut Vec<String>) {
    for mismatch in mismatches {
        match pagemap::physical(region.address(mismatch.offset)) {
            Ok(address) => mismatch.physical = Some(address),
            Err(why) => {
                notes.push(format!("physical addresses are not known: {why}"));
                return;
            }
        }
    }
}

/// `MemAvailable`, which counts what could be had without swapping.
fn available(tree: &Tree) -> Result<Bytes, MemoryTestError> {
    let text = tree.bytes("proc/meminfo").unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"));
    let kibibytes = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse().ok());
    let kibibytes: u64 = kibibytes.ok_or(MemoryTestError::NotSaid)?;
    Ok(Bytes(kibibytes.saturating_mul(1 << 10)))
}

fn reserve(available: Bytes) -> Bytes {
    Bytes(RESERVE.0.max(available.0 / RESERVE_SHARE))
}

fn amount(tree: &Tree, amount: Amount, reserve: Bytes) -> Result<Bytes, MemoryTestError> {
    let available = available(tree)?;
    let most = available.0.saturating_sub(reserve.0);
    let asked = match amount {
        Amount::Percent(percent) => available.0 / 100 * u64::from(percent.min(100)),
        Amount::Bytes(bytes) => bytes.0,
    };
    let granted = asked.min(most) >> 20 << 20;
    if granted < LEAST.0 {
        return Err(MemoryTestError::TooLittle { available, reserve });
    }
    Ok(Bytes(granted))
}

/// Something that differs from run to run; no secret hangs on it.
fn seed(tree: &Tree) -> u64 {
    let uptime = tree.bytes("proc/uptime").unwrap_or_default();
    uptime.iter().fold(0x9e37_79b9_7f4a_7c15, |seed, byte| {
        (seed ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests;
