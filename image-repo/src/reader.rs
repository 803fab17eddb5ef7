// SPDX-License-Identifier: Apache-2.0
//! An image's plain bytes at any place, out of its chunks: decompressed on demand, each proved before it is given out.
//!
//! It refuses to give a byte of a chunk whose stored or plain digest is not the manifest's.

use crate::error::RepoError;
use crate::repository::Repository;
use crate::store::{Kind, Store};
use groundstate_api::Bytes;
use groundstate_api::image::{Chunk, Manifest};
use image_core::facts::{ReadAt, ReadError};
use image_core::limits::stored_max;
use image_core::proof::{self, Corrupt};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;

/// The most plain bytes that a reader keeps: a file system's tables lie in few chunks that are read again and again.
const CACHE_BYTES: u64 = 16 << 20;
/// The fewest chunks that it keeps, however large they are.
const CACHE_MIN: u64 = 2;
/// The most chunks that it keeps: they are looked through one by one.
const CACHE_MAX: u64 = 64;

/// Random access to an image's plain bytes. It is `Send`, and holds at most 16 MiB of chunks, or two of them.
pub struct ImageReader {
    unpacker: Unpacker,
    chunks: Arc<[Chunk]>,
    size: u64,
    position: u64,
    /// Chunks that were used, the last one last.
    cache: Vec<(usize, Vec<u8>)>,
    cache_max: usize,
}

/// Reads stored chunks, proves and decompresses them.
pub(crate) struct Unpacker {
    store: Arc<Store>,
    stored: Vec<u8>,
    decompress: zstd::bulk::Decompressor<'static>,
}

impl Repository {
    /// Reads the image's plain bytes at any place. Nothing is read before the first question.
    ///
    /// # Errors
    /// zstd cannot be set up.
    pub fn reader(&self, manifest: &Manifest) -> Result<ImageReader, RepoError> {
        self.reader_of(manifest.size, manifest.chunks.as_slice().into())
    }

    /// The same over chunks that no manifest names yet.
    pub(crate) fn reader_of(
        &self,
        size: Bytes,
        chunks: Arc<[Chunk]>,
    ) -> Result<ImageReader, RepoError> {
        let largest = chunks.iter().map(|chunk| chunk.length.0).max().unwrap_or(1);
        let cache_max = (CACHE_BYTES / largest.max(1)).clamp(CACHE_MIN, CACHE_MAX);
        Ok(ImageReader {
            unpacker: Unpacker::new(self)?,
            chunks,
            size: size.0,
            position: 0,
            cache: Vec::new(),
            cache_max: usize::try_from(cache_max).unwrap_or(1),
        })
    }
}

/// A chunk's plain bytes from its stored ones, wherever these come from: proved as they are stored, and as they are.
///
/// # Errors
/// How they differ from what the manifest says. Nothing is decompressed into more bytes than it says.
pub fn unpacked(chunk: &Chunk, stored: &[u8]) -> Result<Vec<u8>, Corrupt> {
    proof::stored(chunk, stored)?;
    let length = usize::try_from(chunk.length.0).unwrap_or(usize::MAX);
    let plain = zstd::bulk::decompress(stored, length).map_err(|error| Corrupt::Decompress {
        length: chunk.length,
        said: error.to_string(),
    })?;
    proof::plain(chunk, &plain)?;
    Ok(plain)
}

impl Unpacker {
    pub(crate) fn new(repository: &Repository) -> Result<Self, RepoError> {
        let decompress =
            zstd::bulk::Decompressor::new().map_err(|source| RepoError::Decompressor { source })?;
        Ok(Self {
            store: repository.store.clone(),
            stored: Vec::new(),
            decompress,
        })
    }

    /// The stored bytes of a chunk, as the manifest says they are.
    pub(crate) fn stored(&mut self, chunk: &Chunk) -> Result<&[u8], RepoError> {
        let Some(file) = self.store.file(Kind::Chunk, &chunk.digest)? else {
            return Err(RepoError::ChunkMissing {
                offset: chunk.offset,
                path: self.store.path(Kind::Chunk, &chunk.digest),
            });
        };
        let mut read = self.read(chunk, file)?;
        if read.is_err()
            && let Some(file) = self.store.file_anew(Kind::Chunk, &chunk.digest)?
        {
            read = self.read(chunk, file)?;
        }
        read.map_err(|source| RepoError::ChunkDamaged {
            offset: chunk.offset,
            path: self.store.place(Kind::Chunk, &chunk.digest),
            source,
        })?;
        Ok(&self.stored)
    }

