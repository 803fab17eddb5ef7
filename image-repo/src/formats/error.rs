// SPDX-License-Identifier: Apache-2.0
//! Why a file is not taken as an image, a variant per cause.

use super::limits::{DATA_RATIO_MAX, LEADING_ZEROS_MAX, ZSTD_WINDOW_LOG_MAX};
use super::name::name;
use groundstate_api::Bytes;
use groundstate_api::image::ImageFormat;
use image_core::qcow2::Qcow2Error;
use image_core::vmdk::VmdkError;
use mos_core::vhd;
use mos_core::vhdx::{self, VhdxError};
use std::io;
use std::path::{Path, PathBuf};

/// Why a file is not taken as an image.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // The message of each variant says what its fields are.
pub enum FormatError {
    #[error("{path} could not be {done}: {source}", path = .path.display())]
    File {
        done: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    #[error("{path} is neither a file nor a block device; for a pipe give `-`", path = .path.display())]
    NotAFile { path: PathBuf },
    #[error("{path} is a symbolic link; what an image names is a file beside it, and no link is followed", path = .path.display())]
    Link { path: PathBuf },
    #[error("{path} is {}, which is not read as the bytes of a disk", name(*.format), path = .path.display())]
    NotADisk { path: PathBuf, format: ImageFormat },

    // What it is said to be, and what it is.
    #[error("{path} is stated to be {}, but {evidence}; say --format {found}", name(*.stated), path = .path.display())]
    OtherFormat {
        path: PathBuf,
        stated: ImageFormat,
        found: &'static str,
        evidence: &'static str,
    },
    #[error("{path} is stated to be {}, but {evidence}; the repository does not read {found}", name(*.stated), path = .path.display())]
    ForeignFormat {
        path: PathBuf,
        stated: ImageFormat,
        found: &'static str,
        evidence: &'static str,
    },
    #[error("{path} is stated to be {}, but does not begin as one", name(*.stated), path = .path.display())]
    NotThis { path: PathBuf, stated: ImageFormat },
    #[error("{path} is stated to be raw, but {evidence}; say --format {found}, or --format raw --really for the bytes themselves", path = .path.display())]
    Disguised {
        path: PathBuf,
        found: &'static str,
        evidence: &'static str,
    },
    #[error("{path} is stated to be {}, but what is in it is no raw disk: {evidence}. Unpack it and import that as {found}, or say --really for the bytes themselves", name(*.stated), path = .path.display())]
    DisguisedInside {
        path: PathBuf,
        stated: ImageFormat,
        found: &'static str,
        evidence: &'static str,
    },

    // How much there is.
    #[error("{path} holds or claims a disk of {size} bytes, more than {max}; --max-size SIZE takes it", path = .path.display(), size = .size.0, max = .max.0)]
    TooLarge {
        path: PathBuf,
        size: Bytes,
        max: Bytes,
    },
    #[error("{path} holds nothing", path = .path.display())]
    Empty { path: PathBuf },
    #[error("{path} unpacks to nothing but zeros in its first {}, out of {consumed} bytes: a bomb, or an empty disk; --max-size SIZE takes it", LEADING_ZEROS_MAX, path = .path.display(), consumed = .consumed.0)]
    NothingButZeros { path: PathBuf, consumed: Bytes },
    #[error("{path} unpacks to {data} bytes that are not zero out of {consumed}, more than {} times as many: a bomb; --max-size SIZE takes it", DATA_RATIO_MAX, path = .path.display(), data = .data.0, consumed = .consumed.0)]
    Expands {
        path: PathBuf,
        data: Bytes,
        consumed: Bytes,
    },
    #[error("{path} is full: a stream of this format is kept there first, because it has to be read at any place; make room there, or give the image as a file: {source}", path = .path.display())]
    SpoolFull { path: PathBuf, source: io::Error },
    #[error("{path} has more than {max} bytes, the most that is kept beside the repository to be read at any place; give it as a file, or raise --max-size", path = .path.display(), max = .max.0)]
    SpoolTooLarge { path: PathBuf, max: Bytes },

    // Streams.
    #[error("{path} ends within its {} stream, after {at} bytes of the disk: it is cut off", name(*.format), path = .path.display(), at = .at.0)]
    CutOff {
        path: PathBuf,
        format: ImageFormat,
        at: Bytes,
    },
    #[error("{path} is damaged, or something follows its {} stream, after {at} bytes of the disk: {said}", name(*.format), path = .path.display(), at = .at.0)]
    Stream {
        path: PathBuf,
        format: ImageFormat,
        at: Bytes,
        said: String,
    },
    #[error("{path} needs a zstd window above {} MiB; compress it without --long, or with --long=27 at most", (1_u64 << ZSTD_WINDOW_LOG_MAX) >> 20, path = .path.display())]
    Window { path: PathBuf },
    #[error("{path} needs an xz dictionary above 128 MiB; compress it with xz -9 at most", path = .path.display())]
    Dictionary { path: PathBuf },

    // Disks in files.
    #[error("{path} is not taken as qcow2: {why}", path = .path.display())]
    Qcow2 { path: PathBuf, why: Qcow2Error },
    #[error("{path} is not taken as VMDK: {why}", path = .path.display())]
    Vmdk { path: PathBuf, why: VmdkError },
    #[error("{path}: its disk lies in several files, which a pipe does not have; give it as a file", path = .path.display())]
    SeveralFiles { path: PathBuf },
    #[error("{path} has {found} bytes; the descriptor says {said}", path = .path.display())]
    ExtentLength {
        path: PathBuf,
        said: u64,
        found: u64,
    },
    #[error("{path}: the {what} at byte {at} cannot be unpacked to {wanted} bytes: {said}", path = .path.display())]
    Cluster {
        path: PathBuf,
        what: &'static str,
        at: u64,
        wanted: u64,
        said: String,
    },
    #[error("{path} is not taken as VHD: {why}", path = .path.display())]
    Vhd { path: PathBuf, why: vhd::Refusal },
    #[error("{path} is not taken as VHD: {fault}", path = .path.display())]
    VhdFault { path: PathBuf, fault: vhd::Fault },
    #[error("{path} is not taken as VHDX: {why}", path = .path.display())]
    Vhdx { path: PathBuf, why: VhdxError },
    #[error("{path} is not taken as VHDX: {fault}", path = .path.display())]
    VhdxFault { path: PathBuf, fault: vhdx::Fault },
    #[error("{path} is a differencing disk over {parent:?}; only a disk that is whole in itself is taken. Merge it first", path = .path.display())]
    Differencing { path: PathBuf, parent: String },
}

impl FormatError {
    /// For `map_err`: what was tried with which file.
    pub(super) fn file(done: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::File { done, path, source }
    }

    /// For `map_err`: a refusal of the reader of qcow2.
    pub(super) fn qcow2(path: &Path) -> impl FnOnce(Qcow2Error) -> Self {
        let path = path.to_path_buf();
        move |why| Self::Qcow2 { path, why }
    }

    /// For `map_err`: a refusal of the reader of VMDK.
    pub(super) fn vmdk(path: &Path) -> impl FnOnce(VmdkError) -> Self {
        let path = path.to_path_buf();
        move |why| Self::Vmdk { path, why }
    }
}
