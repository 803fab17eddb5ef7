// SPDX-License-Identifier: Apache-2.0
//! Makes a virtual disk that has a frame, so that power may go at any write: space, then everything but the marks, made
//! durable; then the marks, each made durable before the next.

use super::super::error::DiskError;
use super::found::{Found, Identity, Reader, found};
use super::frame::Frame;
use super::{VhdFile, not_reserved};
use crate::virtual_disk::How;
use mos_core::random_access::{ReadAt, WriteAt};
use mos_core::vhd::{Vhd, VhdError};
use mos_core::vhdx::{Failure, Vhdx};
use std::io;
use std::path::Path;

/// After this many writes they are made durable and the disk is said to answer: the bitmaps of a dynamic VHD lie 2 MiB
/// apart, and a rotating disk needs some ten seconds for so many of them.
const WRITES_AT_ONCE: u32 = 1_024;

/// Writes to a file what lies behind `keep`.
pub(super) struct Writer<'a> {
    file: &'a dyn VhdFile,
    answers: &'a dyn Fn(),
    keep: u64,
    length: u64,
    waiting: u32,
}

impl ReadAt for Writer<'_> {
    type Error = io::Error;

    fn len(&self) -> u64 {
        self.length
    }

    fn read_at(&mut self, at: u64, into: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(into, at)
    }
}

impl WriteAt for Writer<'_> {
    fn write_at(&mut self, at: u64, from: &[u8]) -> io::Result<()> {
        if at + from.len() as u64 <= self.keep {
            return Ok(());
        }
        self.file.write_all_at(from, at)?;
        self.waiting += 1;
        if self.waiting >= WRITES_AT_ONCE {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.waiting = 0;
        self.file.sync_all()?;
        (self.answers)();
        Ok(())
    }
}

/// Compares with what a file has in its first `length` bytes instead of writing.
struct Comparison<'a> {
    reader: Reader<'a>,
    differs: bool,
}

impl ReadAt for Comparison<'_> {
    type Error = io::Error;

    fn len(&self) -> u64 {
        self.reader.len()
    }

    fn read_at(&mut self, at: u64, into: &mut [u8]) -> io::Result<()> {
        self.reader.read_at(at, into)
    }
}

