// SPDX-License-Identifier: Apache-2.0
//! The words for formats, kinds and architectures, and what they mean to the repository.

use clap::ValueEnum;
use groundstate_api::image::{ImageFormat, ImageKind};

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum FormatArg {
    /// The bytes themselves.
    Raw,
}

impl From<FormatArg> for ImageFormat {
    fn from(format: FormatArg) -> Self {
        match format {
            FormatArg::Raw => Self::Raw,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum KindArg {
    /// An ext4 file system, with its kernel, initrd and boot loader beside it.
    RootFs,
    /// A whole disk, from its first sector on.
    WholeDisk,
}

impl From<KindArg> for ImageKind {
    fn from(kind: KindArg) -> Self {
        match kind {
            KindArg::RootFs => Self::RootFsExt4,
            KindArg::WholeDisk => Self::WholeDisk,
        }
    }
}

pub(super) const fn kind_word(kind: ImageKind) -> &'static str {
    match kind {
        ImageKind::RootFsExt4 => "root-fs",
        ImageKind::WholeDisk => "whole-disk",
    }
}

pub(super) const fn format_word(format: ImageFormat) -> &'static str {
    match format {
        ImageFormat::Raw => "raw",
        ImageFormat::RawZstd => "raw-zstd",
        ImageFormat::RawGzip => "raw-gzip",
        ImageFormat::RawXz => "raw-xz",
        ImageFormat::Qcow2 => "qcow2",
        ImageFormat::Vhd => "vhd",
        ImageFormat::Vhdx => "vhdx",
        ImageFormat::Vmdk => "vmdk",
        ImageFormat::Tar => "tar",
        ImageFormat::Oci => "oci",
        ImageFormat::Wim => "wim",
    }
}
