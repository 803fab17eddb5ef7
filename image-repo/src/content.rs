// SPDX-License-Identifier: Apache-2.0
//! The bytes of an image on their way in, in order, whatever file they come out of.
//!
//! A content is read once, from its start to its end, and says where it has holes, so that sparse input stays sparse. It
//! never looks for a format: who opens it states which one it is.

use crate::error::RepoError;
use crate::sparse::next_data;
use groundstate_api::Bytes;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece {
    /// So many bytes were put at the buffer's start. Fewer than the buffer holds only at the end, or where zeros follow
    /// that [`Content::next`] tells as such; then their number is a multiple of [`GRAIN`].
    Data(usize),
    /// So many bytes are zero; nothing was put into the buffer. A multiple of [`GRAIN`], but at the end.
    Zeros(u64),
    /// There is nothing more.
    End,
}

/// Zero runs begin and end at a multiple of this, in bytes: the smallest chunk size.
pub const GRAIN: u64 = 64 * 1024;

/// An image's bytes in order.
pub trait Content: Send {
    /// How many bytes there will be; `None` where only the end tells (a compressed stream).
    fn size(&self) -> Option<Bytes>;
    /// How many bytes of the file have been read, of how many, for people: what a compressed stream can tell before its end.
    fn consumed(&self) -> Option<(Bytes, Bytes)> {
        None
    }
    /// Puts the next bytes into `buffer`, whose length is a multiple of [`GRAIN`].
    ///
    /// # Errors
    /// The file cannot be read, or is not what it was said to be.
    fn next(&mut self, buffer: &mut [u8]) -> Result<Piece, RepoError>;
}

/// A file or a block device whose bytes are the image's.
#[derive(Debug)]
pub struct RawFile {
    file: File,
    path: PathBuf,
    size: u64,
    at: u64,
}

impl RawFile {
    /// Opens the file for reading.
    ///
    /// # Errors
    /// It cannot be opened or measured.
    pub fn open(path: &Path) -> Result<Self, RepoError> {
        let file = File::open(path).map_err(RepoError::file("opened", path))?;
        let size = std::io::Seek::seek(&mut &file, std::io::SeekFrom::End(0))
            .map_err(RepoError::file("measured", path))?;
        Ok(Self {
            file,
            path: path.to_path_buf(),
            size,
            at: 0,
        })
    }
}

impl Content for RawFile {
    fn size(&self) -> Option<Bytes> {
        Some(Bytes(self.size))
    }

    fn next(&mut self, buffer: &mut [u8]) -> Result<Piece, RepoError> {
        let left = self.size - self.at;
        if left == 0 {
            return Ok(Piece::End);
        }
        let data = next_data(&self.file, self.at, self.size, GRAIN)
            .map_err(RepoError::file("read", &self.path))?
            .unwrap_or(self.size);
        if data > self.at {
            let zeros = data - self.at;
            self.at = data;
            return Ok(Piece::Zeros(zeros));
        }
        let length = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
        self.file
            .read_exact_at(&mut buffer[..length], self.at)
            .map_err(RepoError::file("read", &self.path))?;
        self.at += length as u64;
        Ok(Piece::Data(length))
    }
}

/// An image is a whole number of these, in bytes: the smallest sector of a disk.
const SECTOR: u64 = 512;

/// A content's bytes, a chunk at a time: zero runs are cut where chunks begin, and zeros fill the last sector, as
/// `qemu-img convert -O raw` does it.
pub(crate) struct Chunks<'a> {
    content: &'a mut dyn Content,
    chunk_size: usize,
    at: u64,
    zeros: u64,
    padding: u64,
    ended: bool,
}

impl<'a> Chunks<'a> {
    pub(crate) fn new(content: &'a mut dyn Content, chunk_size: usize) -> Self {
        Self {
            content,
            chunk_size,
            at: 0,
            zeros: 0,
            padding: 0,
            ended: false,
        }
    }

    /// How many bytes there were so far; all of them once [`Self::next`] has given `None`.
    pub(crate) fn position(&self) -> u64 {
        self.at
    }

    /// How many zeros were put behind the content.
    pub(crate) fn padding(&self) -> u64 {
        self.padding
    }

