// SPDX-License-Identifier: Apache-2.0
//! `groundstate image fsck`: reads the whole repository and compares every byte with its name.

use super::progress::Progress;
use super::state::StateArgs;
use crate::End;
use anyhow::Result;
use clap::Args;
use groundstate_api::text::counted;
use image_repo::{Fault, FsckReport, FsckVerdict};

/// Findings that are listed; `--json` has all of them.
const LISTED: usize = 50;

pub(super) const EXIT: &str = "\
Exit status: 0 nothing is wrong, or all that was is out of the way and no image is hurt; 1 something is wrong still: the last
line says what to do; or an error.";

#[derive(Args)]
pub(crate) struct FsckArgs {
    /// Take what is damaged out of the way, so that the next import of the image stores it anew.
    #[arg(long)]
    heal: bool,
    #[command(flatten)]
    state: StateArgs,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &FsckArgs) -> Result<End> {
    let repository = args.state.find()?;
    if args.heal {
        StateArgs::tell_in_use(&repository);
    }
    let mut progress = Progress::new("reading")?;
    let report = repository.fsck(args.heal, &mut |done| progress.set(done, None));
    progress.clear();
    let report = report?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        println!("{}", text(&report));
    }
    Ok(match report.verdict {
        FsckVerdict::Clean | FsckVerdict::Healed => End::Done,
        FsckVerdict::Hurt => End::Faults,
    })
}

fn text(report: &FsckReport) -> String {
    let mut lines: Vec<String> = report
        .findings
        .iter()
        .take(LISTED)
        .map(|one| {
            let images = if one.images.is_empty() {
                String::new()
            } else {
                format!(", needed by {}", one.images.join(", "))
            };
            let away = if one.quarantined {
                "; taken out of the way"
            } else {
                ""
            };
            format!("{}: {}{images}{away}", one.path.display(), word(one.fault))
        })
        .collect();
    if report.findings.len() > LISTED {
        lines.push(format!(
            "… and {} more (--json)",
            report.findings.len() - LISTED
        ));
    }
    lines.push(format!(
        "{}, {}, {} read, {}; {} ({}) that no image names{}",
        counted(report.manifests, "manifest"),
        counted(report.chunks, "chunk"),
        counted(report.blobs, "boot file"),
        report.bytes,
        counted(report.orphans, "file"),
        report.orphan_bytes,
        if report.orphans > 0 {
            ", and `groundstate image gc` frees when old enough"
        } else {
            ""
        }
    ));
    lines.push(
        match report.verdict {
            FsckVerdict::Clean => "nothing is wrong",
            FsckVerdict::Healed => "what was wrong is out of the way, and no image is hurt",
            FsckVerdict::Hurt if report.findings.iter().all(|one| one.images.is_empty()) => {
                "no image is hurt; `groundstate image fsck --heal` takes what is wrong out of the way"
            }
            FsckVerdict::Hurt => {
                "an image is hurt: import it again from its file, with --heal run before; `groundstate image rm` drops it"
            }
        }
        .to_owned(),
    );
    lines.join("\n")
}

const fn word(fault: Fault) -> &'static str {
    match fault {
        Fault::Torn => "torn: it was being written when the power went",
        Fault::Damaged => "damaged: it holds other bytes than its name says",
        Fault::Misnamed => "its name is no digest, or it is in the wrong folder",
        Fault::Missing => "missing",
        Fault::OtherForm => "stored in another form than an image states",
        Fault::Entry => "no image's name: it lies among the names and is none",
        Fault::Orphan => "no image names it",
    }
}
