// SPDX-License-Identifier: Apache-2.0
//! A stream of the disk's bytes, compressed or not: zero runs are found, and what expands beyond reason is refused.

use super::codec::Codec;
use super::counted::{Count, Counted, read_full};
use super::error::FormatError;
use super::limits::{DATA_FLOOR, DATA_RATIO_MAX, LEADING_ZEROS_MAX, ZEROS_AT_ONCE};
use super::mark::{HEAD, Mark, Marked, TAIL, mark, tail_mark};
use super::name::name;
use crate::content::{Content, GRAIN, Piece};
use crate::error::RepoError;
use groundstate_api::Bytes;
use groundstate_api::image::ImageFormat;
use std::io::{self, Read};
use std::path::PathBuf;

/// What is known of a stream before it is read.
pub(super) struct Source {
    pub(super) path: PathBuf,
    pub(super) format: ImageFormat,
    pub(super) codec: Codec,
    /// The file's length, where it is a file.
    pub(super) length: Option<u64>,
    /// The most bytes of the disk.
    pub(super) max: Bytes,
    /// Whether that was stated, so that nothing is taken for a bomb.
    pub(super) stated: bool,
    /// Whether the bytes are taken whatever mark they bear.
    pub(super) really: bool,
}

/// The disk in order, out of a stream.
pub(super) struct StreamContent {
    source: Source,
    reader: Box<dyn Read + Send>,
    consumed: Count,
    /// Bytes of the disk so far.
    at: u64,
    /// Of these, in blocks that are not zero.
    data: u64,
    /// A grain that was read while zeros were told.
    held: Option<Vec<u8>>,
    tail: Vec<u8>,
    ended: bool,
}

impl StreamContent {
    /// `head` was read of `rest` before.
    pub(super) fn new(
        source: Source,
        head: Vec<u8>,
        rest: impl Read + Send + 'static,
    ) -> Result<Self, FormatError> {
        let (counted, consumed) = Counted::new(head, rest);
        let reader = source.codec.reader(counted);
        let reader = reader.map_err(FormatError::file("read", &source.path))?;
        Ok(Self {
            source,
            reader,
            consumed,
            at: 0,
            data: 0,
            held: None,
            tail: Vec::new(),
            ended: false,
        })
    }

    /// Reads a grain, or less at the end; 0 at the end and after an error.
    fn grain(&mut self, into: &mut [u8]) -> Result<usize, FormatError> {
        if self.ended {
            return Ok(0);
        }
        let read = read_full(&mut *self.reader, into);
        // A decoder that has failed is not asked again.
        self.ended = !matches!(read, Ok(count) if count == into.len());
        let count = read.map_err(|error| self.failed(&error))?;
        let bytes = into.get(..count).unwrap_or(&[]);
        let first = self.at == 0;
        self.at += count as u64;
        if self.at > self.source.max.0 {
            return Err(FormatError::TooLarge {
                path: self.source.path.clone(),
                size: Bytes(self.at),
                max: self.source.max,
            });
        }
        self.marks(bytes, first)?;
        self.bombs(bytes)?;
        Ok(count)
    }

    /// Refuses the mark of another format, at the start and at the end.
    fn marks(&mut self, bytes: &[u8], first: bool) -> Result<(), FormatError> {
        if self.source.really {
            return Ok(());
        }
        let tail = usize::try_from(TAIL).unwrap_or(0);
        let keep = tail.saturating_sub(bytes.len()).min(self.tail.len());
        self.tail.drain(..self.tail.len() - keep);
        let last = bytes.len().saturating_sub(tail);
        self.tail
            .extend_from_slice(bytes.get(last..).unwrap_or(&[]));
        let head = bytes.get(..HEAD.min(bytes.len())).unwrap_or(&[]);
        let found = first.then(|| mark(head, &[])).flatten();
        let found = found.or_else(|| self.ended.then(|| tail_mark(&self.tail)).flatten());
        match found {
            Some(found) => Err(self.disguised(found)),
            None => Ok(()),
        }
    }

    fn disguised(&self, mark: Mark) -> FormatError {
        let found = match mark.what {
            Marked::Ours(format) => name(format),
            Marked::Foreign(name) => name,
        };
        let (path, evidence) = (self.source.path.clone(), mark.evidence);
        if self.source.codec == Codec::None {
            return FormatError::Disguised {
                path,
                found,
                evidence,
            };
        }
        FormatError::DisguisedInside {
            path,
            stated: self.source.format,
            found,
            evidence,
        }
    }

