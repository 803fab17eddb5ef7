// SPDX-License-Identifier: Apache-2.0
//! What is asked for, and what comes out.

use crate::import::BootPaths;
use groundstate_api::Bytes;
use groundstate_api::image::{Architecture, ImageFormat, ImageKind};
use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Where the input is.
pub enum RootsInput<'a> {
    /// A file, or an OCI layout's folder.
    Path(&'a Path),
    /// A stream that is read once.
    Stream(&'a mut (dyn Read + Send)),
}

impl fmt::Debug for RootsInput<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => write!(f, "Path({})", path.display()),
            Self::Stream(_) => f.write_str("Stream"),
        }
    }
}

/// How the image is made.
#[derive(Clone, Debug)]
pub struct PrepareOptions {
    /// A root file system with boot files beside it, or a whole disk that starts by itself.
    pub kind: ImageKind,
    /// The sector size in bytes of the disk that a whole disk is for: 512 or 4096.
    pub sector_size: u32,
    /// The length of what comes out; `None`: what the tree takes and `free`.
    pub size: Option<Bytes>,
    /// How much room the root file system has beside the tree, where `size` is not stated.
    pub free: Bytes,
    /// The most bytes that the input may unpack to.
    pub max_size: Bytes,
    /// The kernel; `None`: the newest in the tree's `/boot` or `/usr/lib/modules`.
    pub kernel: Option<PathBuf>,
    /// The initial RAM file system; `None`: the one beside the tree's kernel.
    pub initrd: Option<PathBuf>,
    /// The UEFI boot loader; `None`: systemd-boot in the tree.
    pub boot_loader: Option<PathBuf>,
    /// The kernel's command line without `root=`.
    pub cmdline: String,
    /// What an OCI artefact's layer is, where neither its media type nor an annotation says it.
    pub inner: Option<ImageFormat>,
    /// The tag of an OCI index's manifest (`org.opencontainers.image.ref.name`), where there are several.
    pub tag: Option<String>,
    /// What the image is for, where an OCI index has images for several.
    pub architecture: Option<Architecture>,
    /// The number of the image in a WIM file, from 1, where there are several.
    pub wim_image: Option<u32>,
}

impl PrepareOptions {
    /// Room for logs and packages in a root file system that is grown at its first boot.
    pub const FREE: Bytes = Bytes::mib(256);
    /// What an input may unpack to where nobody says another: far above any root file system, and less than a disk.
    pub const MAX_SIZE: Bytes = Bytes::gib(64);
}

impl Default for PrepareOptions {
    fn default() -> Self {
        Self {
            kind: ImageKind::WholeDisk,
            sector_size: 512,
            size: None,
            free: Self::FREE,
            max_size: Self::MAX_SIZE,
            kernel: None,
            initrd: None,
            boot_loader: None,
            cmdline: "console=tty0".into(),
            inner: None,
            tag: None,
            architecture: None,
            wim_image: None,
        }
    }
}

/// What boots a root file system, as files of the caller's folder or of the one who imports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnedBootPaths {
    /// The kernel.
    pub kernel: PathBuf,
    /// The initial RAM file system.
    pub initrd: PathBuf,
    /// The UEFI boot loader.
    pub boot_loader: PathBuf,
    /// The command line without `root=`.
    pub cmdline: String,
}

impl OwnedBootPaths {
    /// As an import takes them.
    #[must_use]
    pub fn borrowed(&self) -> BootPaths<'_> {
        BootPaths {
            kernel: &self.kernel,
            initrd: &self.initrd,
            boot_loader: &self.boot_loader,
            cmdline: &self.cmdline,
        }
    }
}

/// What came out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prepared {
    /// The file whose bytes are the image's, in the caller's folder.
    pub path: PathBuf,
    /// What that file is: raw, but for an OCI artefact, whose layer is what it was stated to be.
    pub format: ImageFormat,
    /// What its bytes make up.
    pub kind: ImageKind,
    /// What boots a root file system.
    pub boot: Option<OwnedBootPaths>,
    /// What a person should know of it, a sentence each.
    pub lines: Vec<String>,
}
