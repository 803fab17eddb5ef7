// SPDX-License-Identifier: Apache-2.0
//! Self-tests of disks: started, followed, ended. The disk tests itself in the background and goes on serving.
//!
//! Refuses everything that writes to the medium or takes the disk away: captive tests, vendor's tests, tests of a volume
//! behind a RAID controller. Refuses to start one while another runs: the disk would end that one without a word.

mod command;

use crate::disk::ask::{self, Ask, Job};
use crate::disk::path::Over;
use crate::disk::{self, PATIENCE};
use crate::sysfs::Tree;
use hw_core::disk::DiskFacts;
use hw_core::disk::facts::{SelfTest, SelfTestKind, SelfTestResult};
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;
use thiserror::Error;

/// Why a self-test was not started, followed or ended. Each says which device and what stands in the way.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SelfTestError {
    /// Not a whole disk.
    #[error(
        "{device} is not a whole disk of this machine: name one such as /dev/sda or /dev/nvme0n1"
    )]
    NotADisk {
        /// What was named.
        device: String,
    },
    /// This kind of disk is never asked.
    #[error("{device}: {why}; it has no self-test that can be started from here")]
    NotAsked {
        /// The disk.
        device: String,
        /// Why it is not.
        why: String,
    },
    /// The disk has no such test.
    #[error("{device} has no {kind} self-test: {why}")]
    NotSupported {
        /// The disk.
        device: String,
        /// `short`, `extended`, `conveyance`.
        kind: &'static str,
        /// How that is known.
        why: String,
    },
    /// One runs already.
    #[error(
        "a self-test runs on {device} already, {remaining} % of it remain: let it end, or end it first"
    )]
    AlreadyRunning {
        /// The disk.
        device: String,
        /// Percent that remain.
        remaining: u8,
    },
    /// The disk said no.
    #[error("{device} refused: {why}")]
    Refused {
        /// The disk.
        device: String,
        /// What it said.
        why: String,
    },
    /// The disk did not answer, or this program may not ask it.
    #[error("{device} did not answer: {why}")]
    NoAnswer {
        /// The disk.
        device: String,
        /// What is known of it.
        why: String,
    },
}

/// A self-test that was started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Started {
    /// The disk.
    pub device: String,
    /// Which test.
    pub kind: SelfTestKind,
    /// How many minutes the disk expects it to take, where it says.
    pub minutes: Option<u32>,
    /// The newest entry of the log before it: the test's own entry is a newer one.
    pub before: Option<SelfTest>,
}

/// How far a self-test is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// It runs.
    Running {
        /// Percent that remain. Disks count in tenths, some not at all.
        remaining: u8,
    },
    /// None runs.
    Ended {
        /// The newest entry of the log, where the disk keeps one.
        newest: Option<SelfTest>,
        /// How the last one ended, as the SMART data say it, also without a log.
        status: Option<SelfTestResult>,
    },
}

/// Starts a self-test in the background.
///
/// # Errors
/// [`SelfTestError`]: nothing was started.
pub fn start(device: &Path, kind: SelfTestKind) -> Result<Started, SelfTestError> {
    start_in(&Tree::machine(), device, kind)
}

/// How far the self-test is, or how the last one ended. Takes at most 20 s; a disk under test still answers at once.
///
/// # Errors
/// [`SelfTestError`], without [`SelfTestError::AlreadyRunning`] and [`SelfTestError::NotSupported`].
pub fn progress(device: &Path) -> Result<Progress, SelfTestError> {
    let (_, facts) = asked(&Tree::machine(), device)?;
    Ok(progress_of(&facts))
}

/// Ends the self-test that runs.
///
/// # Errors
/// [`SelfTestError`]: it may run on.
pub fn abort(device: &Path) -> Result<(), SelfTestError> {
    let (ask, facts) = asked(&Tree::machine(), device)?;
    send(device, &ask, &facts, command::Order::Abort).map(|_| ())
}

