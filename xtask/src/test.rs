// SPDX-License-Identifier: Apache-2.0
//! `cargo xtask test`: every test of the project with one summary. Checks run one after the other, what is booted is made beside
//! them, and then it is booted.
//!
//! A failed check does not stop the next one: a person sees everything that is wrong in one run. What could not be run
//! is said, never counted as passed.

mod beside;
mod tally;

use crate::command::{command, have, is_root, stream};
use crate::layout::Layout;
use crate::{product, progress, setup, tidy};
use anyhow::{Context as _, Result, anyhow, bail};
use clap::Args;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, ExitCode, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;
use tally::{Tally, count};

/// A virtual boot: its name and what it does. An error is a failed test.
pub(crate) type Scenario = (&'static str, fn(&Layout) -> Result<()>);

/// Beside what is usual: the tests that kill the provisioner, which link it.
const FEATURES: &str = "groundstate-tests/kill";
/// What is only looked at: the benches' program, which no test builds.
const LINTED: &str = "groundstate-tests/kill,groundstate-tests/compare";
/// More virtual boots at once than this take each other's time.
const LANES_MAX: usize = 16;

/// What to run.
#[derive(Args)]
pub(crate) struct Options {
    /// Leave out the virtual boots
    #[arg(long)]
    no_boots: bool,
    /// Run only the checks whose name contains this text
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// Leave out the check of licences and banned crates
    #[arg(long)]
    no_deny: bool,
    /// How many virtual boots run at once. Each takes a core and up to 3 GiB of memory
    #[arg(long, value_name = "N", default_value_t = 2)]
    lanes: usize,
}

/// How a check ended.
enum Outcome {
    Passed(Tally),
    Failed(Tally, String),
    Skipped(String),
}

/// One line of the summary.
struct Line {
    what: String,
    outcome: Outcome,
    took: groundstate_api::units::Millis,
}

impl Options {
    fn wants(&self, what: &str) -> bool {
        self.only.as_ref().is_none_or(|text| what.contains(text))
    }
}

/// Runs one check.
fn done(what: &str, work: &mut dyn FnMut() -> Result<Outcome>) -> Line {
    println!("\n== {what}");
    let began = Instant::now();
    let outcome = work().unwrap_or_else(|error| {
        println!("{what}: {error:#}");
        let first = error
            .to_string()
            .lines()
            .next()
            .unwrap_or_default()
            .to_owned();
        Outcome::Failed(Tally::one_failed(), first)
    });
    Line {
        what: what.to_owned(),
        outcome,
        took: progress::length(began.elapsed()),
    }
}

/// Runs the virtual boots, some at once: each has a network, a folder and servers of its own. A lane takes the next boot as
/// soon as it is free; the lines come in the order in which they ended.
fn boot_all(layout: &Layout, boots: &[Scenario], lanes: usize) -> Vec<Line> {
    let waiting = Mutex::new(boots.iter());
    let ended = Mutex::new(Vec::new());
    let lane = || {
        loop {
            let next = waiting
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .next();
            let Some((name, boot)) = next else { return };
            let what = format!("boot: {name}");
            let line = done(&what, &mut || {
                let Err(first) = boot(layout) else {
                    return Ok(Outcome::Passed(Tally::one_passed()));
                };
                // Counted and named in the summary, as with the other tests; a fault that is no chance fails again.
                println!("{what} failed, and is tried once more: {first:#}");
                boot(layout)?;
                Ok(Outcome::Passed(Tally::one_flaky()))
            });
            println!("-- {what}: {}, {}", line.word(), line.took);
            ended
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(line);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..lanes.clamp(1, LANES_MAX) {
            scope.spawn(lane);
        }
    });
    ended.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// Runs everything and prints the summary; success only if nothing failed. `prepare` makes what the boots need: that takes
/// as long as the tests, computes all the time, and is done beside them.
pub(crate) fn run(
    layout: &Layout,
    options: &Options,
    prepare: fn(&Layout) -> Result<()>,
    boots: &[Scenario],
) -> Result<ExitCode> {
    setup::ensure()?;
    setup::python::peers(layout);
    setup::unpacked::peers(layout)?;
    let chosen: Vec<Scenario> = boots
        .iter()
        .filter(|(name, _)| options.wants(&format!("boot: {name}")))
        .copied()
        .collect();
    if options.no_boots {
        let mut lines = checks(layout, options);
        lines.extend(chosen.iter().map(|(name, _)| Line {
            what: format!("boot: {name}"),
            outcome: Outcome::Skipped("--no-boots".into()),
            took: groundstate_api::units::Millis(0),
        }));
        return Ok(summary(&lines));
    }
    if chosen.is_empty() {
        return Ok(summary(&checks(layout, options)));
    }
    // What all of them boot is made once, before any of them runs.
    let make = || {
        beside::gives_way();
        done("what is booted", &mut || {
            prepare(layout)?;
            Ok(Outcome::Passed(Tally::one_passed()))
        })
    };
    let (mut lines, made) = std::thread::scope(|scope| {
        let made = scope.spawn(make);
        let lines = checks(layout, options);
        let ended = made.join();
        ended.map(|made| (lines, made))
    })
    .map_err(|_| anyhow!("making what is booted panicked"))?;
    let is_made = matches!(made.outcome, Outcome::Passed(_));
    lines.push(made);
    if is_made {
        lines.extend(boot_all(layout, &chosen, options.lanes));
    }
    Ok(summary(&lines))
}

/// Everything that boots no machine.
fn checks(layout: &Layout, options: &Options) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut check = |what: &str, work: &mut dyn FnMut() -> Result<Outcome>| {
        if options.wants(what) {
            lines.push(done(what, work));
        }
    };
    check("format", &mut || {
        cargo(layout, &["fmt", "--all", "--check"])
    });
    check("clippy", &mut || {
        let flags = [
            "clippy",
            "--workspace",
            "--all-targets",
            "--features",
            LINTED,
            "--locked",
            "--quiet",
        ];
        cargo(layout, &[&flags[..], &["--", "-D", "warnings"]].concat())
    });
    check("tidy", &mut || {
        tidy::run(layout, &tidy::Options::default())?;
        Ok(Outcome::Passed(Tally::one_passed()))
    });
    check("unit and peer tests", &mut || tests(layout));
    if !options.no_deny {
        check("licences, bans, sources", &mut || deny(layout));
    }
    lines
}

impl Line {
    fn word(&self) -> &'static str {
        match self.outcome {
            Outcome::Passed(tally) if tally.flaky > 0 => "passed*",
            Outcome::Passed(_) => "passed",
            Outcome::Failed(..) => "FAILED",
            Outcome::Skipped(_) => "skipped",
        }
    }
}

