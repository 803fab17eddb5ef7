// SPDX-License-Identifier: Apache-2.0
//! The words for formats, kinds and architectures, and what they mean to the repository.

use clap::ValueEnum;
use groundstate_api::image::{Architecture, ImageFormat, ImageKind};

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum FormatArg {
    /// The bytes themselves.
    #[value(alias = "img")]
    Raw,
    /// The bytes as Zstandard frames.
    #[value(aliases = ["raw.zst", "raw.zstd", "zstd", "zst"])]
    RawZstd,
    /// The bytes as gzip members.
    #[value(aliases = ["raw.gz", "gzip", "gz"])]
    RawGzip,
    /// The bytes as an .xz file.
    #[value(aliases = ["raw.xz", "xz"])]
    RawXz,
    /// QEMU copy-on-write, version 2 or 3.
    Qcow2,
    /// Virtual hard disk, fixed or dynamic.
    #[value(alias = "vpc")]
    Vhd,
    /// Virtual hard disk version 2.
    Vhdx,
    /// VMware virtual disk: flat, sparse or stream-optimised.
    Vmdk,
    /// A root file system as a tar archive, plain or compressed, which is made into a bootable disk.
    #[value(aliases = ["tar.gz", "tar.xz", "tar.zst"])]
    Tar,
    /// An OCI image layout with one artefact layer: a folder or a tar archive.
    Oci,
    /// Windows Imaging Format, through wimlib.
    Wim,
}

impl From<FormatArg> for ImageFormat {
    fn from(format: FormatArg) -> Self {
        match format {
            FormatArg::Raw => Self::Raw,
            FormatArg::RawZstd => Self::RawZstd,
            FormatArg::RawGzip => Self::RawGzip,
            FormatArg::RawXz => Self::RawXz,
            FormatArg::Qcow2 => Self::Qcow2,
            FormatArg::Vhd => Self::Vhd,
            FormatArg::Vhdx => Self::Vhdx,
            FormatArg::Vmdk => Self::Vmdk,
            FormatArg::Tar => Self::Tar,
            FormatArg::Oci => Self::Oci,
            FormatArg::Wim => Self::Wim,
        }
    }
}

/// What an image is written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExportFormat {
    /// The bytes themselves; zeros are holes of the file.
    #[value(alias = "img")]
    Raw,
    /// The bytes as Zstandard frames.
    #[value(aliases = ["raw.zst", "raw.zstd", "zstd", "zst"])]
    RawZstd,
    /// Virtual hard disk, fixed.
    #[value(alias = "vpc")]
    Vhd,
    /// Virtual hard disk version 2, dynamic.
    Vhdx,
}

impl From<ExportFormat> for ImageFormat {
    fn from(format: ExportFormat) -> Self {
        match format {
            ExportFormat::Raw => Self::Raw,
            ExportFormat::RawZstd => Self::RawZstd,
            ExportFormat::Vhd => Self::Vhd,
            ExportFormat::Vhdx => Self::Vhdx,
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

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ArchArg {
    /// AMD64, Intel 64.
    #[value(name = "x86_64", alias = "amd64")]
    X86_64,
    /// 64-bit Arm.
    #[value(alias = "arm64")]
    Aarch64,
}

impl From<ArchArg> for Architecture {
    fn from(arch: ArchArg) -> Self {
        match arch {
            ArchArg::X86_64 => Self::X86_64,
            ArchArg::Aarch64 => Self::Aarch64,
        }
    }
}

pub(super) const fn kind_word(kind: ImageKind) -> &'static str {
    match kind {
        ImageKind::RootFsExt4 => "root-fs",
        ImageKind::WholeDisk => "whole-disk",
    }
}