/// How far, by what was read of a disk.
#[must_use]
pub fn progress_of(facts: &DiskFacts) -> Progress {
    let Some(log) = &facts.self_tests else {
        return Progress::Ended {
            newest: None,
            status: None,
        };
    };
    match log.running {
        Some(remaining) => Progress::Running { remaining },
        None => Progress::Ended {
            newest: log.entries.first().cloned(),
            status: log.last_status.clone(),
        },
    }
}

/// The kind's name in messages.
#[must_use]
pub const fn name(kind: SelfTestKind) -> &'static str {
    match kind {
        SelfTestKind::Short => "short",
        SelfTestKind::Extended => "extended",
        SelfTestKind::Conveyance => "conveyance",
        SelfTestKind::Selective => "selective",
        SelfTestKind::Other => "vendor's",
    }
}

fn start_in(tree: &Tree, device: &Path, kind: SelfTestKind) -> Result<Started, SelfTestError> {
    let (ask, facts) = asked(tree, device)?;
    let before = idle(device, &facts)?;
    let minutes = send(device, &ask, &facts, command::Order::Start(kind))?;
    Ok(Started {
        device: words(device),
        kind,
        minutes,
        before,
    })
}

/// The newest entry of the log, provided that none runs.
fn idle(device: &Path, facts: &DiskFacts) -> Result<Option<SelfTest>, SelfTestError> {
    match progress_of(facts) {
        Progress::Ended { newest, .. } => Ok(newest),
        Progress::Running { remaining } => Err(SelfTestError::AlreadyRunning {
            device: words(device),
            remaining,
        }),
    }
}

/// Everything that the disk says, and the way to it.
fn asked(tree: &Tree, device: &Path) -> Result<(Ask, DiskFacts), SelfTestError> {
    let kernel_name = device.file_name().and_then(|name| name.to_str());
    let known = kernel_name.and_then(|name| disk::find(tree, name));
    let Some(Job { ask, facts, .. }) = known else {
        let device = words(device);
        return Err(SelfTestError::NotADisk { device });
    };
    if let Ask::Nobody(why) = ask {
        let device = words(device);
        return Err(SelfTestError::NotAsked { device, why });
    }
    let job = Job {
        ask: ask.clone(),
        device: device.to_owned(),
        facts,
    };
    let answer = ask::all(vec![job], PATIENCE, ask::one).pop();
    match answer {
        Some(facts) if facts.no_answer.is_none() => Ok((ask, facts)),
        other => Err(SelfTestError::NoAnswer {
            device: words(device),
            why: other.and_then(|f| f.no_answer).unwrap_or_default(),
        }),
    }
}

/// Sends the order from a thread of its own, so that a disk that hangs does not hold the caller.
fn send(
    device: &Path,
    ask: &Ask,
    facts: &DiskFacts,
    order: command::Order,
) -> Result<Option<u32>, SelfTestError> {
    let (send, receive) = mpsc::channel();
    let (path, ask, facts) = (device.to_owned(), ask.clone(), facts.clone());
    let spawned = thread::Builder::new()
        .name("self-test".into())
        .spawn(move || {
            // Nobody listens any more when the patience ended.
            let _ = send.send(command::by_ioctl(&path, &ask, &facts, order));
        });
    // Without the thread the channel ends at once, and that is told.
    drop(spawned);
    let patience: Duration = PATIENCE;
    let late = || {
        let why = format!("not within {} s; it may have begun", patience.as_secs());
        Err(command::Not::Answered(Over(why)))
    };
    let told = receive.recv_timeout(patience).unwrap_or_else(|_| late());
    let device = words(device);
    told.map_err(|not| match not {
        command::Not::Supported(kind, why) => SelfTestError::NotSupported { device, kind, why },
        command::Not::Taken(why) => SelfTestError::Refused { device, why },
        command::Not::Answered(Over(why)) => SelfTestError::NoAnswer { device, why },
    })
}

fn words(device: &Path) -> String {
    device.display().to_string()
}

#[cfg(test)]
mod tests;
