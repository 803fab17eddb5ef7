// SPDX-License-Identifier: Apache-2.0
//! `hw-diag self-test`: a disk's own test, in the background of its work; nothing on it is changed.

use super::{exit, output};
use anyhow::{Context as _, bail};
use clap::{Args, ValueEnum};
use groundstate_api::health::Verdict;
use hw_core::disk::facts::{SelfTest, SelfTestKind, SelfTestResult};
use hw_diag::self_test::{self, Progress};
use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Between two questions how far it is. Disks count in tenths: more often would only wake them.
const ASK_EVERY: Duration = Duration::from_secs(5);
/// How long is waited where the disk does not say how long its test takes: longer than any extended test of 24 TB.
const WAIT_MAX: Duration = Duration::from_secs(72 * 3600);
/// A disk that says how long it takes may take this many times as long: the host's work goes first.
const SLOWER: u32 = 4;
/// The least that is waited for a test whose time the disk gave.
const WAIT_MIN: Duration = Duration::from_secs(15 * 60);

#[derive(Args)]
pub(crate) struct SelfTestArgs {
    /// The disk, for example /dev/sda or /dev/nvme0n1
    device: PathBuf,
    /// Which test to start; without it, how far the running one is, or how the last one ended
    #[arg(long, value_enum)]
    kind: Option<Kind>,
    /// Follow it to its end
    #[arg(long)]
    wait: bool,
    /// End the test that runs
    #[arg(long, conflicts_with_all = ["kind", "wait"])]
    abort: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Kind {
    /// Minutes: electronics and a part of the medium
    Short,
    /// Hours: the whole medium
    Long,
    /// Minutes: damage in transport (ATA)
    Conveyance,
}

impl From<Kind> for SelfTestKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Short => Self::Short,
            Kind::Long => Self::Extended,
            Kind::Conveyance => Self::Conveyance,
        }
    }
}

pub(crate) fn run(args: &SelfTestArgs) -> anyhow::Result<u8> {
    let device = args.device.as_path();
    if args.abort {
        self_test::abort(device)?;
        output::print(&format!("{}: the self-test was ended\n", device.display()))?;
        return Ok(0);
    }
    let mut limit = WAIT_MAX;
    let mut before = None;
    if let Some(kind) = args.kind {
        let started = self_test::start(device, kind.into())?;
        let takes = started.minutes.map_or_else(
            || "it does not say how long it takes".to_owned(),
            |minutes| format!("it says that it takes {minutes} min"),
        );
        output::print(&format!(
            "{}: the self-test runs; {takes}\n",
            device.display()
        ))?;
        if let Some(minutes) = started.minutes {
            limit = Duration::from_secs(u64::from(minutes) * 60)
                .saturating_mul(SLOWER)
                .max(WAIT_MIN);
        }
        before = started.before;
        if !args.wait {
            return Ok(0);
        }
    }
    let ended = if args.wait {
        follow(device, limit)?
    } else {
        self_test::progress(device)?
    };
    tell(device, &ended, args.kind.is_some().then_some(before))
}

/// Asks until no test runs.
fn follow(device: &Path, limit: Duration) -> anyhow::Result<Progress> {
    let until = Instant::now() + limit;
    let bar = if std::io::stderr().is_terminal() {
        ProgressBar::new(100)
    } else {
        ProgressBar::hidden()
    };
    bar.set_style(
        ProgressStyle::with_template("{bar:40} {pos:>3} %  {elapsed} gone, {eta} to go")
            .context("the bar's template")?,
    );
    loop {
        let progress = self_test::progress(device)?;
        let Progress::Running { remaining } = progress else {
            bar.finish_and_clear();
            return Ok(progress);
        };
        bar.set_position(u64::from(100u8.saturating_sub(remaining)));
        if Instant::now() >= until {
            bail!(
                "{}: the self-test still runs after {} min, {remaining} % remain; it goes on by itself, ask again later",
                device.display(),
                limit.as_secs() / 60
            );
        }
        sleep(ASK_EVERY);
    }
}

/// Prints how far it is or how it ended. `before`: what the log had before the test that was just followed.
fn tell(
    device: &Path,
    progress: &Progress,
    before: Option<Option<SelfTest>>,
) -> anyhow::Result<u8> {
    let name = device.display();
    let (verdict, words) = match progress {
        Progress::Running { remaining } => (Verdict::Ok, format!("runs, {remaining} % remain")),
        Progress::Ended { newest, status } => {
            // An entry that was there before is not this test's.
            let fresh = newest.as_ref().filter(|test| {
                before
                    .as_ref()
                    .is_none_or(|before| before.as_ref() != Some(*test))
            });
            match fresh
                .map(|test| (&test.result, Some(test)))
                .or(status.as_ref().map(|status| (status, None)))
            {
                Some((result, test)) => ended(result, test),
                None => (
                    Verdict::Unknown,
                    "none ran, or the disk keeps no log of them".into(),
                ),
            }
        }
    };
    output::print(&format!("{name}: {words}\n"))?;
    Ok(exit(verdict))
}

fn ended(result: &SelfTestResult, test: Option<&SelfTest>) -> (Verdict, String) {
    let at = test
        .and_then(|test| test.hours)
        .map(|hours| format!(" at {hours} power-on hours"))
        .unwrap_or_default();
    match result {
        SelfTestResult::Passed => (Verdict::Ok, format!("the self-test passed{at}")),
        SelfTestResult::Running { remaining } => {
            (Verdict::Ok, format!("runs, {remaining} % remain"))
        }
        SelfTestResult::Aborted => (
            Verdict::Unknown,
            format!("the self-test was ended before its time{at}: start it again"),
        ),
        SelfTestResult::Failed(how) => {
            let lba = test
                .and_then(|test| test.lba)
                .map(|lba| format!(", first at block {lba}"))
                .unwrap_or_default();
            (
                Verdict::Fail,
                format!("the self-test FAILED{at}: {how}{lba}; replace the disk"),
            )
        }
        SelfTestResult::Unknown(code) => (
            Verdict::Unknown,
            format!("the self-test ended{at} with a code that is not known: {code}"),
        ),
    }
}
