// SPDX-License-Identifier: Apache-2.0
//! `groundstate image`: the image repository of a state directory, on the machine that has it. No server is needed.

pub(crate) mod bucket;
mod channels;
mod diff;
mod export;
mod finish;
mod format;
mod fsck;
mod gc;
mod import;
mod ls;
mod made;
mod named;
mod origin;
mod progress;
mod promote;
mod publish;
mod reader;
mod revoke;
mod rm;
mod scratch;
mod serve;
mod show;
mod sign;
mod signer;
mod size;
mod state;
mod told;
mod trust;
mod verify;
mod write;

pub(crate) use write::volumes;

use crate::End;
use anyhow::Result;
use clap::Subcommand;

#[derive(Subcommand)]
pub(crate) enum ImageCommand {
    /// Bring an image in: of any format, cut into chunks that are stored once.
    #[command(after_long_help = import::EXAMPLES)]
    Import(Box<import::ImportArgs>),
    /// List the images.
    #[command(visible_alias = "list", after_long_help = ls::EXIT)]
    Ls(ls::LsArgs),
    /// Show what an image is: size, kind, boot, chunks, and what is on it.
    Show(show::ShowArgs),
    /// Show what a disk that has one image would fetch and write to have another.
    Diff(diff::DiffArgs),
    /// Write an image onto a disk of this machine, a USB stick, or into a file.
    #[command(after_long_help = write::EXAMPLES)]
    Write(Box<write::WriteArgs>),
    /// Write an image's bytes back into a file, each chunk proved on its way.
    #[command(after_long_help = export::EXAMPLES)]
    Export(export::ExportArgs),
    /// Put an image and what is signed into an S3-compatible store.
    #[command(after_long_help = publish::EXAMPLES)]
    Publish(publish::PublishArgs),
    /// Give images out over HTTPS, without a provisioner.
    Serve(serve::ServeArgs),
    /// Take a name away from an image; gc frees its bytes.
    Rm(rm::RmArgs),
    /// Free what no image needs any more.
    Gc(gc::GcArgs),
    /// Read the whole repository and compare every byte with its name.
    #[command(after_long_help = fsck::EXIT)]
    Fsck(fsck::FsckArgs),
    /// Say who may sign: make, pin, rotate and show the trust root.
    #[command(subcommand)]
    Trust(Box<trust::TrustCommand>),
    /// Sign an image with a key of minisign.
    #[command(after_long_help = sign::EXAMPLES)]
    Sign(Box<sign::Args>),
    /// Read every byte of an image, and say who signed it until when.
    #[command(after_long_help = verify::EXAMPLES)]
    Verify(verify::Args),
    /// Let a channel stand for an image.
    #[command(after_long_help = promote::EXAMPLES)]
    Promote(Box<promote::Args>),
    /// Let an image or a key not be believed any more.
    #[command(after_long_help = revoke::EXAMPLES)]
    Revoke(Box<revoke::Args>),
    /// Show what each channel stands for, and what is revoked.
    Channels(channels::Args),
}

pub(crate) fn run(command: &ImageCommand) -> Result<End> {
    if command.only_prints() {
        reader::end_with_it();
    }
    match command {
        ImageCommand::Import(args) => import::run(args),
        ImageCommand::Ls(args) => ls::run(args),
        ImageCommand::Show(args) => show::run(args),
        ImageCommand::Diff(args) => diff::run(args),
        ImageCommand::Export(args) => export::run(args),
        ImageCommand::Write(args) => write::run(args),
        ImageCommand::Publish(args) => publish::run(args),
        ImageCommand::Serve(args) => serve::run(args),
        ImageCommand::Rm(args) => rm::run(args),
        ImageCommand::Gc(args) => gc::run(args),
        ImageCommand::Fsck(args) => fsck::run(args),
        ImageCommand::Trust(command) => trust::run(command),
        ImageCommand::Sign(args) => sign::run(args),
        ImageCommand::Verify(args) => verify::run(args),
        ImageCommand::Promote(args) => promote::run(args),
        ImageCommand::Revoke(args) => revoke::run(args),
        ImageCommand::Channels(args) => channels::run(args),
    }
}

impl ImageCommand {
    /// Whether it only reads files of this machine and prints.
    const fn only_prints(&self) -> bool {
        match self {
            Self::Ls(_)
            | Self::Show(_)
            | Self::Diff(_)
            | Self::Fsck(_)
            | Self::Verify(_)
            | Self::Channels(_) => true,
            Self::Import(_)
            | Self::Write(_)
            | Self::Export(_)
            | Self::Publish(_)
            | Self::Serve(_)
            | Self::Rm(_)
            | Self::Gc(_)
            | Self::Trust(_)
            | Self::Sign(_)
            | Self::Promote(_)
            | Self::Revoke(_) => false,
        }
    }
}
