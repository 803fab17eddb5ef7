// SPDX-License-Identifier: Apache-2.0
//! Asks every disk in a thread of its own and waits for the answers until the patience ends.
//!
//! Refuses to wait for a disk that hangs: what it said so far is kept, and that it did not answer is told. Its thread is
//! left behind; the kernel ends its command in time.

use super::path::{Over, opened};
use crate::{ata, nvme, scsi};
use hw_core::disk::DiskFacts;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// Stack of an asking thread: blocks of data are on the heap; PID 1 must stay small.
const STACK: usize = 128 * 1024;

/// How to ask a disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    /// By ATA commands.
    Ata,
    /// By NVMe admin commands.
    Nvme,
    /// By SCSI commands.
    Scsi,
    /// Not at all, and why.
    Nobody(String),
}

/// A disk to ask.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub(crate) ask: Ask,
    pub(crate) device: PathBuf,
    /// What is known already.
    pub(crate) facts: DiskFacts,
}

/// Hears what is known so far.
pub(crate) type SoFar<'a> = &'a mut dyn FnMut(&DiskFacts);

/// Asks one disk by ioctl; what ends the asking stands in the facts.
pub(crate) fn one(ask: &Ask, device: &Path, facts: &mut DiskFacts, so_far: SoFar<'_>) {
    let end = match ask {
        Ask::Ata => opened(device).and_then(|file| ata::gather(&file, facts, so_far)),
        Ask::Nvme => opened(device).and_then(|file| nvme::gather(&file, facts, so_far)),
        Ask::Scsi => opened(device).and_then(|file| scsi::gather(&file, facts, so_far)),
        Ask::Nobody(why) => {
            facts.missed.push(why.clone());
            Ok(())
        }
    };
    if let Err(Over(why)) = end {
        facts.no_answer = Some(why);
    }
}

/// What a thread tells: what is known so far, and at last all of it.
struct Said {
    index: usize,
    facts: DiskFacts,
    last: bool,
}

/// The facts of every job, in order, within `patience`.
pub(crate) fn all(
    jobs: Vec<Job>,
    patience: Duration,
    one: impl Fn(&Ask, &Path, &mut DiskFacts, SoFar<'_>) + Copy + Send + 'static,
) -> Vec<DiskFacts> {
    let (send, receive) = mpsc::channel::<Said>();
    let until = Instant::now() + patience;
    let mut answers = Vec::with_capacity(jobs.len());
    for (index, job) in jobs.into_iter().enumerate() {
        let mut known = job.facts.clone();
        if let Ask::Nobody(why) = job.ask {
            known.missed.push(why);
            answers.push(known);
            continue;
        }
        let send = send.clone();
        let thread = thread::Builder::new()
            .name(job.facts.device.clone())
            .stack_size(STACK);
        let spawned = thread.spawn(move || {
            let Job {
                ask,
                device,
                mut facts,
            } = job;
            // Nobody listens any more when the patience ended; then an answer is too late by design.
            let mut so_far = |facts: &DiskFacts| {
                let facts = facts.clone();
                let _ = send.send(Said {
                    index,
                    facts,
                    last: false,
                });
            };
            one(&ask, &device, &mut facts, &mut so_far);
            let _ = send.send(Said {
                index,
                facts,
                last: true,
            });
        });
        known.no_answer = Some(match spawned {
            Ok(_) => late(patience),
            Err(error) => format!("no thread to ask the disk: {error}"),
        });
        answers.push(known);
    }
    // Only the asking threads hold the channel open now: it ends when all have answered.
    drop(send);
    while let Ok(said) = receive.recv_timeout(until.saturating_duration_since(Instant::now())) {
        if let Some(answer) = answers.get_mut(said.index) {
            *answer = said.facts;
            if !said.last {
                answer.no_answer = Some(late(patience));
            }
        }
    }
    answers
}

fn late(patience: Duration) -> String {
    format!("the disk did not answer within {} s", patience.as_secs())
}

#[cfg(test)]
mod tests;
