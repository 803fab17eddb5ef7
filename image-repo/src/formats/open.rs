// SPDX-License-Identifier: Apache-2.0
//! Opens a file or a pipe as what it is stated to be.

use super::codec::Codec;
use super::counted::read_full;
use super::disk::{Disk, DiskContent};
use super::error::FormatError;
use super::host_file::HostFile;
use super::limits::{SIZE_MAX, SPOOL_MAX};
use super::mark::{HEAD, Marked, TAIL, mark};
use super::name::name;
use super::note::{Note, Notes};
use super::padded::Padded;
use super::qcow2::Qcow2Disk;
use super::spool::spool;
use super::stream::{Source, StreamContent};
use super::vhd::VhdDisk;
use super::vhdx::VhdxDisk;
use super::vmdk;
use crate::content::{Content, RawFile};
use crate::error::RepoError;
use groundstate_api::Bytes;
use groundstate_api::image::ImageFormat;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Where the bytes come from.
pub enum Input {
    /// A file or a block device.
    File(PathBuf),
    /// A pipe, read once: `-`.
    Stream(Box<dyn Read + Send>),
}

impl Input {
    /// The standard input.
    #[must_use]
    pub fn stdin() -> Self {
        Self::Stream(Box::new(std::io::stdin()))
    }
}

/// What is to be held against the input.
#[derive(Clone, Debug)]
pub struct Terms {
    /// Takes the bytes themselves, whatever mark they bear: `--really`.
    pub really: bool,
    /// The largest disk that is taken, instead of [`SIZE_MAX`]. Where it is stated, nothing is taken for a bomb.
    pub max_size: Option<Bytes>,
    /// The folder for a file without a name, where a pipe has to be read at any place.
    pub spool: PathBuf,
}

/// An open image.
pub struct Opened {
    /// Its bytes in order.
    pub content: Box<dyn Content>,
    /// What a person should know: asked for now, and again when all has been read.
    pub notes: Notes,
}

/// Opens the input as what it is stated to be. Nothing else is opened, but for the files of a VMDK beside its descriptor.
///
/// # Errors
/// [`RepoError::Format`] with the cause, or the file cannot be used.
pub fn open(format: ImageFormat, input: Input, terms: &Terms) -> Result<Opened, RepoError> {
    let notes = Notes::default();
    let content = match input {
        Input::File(path) => open_file(format, &path, terms, &notes)?,
        Input::Stream(stream) => open_stream(format, stream, terms, &notes)?,
    };
    Ok(Opened {
        content: Box::new(Padded::new(content, notes.clone())),
        notes,
    })
}

fn open_file(
    format: ImageFormat,
    path: &Path,
    terms: &Terms,
    notes: &Notes,
) -> Result<Box<dyn Content>, RepoError> {
    let file = HostFile::open(path)?;
    if file.length() == 0 {
        let path = path.to_path_buf();
        return Err(FormatError::Empty { path }.into());
    }
    let (head, tail) = (file.head(HEAD)?, file.tail(TAIL)?);
    if format != ImageFormat::Raw || !terms.really {
        check_mark(format, path, &head, &tail)?;
    }
    match kind(format, path)? {
        Kind::Stream(Codec::None) => {
            within(path, file.length(), terms)?;
            Ok(Box::new(RawFile::open(path)?))
        }
        Kind::Stream(codec) => {
            let length = Some(file.length());
            let source = source(format, codec, path, length, terms);
            let stream = StreamContent::new(source, Vec::new(), file.into_reader())?;
            Ok(Box::new(stream))
        }
        Kind::Disk => disk(format, file, false, terms, notes),
    }
}

fn open_stream(
    format: ImageFormat,
    mut stream: Box<dyn Read + Send>,
    terms: &Terms,
    notes: &Notes,
) -> Result<Box<dyn Content>, RepoError> {
    let path = Path::new("-");
    let kind = kind(format, path)?;
    let mut head = vec![0; HEAD];
    let read = read_full(&mut *stream, &mut head);
    let count = read.map_err(FormatError::file("read", path))?;
    head.truncate(count);
    if head.is_empty() {
        let path = path.to_path_buf();
        return Err(FormatError::Empty { path }.into());
    }
    match kind {
        Kind::Stream(codec) => {
            if codec != Codec::None {
                check_mark(format, path, &head, &[])?;
            }
            let source = source(format, codec, path, None, terms);
            Ok(Box::new(StreamContent::new(source, head, stream)?))
        }
        Kind::Disk => {
            let max = terms.max_size.unwrap_or(SPOOL_MAX);
            let file = spool(&head, &mut *stream, &terms.spool, path, max)?;
            let bytes = file.length();
            notes.add(Note::Spooled { bytes });
            check_mark(format, path, &file.head(HEAD)?, &file.tail(TAIL)?)?;
            disk(format, file, true, terms, notes)
        }
    }
}

