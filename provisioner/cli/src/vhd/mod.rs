// SPDX-License-Identifier: Apache-2.0
//! `groundstate vhd`: virtual disks as files, on this machine and without any server.

mod create;
mod picture;
mod show;

use crate::End;
use anyhow::Result;
use clap::{Args, Subcommand, ValueEnum};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use maintenance_os::virtual_disk::{self, Conversion, Format, Parents, Target};
use serde::Serialize;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

#[derive(Subcommand)]
pub(crate) enum VhdCommand {
    /// Make a VHD or VHDX.
    #[command(after_long_help = create::EXAMPLES)]
    Create(create::CreateArgs),
    /// Show what a file says of itself.
    Info(FileArgs),
    /// Look for faults; exit status 1 where there are any. What harms nothing is told, and is none.
    Check(CheckArgs),
    /// Copy a disk into a new file of another format.
    #[command(after_long_help = CONVERT_EXAMPLES)]
    Convert(ConvertArgs),
    /// Show where everything of the disk lies.
    Map(FileArgs),
}

const CONVERT_EXAMPLES: &str = "\
Examples:
  groundstate vhd convert vm.vhd vm.raw --to raw
  groundstate vhd convert vm.raw vm.vhd --from raw --to dynamic
  groundstate vhd convert child.vhd whole.vhd --to fixed
  groundstate vhd convert vm.vhd vm.vhdx --to dynamic

A differencing disk is read through its parents; the new file needs none of them. A fixed disk is
reserved in full. A raw disk is only taken for one where `--from raw` says so.";

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum FormatArg {
    /// The disk's bytes and nothing else.
    Raw,
    /// Virtual Hard Disk, up to 2,040 GiB.
    Vhd,
    /// Its successor, up to 64 TiB.
    Vhdx,
}

/// The format of a new file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum NewFormat {
    /// Virtual Hard Disk, up to 2,040 GiB.
    Vhd,
    /// Its successor, up to 64 TiB.
    Vhdx,
}

impl From<FormatArg> for Format {
    fn from(format: FormatArg) -> Self {
        match format {
            FormatArg::Raw => Self::Raw,
            FormatArg::Vhd => Self::Vhd,
            FormatArg::Vhdx => Self::Vhdx,
        }
    }
}

#[derive(Args)]
pub(crate) struct FileArgs {
    /// The file.
    file: PathBuf,
    /// Its format; without it, the file must bear the mark of a VHD or VHDX.
    #[arg(long, value_enum)]
    from: Option<FormatArg>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct ParentArgs {
    /// The parent of a differencing disk, wherever the file says it is.
    #[arg(long, value_name = "FILE")]
    parent: Option<PathBuf>,
    /// Take a parent whose time of change is not the one that the child has, as a copied file's is not.
    #[arg(long)]
    any_parent_time: bool,
}

impl ParentArgs {
    fn parents(&self) -> Parents {
        Parents {
            first: self.parent.clone(),
            any_time: self.any_parent_time,
        }
    }
}

#[derive(Args)]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    file: FileArgs,
    #[command(flatten)]
    parents: ParentArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum TargetArg {
    /// The disk's bytes, sparse.
    Raw,
    /// A fixed disk, reserved in full.
    Fixed,
    /// A dynamic disk with the blocks that hold something.
    Dynamic,
}

#[derive(Args)]
pub(crate) struct ConvertArgs {
    /// The disk to be copied.
    #[arg(value_name = "IN")]
    input: PathBuf,
    /// The new file.
    #[arg(value_name = "OUT")]
    output: PathBuf,
    /// What the new file is.
    #[arg(long, value_enum)]
    to: TargetArg,
    /// The new file's format; without it, `.vhdx` is a VHDX and every other name a VHD.
    #[arg(long, value_enum)]
    format: Option<NewFormat>,
    /// The format of IN; without it, the file must bear the mark of a VHD or VHDX.
    #[arg(long, value_enum)]
    from: Option<FormatArg>,
    #[command(flatten)]
    parents: ParentArgs,
    /// Replace OUT where it is there already.
    #[arg(long)]
    force: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(command: &VhdCommand) -> Result<End> {
    let ended = match command {
        VhdCommand::Create(args) => create::run(args),
        VhdCommand::Info(args) => info(args),
        VhdCommand::Check(args) => check(args),
        VhdCommand::Convert(args) => convert(args),
        VhdCommand::Map(args) => map(args),
    };
    // An error says its cause itself; told as a chain, a person would read it twice.
    ended.map_err(|error| anyhow::Error::msg(error.to_string()))
}

fn info(args: &FileArgs) -> Result<End> {
    let info = virtual_disk::info(&args.file, args.from.map(Format::from))?;
    print(args.json, &info, || show::info(&info))
}

fn check(args: &CheckArgs) -> Result<End> {
    let stated = args.file.from.map(Format::from);
    let checked = virtual_disk::check(&args.file.file, stated, &args.parents.parents())?;
    print(args.file.json, &checked, || show::checked(&checked))?;
    Ok(if checked.is_sound() {
        End::Done
    } else {
        End::Faults
    })
}

fn map(args: &FileArgs) -> Result<End> {
    let map = virtual_disk::map(&args.file, args.from.map(Format::from))?;
    print(args.json, &map, || picture::map(&map))
}

fn convert(args: &ConvertArgs) -> Result<End> {
    let format = format_of(args.format, &args.output);
    let to = match args.to {
        TargetArg::Raw => Target::Raw,
        TargetArg::Fixed => Target::Fixed,
        TargetArg::Dynamic => Target::Dynamic,
    };
    let request = Conversion {
        input: args.input.clone(),
        from: args.from.map(Format::from),
        parents: args.parents.parents(),
        output: args.output.clone(),
        to,
        format,
        force: args.force,
    };
    let bar = bar()?;
    let done = virtual_disk::convert(&request, &mut |done, total| {
        bar.set_length(total);
        bar.set_position(done);
    })?;
    bar.finish_and_clear();
    print(args.json, &done, || show::converted(&args.output, &done))
}

/// The format of a new file: stated, or of its name.
fn format_of(stated: Option<NewFormat>, path: &Path) -> Format {
    let named = || {
        path.extension()
            .is_some_and(|end| end.eq_ignore_ascii_case("vhdx"))
    };
    match stated {
        Some(NewFormat::Vhd) => Format::Vhd,
        Some(NewFormat::Vhdx) => Format::Vhdx,
        None if named() => Format::Vhdx,
        None => Format::Vhd,
    }
}

fn print<T: Serialize>(json: bool, value: &T, text: impl FnOnce() -> String) -> Result<End> {
    if json {
        println!("{}", serde_json::to_string_pretty(value)?);
    } else {
        println!("{}", text());
    }
    Ok(End::Done)
}

fn bar() -> Result<ProgressBar> {
    let target = if std::io::stderr().is_terminal() {
        ProgressDrawTarget::stderr()
    } else {
        ProgressDrawTarget::hidden()
    };
    let style = "converting {wide_bar} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left";
    let bar = ProgressBar::with_draw_target(None, target);
    bar.set_style(ProgressStyle::with_template(style)?);
    Ok(bar)
}
