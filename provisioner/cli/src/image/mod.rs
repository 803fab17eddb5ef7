// SPDX-License-Identifier: Apache-2.0
//! `groundstate image`: the image repository of a state directory, on the machine that has it. No server is needed.

mod format;
mod import;
mod ls;
mod named;
mod progress;
mod show;
mod size;
mod state;

use crate::End;
use anyhow::Result;
use clap::Subcommand;

#[derive(Subcommand)]
pub(crate) enum ImageCommand {
    /// Bring an image in: of any format, cut into chunks that are stored once.
    #[command(after_long_help = import::EXAMPLES)]
    Import(Box<import::ImportArgs>),
    /// List the images.
    #[command(visible_alias = "list")]
    Ls(ls::LsArgs),
    /// Show what an image is: size, kind, boot, chunks.
    Show(show::ShowArgs),
}

pub(crate) fn run(command: &ImageCommand) -> Result<End> {
    match command {
        ImageCommand::Import(args) => import::run(args),
        ImageCommand::Ls(args) => ls::run(args),
        ImageCommand::Show(args) => show::run(args),
    }
}