fn source(
    format: ImageFormat,
    codec: Codec,
    path: &Path,
    length: Option<u64>,
    terms: &Terms,
) -> Source {
    Source {
        path: path.to_path_buf(),
        format,
        codec,
        length,
        max: terms.max_size.unwrap_or(SIZE_MAX),
        stated: terms.max_size.is_some(),
        really: terms.really,
    }
}

fn disk(
    format: ImageFormat,
    file: HostFile,
    alone: bool,
    terms: &Terms,
    notes: &Notes,
) -> Result<Box<dyn Content>, RepoError> {
    let path = file.path().to_path_buf();
    let disk: Box<dyn Disk> = match format {
        ImageFormat::Qcow2 => Box::new(Qcow2Disk::open(file, notes)?),
        ImageFormat::Vhd => Box::new(VhdDisk::open(file, notes)?),
        ImageFormat::Vhdx => Box::new(VhdxDisk::open(file, notes)?),
        ImageFormat::Vmdk => vmdk::open(file, alone, notes)?,
        ImageFormat::Raw
        | ImageFormat::RawZstd
        | ImageFormat::RawGzip
        | ImageFormat::RawXz
        | ImageFormat::Tar
        | ImageFormat::Oci
        | ImageFormat::Wim => return Err(FormatError::NotADisk { path, format }.into()),
    };
    within(&path, disk.size(), terms)?;
    Ok(Box::new(DiskContent::new(disk)))
}

/// Refuses a disk that is larger than what is taken, and one that has no bytes.
fn within(path: &Path, size: u64, terms: &Terms) -> Result<(), FormatError> {
    let max = terms.max_size.unwrap_or(SIZE_MAX);
    let path = path.to_path_buf();
    if size == 0 {
        return Err(FormatError::Empty { path });
    }
    if size > max.0 {
        let size = Bytes(size);
        return Err(FormatError::TooLarge { path, size, max });
    }
    Ok(())
}

/// How a format is read.
enum Kind {
    /// From its start to its end.
    Stream(Codec),
    /// At any place.
    Disk,
}

fn kind(format: ImageFormat, path: &Path) -> Result<Kind, FormatError> {
    Ok(match format {
        ImageFormat::Raw => Kind::Stream(Codec::None),
        ImageFormat::RawZstd => Kind::Stream(Codec::Zstd),
        ImageFormat::RawGzip => Kind::Stream(Codec::Gzip),
        ImageFormat::RawXz => Kind::Stream(Codec::Xz),
        ImageFormat::Qcow2 | ImageFormat::Vhd | ImageFormat::Vhdx | ImageFormat::Vmdk => Kind::Disk,
        ImageFormat::Tar | ImageFormat::Oci | ImageFormat::Wim => {
            let path = path.to_path_buf();
            return Err(FormatError::NotADisk { path, format });
        }
    })
}

/// Refuses a file that bears the mark of another format than the stated one.
fn check_mark(
    stated: ImageFormat,
    path: &Path,
    head: &[u8],
    tail: &[u8],
) -> Result<(), FormatError> {
    let path = path.to_path_buf();
    let found = mark(head, tail);
    let evidence = found.map_or("", |found| found.evidence);
    match (found.map(|found| found.what), stated) {
        (None, ImageFormat::Raw) => Ok(()),
        (Some(Marked::Ours(found)), ImageFormat::Raw) => Err(FormatError::Disguised {
            path,
            found: name(found),
            evidence,
        }),
        (Some(Marked::Foreign(found)), ImageFormat::Raw) => Err(FormatError::ForeignFormat {
            path,
            stated,
            found,
            evidence,
        }),
        (Some(Marked::Ours(found)), stated) if found == stated => Ok(()),
        (Some(Marked::Ours(found)), stated) => Err(FormatError::OtherFormat {
            path,
            stated,
            found: name(found),
            evidence,
        }),
        (Some(Marked::Foreign(found)), stated) => Err(FormatError::ForeignFormat {
            path,
            stated,
            found,
            evidence,
        }),
        // Their own readers say more: a VHD that was cut has lost its mark.
        (None, ImageFormat::Vhd | ImageFormat::Vhdx | ImageFormat::Vmdk | ImageFormat::Qcow2) => {
            Ok(())
        }
        (None, stated) => Err(FormatError::NotThis { path, stated }),
    }
}
