// SPDX-License-Identifier: Apache-2.0
//! `cargo xtask fuzz`: every parser against inputs that nobody would send in good faith, found by coverage.
//!
//! Needs no nightly toolchain and no cargo-fuzz: the compiler's coverage counters are switched on by flags that stable
//! takes, and libFuzzer comes with the crate `libfuzzer-sys`. What it finds it never repairs, and it writes below
//! `target/fuzz` alone.

mod packets;
mod seeds;
mod sparse;
mod stats;
mod targets;

use crate::command::{command, have, stream};
use crate::layout::Layout;
use crate::product;
use crate::progress::{note, step};
use anyhow::{Context as _, Result, bail};
use clap::Args;
use stats::Outcome;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::time::{Duration, Instant};
use targets::{TARGETS, Target};

/// What the targets are compiled for: naming it keeps the flags away from build scripts and procedural macros.
const TRIPLE: &str = "x86_64-unknown-linux-gnu";
/// Counters for every edge, and every comparison told to libFuzzer; as cargo-fuzz sets them. Debug assertions and checks
/// for overflow stand in the profile of `tests/fuzz`, which leaves them out of dhcproto.
const RUSTFLAGS: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing";
/// Seconds after which one input is a finding. The slowest of a sound parser takes a few hundredths of one; libFuzzer's
/// clock also counts the time in which a busy machine runs something else, so such an input is tried once more alone.
const INPUT_SECONDS_MAX: u32 = 2;

/// What to fuzz, and for how long.
#[derive(Args)]
pub(crate) struct Options {
    /// Targets by name; all of them where none is named
    #[arg(value_name = "TARGET")]
    targets: Vec<String>,
    /// Seconds for each target
    #[arg(long, value_name = "N", default_value_t = 60)]
    secs: u32,
    /// List the targets and what each reads
    #[arg(long)]
    list: bool,
}