impl WriteAt for Comparison<'_> {
    fn write_at(&mut self, at: u64, from: &[u8]) -> io::Result<()> {
        let there = usize::try_from(self.len().saturating_sub(at)).unwrap_or(usize::MAX);
        let (from, _) = from.split_at(there.min(from.len()));
        let mut found = vec![0; from.len()];
        self.read_at(at, &mut found)?;
        self.differs |= found != from;
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Whether a shorter file of the planned id is the beginning of the planned one, and not laid out in another way.
fn is_beginning(file: &dyn VhdFile, frame: &Frame, length: u64) -> io::Result<bool> {
    let mut comparison = Comparison {
        reader: Reader { file, length },
        differs: false,
    };
    frame.write_body(&mut comparison)?;
    Ok(!comparison.differs)
}

/// How it went.
pub(super) struct Made {
    pub(super) how: How,
    /// Whether the disk was there already.
    pub(super) stood: bool,
}

/// Makes the disk in its open file, or makes whole what is left of it. What the disk holds stays.
pub(super) fn make(
    file: &dyn VhdFile,
    path: &Path,
    planned: &Identity,
    frame: &Frame,
    answers: &dyn Fn(),
) -> Result<Made, DiskError> {
    let length = frame.length();
    let (had, stood) = match found(file, path, planned, frame.payload())? {
        Found::Planned(had) => (had, true),
        Found::Nobodys(0) => (0, false),
        Found::Nobodys(_) => {
            // Nothing of it counts, and what is reserved in an empty file reads as zero.
            file.set_len(0).map_err(DiskError::io("emptying", path))?;
            (0, false)
        }
    };
    let io = |doing| DiskError::io(doing, path);
    if stood && had < length && !is_beginning(file, frame, had).map_err(io("reading"))? {
        return Err(DiskError::AnothersDisk {
            path: path.to_path_buf(),
            found: format!("{planned} laid out in another way, in {had} bytes"),
            planned: planned.to_string(),
        });
    }
    let reserved = file.reserve(length.max(had));
    let how = reserved.map_err(|why| not_reserved(path, why))?;
    if had < length {
        file.set_len(length).map_err(io("sizing"))?;
        let mut writer = Writer {
            file,
            answers,
            keep: had,
            length,
            waiting: 0,
        };
        let written = frame.write_body(&mut writer);
        written.map_err(io("writing"))?;
    }
    // What stands may never have been made durable either.
    file.sync_all().map_err(io("flushing"))?;
    mark(file, frame, had).map_err(io("marking"))?;
    prove(file, path, planned, frame)?;
    Ok(Made { how, stood })
}

/// Writes the marks, each step durable before the next. Of a disk that stood with `had` bytes, those that it lacks.
fn mark(file: &dyn VhdFile, frame: &Frame, had: u64) -> io::Result<()> {
    let stood = had > 0;
    for step in frame.marks() {
        let mut wrote = false;
        for (at, bytes) in step {
            // Of a file that has grown, only the start is known not to be data.
            let is_known = at == 0 || had <= frame.length();
            if stood && (!is_known || stands(file, frame, at, bytes.len())?) {
                continue;
            }
            file.write_all_at(&bytes, at)?;
            wrote = true;
        }
        if wrote {
            file.sync_all()?;
        }
    }
    Ok(())
}

fn stands(file: &dyn VhdFile, frame: &Frame, at: u64, length: usize) -> io::Result<bool> {
    let mut bytes = vec![0; length];
    file.read_exact_at(&mut bytes, at)?;
    Ok(frame.stands(&bytes))
}

/// The file has a block for every byte, and a reader finds in it the planned disk with all of its blocks.
fn prove(
    file: &dyn VhdFile,
    path: &Path,
    planned: &Identity,
    frame: &Frame,
) -> Result<(), DiskError> {
    let (length, allocated) = file.lengths().map_err(DiskError::io("sizing", path))?;
    if length < frame.length() || allocated < frame.length() {
        return Err(DiskError::NotAllocated {
            path: path.to_path_buf(),
            length,
            allocated,
        });
    }
    let reader = Reader { file, length };
    let whole = match frame {
        Frame::Vhd(_) => vhd_is_whole(reader),
        Frame::Vhdx(_) => vhdx_is_whole(reader),
    };
    match whole.map_err(DiskError::io("reading back", path))? {
        Ok(()) => Ok(()),
        Err(why) => Err(DiskError::AnothersDisk {
            path: path.to_path_buf(),
            found: why,
            planned: planned.to_string(),
        }),
    }
}

/// Nobody takes a block out of a VHD: all are there.
fn vhd_is_whole(reader: Reader<'_>) -> io::Result<Result<(), String>> {
    let disk = match Vhd::open(reader) {
        Ok(disk) => disk,
        Err(VhdError::Io(error)) => return Err(error),
        Err(VhdError::Refused(why)) => return Ok(Err(why.to_string())),
    };
    Ok(match disk.block_count() {
        Some((all, there)) if all == there => Ok(()),
        Some((all, there)) => Err(format!("a dynamic VHD with {there} of its {all} blocks")),
        None => Err("a VHD without blocks".to_owned()),
    })
}

/// A virtual machine may have given blocks of a VHDX back. What is there lies where it may.
fn vhdx_is_whole(reader: Reader<'_>) -> io::Result<Result<(), String>> {
    let faults = Vhdx::open(reader).and_then(|mut disk| disk.check());
    match faults {
        Ok(faults) => Ok(match faults.iter().find(|fault| !fault.is_harmless()) {
            Some(fault) => Err(format!("a VHDX of which {fault}")),
            None => Ok(()),
        }),
        Err(Failure::Read { why, .. } | Failure::Write { why, .. } | Failure::Flush { why }) => {
            Err(why)
        }
        Err(Failure::Refused(why)) => Ok(Err(why.to_string())),
    }
}
