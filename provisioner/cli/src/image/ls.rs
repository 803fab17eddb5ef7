// SPDX-License-Identifier: Apache-2.0
//! `groundstate image ls`: which images there are. It makes no folder where none is.

use super::format::kind_word;
use super::named::now;
use super::show::firmware;
use super::state::StateArgs;
use crate::End;
use anyhow::Result;
use clap::Args;
use groundstate_api::Bytes;
use groundstate_api::image::{ImageFormat, ImageRef, RequiredFirmware};
use groundstate_api::trust::SignedStatus;
use image_repo::trust::{Pin, status};
use image_repo::{Junk, Listing, formats};
use serde::Serialize;

pub(super) const EXIT: &str = "\
Exit status: 0 all is listed, 1 something lies among the names that is no image: the rest is listed, and standard error names
it with what to do; or an error.";

#[derive(Args)]
pub(crate) struct LsArgs {
    #[command(flatten)]
    state: StateArgs,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// An image as it is listed.
#[derive(Serialize)]
struct Row {
    #[serde(flatten)]
    image: ImageRef,
    /// The bytes that its chunks take in the repository; images share chunks.
    stored: Bytes,
    format: ImageFormat,
    firmware: RequiredFirmware,
    signed: SignedStatus,
}

pub(super) fn run(args: &LsArgs) -> Result<End> {
    let folder = args.state.folder();
    // A state directory without images may be a new one; one that is not there is a wrong one.
    let (rows, junk) = if folder.is_dir() || !args.state.state_dir.is_dir() {
        rows(&args.state)?
    } else {
        (Vec::new(), Vec::new())
    };
    if args.json {
        println!("{}", serde_json::to_string_pretty(&rows)?);
    } else if rows.is_empty() {
        println!(
            "no images in {}; `groundstate image import` brings one in",
            folder.display()
        );
    } else {
        println!("{}", table(&rows));
    }
    for one in &junk {
        eprintln!("no image: {}: {}", one.path.display(), one.said);
    }
    if junk.is_empty() {
        return Ok(End::Done);
    }
    eprintln!(
        "do now: groundstate image fsck says what is hurt by it, and with --heal takes it out of the way"
    );
    Ok(End::Faults)
}

fn rows(state: &StateArgs) -> Result<(Vec<Row>, Vec<Junk>)> {
    let repository = state.find()?;
    let pin = Pin::of_state(&state.state_dir);
    let now = now();
    let Listing { images, junk } = repository.listing()?;
    let rows = images.into_iter().map(|image| {
        let manifest = repository.manifest(&image.manifest)?;
        let stored = manifest.chunks.iter().map(|one| one.stored_length.0).sum();
        Ok(Row {
            stored: Bytes(stored),
            format: manifest.format,
            firmware: manifest.firmware,
            signed: status(&repository, &image, &pin, now),
            image,
        })
    });
    Ok((rows.collect::<Result<_>>()?, junk))
}

fn table(rows: &[Row]) -> String {
    let head = [
        "NAME", "VERSION", "SIZE", "STORED", "KIND", "FORMAT", "FIRMWARE", "SIGNED", "CHANNELS",
        "MANIFEST",
    ];
    let mut lines: Vec<[String; 10]> = vec![head.map(str::to_owned)];
    lines.extend(rows.iter().map(|row| {
        [
            row.image.name.clone(),
            row.image.version.clone(),
            row.image.size.to_string(),
            row.stored.to_string(),
            kind_word(row.image.kind).to_owned(),
            formats::name(row.format).to_owned(),
            firmware(row.firmware).to_owned(),
            signed_text(&row.signed),
            channels(&row.signed),
            row.image.manifest.short().to_string(),
        ]
    }));
    let mut widths = [0; 10];
    for line in &lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = cell.chars().count().max(*width);
        }
    }
    let lines = lines.iter().map(|line| {
        let cells = line
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!("{cell:<width$}"));
        let cells: Vec<String> = cells.collect();
        cells.join("  ").trim_end().to_owned()
    });
    lines.collect::<Vec<_>>().join("\n")
}

pub(super) fn signed_text(signed: &SignedStatus) -> String {
    match signed {
        SignedStatus::NoRoot => "no trust root".to_owned(),
        SignedStatus::Unsigned => "no".to_owned(),
        SignedStatus::Signed { signers, .. } => {
            let keys: Vec<String> = signers.iter().map(ToString::to_string).collect();
            keys.join(",")
        }
        SignedStatus::Refused { .. } => "refused".to_owned(),
    }
}

fn channels(signed: &SignedStatus) -> String {
    match signed {
        SignedStatus::Signed { channels, .. } if !channels.is_empty() => channels.join(","),
        SignedStatus::Signed { .. }
        | SignedStatus::NoRoot
        | SignedStatus::Unsigned
        | SignedStatus::Refused { .. } => "-".to_owned(),
    }
}
