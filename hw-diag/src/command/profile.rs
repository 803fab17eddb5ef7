// SPDX-License-Identifier: Apache-2.0
//! `hw-diag learn` and `hw-diag back-test`: profiles from good machines, tried before they rule.

use super::collect::look;
use super::input::{self, InputError};
use super::{exit, output};
use clap::Args;
use groundstate_api::health::Verdict;
use groundstate_api::inventory::Inventory;
use hw_core::collected::COLLECTED_MAX;
use hw_core::profile::{self, Profile};
use serde::Deserialize;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// The largest profile in bytes: a person writes it.
const PROFILE_MAX: u64 = 1 << 20;

#[derive(Args)]
pub(crate) struct LearnArgs {
    /// The profile's name
    #[arg(long, default_value = "learned")]
    name: String,
    /// A capture of a good machine; this machine where absent
    #[arg(long, value_name = "CAPTURE")]
    from: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct BackTestArgs {
    /// The profile (TOML)
    profile: PathBuf,
    /// Captures of `hw-diag collect`, or reports of `groundstate node show --json`
    #[arg(required = true)]
    reports: Vec<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Every document of ours with an inventory in it.
#[derive(Deserialize)]
struct HasInventory {
    inventory: Inventory,
}

/// Reads a profile.
pub(crate) fn read(path: &Path) -> Result<Profile, InputError> {
    let bytes = input::read(path, PROFILE_MAX)?;
    let text = String::from_utf8(bytes).map_err(|error| InputError::data(path, error))?;
    let profile: Profile = toml::from_str(&text).map_err(|error| InputError::data(path, error))?;
    if profile.schema != groundstate_api::SCHEMA {
        let why = format!(
            "the profile has schema {}; this program reads schema {}",
            profile.schema,
            groundstate_api::SCHEMA
        );
        return Err(InputError::data(path, why));
    }
    Ok(profile)
}

fn inventory(path: &Path) -> Result<Inventory, InputError> {
    let limit = u64::try_from(COLLECTED_MAX).unwrap_or(u64::MAX);
    let bytes = input::read(path, limit)?;
    let document: HasInventory = serde_json::from_slice(&bytes).map_err(|error| {
        InputError::data(path, format!("not a capture or a node's report: {error}"))
    })?;
    Ok(document.inventory)
}

pub(crate) fn learn(args: &LearnArgs) -> anyhow::Result<u8> {
    let good = match &args.from {
        Some(path) => inventory(path)?,
        None => look(&hw_diag::MachineAsk::default())?.inventory,
    };
    let text = toml::to_string(&profile::learn(&args.name, &good))?;
    output::print(&format!(
        "# Learned from one good machine. Take out what should not be a rule, then try it:\n\
         #   hw-diag back-test THIS-FILE CAPTURES...\n{text}"
    ))?;
    Ok(0)
}

pub(crate) fn back_test(args: &BackTestArgs) -> anyhow::Result<u8> {
    let profile = read(&args.profile)?;
    let mut reports = Vec::new();
    for path in &args.reports {
        reports.push((path.display().to_string(), inventory(path)?));
    }
    let test = profile::back_test(
        &profile,
        reports.iter().map(|(name, seen)| (name.as_str(), seen)),
    );
    if args.json {
        output::document(&test)?;
    } else {
        let mut text = format!(
            "profile {} on {} reports: {} fit, {} would have failed, {} would have been warned of\n",
            profile.name,
            test.reports,
            test.passed,
            test.failed,
            test.reports - test.passed - test.failed
        );
        for rule in &test.rules {
            writeln!(
                text,
                "\n{:<4} {:<24} spoke on {} of {}",
                rule.verdict.word(),
                rule.rule,
                rule.spoke_on.len(),
                test.reports
            )?;
            for (name, what) in &rule.spoke_on {
                writeln!(text, "       {name}: {what}")?;
            }
        }
        output::print(&text)?;
    }
    let gravest = test.rules.iter().map(|rule| rule.verdict).max();
    Ok(exit(gravest.unwrap_or(Verdict::Ok)))
}
