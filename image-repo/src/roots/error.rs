// SPDX-License-Identifier: Apache-2.0
//! Why no image comes out of an input, a variant per cause.

use groundstate_api::Bytes;
use groundstate_api::image::ImageFormat;
use image_core::boot_file::BootFileError;
use image_core::facts::{FactsError, Machine};
use std::io;
use std::path::{Path, PathBuf};

/// Why no image comes out of an input. Names of the input are shown with control characters escaped.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // The message of each variant says what its fields are.
pub enum RootsError {
    #[error("{path} could not be {done}: {source}", path = .path.display())]
    File {
        done: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    #[error("{0:?} is not made into an image here; it is read as it is")]
    NotThis(ImageFormat),
    #[error("{name} is not installed; the package {package} brings it")]
    NoTool {
        name: &'static str,
        package: &'static str,
    },
    #[error("{name} failed ({status}): {said}")]
    Tool {
        name: &'static str,
        status: String,
        said: String,
    },
    #[error("the file system that was made is not clean: {said}")]
    NotClean { said: String },

    // Archives.
    #[error("the archive cannot be read after {at} bytes: {source}; fetch or pack it again", at = .at.0)]
    Archive { at: Bytes, source: io::Error },
    #[error("the archive ends without its end mark after {at} bytes: it is cut off; fetch or pack it again", at = .at.0)]
    CutOff { at: Bytes },
    #[error("something follows the archive's end mark after {at} bytes; cut it off, or make one archive of several (tar --concatenate)", at = .at.0)]
    Trailing { at: Bytes },
    #[error("it is no tar archive: {why}")]
    NotAnArchive { why: &'static str },
    #[error("the archive holds nothing")]
    Empty,
    #[error(
        "the archive is compressed by {how}, which is not read; unpack it, or pack it with gzip, zstd or xz"
    )]
    Compression { how: &'static str },
    #[error("{name}: the name is {why}")]
    Name { name: String, why: &'static str },
    #[error("{name} would be written through the symbolic link {link}")]
    ThroughLink { name: String, link: String },
    #[error("{name} would lie in {parent}, which is no folder")]
    NotAFolder { name: String, parent: String },
    #[error("{name} is a folder already, and a file is to take its place")]
    OverFolder { name: String },
    #[error("{name} is a hard link to {target}, which is no file of the archive before it")]
    HardLink { name: String, target: String },
    #[error("{name} is of the kind {kind:?}, which a root file system does not have")]
    EntryKind { name: String, kind: char },
    #[error(
        "{name} is a sparse file of tar's formats 0.0 or 0.1, which are not read; pack it with --format=gnu or --sparse-version=1.0"
    )]
    OldSparse { name: String },
    #[error("{name}: {what} makes no sense")]
    Field { name: String, what: &'static str },
    #[error("the archive has more than {max} names")]
    TooMany { max: usize },
    #[error(
        "names, symbolic links and extended attributes of the archive take more than {max} bytes"
    )]
    TooMuchText { max: usize },
    #[error(
        "{name} has extended attributes of {length} bytes, and the file system that is made keeps {max} of a file; pack the archive without them"
    )]
    Attributes {
        name: String,
        length: usize,
        max: usize,
    },
    #[error("the input unpacks to more than {max} bytes; --max-size SIZE takes it", max = .max.0)]
    TooLarge { max: Bytes },
    #[error("the input unpacks to {data} bytes that are not zero out of {consumed}, more than {ratio} times as many: a bomb; --max-size SIZE takes it", data = .data.0, consumed = .consumed.0)]
    Bomb {
        data: Bytes,
        consumed: Bytes,
        ratio: u64,
    },
    #[error("{path} has only {free} bytes left; unpacking stops here", path = .path.display(), free = .free.0)]
    DiskFull { path: PathBuf, free: Bytes },

    // What boots.
    #[error("the tree has no kernel in /boot or /usr/lib/modules; give one with --kernel FILE")]
    NoKernel,
    #[error(
        "the tree has no initial RAM file system for the kernel {release}; give one with --initrd FILE"
    )]
    NoInitrd { release: String },
    #[error(
        "the tree has no systemd-boot for its kernel in /usr/lib/systemd/boot/efi; give one with --boot-loader FILE"
    )]
    NoBootLoader,
    #[error("{name}: {source}")]
    BootFile { name: String, source: BootFileError },
    #[error(
        "{name} is a boot loader for {of_loader}, and the kernel is for {machine}; give the kernel's with --boot-loader FILE"
    )]
    OtherBootLoader {
        name: String,
        of_loader: Machine,
        machine: Machine,
    },

    // Sizes.
    #[error("{stated} bytes were asked for, the tree takes {needed}", stated = .stated.0, needed = .needed.0)]
    TooSmall { stated: Bytes, needed: Bytes },
    #[error("sectors of {found} bytes: a disk has 512 or 4096")]
    SectorSize { found: u32 },

    // OCI.
    #[error("{path} is no OCI image layout: {why}", path = .path.display())]
    NotOci { path: PathBuf, why: String },
    #[error("the OCI blob {digest} {why}")]
    OciBlob { digest: String, why: String },
    #[error("the OCI document {digest} makes no sense: {said}")]
    OciDocument { digest: String, said: String },
    #[error("the OCI index leads through more than {max} indexes")]
    OciDepth { max: usize },
    #[error("the OCI index has {count} manifests ({names}); {how}")]
    OciSeveral {
        count: usize,
        names: String,
        how: &'static str,
    },
    #[error("the OCI index has no image{wanted}; it has {}", if .there.is_empty() { "none at all" } else { .there })]
    OciNone { wanted: String, there: String },
    #[error("the OCI layer's media type {media_type} does not say what it is; --inner FORMAT does")]
    OciInner { media_type: String },
    #[error("the OCI layer says it is {found}, and {stated} was stated")]
    OciOther { found: String, stated: String },
    #[error("the OCI artefact has {count} layers; an artefact that is a disk has one")]
    OciLayers { count: usize },
    #[error("the OCI layer has the media type {media_type}, which is not read")]
    OciLayer { media_type: String },

    // WIM.
    #[error("{path} is no WIM file that is read: {why}", path = .path.display())]
    Wim { path: PathBuf, why: String },
    #[error("the WIM file has {count} images ({names}); --wim-image N takes one")]
    WimSeveral { count: usize, names: String },
    #[error("the WIM file has no image {wanted}; it has {count}")]
    WimNone { wanted: u32, count: usize },
    #[error(
        "a WIM file holds Windows and becomes a whole disk; a root file system cannot be made of it"
    )]
    WimKind,

    #[error(transparent)]
    Facts(#[from] FactsError),
}

impl RootsError {
    /// For `map_err`: what was tried with which file.
    pub(crate) fn file(done: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::File { done, path, source }
    }
}

/// A name of the input for a screen.
pub(crate) fn shown(name: &[u8]) -> String {
    const SHOWN_MAX: usize = 200;
    let text: String = String::from_utf8_lossy(name)
        .chars()
        .take(SHOWN_MAX)
        .collect();
    text.escape_debug().to_string()
}
