// SPDX-License-Identifier: Apache-2.0
//! A chunk from the target, compressed again to the bytes that the manifest names.
//!
//! zstd gives the same bytes for the same level; the level is found by trying. Where an image was compressed by another zstd
//! there is no such level, and then nothing is served from the disk.

use super::AGAIN_MAX;
use crate::medium::{self, Access};
use groundstate_api::Digest;
use groundstate_api::image::Chunk;
use image_core::limits::{LEVEL, LEVEL_MAX, LEVEL_MIN};
use std::io;
use std::path::PathBuf;

/// Requests past the page cache begin and end at multiples of this.
const BLOCK: u64 = 4_096;
/// After so many chunks of which none could be made again the disk is not read any more.
const MISSES_MAX: u32 = 8;

/// The target, read for others.
pub(super) struct Again {
    target: PathBuf,
    level: i32,
    /// Whether the level has proved right once.
    is_known: bool,
    misses: u32,
}

impl Again {
    pub(super) fn new(target: PathBuf) -> Self {
        Self {
            target,
            level: LEVEL,
            is_known: false,
            misses: 0,
        }
    }

    /// Whether it may still find chunks.
    pub(super) fn is_useful(&self) -> bool {
        self.misses < MISSES_MAX
    }

    /// The chunk's frame; `None` where the disk does not have it, or it cannot be made.
    ///
    /// # Errors
    /// The disk cannot be read.
    pub(super) fn frame(&mut self, chunk: &Chunk) -> io::Result<Option<Vec<u8>>> {
        if chunk.length > AGAIN_MAX || !self.is_useful() {
            return Ok(None);
        }
        let plain = self.read(chunk)?;
        // Its place was written to since: no reason to doubt the level.
        if Digest::of(&plain) != chunk.digest {
            return Ok(None);
        }
        let others = (LEVEL_MIN..=LEVEL_MAX).filter(|level| *level != self.level);
        let others = others.filter(|_| !self.is_known);
        for level in std::iter::once(self.level).chain(others) {
            let frame = zstd::bulk::compress(&plain, level)?;
            let same = frame.len() as u64 == chunk.stored_length.0;
            if same && Digest::of(&frame) == chunk.stored_digest {
                (self.level, self.is_known, self.misses) = (level, true, 0);
                return Ok(Some(frame));
            }
        }
        self.misses += 1;
        Ok(None)
    }

    /// The device is open only while it is read: nobody else waits for it.
    fn read(&self, chunk: &Chunk) -> io::Result<Vec<u8>> {
        let medium = medium::open(&self.target, Access::ReadDirect)?;
        let (from, end) = (chunk.offset.0, chunk.offset.0 + chunk.length.0);
        let (first, last) = (from - from % BLOCK, end.next_multiple_of(BLOCK));
        let last = last.min(medium.size()?.max(end));
        let length = usize::try_from(last - first).map_err(io::Error::other)?;
        let align = usize::try_from(BLOCK).map_err(io::Error::other)?;
        let mut bytes = vec![0; length + align];
        let skip = bytes.as_ptr().align_offset(align);
        let place = bytes.get_mut(skip..skip + length);
        let place = place.ok_or_else(|| io::Error::other("no aligned buffer"))?;
        medium::read_exact(medium.as_ref(), place, first)?;
        bytes.drain(..skip + usize::try_from(from - first).map_err(io::Error::other)?);
        bytes.truncate(usize::try_from(chunk.length.0).map_err(io::Error::other)?);
        Ok(bytes)
    }
}