/// A cargo command as one check.
fn cargo(layout: &Layout, arguments: &[&str]) -> Result<Outcome> {
    stream(command(product::program(), arguments).current_dir(layout.source("")))?;
    Ok(Outcome::Passed(Tally::one_passed()))
}

/// All tests of the workspace, by nextest where it is installed.
fn tests(layout: &Layout) -> Result<Outcome> {
    let arguments: &[&str] = if have("cargo-nextest") {
        &[
            "nextest",
            "run",
            "--workspace",
            "--features",
            FEATURES,
            "--locked",
            "--no-fail-fast",
            // A test that fails by chance is named in the summary, and costs nobody the run of an hour.
            "--retries",
            "1",
        ]
    } else {
        println!("cargo-nextest is not installed: cargo test runs the same tests");
        &[
            "test",
            "--workspace",
            "--features",
            FEATURES,
            "--locked",
            "--no-fail-fast",
            "--quiet",
        ]
    };
    let mut runner = command(product::program(), arguments);
    let (tally, succeeded) = counted(runner.current_dir(layout.source("")))?;
    if tally.total() == 0 {
        bail!("the test runner ran no test");
    }
    Ok(match (succeeded, tally.failed) {
        (true, 0) => Outcome::Passed(tally),
        (_, 0) => Outcome::Failed(tally.with_a_failure(), "the test runner failed".into()),
        (_, failed) => Outcome::Failed(tally, format!("{failed} tests failed")),
    })
}