    /// Reads a chunk's file, and says whether it is what it should be.
    fn read(&mut self, chunk: &Chunk, file: File) -> Result<Result<(), Corrupt>, RepoError> {
        self.stored.clear();
        file.take(stored_max(chunk.length).0 + 1)
            .read_to_end(&mut self.stored)
            .map_err(|error| {
                let path = self.store.place(Kind::Chunk, &chunk.digest);
                RepoError::file("read", &path)(error)
            })?;
        Ok(proof::stored(chunk, &self.stored))
    }

    /// The stored bytes of the chunk that was read last.
    pub(crate) fn last(&self) -> &[u8] {
        &self.stored
    }

    /// Puts a chunk's plain bytes into `plain`, proved twice: as they are stored, and as they are.
    pub(crate) fn unpack(&mut self, chunk: &Chunk, plain: &mut Vec<u8>) -> Result<(), RepoError> {
        self.stored(chunk)?;
        plain.clear();
        plain.reserve_exact(usize::try_from(chunk.length.0).unwrap_or(0));
        let proved = self
            .decompress
            .decompress_to_buffer(&self.stored, plain)
            .map_err(|error| Corrupt::Decompress {
                length: chunk.length,
                said: error.to_string(),
            })
            .and_then(|_| proof::plain(chunk, plain));
        proved.map_err(|source| RepoError::ChunkDamaged {
            offset: chunk.offset,
            path: self.store.place(Kind::Chunk, &chunk.digest),
            source,
        })
    }
}

impl ImageReader {
    /// The plain bytes of that chunk.
    fn chunk(&mut self, index: usize) -> Result<&[u8], RepoError> {
        if let Some(at) = self.cache.iter().position(|(held, _)| *held == index) {
            self.cache[at..].rotate_left(1);
        } else {
            let mut plain = if self.cache.len() < self.cache_max {
                Vec::new()
            } else {
                self.cache.remove(0).1
            };
            self.unpacker.unpack(&self.chunks[index], &mut plain)?;
            self.cache.push((index, plain));
        }
        Ok(self.cache.last().map_or(&[], |(_, plain)| plain))
    }

    /// Fills the whole of `buffer` with the image's plain bytes from `at` on.
    ///
    /// # Errors
    /// Some of them lie past the end, or a chunk cannot be read or is damaged.
    pub fn fill(&mut self, at: u64, buffer: &mut [u8]) -> Result<(), RepoError> {
        let end = at.checked_add(buffer.len() as u64);
        if end.is_none_or(|end| end > self.size) {
            return Err(RepoError::PastEnd {
                at,
                length: buffer.len(),
                size: self.size,
            });
        }
        let mut done = 0;
        while done < buffer.len() {
            let at = at + done as u64;
            // The first chunk that ends after this place.
            let index = self
                .chunks
                .partition_point(|chunk| chunk.offset.0 + chunk.length.0 <= at);
            let begin = self.chunks.get(index).map_or(self.size, |c| c.offset.0);
            let left = buffer.len() - done;
            if begin > at {
                let zeros = usize::try_from(begin - at).map_or(left, |zeros| zeros.min(left));
                buffer[done..done + zeros].fill(0);
                done += zeros;
                continue;
            }
            let plain = self.chunk(index)?;
            let from = usize::try_from(at - begin).unwrap_or(0);
            let count = left.min(plain.len() - from);
            buffer[done..done + count].copy_from_slice(&plain[from..from + count]);
            done += count;
        }
        Ok(())
    }
}

impl ReadAt for ImageReader {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&mut self, at: u64, buffer: &mut [u8]) -> Result<(), ReadError> {
        self.fill(at, buffer).map_err(|error| ReadError {
            at,
            said: error.to_string(),
        })
    }
}

impl Read for ImageReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.size.saturating_sub(self.position);
        let count = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
        self.fill(self.position, &mut buffer[..count])
            .map_err(io::Error::other)?;
        self.position += count as u64;
        Ok(count)
    }
}

impl Seek for ImageReader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let to = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.size.checked_add_signed(by),
            SeekFrom::Current(by) => self.position.checked_add_signed(by),
        };
        self.position = to.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}
