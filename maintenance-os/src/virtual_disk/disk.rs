// SPDX-License-Identifier: Apache-2.0
//! A virtual disk of any format, open to be read.

use super::chain::{self, Parents};
use super::error::VirtualDiskError;
use super::file::DiskFile;
use super::vhdx_chain;
use mos_core::random_access::ReadAt as _;
use mos_core::vhd::{self, Place, Vhd};
use mos_core::vhdx::{self, Piece, Vhdx};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// The format of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// The disk's bytes and nothing else; never recognised, only stated.
    Raw,
    /// Virtual Hard Disk, up to 2,040 GiB.
    Vhd,
    /// Its successor, up to 64 TiB.
    Vhdx,
}

impl Format {
    /// As it is typed and printed.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Vhd => "vhd",
            Self::Vhdx => "vhdx",
        }
    }

    /// The format whose mark the file bears: `vhdxfile` at its start, or a VHD's footer.
    ///
    /// # Errors
    /// Where the file cannot be read, or bears no mark ([`VirtualDiskError::NotRecognised`]).
    pub fn recognised(path: &Path) -> Result<Self, VirtualDiskError> {
        let mut file = DiskFile::open(path, false)
            .map_err(VirtualDiskError::io("opening", path))?
            .ok_or_else(|| VirtualDiskError::NotAFile {
                path: path.to_path_buf(),
            })?;
        let reading = || VirtualDiskError::io("reading", path);
        let mut mark = [0u8; 8];
        if file.len() >= 8 {
            file.read_at(0, &mut mark).map_err(reading())?;
        }
        if mark == *b"vhdxfile" {
            return Ok(Self::Vhdx);
        }
        if vhd::recognise(&mut file).map_err(reading())? {
            return Ok(Self::Vhd);
        }
        Err(VirtualDiskError::NotRecognised {
            path: path.to_path_buf(),
        })
    }

    /// The stated format, where the file does not bear the mark of another; else the recognised one.
    pub(super) fn of(path: &Path, stated: Option<Self>) -> Result<Self, VirtualDiskError> {
        let Some(stated) = stated.filter(|stated| *stated != Self::Raw) else {
            return stated.map_or_else(|| Self::recognised(path), Ok);
        };
        match Self::recognised(path) {
            Ok(found) if found != stated => Err(VirtualDiskError::OtherFormat {
                path: path.to_path_buf(),
                stated: stated.as_str(),
                found: found.as_str(),
            }),
            Ok(_) | Err(VirtualDiskError::NotRecognised { .. }) => Ok(stated),
            Err(error) => Err(error),
        }
    }
}

/// What a stretch of the disk holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Holds {
    /// Bytes that were written.
    Data,
    /// Nothing: it reads as zero.
    Zero,
    /// What the parent has there.
    Parent,
}

/// A stretch of the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// Length in bytes, at least 1.
    pub length: u64,
    /// What it holds.
    pub holds: Holds,
    /// Its place in the named file, where it has one; zeros have one where their space is reserved.
    pub at: Option<u64>,
}

/// An open disk.
#[derive(Debug)]
pub struct Disk {
    path: PathBuf,
    pub(super) format: Opened,
}

#[derive(Debug)]
pub(super) enum Opened {
    Raw(DiskFile),
    Vhd(Box<Vhd<DiskFile>>),
    Vhdx {
        disk: Box<Vhdx<DiskFile>>,
        pieces: Vec<Piece>,
        /// The same file, to ask what of it was written.
        file: DiskFile,
    },
}

