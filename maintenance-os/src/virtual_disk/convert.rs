// SPDX-License-Identifier: Apache-2.0
//! Copies a disk into a new file of another format. What holds nothing is not read, and zeros are not written: a sparse
//! disk stays sparse where its new format can be.

use super::chain::Parents;
use super::create::{begin_vhd, new_vhdx, reserve_named};
use super::disk::{Disk, Format, Holds};
use super::error::VirtualDiskError;
use super::file::DiskFile;
use super::identity;
use super::new_file::NewFile;
use super::reserve::How;
use groundstate_api::Bytes;
use mos_core::random_access::{ReadAt as _, WriteAt as _};
use mos_core::vhd::{self, New, Refusal, SIZE_MAX, Shape, Vhd};
use mos_core::vhdx::{Builder, NewKind};
use serde::Serialize;
use std::fs::File;
use std::path::{Path, PathBuf};

/// Bytes that are read at once.
const PIECE: u64 = 1 << 20;
/// Zeros are found in steps of this many bytes.
const STEP: usize = 4_096;

/// What the new file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Target {
    /// The disk's bytes, sparse.
    Raw,
    /// A fixed disk, reserved in full.
    Fixed,
    /// A dynamic disk with the blocks that hold something.
    Dynamic,
}

/// A conversion.
#[derive(Clone, Debug)]
pub struct Conversion {
    /// The disk to be copied.
    pub input: PathBuf,
    /// Its format, where it is stated.
    pub from: Option<Format>,
    /// Its parents.
    pub parents: Parents,
    /// The new file.
    pub output: PathBuf,
    /// What it is.
    pub to: Target,
    /// VHD or VHDX, unless it is raw.
    pub format: Format,
    /// Replaces an existing file.
    pub force: bool,
}

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Converted {
    /// The format that the input was read as.
    pub from: Format,
    /// The new file's format.
    pub format: Format,
    /// What the new file is.
    pub to: Target,
    /// Size of the disk in bytes.
    pub size: u64,
    /// Bytes that were not zero and were written.
    pub written: u64,
    /// Length of the new file.
    pub file_length: u64,
    /// Bytes that the file system really gave it.
    pub allocated: u64,
    /// How its space was reserved; absent where none was.
    pub reserved: Option<How>,
}

/// The new disk while it is written, from start to end.
enum Sink {
    Raw(DiskFile),
    Vhd(Box<Vhd<DiskFile>>),
    Vhdx(Box<Builder<DiskFile>>),
}

