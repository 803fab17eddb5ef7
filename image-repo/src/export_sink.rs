// SPDX-License-Identifier: Apache-2.0
//! Formats that are written from the image's start to its end.
//!
//! Raw in zstd costs no compression: a chunk is stored as a zstd frame, and frames one after the other are a zstd file
//! (RFC 8878 section 3). Zeros between them are frames of their own.

use crate::error::RepoError;
use crate::export::holes;
use crate::reader::Unpacker;
use crate::repository::Repository;
use groundstate_api::Bytes;
use groundstate_api::image::{Chunk, ImageFormat, Manifest};
use mos_core::guid::Guid;
use mos_core::random_access::{ReadAt, WriteAt};
use mos_core::vhdx::{Builder, Failure, Layout, NewDisk, NewIds, NewKind};
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

/// Zeros that are written at once.
const ZEROS: usize = 1 << 20;
/// What a file system leaves out of a file as a whole.
const BLOCK: usize = 4096;
/// Who made a VHDX, for people.
const CREATOR: &str = "groundstate";

/// A format that can be written as a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Streamed {
    Raw,
    Zstd,
}

impl Streamed {
    /// `None`: it needs to go back.
    pub(crate) const fn of(format: ImageFormat) -> Option<Self> {
        match format {
            ImageFormat::Raw => Some(Self::Raw),
            ImageFormat::RawZstd => Some(Self::Zstd),
            ImageFormat::RawGzip
            | ImageFormat::RawXz
            | ImageFormat::Qcow2
            | ImageFormat::Vhd
            | ImageFormat::Vhdx
            | ImageFormat::Vmdk
            | ImageFormat::Tar
            | ImageFormat::Oci
            | ImageFormat::Wim => None,
        }
    }
}

/// What comes next.
enum Part<'a> {
    Zeros(u64),
    Chunk(&'a Chunk),
}

/// Chunks and what is between them, in order.
fn parts(manifest: &Manifest) -> Vec<(u64, Part<'_>)> {
    let holes = holes(manifest).into_iter();
    let holes = holes.map(|(at, length)| (at, Part::Zeros(length)));
    let chunks = manifest.chunks.iter();
    let mut parts: Vec<_> = chunks
        .map(|chunk| (chunk.offset.0, Part::Chunk(chunk)))
        .chain(holes)
        .collect();
    parts.sort_by_key(|(at, _)| *at);
    parts
}

/// Writes the image; how many bytes that were.
pub(crate) fn stream(
    repository: &Repository,
    manifest: &Manifest,
    format: Streamed,
    (to, named): (&mut dyn Write, &Path),
    progress: &mut dyn FnMut(Bytes, Bytes),
) -> Result<Bytes, RepoError> {
    let failed = RepoError::output("written", named);
    let zeros = vec![0; ZEROS];
    let mut unpacker = Unpacker::new(repository)?;
    let mut plain = Vec::new();
    let mut length = 0;
    let frame = frame_of(&zeros)?;
    let mut write = |bytes: &[u8]| -> io::Result<()> {
        length += bytes.len() as u64;
        to.write_all(bytes)
    };
    let written = (|| -> Result<(), Failed> {
        for (at, part) in parts(manifest) {
            match part {
                Part::Chunk(chunk) => {
                    unpacker.unpack(chunk, &mut plain)?;
                    match format {
                        Streamed::Raw => write(&plain)?,
                        Streamed::Zstd => write(unpacker.last())?,
                    }
                }
                Part::Zeros(mut left) => {
                    while left > 0 {
                        let now = usize::try_from(left).map_or(ZEROS, |left| left.min(ZEROS));
                        match format {
                            Streamed::Raw => write(&zeros[..now])?,
                            Streamed::Zstd if now == ZEROS => write(&frame)?,
                            Streamed::Zstd => write(&frame_of(&zeros[..now])?)?,
                        }
                        left -= now as u64;
                    }
                }
            }
            progress(Bytes(at), manifest.size);
        }
        Ok(())
    })();
    match written.and_then(|()| to.flush().map_err(Failed::Output)) {
        Ok(()) => {
            progress(manifest.size, manifest.size);
            Ok(Bytes(length))
        }
        Err(Failed::Repository(error)) => Err(error),
        Err(Failed::Output(error)) => Err(failed(error)),
    }
}

