// SPDX-License-Identifier: Apache-2.0
//! `groundstate image`: fills and lists the repository of a state directory, on the machine that has it.

use crate::End;
use crate::up::image_dir;
use anyhow::{Context as _, Result};
use clap::{Args, Subcommand};
use groundstate_api::image::{ImageFormat, ImageKind, ImageRef};
use image_repo::{BootPaths, ImportRequest, RawFile, Repository};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal as _;
use std::path::PathBuf;

#[derive(Subcommand)]
pub(crate) enum ImageCommand {
    /// Import a raw ext4 root file system with its kernel, initrd and boot loader.
    Import(ImportArgs),
    /// List the images.
    List(ListArgs),
}

#[derive(Args)]
pub(crate) struct ImportArgs {
    /// The state directory of `groundstate up`.
    #[arg(long, default_value = "/var/lib/groundstate")]
    state_dir: PathBuf,
    /// The image's name, as policies name it.
    #[arg(long)]
    name: String,
    /// Its version.
    #[arg(long)]
    version: String,
    /// A raw ext4 file system.
    #[arg(long, value_name = "FILE")]
    root_fs: PathBuf,
    /// The kernel.
    #[arg(long, value_name = "FILE")]
    kernel: PathBuf,
    /// The initial RAM file system.
    #[arg(long, value_name = "FILE")]
    initrd: PathBuf,
    /// The UEFI boot loader (systemd-boot).
    #[arg(long, value_name = "FILE")]
    boot_loader: PathBuf,
    /// The kernel command line without root=.
    #[arg(long)]
    cmdline: String,
    /// The smallest logical sector size that the image can live on: 512 or 4096.
    #[arg(long, default_value_t = 512)]
    sector_size: u32,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub(crate) struct ListArgs {
    /// The state directory of `groundstate up`.
    #[arg(long, default_value = "/var/lib/groundstate")]
    state_dir: PathBuf,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(command: &ImageCommand) -> Result<End> {
    match command {
        ImageCommand::Import(args) => import(args),
        ImageCommand::List(args) => list(args),
    }
}

fn import(args: &ImportArgs) -> Result<End> {
    let dir = image_dir(&args.state_dir);
    std::fs::create_dir_all(&dir).with_context(|| format!("{} cannot be made", dir.display()))?;
    let repository = Repository::open(&dir)?;
    let bar = bar()?;
    let request = ImportRequest {
        name: &args.name,
        version: &args.version,
        kind: ImageKind::RootFsExt4,
        format: ImageFormat::Raw,
        sector_size: args.sector_size,
        chunk_size: None,
        boot: Some(BootPaths {
            kernel: &args.kernel,
            initrd: &args.initrd,
            boot_loader: &args.boot_loader,
            cmdline: &args.cmdline,
        }),
    };
    let mut content = RawFile::open(&args.root_fs)?;
    let image = repository.import(&request, &mut content, &mut |done, total| {
        if let Some(total) = total {
            bar.set_length(total.0);
        }
        bar.set_position(done.0);
    })?;
    bar.finish_and_clear();
    if args.json {
        println!("{}", serde_json::to_string_pretty(&image)?);
    } else {
        println!("imported {}", line(&image));
    }
    Ok(End::Done)
}

fn bar() -> Result<ProgressBar> {
    let target = if std::io::stderr().is_terminal() {
        ProgressDrawTarget::stderr()
    } else {
        ProgressDrawTarget::hidden()
    };
    let style = "importing {wide_bar} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left";
    let bar = ProgressBar::with_draw_target(None, target);
    bar.set_style(ProgressStyle::with_template(style)?);
    Ok(bar)
}

fn list(args: &ListArgs) -> Result<End> {
    let images = Repository::open(&image_dir(&args.state_dir))?.list()?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&images)?);
    } else if images.is_empty() {
        println!("no images; groundstate image import brings one in");
    } else {
        images.iter().for_each(|image| println!("{}", line(image)));
    }
    Ok(End::Done)
}

fn line(image: &ImageRef) -> String {
    format!(
        "{:<24} {:<16} {:>10}  {}",
        image.name, image.version, image.size, image.manifest
    )
}
