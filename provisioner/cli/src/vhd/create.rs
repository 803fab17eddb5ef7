// SPDX-License-Identifier: Apache-2.0
//! `groundstate vhd create`.

use super::{NewFormat, format_of, print, show};
use crate::End;
use anyhow::Result;
use clap::{Args, ValueEnum};
use groundstate_api::Bytes;
use maintenance_os::virtual_disk::{self, Contents, Create};
use std::path::PathBuf;

pub(super) const EXAMPLES: &str = "\
Examples:
  groundstate vhd create --type fixed --size 64GiB vm.vhd
  groundstate vhd create --type dynamic --size 64GiB --preallocate vm.vhd
  groundstate vhd create --type differencing --parent golden.vhd vm.vhd
  groundstate vhd create --type dynamic --size 4TiB big.vhdx

A fixed disk is always really allocated: its space is reserved in full and reads as zero.
`--preallocate` does the same for the blocks of the other types. A VHD holds at most 2,040 GiB.";

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Type {
    /// Every byte has its place from the start.
    Fixed,
    /// Blocks get their place when they are written.
    Dynamic,
    /// As dynamic, over a parent that is never written.
    Differencing,
}

#[derive(Args)]
pub(crate) struct CreateArgs {
    /// The new file.
    file: PathBuf,
    /// What the disk consists of.
    #[arg(long = "type", value_enum)]
    kind: Type,
    /// The size that a virtual machine will see, for example 64GiB, 100MiB or plain bytes; a differencing disk has its
    /// parent's.
    #[arg(long, value_parser = size)]
    size: Option<Bytes>,
    /// The parent of a differencing disk.
    #[arg(long, value_name = "FILE")]
    parent: Option<PathBuf>,
    /// Reserve the space of every block from the start. A fixed disk's always is.
    #[arg(long)]
    preallocate: bool,
    /// vhd or vhdx; without it, `.vhdx` is a VHDX and every other name a VHD.
    #[arg(long, value_enum)]
    format: Option<NewFormat>,
    /// Replace the file where it is there already.
    #[arg(long)]
    force: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

fn size(text: &str) -> Result<Bytes, String> {
    Bytes::parse(text)
        .ok_or_else(|| format!("`{text}` is not a size; 64GiB, 100MiB and plain bytes are"))
}

pub(super) fn run(args: &CreateArgs) -> Result<End> {
    let contents = match (args.kind, &args.parent) {
        (Type::Fixed, None) => Contents::Fixed,
        (Type::Dynamic, None) => Contents::Dynamic,
        (Type::Differencing, Some(parent)) => Contents::Differencing(parent.clone()),
        (Type::Differencing, None) => anyhow::bail!("a differencing disk needs `--parent FILE`"),
        (Type::Fixed | Type::Dynamic, Some(_)) => {
            anyhow::bail!("`--parent` only goes with `--type differencing`")
        }
    };
    let created = virtual_disk::create(&Create {
        path: args.file.clone(),
        format: format_of(args.format, &args.file),
        size: args.size,
        contents,
        preallocate: args.preallocate,
        force: args.force,
    })?;
    print(args.json, &created, || show::created(&created))
}
