// SPDX-License-Identifier: Apache-2.0
//! `groundstate image show`: everything that a manifest says, for people.

use super::format::{format_word, kind_word};
use super::named::Named;
use super::state::StateArgs;
use crate::End;
use anyhow::Result;
use clap::Args;
use groundstate_api::Bytes;
use groundstate_api::image::{Architecture, BootEntry, ImageRef, Manifest, RequiredFirmware};

#[derive(Args)]
pub(crate) struct ShowArgs {
    /// The image: NAME, NAME:VERSION or sha256:DIGEST; without a version, the newest import.
    #[arg(value_name = "NAME")]
    named: Named,
    /// The version, as a word of its own.
    version: Option<String>,
    #[command(flatten)]
    state: StateArgs,
    /// Print JSON: the manifest.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &ShowArgs) -> Result<End> {
    let repository = args.state.find()?;
    let named = args.named.with(args.version.as_deref())?;
    let image = named.find(&repository)?;
    let manifest = repository.manifest(&image.manifest)?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&manifest)?);
    } else {
        println!("{}", page(&image, &manifest));
    }
    Ok(End::Done)
}

fn page(image: &ImageRef, manifest: &Manifest) -> String {
    let held: u64 = manifest.chunks.iter().map(|chunk| chunk.length.0).sum();
    let stored: u64 = manifest
        .chunks
        .iter()
        .map(|chunk| chunk.stored_length.0)
        .sum();
    let mut lines = vec![
        format!("{} {}", manifest.name, manifest.version),
        row("manifest", &image.manifest.to_string()),
        row("kind", kind_word(manifest.kind)),
        row("imported from", format_word(manifest.format)),
        row("size", &exact(manifest.size)),
        row("smallest disk", &exact(manifest.minimum_size)),
        row("sector size", &format!("{} bytes", manifest.sector_size)),
        row("architecture", architecture(manifest.architecture)),
        row("firmware", firmware(manifest.firmware)),
        row("boots by", &boot(&manifest.boot)),
        row(
            "chunks",
            &format!("{} of {}", manifest.chunks.len(), manifest.chunk_size),
        ),
        row("holds", &format!("{} that are not zero", Bytes(held))),
        row("stored", &exact(Bytes(stored))),
    ];
    lines.extend(
        manifest
            .boot_files()
            .map(|files| row("command line", &files.cmdline)),
    );
    lines.join("\n")
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
