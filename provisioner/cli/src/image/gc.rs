// SPDX-License-Identifier: Apache-2.0
//! `groundstate image gc`: frees what no image needs any more.

use super::scratch;
use super::state::StateArgs;
use crate::End;
use anyhow::Result;
use clap::Args;
use groundstate_api::text::counted;
use image_core::trust::moment;
use image_repo::{GcReport, GcRules, Repository};
use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

/// A day.
pub(super) const DAY: u64 = 24;

#[derive(Args)]
pub(crate) struct GcArgs {
    /// Only say what would be freed.
    #[arg(long)]
    dry_run: bool,
    /// Keep only this many versions of each name, the newest. What a channel names stays.
    #[arg(long, value_name = "COUNT")]
    keep_newest: Option<usize>,
    /// How long something stays that nobody names, in hours: a node may be fetching it. Whatever is said here, an image that a
    /// plan was made with, or that image verify or sign has read, is leased for 24 hours, and stays as long.
    #[arg(long, value_name = "HOURS", default_value_t = DAY)]
    grace: u64,
    /// Do not ask at the terminal.
    #[arg(long, short = 'y')]
    yes: bool,
    #[command(flatten)]
    state: StateArgs,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &GcArgs) -> Result<End> {
    let repository = args.state.find()?;
    StateArgs::tell_in_use(&repository);
    let rules = |dry_run| GcRules {
        dry_run,
        grace: Duration::from_secs(args.grace.saturating_mul(3_600)),
        keep_newest: args.keep_newest,
    };
    if !args.dry_run && !args.yes && std::io::stdin().is_terminal() {
        eprintln!("{}", text(args, &clear(args, &repository, &rules(true))?));
        eprint!("Free it? [y/N] ");
        std::io::stderr().flush()?;
        let mut line = String::new();
        std::io::stdin().read_line(&mut line)?;
        if !matches!(line.trim(), "y" | "Y" | "yes") {
            eprintln!("Nothing was freed.");
            return Ok(End::Held);
        }
    }
    let report = clear(args, &repository, &rules(args.dry_run))?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        println!("{}", text(args, &report));
    }
    Ok(End::Done)
}

/// The repository, and the folders in which killed imports were making disks.
fn clear(args: &GcArgs, repository: &Repository, rules: &GcRules) -> Result<GcReport> {
    let mut report = repository.gc(rules)?;
    let (folders, bytes) = scratch::clear(&args.state.scratch(), rules.dry_run)?;
    report.removed_others += folders;
    report.freed.0 += bytes.0;
    Ok(report)
}

fn text(args: &GcArgs, report: &GcReport) -> String {
    let (free, gone) = if report.dry_run {
        ("would be freed", "would go")
    } else {
        ("freed", "gone")
    };
    let mut lines: Vec<String> = report
        .removed_images
        .iter()
        .map(|image| format!("{image}: {gone}"))
        .collect();
    lines.push(format!(
        "{} {free}: {}, {}, {}, {}",
        report.freed,
        counted(report.removed_manifests, "manifest"),
        counted(report.removed_chunks, "chunk"),
        counted(report.removed_blobs, "boot file"),
        counted(report.removed_others, "other")
    ));
    lines.push(format!(
        "in use: {}, {}",
        counted(report.live_manifests, "manifest"),
        counted(report.live_chunks, "chunk"),
    ));
    lines.extend(report.leased.iter().map(|one| {
        let until = one.until.map_or_else(
            || "for as long as its lease is there".to_owned(),
            |until| format!("until {}", moment(until)),
        );
        format!("leased {until}: {}", one.image)
    }));
    if report.young > 0 {
        lines.push(format!(
            "in use by nobody, and kept until that is {} old: {}; --grace 0 frees what no node fetches any more",
            counted(args.grace, "hour"),
            counted(report.young, "file"),
        ));
    }
    lines.join("\n")
}
