// SPDX-License-Identifier: Apache-2.0
//! `groundstate image diff`: what a disk that has one image would fetch and write to have another.

use super::named::Named;
use super::state::StateArgs;
use crate::End;
use anyhow::Result;
use clap::Args;
use groundstate_api::text::counted;
use image_repo::{Change, DiffReport};

/// Ranges that are listed; `--json` has all of them.
const LISTED: usize = 20;

#[derive(Args)]
pub(crate) struct DiffArgs {
    /// The image that is there: NAME, NAME:VERSION, NAME@CHANNEL or sha256:DIGEST.
    #[arg(value_name = "A")]
    a: Named,
    /// The image that is to be there.
    #[arg(value_name = "B")]
    b: Named,
    #[command(flatten)]
    state: StateArgs,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &DiffArgs) -> Result<End> {
    let repository = args.state.find()?;
    let from = args.a.any(&args.state, &repository)?;
    let to = args.b.any(&args.state, &repository)?;
    let report = repository.diff(&from, &to)?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        println!("{}", text(&report));
    }
    Ok(End::Done)
}

fn text(report: &DiffReport) -> String {
    let (from, to) = (&report.from, &report.to);
    let mut lines = vec![
        format!(
            "{} {} → {} {}",
            from.name, from.version, to.name, to.version
        ),
        format!("  size      {} → {} bytes", from.size.0, to.size.0),
        format!(
            "  has       {} in {} already",
            report.shared,
            counted(report.shared_chunks, "chunk")
        ),
        format!(
            "  fetches   {} in {}",
            report.fetch,
            counted(report.fetch_chunks, "chunk")
        ),
        format!("  writes    {} ({} bytes)", report.write, report.write.0),
    ];
    lines.extend(
        report
            .partitions
            .iter()
            .map(|one| format!("    partition {} {}: {}", one.number, one.name, one.write)),
    );
    lines.extend(report.ranges.iter().take(LISTED).map(|range| {
        format!(
            "  {:<8}  at byte {} for {}",
            word(range.change),
            range.offset.0,
            range.length
        )
    }));
    let listed = report.ranges.len().min(LISTED) as u64;
    if report.range_count > listed {
        lines.push(format!(
            "  … and {} more ranges (--json)",
            report.range_count - listed
        ));
    }
    lines.join("\n")
}

const fn word(change: Change) -> &'static str {
    match change {
        Change::Changed => "changed",
        Change::Added => "added",
        Change::Removed => "removed",
    }
}
