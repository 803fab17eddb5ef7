// SPDX-License-Identifier: Apache-2.0
//! Formats as they are typed and printed.

use groundstate_api::image::ImageFormat;

/// The word for a format, as in `--format qcow2` and in a manifest.
#[must_use]
pub const fn name(format: ImageFormat) -> &'static str {
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
