// SPDX-License-Identifier: Apache-2.0
//! `hw-diag judge`: the verdict on captures. The format is stated by the option, never guessed.

use super::input::{self, InputError};
use super::output::{self, Form};
use super::{Usage, profile};
use clap::Args;
use groundstate_api::health::{Advice, DeviceKind, DeviceReport, HealthFinding, Sureness, Verdict};
use hw_core::Then;
use hw_core::capture;
use hw_core::collected::{COLLECTED_MAX, Collected};
use hw_core::disk::{self, DiskFacts};
use std::path::{Path, PathBuf};

#[derive(Args)]
#[group(id = "what", required = true, multiple = true)]
pub(crate) struct JudgeArgs {
    /// Captures of `hw-diag collect`
    #[arg(value_name = "CAPTURE", group = "what")]
    captures: Vec<PathBuf>,
    /// Outputs of `smartctl --json -x` (or `-a`), one drive each
    #[arg(long, value_name = "FILE", num_args = 1.., group = "what")]
    smartctl_json: Vec<PathBuf>,
    /// Texts of `smartctl -x` (or `-a`), one drive each
    #[arg(long, value_name = "FILE", num_args = 1.., group = "what")]
    smartctl_text: Vec<PathBuf>,
    /// An earlier capture of the same machine: disks that got worse since then are told
    #[arg(long, value_name = "CAPTURE")]
    earlier: Vec<PathBuf>,
    /// A hardware profile (TOML) that the machine should fit
    #[arg(long, value_name = "FILE")]
    profile: Option<PathBuf>,
    #[command(flatten)]
    form: Form,
}

pub(crate) fn run(args: &JudgeArgs) -> anyhow::Result<u8> {
    if args.profile.is_some() && args.captures.is_empty() {
        let why = "a profile is of a whole machine: it is judged on captures of `hw-diag collect`, not on single disks";
        return Err(Usage(why.into()).into());
    }
    let earlier = args
        .earlier
        .iter()
        .map(|path| collected(path))
        .collect::<Result<Vec<_>, _>>()?;
    let profile = args.profile.as_deref().map(profile::read).transpose()?;
    let then = then(&earlier);
    let mut reports = Vec::new();
    let mut missed = Vec::new();
    for path in &args.captures {
        match collected(path) {
            Ok(capture) => {
                reports.extend(super::check::reports(&capture, &earlier));
                reports.extend(
                    profile
                        .iter()
                        .map(|p| hw_core::profile::judge(p, &capture.inventory)),
                );
                missed.extend(capture.inventory.could_not_look);
            }
            Err(error) => reports.push(unreadable(path, DeviceKind::Machine, &error.to_string())),
        }
    }
    for path in &args.smartctl_json {
        reports.push(drive(path, capture::smartctl_json, &then));
    }
    for path in &args.smartctl_text {
        reports.push(drive(path, capture::smartctl_text, &then));
    }
    output::reports(args.form, &[], &reports, &missed)
}

/// Reads a capture of `hw-diag collect`.
pub(crate) fn collected(path: &Path) -> Result<Collected, InputError> {
    let bytes = input::read(path, u64::try_from(COLLECTED_MAX).unwrap_or(u64::MAX))?;
    Collected::parse(&bytes).map_err(|error| InputError::data(path, error))
}

/// What the disks of earlier captures counted.
pub(crate) fn then(earlier: &[Collected]) -> Vec<Then> {
    let of = |capture: &Collected| Then {
        at: u64::try_from(capture.taken_at)
            .unwrap_or(0)
            .saturating_mul(1000),
        label: day(capture.taken_at),
        disks: capture
            .disks
            .iter()
            .filter(|facts| !facts.identity.serial.is_empty())
            .map(|facts| (facts.identity.serial.clone(), disk::figures(facts)))
            .collect(),
    };
    earlier.iter().map(of).collect()
}

/// The day of a time in seconds since 1970: `2026-05-12`.
fn day(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds).map_or_else(
        |_| format!("{seconds} s after 1970"),
        |time| time.strftime("%Y-%m-%d").to_string(),
    )
}

fn drive<E: std::fmt::Display>(
    path: &Path,
    read: fn(&[u8], &str) -> Result<DiskFacts, E>,
    then: &[Then],
) -> DeviceReport {
    let name = path.display().to_string();
    let limit = u64::try_from(capture::CAPTURE_BYTES_MAX).unwrap_or(u64::MAX);
    let facts = input::read(path, limit)
        .map_err(|error| error.to_string())
        .and_then(|bytes| read(&bytes, &name).map_err(|error| error.to_string()));
    match facts {
        Ok(facts) => disk::judge(&facts, &hw_core::earlier(&facts.identity.serial, then)),
        Err(why) => unreadable(path, DeviceKind::Disk, &why),
    }
}

/// A capture that says nothing is unknown, never ok, and does not keep the others from being judged.
fn unreadable(path: &Path, kind: DeviceKind, why: &str) -> DeviceReport {
    let finding = HealthFinding {
        code: "capture-unreadable".into(),
        verdict: Verdict::Unknown,
        what: "the capture says nothing of a device".into(),
        evidence: vec![why.to_owned()],
        sureness: Sureness::Certain,
        advice: Advice::Look,
        next_step: "take the capture again, and hand it over by the option of its format: --smartctl-json, --smartctl-text, or none for `hw-diag collect`".into(),
    };
    DeviceReport::new(path.display().to_string(), kind, "none", vec![finding])
}
