// SPDX-License-Identifier: Apache-2.0
//! The manual: a page for each command, from the same words as `--help`.

use crate::exit::End;
use anyhow::{Context as _, Result};
use clap::Args;
use std::path::PathBuf;

/// Write the manual, a page for each command.
#[derive(Args)]
#[command(after_help = "Example:
  groundstate man --output /usr/local/share/man/man1 && man groundstate-node-explain")]
pub(crate) struct ManArgs {
    /// The folder; it is made where it is not there.
    #[arg(long, value_name = "DIR")]
    output: PathBuf,
}

pub(crate) fn run(args: &ManArgs, command: clap::Command) -> Result<End> {
    let folder = &args.output;
    std::fs::create_dir_all(folder)
        .and_then(|()| clap_mangen::generate_to(command, folder))
        .with_context(|| format!("the manual cannot be written to {}", folder.display()))?;
    Ok(End::Done)
}
