// SPDX-License-Identifier: Apache-2.0
//! `groundstate image import`: one file of a stated format becomes an image.

use super::format::{FormatArg, KindArg};
use super::ls;
use super::progress::Progress;
use super::size::size;
use super::state::StateArgs;
use crate::End;
use anyhow::{Result, bail};
use clap::Args;
use groundstate_api::Bytes;
use groundstate_api::image::ImageKind;
use image_repo::{BootPaths, ImportRequest, RawFile};
use std::path::PathBuf;

pub(super) const EXAMPLES: &str = "\
Examples:
  groundstate image import disk.raw --format raw --name appliance --version 7
  groundstate image import root.ext4 --format raw --name debian-host --version 12.11-1 \\
      --kernel vmlinuz --initrd initrd.img --boot-loader systemd-bootx64.efi --cmdline 'quiet'";

#[derive(Args)]
pub(crate) struct ImportArgs {
    /// The file.
    file: PathBuf,
    /// What the file is. It is checked strictly and never guessed.
    #[arg(long, value_enum)]
    format: FormatArg,
    /// The image's name, as policies name it.
    #[arg(long)]
    name: String,
    /// Its version.
    #[arg(long)]
    version: String,
    /// What the image is; without it, a root file system where boot files are given, else a whole disk.
    #[arg(long, value_enum)]
    kind: Option<KindArg>,
    #[command(flatten)]
    boot: BootArgs,
    /// The logical sector size that the image is for: 512 or 4096.
    #[arg(long, value_name = "BYTES", default_value_t = 512)]
    sector_size: u32,
    /// How much a chunk holds before compression: a power of two from 64KiB to 16MiB. Without it, chosen by the size.
    #[arg(long, value_name = "SIZE", value_parser = size)]
    chunk_size: Option<Bytes>,
    #[command(flatten)]
    state: StateArgs,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// What boots a root file system.
#[derive(Args)]
struct BootArgs {
    /// The kernel of a root file system.
    #[arg(long, value_name = "FILE", requires_all = ["initrd", "boot_loader"])]
    kernel: Option<PathBuf>,
    /// Its initial RAM file system.
    #[arg(long, value_name = "FILE", requires = "kernel")]
    initrd: Option<PathBuf>,
    /// Its UEFI boot loader (systemd-boot).
    #[arg(long, value_name = "FILE", requires = "kernel")]
    boot_loader: Option<PathBuf>,
    /// Its kernel command line, without root=.
    #[arg(long, value_name = "TEXT", requires = "kernel")]
    cmdline: Option<String>,
}

impl BootArgs {
    fn paths(&self) -> Option<BootPaths<'_>> {
        Some(BootPaths {
            kernel: self.kernel.as_deref()?,
            initrd: self.initrd.as_deref()?,
            boot_loader: self.boot_loader.as_deref()?,
            cmdline: self.cmdline.as_deref().unwrap_or(""),
        })
    }
}

pub(super) fn run(args: &ImportArgs) -> Result<End> {
    let boot = args.boot.paths();
    let kind = kind(args, boot.is_some())?;
    let request = ImportRequest {
        name: &args.name,
        version: &args.version,
        kind,
        format: args.format.into(),
        sector_size: args.sector_size,
        chunk_size: args.chunk_size,
        boot,
    };
    let mut content = RawFile::open(&args.file)?;
    let repository = args.state.make()?;
    let mut progress = Progress::new("importing")?;
    let image = repository.import(&request, &mut content, &mut |done, total| {
        progress.set(done, total);
    });
    progress.clear();
    let image = image?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&image)?);
    } else {
        println!("imported {}", ls::line(&image));
    }
    Ok(End::Done)
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