    /// Refuses what is nothing but zeros for too long, and data out of nearly nothing.
    fn bombs(&mut self, bytes: &[u8]) -> Result<(), FormatError> {
        const BLOCK: usize = 4096;
        if self.source.codec == Codec::None || self.source.stated {
            return Ok(());
        }
        let blocks = bytes.chunks(BLOCK).filter(|block| !is_zero(block));
        self.data += blocks.map(|block| block.len() as u64).sum::<u64>();
        let (path, consumed) = (&self.source.path, Bytes(self.consumed.get().max(1)));
        if self.data == 0 && self.at > LEADING_ZEROS_MAX.0 {
            let path = path.clone();
            return Err(FormatError::NothingButZeros { path, consumed });
        }
        if self.data > DATA_FLOOR.0 && self.data / consumed.0 > DATA_RATIO_MAX {
            return Err(FormatError::Expands {
                path: path.clone(),
                data: Bytes(self.data),
                consumed,
            });
        }
        Ok(())
    }

    fn failed(&self, error: &io::Error) -> FormatError {
        let (path, format, at) = (self.source.path.clone(), self.source.format, Bytes(self.at));
        if let Some(code) = error.raw_os_error() {
            let source = io::Error::from_raw_os_error(code);
            return FormatError::file("read", &path)(source);
        }
        let said = error.to_string();
        match (self.source.codec, error.kind()) {
            // A few bytes behind the last member look like the beginning of another one.
            (Codec::Gzip, io::ErrorKind::UnexpectedEof) => FormatError::Stream {
                path,
                format,
                at,
                said: "it is cut off".into(),
            },
            (_, io::ErrorKind::UnexpectedEof) => FormatError::CutOff { path, format, at },
            (Codec::Xz, io::ErrorKind::OutOfMemory) => FormatError::Dictionary { path },
            // zstd's own sentence for the window; it has no kind of its own.
            (Codec::Zstd, _) if said.contains("too much memory") => FormatError::Window { path },
            _ => FormatError::Stream {
                path,
                format,
                at,
                said,
            },
        }
    }
}

impl Content for StreamContent {
    fn size(&self) -> Option<Bytes> {
        match (self.source.codec, self.source.length) {
            (Codec::None, Some(length)) => Some(Bytes(length)),
            (Codec::None | Codec::Zstd | Codec::Gzip | Codec::Xz, _) => None,
        }
    }

    fn consumed(&self) -> Option<(Bytes, Bytes)> {
        let total = self.source.length?;
        Some((Bytes(self.consumed.get().min(total)), Bytes(total)))
    }

    fn next(&mut self, buffer: &mut [u8]) -> Result<Piece, RepoError> {
        let size = usize::try_from(GRAIN).unwrap_or(0);
        let (mut filled, mut zeros) = (0, 0);
        match self.held.take() {
            Some(held) if is_zero(&held) => zeros = held.len() as u64,
            Some(held) => {
                buffer[..held.len()].copy_from_slice(&held);
                filled = held.len();
            }
            None => {}
        }
        while let Some(room) = buffer.get_mut(filled..filled + size) {
            let count = self.grain(room)?;
            let bytes = &room[..count];
            let zero = is_zero(bytes);
            if zero && count > 0 && filled == 0 {
                zeros += count as u64;
                if zeros >= ZEROS_AT_ONCE {
                    break;
                }
                continue;
            }
            if count == 0 {
                break;
            }
            if zeros > 0 || (zero && count == size) {
                self.held = Some(bytes.to_vec());
                break;
            }
            filled += count;
            if count < size {
                break;
            }
        }
        Ok(match (zeros, filled) {
            (0, 0) if self.at == 0 => {
                let path = self.source.path.clone();
                return Err(FormatError::Empty { path }.into());
            }
            (0, 0) => Piece::End,
            (0, filled) => Piece::Data(filled),
            (zeros, _) => Piece::Zeros(zeros),
        })
    }
}

fn is_zero(bytes: &[u8]) -> bool {
    static ZEROS: [u8; 65_536] = [0; 65_536];
    bytes
        .chunks(ZEROS.len())
        .all(|part| ZEROS[..part.len()] == *part)
}
