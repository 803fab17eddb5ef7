// SPDX-License-Identifier: Apache-2.0
//! `groundstate image import`: one file of a stated format becomes an image.
//!
//! The format is stated, or proposed and confirmed by a person; it is never guessed.

use super::format::{ArchArg, FormatArg, KindArg};
use super::made::{self, MadeArgs};
use super::progress::Progress;
use super::show;
use super::size::size;
use super::state::StateArgs;
use crate::End;
use anyhow::{Result, bail};
use clap::Args;
use groundstate_api::Bytes;
use groundstate_api::image::{ImageFormat, ImageKind};
use groundstate_api::text::counted;
use image_repo::formats::{self, Input, Notes, Terms};
use image_repo::{BootPaths, ImportOptions, ImportRequest, Imported, Repository};
use serde::Serialize;
use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};

pub(super) const EXAMPLES: &str = "\
Examples:
  groundstate image import disk.qcow2 --format qcow2 --name appliance --version 7
  groundstate image import rootfs.tar.zst --format tar --name appliance --version 7
  xz -dc disk.raw.xz | groundstate image import - --format raw --name appliance --version 7
  groundstate image import root.ext4 --format raw --name debian-host --version 12.11-1 \\
      --kernel vmlinuz --initrd initrd.img --boot-loader systemd-bootx64.efi --cmdline 'quiet'

Without --format, the command says what the file seems to be and why, and asks; off a terminal it
prints the command that states it. A backing file, a data file or a parent is refused.";

#[derive(Args)]
pub(crate) struct ImportArgs {
    /// The file; `-` is the standard input.
    pub(super) file: PathBuf,
    /// What the file is. It is checked strictly and never guessed.
    #[arg(long, value_enum)]
    format: Option<FormatArg>,
    /// The image's name, as policies name it.
    #[arg(long)]
    name: String,
    /// Its version.
    #[arg(long)]
    version: String,
    /// What the image is; without it, a root file system where boot files are given, else a whole disk.
    #[arg(long, value_enum)]
    pub(super) kind: Option<KindArg>,
    #[command(flatten)]
    pub(super) boot: BootArgs,
    #[command(flatten)]
    pub(super) made: MadeArgs,
    /// The logical sector size in bytes that the image is for: 512 or 4096.
    #[arg(long, value_name = "BYTES", default_value_t = 512)]
    pub(super) sector_size: u32,
    /// What the image is for, where it does not tell itself; which one of an OCI layout with images for several.
    #[arg(long, value_enum)]
    pub(super) arch: Option<ArchArg>,
    /// How much a chunk holds before compression: a power of two from 64KiB to 16MiB. Without it, chosen by the size.
    #[arg(long, value_name = "SIZE", value_parser = size)]
    chunk_size: Option<Bytes>,
    /// The level of zstd, 1 to 19.
    #[arg(long, value_name = "N")]
    level: Option<i32>,
    /// Take the bytes themselves as a raw disk, whatever mark they bear.
    #[arg(long)]
    pub(super) really: bool,
    /// The largest disk that is taken. Where it is stated, nothing is taken for a bomb.
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub(super) max_size: Option<Bytes>,
    /// Let the name and version stand for this image where they stand for another one now.
    #[arg(long)]
    replace: bool,
    /// Confirm the format that the command proposes.
    #[arg(long, short = 'y')]
    yes: bool,
    #[command(flatten)]
    pub(super) state: StateArgs,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// What boots a root file system.
#[derive(Args)]
pub(super) struct BootArgs {
    /// The kernel of a root file system.
    #[arg(long, value_name = "FILE")]
    pub(super) kernel: Option<PathBuf>,
    /// Its initial RAM file system.
    #[arg(long, value_name = "FILE")]
    pub(super) initrd: Option<PathBuf>,
    /// Its UEFI boot loader (systemd-boot).
    #[arg(long, value_name = "FILE")]
    pub(super) boot_loader: Option<PathBuf>,
    /// Its kernel command line, without root=.
    #[arg(long, value_name = "TEXT")]
    pub(super) cmdline: Option<String>,
}

impl BootArgs {
    /// All three files, or none.
    fn paths(&self) -> Result<Option<BootPaths<'_>>> {
        match (&self.kernel, &self.initrd, &self.boot_loader) {
            (Some(kernel), Some(initrd), Some(boot_loader)) => Ok(Some(BootPaths {
                kernel,
                initrd,
                boot_loader,
                cmdline: self.cmdline.as_deref().unwrap_or(""),
            })),
            (None, None, None) if self.cmdline.is_none() => Ok(None),
            (None, None, None) => {
                bail!(
                    "--cmdline is for a root file system: give --kernel, --initrd and --boot-loader too"
                )
            }
            _ => bail!("--kernel, --initrd and --boot-loader belong together"),
        }
    }
}

impl ImportArgs {
    pub(super) const fn request<'a>(
        &'a self,
        format: ImageFormat,
        kind: ImageKind,
        boot: Option<BootPaths<'a>>,
    ) -> ImportRequest<'a> {
        ImportRequest {
            name: self.name.as_str(),
            version: self.version.as_str(),
            kind,
            format,
            sector_size: self.sector_size,
            chunk_size: self.chunk_size,
            boot,
        }
    }
}