impl Disk {
    /// Opens a disk whose format is stated or recognised, with its parents unless `alone`.
    ///
    /// # Errors
    /// By name, whatever is wrong with the file or its parents.
    pub fn open(
        path: &Path,
        stated: Option<Format>,
        parents: &Parents,
        alone: bool,
    ) -> Result<Self, VirtualDiskError> {
        let format = match Format::of(path, stated)? {
            Format::Raw => {
                let file = DiskFile::open(path, true);
                let file = file.map_err(VirtualDiskError::io("opening", path))?;
                Opened::Raw(file.ok_or_else(|| VirtualDiskError::NotAFile {
                    path: path.to_path_buf(),
                })?)
            }
            Format::Vhd if alone => Opened::Vhd(Box::new(chain::open_alone(path)?)),
            Format::Vhd => Opened::Vhd(Box::new(chain::open_chain(path, parents)?)),
            Format::Vhdx => {
                let mut disk = if alone {
                    vhdx_chain::open_alone(path)?
                } else {
                    vhdx_chain::open_chain(path, parents)?
                };
                let pieces = disk.map().collect::<Result<Vec<_>, _>>();
                let file = DiskFile::open(path, false);
                let file = file.map_err(VirtualDiskError::io("opening", path))?;
                Opened::Vhdx {
                    pieces: pieces.map_err(VirtualDiskError::vhdx(path))?,
                    disk: Box::new(disk),
                    file: file.ok_or_else(|| VirtualDiskError::NotAFile {
                        path: path.to_path_buf(),
                    })?,
                }
            }
        };
        Ok(Self {
            path: path.to_path_buf(),
            format,
        })
    }

    /// The format it was opened as.
    #[must_use]
    pub const fn format(&self) -> Format {
        match &self.format {
            Opened::Raw(_) => Format::Raw,
            Opened::Vhd(_) => Format::Vhd,
            Opened::Vhdx { .. } => Format::Vhdx,
        }
    }

    /// The disk's size in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        match &self.format {
            Opened::Raw(file) => file.len(),
            Opened::Vhd(vhd) => vhd.size().0,
            Opened::Vhdx { disk, .. } => disk.facts().size.0,
        }
    }

    /// Fills `into` with the disk's bytes from `at` on.
    ///
    /// # Errors
    /// The kernel's, or a refusal.
    pub fn read_at(&mut self, at: u64, into: &mut [u8]) -> Result<(), VirtualDiskError> {
        let path = &self.path;
        match &mut self.format {
            Opened::Raw(file) => file
                .read_at(at, into)
                .map_err(VirtualDiskError::io("reading", path)),
            Opened::Vhd(vhd) => vhd
                .read_at(at, into)
                .map_err(VirtualDiskError::vhd("reading", path)),
            Opened::Vhdx { disk, .. } => {
                disk.read_at(at, into).map_err(VirtualDiskError::vhdx(path))
            }
        }
    }

    /// What the disk holds from `at` on. What was reserved and never written holds nothing.
    ///
    /// # Errors
    /// The kernel's, or a refusal; `at` is on the disk.
    pub fn stretch(&mut self, at: u64) -> Result<Stretch, VirtualDiskError> {
        let path = &self.path;
        let (file, length, place) = match &mut self.format {
            Opened::Raw(file) => {
                let length = file.len() - at;
                (&*file, length, Place::Data { at })
            }
            Opened::Vhd(vhd) => {
                let extent = vhd
                    .extent(at)
                    .map_err(VirtualDiskError::vhd("reading", path))?;
                (&*vhd.source(), extent.length, extent.place)
            }
            Opened::Vhdx { pieces, file, .. } => {
                let index = pieces.partition_point(|piece| piece.at + piece.len <= at);
                let piece = pieces.get(index).ok_or(VirtualDiskError::Usage {
                    what: "a place beyond the disk's end was asked for",
                })?;
                let skip = at - piece.at;
                let place = match piece.place {
                    vhdx::Place::File(begin) => Place::Data { at: begin + skip },
                    vhdx::Place::Zero | vhdx::Place::Unmapped => Place::Zero,
                    vhdx::Place::Parent => Place::Parent,
                };
                (&*file, piece.len - skip, place)
            }
        };
        let (holds, length, at) = match place {
            Place::Zero => (Holds::Zero, length, None),
            Place::Parent => (Holds::Parent, length, None),
            Place::Data { at } => {
                let (written, run) = file
                    .written(at, length)
                    .map_err(VirtualDiskError::io("reading", path))?;
                let holds = if written { Holds::Data } else { Holds::Zero };
                (holds, run, Some(at))
            }
        };
        Ok(Stretch { length, holds, at })
    }

    /// The named file.
    pub(super) fn file(&mut self) -> &DiskFile {
        match &mut self.format {
            Opened::Raw(file) | Opened::Vhdx { file, .. } => file,
            Opened::Vhd(vhd) => vhd.source(),
        }
    }

    /// Where the file is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}
