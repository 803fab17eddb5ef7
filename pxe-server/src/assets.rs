// SPDX-License-Identifier: Apache-2.0
//! The parts that the boot image is made of, as the build leaves them in a folder.

use hyper::body::Bytes;
use pxe_core::script::{CommandLine, CommandLineError};
use std::io;
use std::path::{Path, PathBuf};

/// The parts of the boot image.
#[derive(Clone, Debug)]
pub struct Assets {
    pub(crate) kernel: Bytes,
    pub(crate) initrd_base: Vec<u8>,
    pub(crate) stub: Vec<u8>,
    pub(crate) undionly: Bytes,
    pub(crate) snponly: Bytes,
    pub(crate) command_line: CommandLine,
    pub(crate) uname: String,
}

/// Why the parts cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AssetsError {
    /// A file cannot be read.
    #[error("cannot read the boot asset {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// A file is empty.
    #[error("the boot asset {} is empty", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// The kernel command line cannot be used.
    #[error("{}: {source}", path.display())]
    CommandLine {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: CommandLineError,
    },
    /// A file that should be one line of text is not.
    #[error("{} is not one line of text", path.display())]
    NotALine {
        /// The file.
        path: PathBuf,
    },
}

impl Assets {
    /// Reads `vmlinuz`, `initrd.base` (a cpio archive, compressed or not; sent as it is), `linuxx64.efi.stub`,
    /// `undionly.kpxe`, `snponly.efi`, `cmdline` and `uname` (a line each) from a folder.
    ///
    /// # Errors
    /// The first file that is missing, empty or not what it should be.
    pub fn read(dir: &Path) -> Result<Self, AssetsError> {
        let read = |name: &str| {
            let path = dir.join(name);
            match std::fs::read(&path) {
                Ok(bytes) if bytes.is_empty() => Err(AssetsError::Empty { path }),
                Ok(bytes) => Ok(bytes),
                Err(source) => Err(AssetsError::Read { path, source }),
            }
        };
        let line = |name: &str| {
            let text = String::from_utf8(read(name)?).unwrap_or_default();
            match text.trim_end_matches('\n') {
                line if line.is_empty() || line.contains('\n') => Err(AssetsError::NotALine {
                    path: dir.join(name),
                }),
                line => Ok(line.to_owned()),
            }
        };
        let refuse = |name: &str, source| AssetsError::CommandLine {
            path: dir.join(name),
            source,
        };
        Ok(Self {
            kernel: read("vmlinuz")?.into(),
            initrd_base: read("initrd.base")?,
            stub: read("linuxx64.efi.stub")?,
            undionly: read("undionly.kpxe")?.into(),
            snponly: read("snponly.efi")?.into(),
            command_line: CommandLine::parse(&line("cmdline")?)
                .map_err(|e| refuse("cmdline", e))?,
            uname: line("uname")?,
        })
    }
}
