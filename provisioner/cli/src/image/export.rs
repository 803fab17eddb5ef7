// SPDX-License-Identifier: Apache-2.0
//! `groundstate image export`: the image's bytes back into a file, each chunk proved on its way.

use super::format::ExportFormat;
use super::named::Named;
use super::progress::Progress;
use super::state::StateArgs;
use crate::End;
use anyhow::{Result, bail};
use clap::Args;
use groundstate_api::text::counted;
use image_repo::ExportRequest;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

pub(super) const EXAMPLES: &str = "\
Examples:
  groundstate image export appliance --output disk.raw
  groundstate image export appliance 7 --output - --format raw-zstd > disk.raw.zst
  groundstate image export appliance:7 --output disk.vhdx --format vhdx";

#[derive(Args)]
pub(crate) struct ExportArgs {
    /// The image: NAME, NAME:VERSION, NAME@CHANNEL or sha256:DIGEST; without a version, the newest import.
    #[arg(value_name = "NAME")]
    named: Named,
    /// The version, as a word of its own.
    version: Option<String>,
    /// The file; `-` is the standard output, for raw and raw-zstd.
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
    /// What the file is to be.
    #[arg(long, value_enum, default_value = "raw")]
    format: ExportFormat,
    /// Replace the file where it is there already.
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    state: StateArgs,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &ExportArgs) -> Result<End> {
    let repository = args.state.find()?;
    let named = args.named.with(args.version.as_deref())?;
    let image = named.any(&args.state, &repository)?;
    let is_stream = args.output == Path::new("-");
    let is_device =
        std::fs::metadata(&args.output).is_ok_and(|found| found.file_type().is_block_device());
    if is_device {
        bail!(
            "{} is a device; `groundstate image write {named} {}` writes onto it and looks first",
            args.output.display(),
            args.output.display()
        );
    }
    let request = ExportRequest {
        image: &image,
        output: &args.output,
        format: args.format.into(),
        force: args.force,
        device: false,
    };
    let mut progress = Progress::new("exporting")?;
    let done = repository.export(&request, &mut |done, total| progress.set(done, Some(total)));
    progress.clear();
    let done = done?;
    let text = if args.json {
        serde_json::to_string_pretty(&done)?
    } else {
        format!(
            "{} {} is in {}: {} bytes, {} proved",
            done.image.name,
            done.image.version,
            args.output.display(),
            done.length.0,
            counted(done.chunks, "chunk")
        )
    };
    // The standard output is the image's.
    if is_stream {
        eprintln!("{text}");
    } else {
        println!("{text}");
    }
    Ok(End::Done)
}