    /// Fills `buffer` with the next chunk that is not one hole, and gives its offset and length.
    pub(crate) fn next(&mut self, buffer: &mut Vec<u8>) -> Result<Option<u64>, RepoError> {
        buffer.resize(self.chunk_size, 0);
        let size = self.chunk_size as u64;
        let (mut filled, mut is_hole) = (0, true);
        loop {
            if self.zeros > 0 {
                if filled == 0 && self.zeros >= size {
                    // Whole chunks of zeros are no chunks.
                    let skipped = self.zeros / size * size;
                    self.at += skipped;
                    self.zeros -= skipped;
                    continue;
                }
                let room = self.chunk_size - filled;
                let count = usize::try_from(self.zeros).map_or(room, |zeros| zeros.min(room));
                buffer[filled..filled + count].fill(0);
                filled += count;
                self.zeros -= count as u64;
            } else if !self.ended && filled < self.chunk_size {
                match self.content.next(&mut buffer[filled..])? {
                    Piece::Data(count) => {
                        filled += count;
                        is_hole = false;
                    }
                    Piece::Zeros(count) => self.zeros = count,
                    Piece::End => {
                        self.ended = true;
                        let length = self.at + filled as u64;
                        self.padding = length.next_multiple_of(SECTOR) - length;
                        self.zeros = self.padding;
                    }
                }
                continue;
            }
            if filled < self.chunk_size && !self.ended {
                continue;
            }
            let offset = self.at;
            self.at += filled as u64;
            if filled == 0 {
                return Ok(None);
            }
            if is_hole {
                filled = 0;
                continue;
            }
            buffer.truncate(filled);
            return Ok(Some(offset));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pieces as they are told.
    struct Told(Vec<Piece>, usize);

    impl Content for Told {
        fn size(&self) -> Option<Bytes> {
            None
        }
        fn next(&mut self, buffer: &mut [u8]) -> Result<Piece, RepoError> {
            let piece = self.0.get(self.1).copied().unwrap_or(Piece::End);
            self.1 += 1;
            if let Piece::Data(count) = piece {
                buffer[..count].fill(7);
            }
            Ok(piece)
        }
    }

    type Cut = (Vec<(u64, Vec<u8>)>, u64);

    fn cut(pieces: &[Piece], chunk_size: usize) -> Cut {
        let mut told = Told(pieces.to_vec(), 0);
        let mut chunks = Chunks::new(&mut told, chunk_size);
        let (mut all, mut buffer) = (Vec::new(), Vec::new());
        while let Some(offset) = chunks.next(&mut buffer).unwrap() {
            all.push((offset, buffer.clone()));
        }
        (all, chunks.position())
    }

    #[test]
    fn zero_runs_are_cut_where_chunks_begin() {
        let grain = 65_536;
        let (four, g) = (4 * grain, grain as u64);
        let (chunks, size) = cut(
            &[
                Piece::Zeros(5 * g),
                Piece::Data(grain),
                Piece::Zeros(11 * g),
                Piece::Data(100),
            ],
            four,
        );
        assert_eq!(size, 17 * g + 512, "the last sector is filled");
        let places: Vec<_> = chunks
            .iter()
            .map(|(at, bytes)| (*at, bytes.len()))
            .collect();
        assert_eq!(places, [(4 * g, four), (16 * g, grain + 512)]);
        assert!(chunks[0].1[..grain].iter().all(|byte| *byte == 0));
        assert!(chunks[0].1[grain..2 * grain].iter().all(|byte| *byte == 7));
        assert!(chunks[0].1[2 * grain..].iter().all(|byte| *byte == 0));
        assert_eq!(cut(&[Piece::Zeros(9 * g)], four), (Vec::new(), 9 * g));
        assert_eq!(cut(&[], four), (Vec::new(), 0));
        assert_eq!(cut(&[Piece::Zeros(g + 1)], four), (Vec::new(), g + 512));
        let (chunks, size) = cut(&[Piece::Data(four - 1)], four);
        assert_eq!((chunks[0].1.len(), chunks.len(), size), (four, 1, 4 * g));
        assert_eq!(chunks[0].1[four - 2..], [7, 0]);
    }
}