/// Builds the targets, runs one after the other, and prints a table; success only if nothing was found.
pub(crate) fn run(layout: &Layout, options: &Options) -> Result<ExitCode> {
    if options.list {
        for target in TARGETS {
            println!("{:<16} {}", target.name, target.reads);
        }
        return Ok(ExitCode::SUCCESS);
    }
    let targets = chosen(&options.targets)?;
    if !have("g++") {
        bail!("libFuzzer is C++ and g++ is missing: apt-get install g++");
    }
    step("build the fuzz targets", || build(layout))?;
    let place = Place::of(layout);
    let mut outcomes = Vec::new();
    for target in targets {
        let what = format!("{} for {} s", target.name, options.secs);
        outcomes.push(step(&what, || fuzz(layout, &place, target, options.secs))?);
    }
    println!("\n{}", stats::table(&outcomes));
    let mut found = false;
    for finding in outcomes.iter().flat_map(|outcome| &outcome.findings) {
        found = true;
        println!(
            "FOUND {}\n      by {}",
            finding.cause,
            finding.input.display()
        );
        println!(
            "      again: {} {}",
            finding.program.display(),
            finding.input.display()
        );
    }
    Ok(if found {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// The targets with these names.
fn chosen(names: &[String]) -> Result<Vec<&'static Target>> {
    if names.is_empty() {
        return Ok(TARGETS.iter().collect());
    }
    let find = |name: &String| {
        let target = TARGETS.iter().find(|target| target.name == name);
        target.with_context(|| {
            format!("there is no target {name}; cargo xtask fuzz --list names them")
        })
    };
    names.iter().map(find).collect()
}

fn build(layout: &Layout) -> Result<()> {
    let mut cargo = command(
        product::program(),
        [
            "build",
            "--release",
            "--bins",
            "--quiet",
            "--locked",
            "--target",
            TRIPLE,
            "--target-dir",
        ],
    );
    cargo
        .arg(layout.target().join("fuzz"))
        .current_dir(layout.source("tests/fuzz"))
        // They would win over RUSTFLAGS.
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env("RUSTFLAGS", RUSTFLAGS);
    stream(&mut cargo)
}

/// Where everything of the fuzz targets lies.
struct Place {
    programs: PathBuf,
    root: PathBuf,
}

impl Place {
    fn of(layout: &Layout) -> Self {
        let root = layout.target().join("fuzz");
        let programs = root.join(TRIPLE).join("release");
        Self { programs, root }
    }

    /// `target/fuzz/KIND/NAME`, made where it is not there.
    fn folder(&self, kind: &str, name: &str) -> Result<PathBuf> {
        let folder = self.root.join(kind).join(name);
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        Ok(folder)
    }
}

/// Runs one target for its time, or until something is found. Its corpus stays for the next time.
fn fuzz(layout: &Layout, place: &Place, target: &Target, secs: u32) -> Result<Outcome> {
    let seeds = place.folder("seeds", target.name)?;
    if seeds::write(layout, target, &seeds)? == 0 && !target.seeds.is_empty() {
        note("no seeds: no capture of this kind is at GROUNDSTATE_CORPUS or ../shared/data");
    }
    let corpus = place.folder("corpus", target.name)?;
    let program = place.programs.join(target.name);
    let began = Instant::now();
    let mut whole = Outcome::default();
    loop {
        let left = Duration::from_secs(secs.into()).saturating_sub(began.elapsed());
        let mut outcome = once(place, target, &program, left.as_secs().max(1))?;
        let slow = outcome.findings.iter().find(|finding| finding.is_timeout());
        let stalled = match slow {
            Some(finding) => !is_slow(&program, &finding.input)?,
            None => false,
        };
        if stalled {
            note("an input took long and does not when it is tried alone: the machine was busy");
            outcome.findings.clear();
        }
        whole = whole.and(outcome);
        if !stalled || began.elapsed().as_secs() >= secs.into() {
            whole.corpus = count(&corpus)?;
            return Ok(whole);
        }
    }
}

/// One run of a target's program.
fn once(place: &Place, target: &Target, program: &Path, secs: u64) -> Result<Outcome> {
    let log = place.folder("logs", target.name)?.join("log");
    let file = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
    let artifacts = place.folder("artifacts", target.name)?;
    let mut fuzzer = command(
        program,
        [
            format!("-max_total_time={secs}"),
            format!("-max_len={}", target.input_max),
            format!("-rss_limit_mb={}", target.rss_mib_max),
            format!("-timeout={INPUT_SECONDS_MAX}"),
            format!("-artifact_prefix={}/", artifacts.display()),
            // Long inputs early: a minute is too short to grow into them.
            "-len_control=20".to_owned(),
            "-print_final_stats=1".to_owned(),
        ],
    );
    fuzzer
        .arg(place.folder("corpus", target.name)?)
        .arg(place.folder("seeds", target.name)?)
        .stdout(file.try_clone()?)
        .stderr(file);
    let status = fuzzer
        .status()
        .with_context(|| format!("cannot run {}", program.display()))?;
    let bytes = fs::read(&log).with_context(|| format!("cannot read {}", log.display()))?;
    let said = String::from_utf8_lossy(&bytes);
    let outcome = Outcome::read(target.name, &said, program);
    if !status.success() && outcome.findings.is_empty() {
        let name = target.name;
        bail!(
            "{name} ended ({status}) without naming an input; {}",
            log.display()
        );
    }
    Ok(outcome)
}

/// Whether an input takes too long also when nothing but it is tried.
fn is_slow(program: &Path, input: &Path) -> Result<bool> {
    let mut again = command(program, [format!("-timeout={INPUT_SECONDS_MAX}")]);
    let status = again
        .arg(input)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .with_context(|| format!("cannot run {}", program.display()))?;
    Ok(!status.success())
}

/// How many files a folder has.
fn count(folder: &Path) -> Result<usize> {
    let entries =
        fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    Ok(entries.count())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_has_its_program_and_every_program_its_target() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fuzz/src/bin");
        let mut programs: Vec<String> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| {
                entry
                    .unwrap()
                    .file_name()
                    .to_string_lossy()
                    .replace(".rs", "")
            })
            .collect();
        programs.sort();
        let mut names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
        names.sort_unstable();
        assert_eq!(programs, names);
    }

    #[test]
    fn targets_are_chosen_by_name() {
        assert_eq!(chosen(&[]).unwrap().len(), TARGETS.len());
        assert_eq!(chosen(&["vhd".into()]).unwrap()[0].name, "vhd");
        let error = chosen(&["no-such".into()]).err().unwrap().to_string();
        assert!(
            error.contains("no-such") && error.contains("--list"),
            "{error}"
        );
    }
}