/// Runs a test runner, shows what it says, and counts its closing lines.
fn counted(runner: &mut Command) -> Result<(Tally, bool)> {
    // Both runners' closing lines are read from one pipe: cargo test writes them to standard output, nextest to
    // standard error.
    let (reader, writer) = std::io::pipe()?;
    runner.stdout(writer.try_clone()?).stderr(writer);
    let mut child = runner.spawn().context("cannot run cargo")?;
    // Our copies of the writing end must go, or the reading below never ends.
    runner.stdout(Stdio::null()).stderr(Stdio::null());
    let mut tally = Tally::default();
    let mut shown = std::io::stdout();
    let mut lines = BufReader::new(reader);
    let mut line = Vec::new();
    while lines.read_until(b'\n', &mut line)? > 0 {
        shown.write_all(&line)?;
        shown.flush()?;
        tally.add(count(&String::from_utf8_lossy(&line)));
        line.clear();
    }
    Ok((tally, child.wait()?.success()))
}

/// Licences, banned crates and sources of everything we link.
fn deny(layout: &Layout) -> Result<Outcome> {
    let in_ci = std::env::var_os("CI").is_some();
    if !have("cargo-deny") {
        if !in_ci && !is_root() {
            return Ok(Outcome::Skipped(
                "cargo-deny is not installed; to have it: cargo install cargo-deny --locked".into(),
            ));
        }
        progress::step("install cargo-deny (once, minutes)", || {
            let mut install = command(
                product::program(),
                ["install", "cargo-deny", "--locked", "--quiet"],
            );
            // It runs for a second: a quick build matters more than a quick program.
            install
                .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1")
                .env("CARGO_PROFILE_RELEASE_LTO", "off")
                .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16");
            stream(&mut install)
        })?;
    }
    cargo(
        layout,
        &[
            "deny",
            "--workspace",
            "check",
            "licenses",
            "bans",
            "sources",
        ],
    )
}

/// Prints the table and the closing line.
fn summary(lines: &[Line]) -> ExitCode {
    println!("\n== summary");
    let mut all = Tally::default();
    for line in lines {
        let Line {
            what,
            outcome,
            took,
        } = line;
        let word = line.word();
        let said = match outcome {
            Outcome::Passed(tally) => {
                all.add(*tally);
                match tally.flaky {
                    0 => format!("{}", tally.passed),
                    flaky => format!("{}, {flaky} only at the second try", tally.passed),
                }
            }
            Outcome::Failed(tally, why) => {
                all.add(*tally);
                why.clone()
            }
            Outcome::Skipped(why) => {
                all.add(Tally::one_skipped());
                why.clone()
            }
        };
        println!("  {what:<28} {word:<8} {took:>14}  {said}");
    }
    println!("\n{all}");
    if all.failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closing_lines_are_counted_on_both_streams_and_the_exit_status_is_kept() {
        let said = "echo 'test result: ok. 2 passed; 0 failed; 0 ignored'; echo '  Summary [ 1s] 4 tests run: 3 passed, 1 failed' >&2; exit 1";
        let (tally, succeeded) = counted(&mut command("sh", ["-c", said])).unwrap();
        assert_eq!(tally.to_string(), "5 passed, 1 failed");
        assert!(!succeeded);
        let (tally, succeeded) = counted(&mut command("true", [] as [&str; 0])).unwrap();
        assert_eq!((tally.total(), succeeded), (0, true));
    }

    #[test]
    fn one_failure_fails_the_whole() {
        let line = |outcome| Line {
            what: "x".into(),
            outcome,
            took: groundstate_api::units::Millis(1),
        };
        let passed = line(Outcome::Passed(Tally::one_passed()));
        let skipped = line(Outcome::Skipped("why".into()));
        let failed = line(Outcome::Failed(Tally::one_failed(), "why".into()));
        let shown = |code: ExitCode| format!("{code:?}");
        assert_eq!(shown(summary(&[passed, skipped])), shown(ExitCode::SUCCESS));
        assert_eq!(shown(summary(&[failed])), shown(ExitCode::FAILURE));
    }
}
