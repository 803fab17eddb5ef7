// SPDX-License-Identifier: Apache-2.0
//! `groundstate image show`: everything that is known of an image, for people.

use super::format::kind_word;
use super::ls::signed_text;
use super::named::{Named, now};
use super::state::StateArgs;
use crate::End;
use crate::client::paper::Paper;
use anyhow::Result;
use clap::Args;
use groundstate_api::Bytes;
use groundstate_api::image::{Architecture, BootEntry, RequiredFirmware};
use groundstate_api::text::counted;
use groundstate_api::trust::SignedStatus;
use image_repo::ImageShow;
use image_repo::formats;
use image_repo::trust::{Pin, status};
use serde::Serialize;

/// Columns of the picture of partitions.
const WIDTH: usize = 96;
/// Other images with the same chunks that are listed.
const LISTED: usize = 5;

#[derive(Args)]
pub(crate) struct ShowArgs {
    /// The image: NAME, NAME:VERSION, NAME@CHANNEL or sha256:DIGEST; without a version, the newest import.
    #[arg(value_name = "NAME")]
    named: Named,
    /// The version, as a word of its own.
    version: Option<String>,
    /// Print the manifest's own bytes, which its digest is of, and nothing else.
    #[arg(long, conflicts_with = "json")]
    manifest: bool,
    #[command(flatten)]
    state: StateArgs,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    show: ImageShow,
    signed: SignedStatus,
}

pub(super) fn run(args: &ShowArgs) -> Result<End> {
    let repository = args.state.find()?;
    let named = args.named.with(args.version.as_deref())?;
    let image = named.any(&args.state, &repository)?;
    if args.manifest {
        let manifest = repository.manifest(&image.manifest)?;
        let bytes = image_core::manifest::canonical(&manifest);
        crate::out::write(&bytes)?;
        return Ok(End::Done);
    }
    let pin = Pin::of_state(&args.state.state_dir);
    let shown = Shown {
        show: repository.show(&image)?,
        signed: status(&repository, &image, &pin, now()),
    };
    if args.json {
        println!("{}", serde_json::to_string_pretty(&shown)?);
    } else {
        println!("{}", page(&shown));
    }
    Ok(End::Done)
}

fn page(shown: &Shown) -> String {
    let (show, image) = (&shown.show, &shown.show.image);
    let chunks = &show.chunks;
    let mut lines = vec![
        format!("{} {}", image.name, image.version),
        row("manifest", &image.manifest.to_string()),
        row("merkle root", &show.merkle_root.to_string()),
        row("kind", kind_word(image.kind)),
        row("imported from", formats::name(show.format)),
        row("size", &exact(image.size)),
        row("smallest disk", &exact(show.minimum_size)),
        row("sector size", &format!("{} bytes", image.sector_size)),
        row("architecture", architecture(show.architecture)),
        row("firmware", firmware(show.firmware)),
        row("boots by", &boot(&show.boot)),
        row("signed", &signed_text(&shown.signed)),
    ];
    if let SignedStatus::Refused { reason } = &shown.signed {
        lines.push(row("", &reason.what));
    }
    lines.extend([
        row(
            "chunks",
            &format!(
                "{} of {}, {} distinct; {} of data, {} of zeros",
                chunks.count, show.chunk_size, chunks.distinct, chunks.data, chunks.zeros
            ),
        ),
        row(
            "stored",
            &format!(
                "{} ({} % of the data); {} shared with other images, {} its own",
                chunks.stored,
                chunks.stored_per_mille / 10,
                chunks.shared_stored,
                chunks.own_stored
            ),
        ),
    ]);
    if let BootEntry::Files(files) = &show.boot {
        lines.push(row("command line", &files.cmdline));
    }
    lines.extend(show.others.iter().take(LISTED).map(|other| {
        row(
            "shares with",
            &format!(
                "{}: {}, {}",
                other.image,
                counted(other.chunks, "chunk"),
                other.stored
            ),
        )
    }));
    lines.push(String::new());
    lines.push(facts(&show.facts));
    lines.join("\n")
}

/// The facts as lines, with the partitions to scale.
pub(super) fn facts(facts: &image_core::facts::ImageFacts) -> String {
    let colour = Paper::of_terminal().is_coloured();
    facts.text(WIDTH, colour).trim_end().to_owned()
}

fn row(name: &str, value: &str) -> String {
    format!("  {name:<15} {value}")
}

fn exact(bytes: Bytes) -> String {
    format!("{bytes} ({} bytes)", bytes.0)
}

const fn architecture(found: Option<Architecture>) -> &'static str {
    match found {
        Some(Architecture::X86_64) => "x86_64",
        Some(Architecture::Aarch64) => "aarch64",
        None => "not known",
    }
}

pub(super) const fn firmware(needed: RequiredFirmware) -> &'static str {
    match needed {
        RequiredFirmware::Any => "any",
        RequiredFirmware::Bios => "BIOS",
        RequiredFirmware::Uefi => "UEFI",
    }
}

fn boot(entry: &BootEntry) -> String {
    match entry {
        BootEntry::Files(_) => "kernel, initrd and boot loader beside it".to_owned(),
        BootEntry::Loader(loader) => {
            format!("{} on partition {}", loader.path, loader.partition)
        }
        BootEntry::BootCode => "boot code in its first sector".to_owned(),
        BootEntry::None => "nothing that firmware starts was found".to_owned(),
    }
}