#[derive(Serialize)]
pub(super) struct Report {
    #[serde(flatten)]
    pub(super) imported: Imported,
    pub(super) format: ImageFormat,
    pub(super) notes: Vec<String>,
}

pub(super) fn run(args: &ImportArgs) -> Result<End> {
    let Some(format) = stated(args)? else {
        eprintln!("Nothing was imported.");
        return Ok(End::Held);
    };
    let report = if made::is_made(format) {
        made::bring_in(args, format)?
    } else {
        let boot = args.boot.paths()?;
        bring_in(
            args,
            &args.request(format, kind(args, boot.is_some())?, boot),
        )?
    };
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        println!("{}", text(&report));
    }
    Ok(End::Done)
}

fn bring_in(args: &ImportArgs, request: &ImportRequest<'_>) -> Result<Report> {
    let repository = args.state.make()?;
    let terms = Terms {
        really: args.really,
        max_size: args.max_size,
        spool: args.state.folder(),
    };
    let mut opened = formats::open(request.format, input(&args.file), &terms)?;
    let mut notes = said(&opened.notes);
    let imported = store(args, &repository, request, &mut *opened.content)?;
    notes.extend(said(&opened.notes));
    Ok(Report {
        imported,
        format: request.format,
        notes,
    })
}

fn input(file: &Path) -> Input {
    if file == Path::new("-") {
        Input::stdin()
    } else {
        Input::File(file.to_path_buf())
    }
}

pub(super) fn store(
    args: &ImportArgs,
    repository: &Repository,
    request: &ImportRequest<'_>,
    content: &mut dyn image_repo::Content,
) -> Result<Imported> {
    let mut options = ImportOptions {
        architecture: args.arch.map(Into::into),
        replace: args.replace,
        ..ImportOptions::default()
    };
    options.level = args.level.unwrap_or(options.level);
    let mut progress = Progress::new("importing")?;
    let imported = repository.import_with(&options, request, content, &mut |done, total| {
        progress.set(done, total);
    });
    progress.clear();
    Ok(imported?)
}

pub(super) fn said(notes: &Notes) -> Vec<String> {
    notes.take().iter().map(ToString::to_string).collect()
}

/// The format that is stated, or confirmed; `None`: a person said no.
fn stated(args: &ImportArgs) -> Result<Option<ImageFormat>> {
    if let Some(format) = args.format {
        return Ok(Some(format.into()));
    }
    if args.file == Path::new("-") {
        bail!("what comes in by the standard input has to be stated: --format raw, qcow2, tar, …");
    }
    let Some((format, evidence)) = formats::propose(&args.file) else {
        std::fs::metadata(&args.file)
            .map_err(|error| anyhow::anyhow!("{} cannot be read: {error}", args.file.display()))?;
        bail!(
            "{} bears no mark of a format; say what it is: --format raw takes its bytes as they are",
            args.file.display()
        );
    };
    let word = formats::name(format);
    let file = args.file.display();
    if args.yes {
        eprintln!("{file} is taken as {word}: {evidence}");
        return Ok(Some(format));
    }
    if !std::io::stdin().is_terminal() {
        bail!(
            "the format has to be stated; {file} seems to be {word}: {evidence}. Say\n  groundstate image import {file} \
             --format {word} --name {} --version {}",
            args.name,
            args.version
        );
    }
    eprint!("{file} seems to be {word}: {evidence}. Import it as {word}? [y/N] ");
    std::io::stderr().flush()?;
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    Ok(matches!(line.trim(), "y" | "Y" | "yes").then_some(format))
}

fn kind(args: &ImportArgs, has_boot_files: bool) -> Result<ImageKind> {
    match (args.kind.map(ImageKind::from), has_boot_files) {
        (None | Some(ImageKind::RootFsExt4), true) => Ok(ImageKind::RootFsExt4),
        (None | Some(ImageKind::WholeDisk), false) => Ok(ImageKind::WholeDisk),
        (Some(ImageKind::RootFsExt4), false) => bail!(
            "a root file system has no boot loader of its own: give --kernel, --initrd and --boot-loader too"
        ),
        (Some(ImageKind::WholeDisk), true) => bail!(
            "a whole disk has its boot loader inside: leave out --kernel, --initrd, --boot-loader and --cmdline"
        ),
    }
}

fn text(report: &Report) -> String {
    let done = &report.imported;
    let image = &done.image;
    let mut lines = vec![
        format!(
            "imported {} {} from {}: {} ({} bytes)",
            image.name,
            image.version,
            formats::name(report.format),
            image.size,
            image.size.0
        ),
        format!("  manifest  {}", image.manifest),
        format!(
            "  chunks    {} of {}, {} of data; {} new, {} stored for them",
            done.chunks, done.chunk_size, done.data, done.new_chunks, done.new_bytes
        ),
    ];
    if done.healed > 0 {
        lines.push(format!(
            "  healed    {} damaged or missing before",
            counted(done.healed, "chunk")
        ));
    }
    lines.extend(
        report
            .notes
            .iter()
            .map(|note| format!("  note      {note}")),
    );
    let is_noted = report
        .notes
        .iter()
        .any(|note| note.contains("zeros were added"));
    if done.padding.0 > 0 && !is_noted {
        lines.push(format!(
            "  note      {} zeros were added at the end, up to a whole sector",
            done.padding.0
        ));
    }
    lines.push(show::facts(&done.facts));
    lines.join("\n")
}