/// Copies. `progress` is told how many bytes of the disk are done, and of how many.
///
/// # Errors
/// By name; nothing is left behind.
pub fn convert(
    request: &Conversion,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Converted, VirtualDiskError> {
    let mut input = Disk::open(&request.input, request.from, &request.parents, false)?;
    let size = input.size();
    let format = match request.to {
        Target::Raw => Format::Raw,
        Target::Fixed | Target::Dynamic => request.format,
    };
    let (new, file) = NewFile::begin(&request.output, request.force)?;
    let named = request.output.as_path();
    let (mut sink, reserved) = begin(request.to, format, size, file, named)?;
    let mut written = 0;
    let mut at = 0;
    let mut buffer = vec![0u8; usize::try_from(PIECE).unwrap_or_default()];
    while at < size {
        progress(at, size);
        let stretch = input.stretch(at)?;
        if stretch.holds == Holds::Zero {
            at += stretch.length;
            continue;
        }
        // Pieces end where blocks of either format do.
        let length = stretch.length.min(PIECE - at % PIECE);
        let count = usize::try_from(length).unwrap_or(buffer.len());
        let bytes = buffer.get_mut(..count).unwrap_or_default();
        input.read_at(at, bytes)?;
        for (skip, run) in not_zero(bytes) {
            sink.write(at + skip, run, named)?;
            written += run.len() as u64;
        }
        at += length;
    }
    progress(size, size);
    let file = sink.finish(size, named)?;
    let found = Converted {
        from: input.format(),
        format,
        to: request.to,
        size,
        written,
        file_length: file.len(),
        allocated: file
            .allocated()
            .map_err(VirtualDiskError::io("writing", named))?,
        reserved,
    };
    new.finish(file.file())?;
    Ok(found)
}

/// Makes the empty disk in the new file.
fn begin(
    to: Target,
    format: Format,
    size: u64,
    file: File,
    named: &Path,
) -> Result<(Sink, Option<How>), VirtualDiskError> {
    let id = identity::fresh().map_err(VirtualDiskError::io("making an id for", named))?;
    let writing = || VirtualDiskError::io("writing", named);
    let full = to == Target::Fixed;
    match format {
        Format::Raw => Ok((Sink::Raw(DiskFile::new(file).map_err(writing())?), None)),
        Format::Vhd => {
            let shape = if full {
                Shape::Fixed
            } else {
                Shape::Dynamic {
                    preallocated: false,
                }
            };
            if size > SIZE_MAX.0 {
                let why = Refusal::Footer(vhd::FooterError::TooLarge(Bytes(size)));
                let path = named.to_path_buf();
                return Err(VirtualDiskError::Vhd { path, why });
            }
            let length = size + vhd::FOOTER_LEN as u64;
            let reserved = full
                .then(|| reserve_named(&file, named, length))
                .transpose()?;
            let new = New {
                size: Bytes(size),
                id,
                timestamp: identity::now(),
                shape,
            };
            let file = DiskFile::new(file).map_err(writing())?;
            let vhd = begin_vhd(file, &new, named)?;
            Ok((Sink::Vhd(Box::new(vhd)), reserved))
        }
        Format::Vhdx => {
            let kind = if full {
                NewKind::Fixed
            } else {
                NewKind::Dynamic
            };
            let layout = new_vhdx(named, Bytes(size), kind, id)?;
            let length = layout.file_len;
            let reserved = full
                .then(|| reserve_named(&file, named, length))
                .transpose()?;
            let file = DiskFile::new(file).map_err(writing())?;
            Ok((Sink::Vhdx(Box::new(Builder::new(file, layout))), reserved))
        }
    }
}

impl Sink {
    fn write(&mut self, at: u64, bytes: &[u8], named: &Path) -> Result<(), VirtualDiskError> {
        match self {
            Self::Raw(file) => file
                .write_at(at, bytes)
                .map_err(VirtualDiskError::io("writing", named)),
            Self::Vhd(vhd) => vhd
                .write_at(at, bytes)
                .map_err(VirtualDiskError::vhd("writing", named)),
            Self::Vhdx(builder) => builder
                .write(at, bytes)
                .map_err(VirtualDiskError::vhdx(named)),
        }
    }

    /// Everything is written and the file has its length.
    fn finish(self, size: u64, named: &Path) -> Result<DiskFile, VirtualDiskError> {
        let file = match self {
            Self::Raw(file) => {
                file.file()
                    .set_len(size)
                    .map_err(VirtualDiskError::io("writing", named))?;
                file.file().try_clone()
            }
            Self::Vhd(mut vhd) => {
                vhd.flush()
                    .map_err(VirtualDiskError::vhd("writing", named))?;
                vhd.source().file().try_clone()
            }
            Self::Vhdx(builder) => {
                let file = builder.finish().map_err(VirtualDiskError::vhdx(named))?;
                file.file().try_clone()
            }
        };
        file.and_then(DiskFile::new)
            .map_err(VirtualDiskError::io("writing", named))
    }
}

/// The runs that are not zero, with where they begin.
fn not_zero(bytes: &[u8]) -> Vec<(u64, &[u8])> {
    let mut runs = Vec::new();
    let mut begin = None;
    let mut at = 0;
    for step in bytes.chunks(STEP) {
        let zero = step.iter().all(|byte| *byte == 0);
        match (zero, begin) {
            (false, None) => begin = Some(at),
            (true, Some(from)) => {
                runs.push((from, at));
                begin = None;
            }
            (false, Some(_)) | (true, None) => {}
        }
        at += step.len();
    }
    runs.extend(begin.map(|from| (from, at)));
    runs.into_iter()
        .filter_map(|(from, to)| Some((from as u64, bytes.get(from..to)?)))
        .collect()
}
