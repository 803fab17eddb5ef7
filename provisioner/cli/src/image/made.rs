// SPDX-License-Identifier: Apache-2.0
//! Imports of what is no disk yet: a root file system's archive, an OCI layout, a WIM file. The disk is made in a folder of
//! its own below the state directory, and imported as any other.

use super::format::FormatArg;
use super::import::{ImportArgs, Report, said, store};
use super::progress::Progress;
use super::scratch::Scratch;
use super::size::size;
use anyhow::{Context as _, Result, bail};
use clap::Args;
use groundstate_api::Bytes;
use groundstate_api::image::{ImageFormat, ImageKind};
use image_repo::formats::{self, Input, Terms};
use image_repo::roots::{OwnedBootPaths, PrepareOptions, RootsInput, prepare};
use std::path::Path;

#[derive(Args)]
#[command(next_help_heading = "For tar, oci and wim")]
pub(crate) struct MadeArgs {
    /// How large the disk is made; without it, what the files take and some room.
    #[arg(long, value_name = "SIZE", value_parser = size)]
    disk_size: Option<Bytes>,
    /// How much room the root file system has beside the files, where --disk-size does not say.
    #[arg(long, value_name = "SIZE", value_parser = size)]
    free: Option<Bytes>,
    /// What an OCI artefact's layer is, where it does not say itself.
    #[arg(long, value_enum, value_name = "FORMAT")]
    inner: Option<FormatArg>,
    /// Which image of an OCI layout with several.
    #[arg(long)]
    tag: Option<String>,
    /// Which image of a WIM file with several, from 1.
    #[arg(long, value_name = "NUMBER")]
    wim_image: Option<u32>,
}

/// Whether a disk is made out of such an input.
pub(super) const fn is_made(format: ImageFormat) -> bool {
    matches!(
        format,
        ImageFormat::Tar | ImageFormat::Oci | ImageFormat::Wim
    )
}

pub(super) fn bring_in(args: &ImportArgs, format: ImageFormat) -> Result<Report> {
    see_its_mark(&args.file, format)?;
    let repository = args.state.make()?;
    let scratch = Scratch::new(&args.state.scratch())?;
    let mut stdin = std::io::stdin();
    let input = if args.file == Path::new("-") {
        RootsInput::Stream(&mut stdin)
    } else {
        RootsInput::Path(&args.file)
    };
    let mut progress = Progress::new("making the disk")?;
    let made = prepare(
        format,
        input,
        &args.options(),
        scratch.path(),
        &mut |done, total| progress.set(done, total),
    );
    progress.clear();
    let made = made.with_context(|| match args.file.to_str() {
        Some("-") => "no image comes out of the standard input".to_owned(),
        _ => format!("no image comes out of {}", args.file.display()),
    })?;
    let boot = made.boot.as_ref().map(OwnedBootPaths::borrowed);
    // The manifest says what came in; the bytes are now those of a raw disk, or of an OCI artefact's layer.
    let request = args.request(format, made.kind, boot);
    let terms = Terms {
        really: made.format == ImageFormat::Raw,
        max_size: args.max_size,
        spool: args.state.folder(),
    };
    let mut opened = formats::open(made.format, Input::File(made.path), &terms)?;
    let mut notes = made.lines;
    notes.extend(said(&opened.notes));
    let imported = store(args, &repository, &request, &mut *opened.content)?;
    notes.extend(said(&opened.notes));
    Ok(Report {
        imported,
        format,
        notes,
    })
}

/// A file that bears the mark of another format is refused before anything is made of it. An archive may be compressed.
fn see_its_mark(file: &Path, format: ImageFormat) -> Result<()> {
    let Some((found, evidence)) = formats::propose(file) else {
        return Ok(());
    };
    let may_be = match found {
        ImageFormat::Tar | ImageFormat::Oci => format != ImageFormat::Wim,
        ImageFormat::RawZstd | ImageFormat::RawGzip | ImageFormat::RawXz => true,
        other => other == format,
    };
    if may_be {
        return Ok(());
    }
    bail!(
        "{} is stated to be {}, but {evidence}; say --format {}",
        file.display(),
        formats::name(format),
        formats::name(found)
    )
}

impl ImportArgs {
    fn options(&self) -> PrepareOptions {
        let usual = PrepareOptions::default();
        PrepareOptions {
            kind: self.kind.map_or(ImageKind::WholeDisk, ImageKind::from),
            sector_size: self.sector_size,
            size: self.made.disk_size,
            free: self.made.free.unwrap_or(usual.free),
            max_size: self.max_size.unwrap_or(usual.max_size),
            kernel: self.boot.kernel.clone(),
            initrd: self.boot.initrd.clone(),
            boot_loader: self.boot.boot_loader.clone(),
            cmdline: self.boot.cmdline.clone().unwrap_or(usual.cmdline),
            inner: self.made.inner.map(ImageFormat::from),
            tag: self.made.tag.clone(),
            architecture: self.arch.map(Into::into),
            wim_image: self.made.wim_image,
        }
    }
}