/// Whose fault it is.
enum Failed {
    Repository(RepoError),
    Output(io::Error),
}

impl From<RepoError> for Failed {
    fn from(error: RepoError) -> Self {
        Self::Repository(error)
    }
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

fn frame_of(bytes: &[u8]) -> Result<Vec<u8>, RepoError> {
    zstd::bulk::compress(bytes, 1).map_err(|source| RepoError::Compress {
        offset: Bytes(0),
        source,
    })
}

/// Writes the bytes that are not zero into a new file, block by block, so that its holes stay holes.
pub(crate) fn write_data(file: &File, at: u64, bytes: &[u8]) -> io::Result<()> {
    let mut begin = 0;
    while begin < bytes.len() {
        let is_hole = |from: usize| {
            let block = bytes.get(from..(from + BLOCK).min(bytes.len()));
            block.is_none_or(|block| block.iter().all(|byte| *byte == 0))
        };
        let mut end = begin;
        while end < bytes.len() && !is_hole(end) {
            end += BLOCK;
        }
        if let Some(data) = bytes.get(begin..end.min(bytes.len())) {
            file.write_all_at(data, at + begin as u64)?;
        }
        // The block at `end` is a hole.
        begin = end + BLOCK;
    }
    Ok(())
}

/// Writes zeros where a device cannot make them itself.
pub(crate) fn write_zeros(file: &File, at: u64, length: u64) -> io::Result<()> {
    let zeros = vec![0; ZEROS];
    let mut done = 0;
    while done < length {
        let left = length - done;
        let now = usize::try_from(left).map_or(ZEROS, |left| left.min(ZEROS));
        file.write_all_at(&zeros[..now], at + done)?;
        done += now as u64;
    }
    Ok(())
}

/// A new file as the builder of a VHDX wants it.
struct Target<'a> {
    file: &'a File,
    length: u64,
}

impl ReadAt for Target<'_> {
    type Error = io::Error;
    fn len(&self) -> u64 {
        self.length
    }
    fn read_at(&mut self, at: u64, into: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(into, at)
    }
}

impl WriteAt for Target<'_> {
    fn write_at(&mut self, at: u64, from: &[u8]) -> io::Result<()> {
        self.length = self.length.max(at + from.len() as u64);
        self.file.write_all_at(from, at)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }
}

/// Writes the image as a dynamic VHDX into an empty file; how long that is. The same image makes the same file.
pub(crate) fn vhdx(
    repository: &Repository,
    manifest: &Manifest,
    identity: &[u8; 32],
    file: &File,
    path: &Path,
    progress: &mut dyn FnMut(Bytes, Bytes),
) -> Result<Bytes, RepoError> {
    let refused = |said: String| RepoError::ExportSize {
        format: ImageFormat::Vhdx,
        said,
    };
    let guid = |skip: usize| {
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&identity[skip..skip + 16]);
        Guid(bytes)
    };
    let layout = Layout::new(&NewDisk {
        size: manifest.size,
        block_size: None,
        logical_sector: manifest.sector_size,
        physical_sector: 4096,
        kind: NewKind::Dynamic,
        ids: NewIds {
            file_write: guid(0),
            data_write: guid(8),
            disk: guid(16),
        },
        creator: CREATOR.into(),
    });
    let layout = layout.map_err(|error| refused(error.to_string()))?;
    let mut builder = Builder::new(Target { file, length: 0 }, layout);
    let mut unpacker = Unpacker::new(repository)?;
    let mut plain = Vec::new();
    let said = |error: Failure<io::Error>| match error {
        Failure::Write { why, .. } | Failure::Flush { why } => {
            RepoError::output("written", path)(why)
        }
        other => refused(other.to_string()),
    };
    for chunk in &manifest.chunks {
        unpacker.unpack(chunk, &mut plain)?;
        builder.write(chunk.offset.0, &plain).map_err(said)?;
        progress(chunk.offset, manifest.size);
    }
    let target = builder.finish().map_err(said)?;
    progress(manifest.size, manifest.size);
    Ok(Bytes(target.length))
}
