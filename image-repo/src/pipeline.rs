// SPDX-License-Identifier: Apache-2.0
//! Makes a content chunks on every processor: each thread takes the next chunk, hashes, compresses and stores it.
//!
//! Only one thread at a time reads, and it packs what it has read itself: its bytes are still in the processor's cache, no
//! thread wakes another for each chunk, and while one decompresses the content the others pack.
//!
//! Memory: two chunks a thread, and what zstd needs for each.

use crate::content::{Chunks, Content};
use crate::error::RepoError;
use crate::ext4;
use crate::pack::{Packed, Packer, Packing};
use groundstate_api::Bytes;
use groundstate_api::image::Chunk;
use groundstate_api::limits::CHUNK_SIZE_MAX;
use std::num::NonZero;
use std::sync::{Mutex, PoisonError};

/// The most threads that pack: more wait for the one that reads.
const PACKERS_MAX: usize = 16;

/// What became of a content.
pub(crate) struct Made {
    pub(crate) size: Bytes,
    /// How many of these bytes are zeros that were put behind the content.
    pub(crate) padding: Bytes,
    /// The first bytes.
    pub(crate) head: Vec<u8>,
    pub(crate) chunks: Vec<Chunk>,
    /// How many of them were stored now, and how many bytes that took.
    pub(crate) new_chunks: u64,
    pub(crate) new_bytes: Bytes,
}

/// The content, from which the threads take chunks in turn.
struct Source<'a> {
    chunks: Chunks<'a>,
    /// The first bytes.
    head: Vec<u8>,
    /// Somebody has failed: what is still to be read is in vain.
    failed: bool,
}

/// Reads the content to its end. `progress` hears how many bytes are done, of how many.
pub(crate) fn make(
    packing: &Packing<'_>,
    content: &mut dyn Content,
    chunk_size: Bytes,
    progress: &mut dyn FnMut(Bytes, Option<Bytes>),
) -> Result<Made, RepoError> {
    let total = content.size();
    let size = usize::try_from(chunk_size.0.min(CHUNK_SIZE_MAX.0)).unwrap_or(0);
    let packers = std::thread::available_parallelism().map_or(1, NonZero::get);
    let packers = packers.min(PACKERS_MAX);
    let source = Mutex::new(Source {
        chunks: Chunks::new(content, size),
        head: Vec::new(),
        failed: false,
    });
    let all = std::thread::scope(|scope| {
        let others: Vec<_> = (1..packers)
            .map(|_| scope.spawn(|| pack_all(packing, &source, &mut |_| {})))
            .collect();
        let heard = &mut |at: Bytes| progress(at, total.map(|total| total.max(at)));
        let mut all = pack_all(packing, &source, heard);
        for other in others {
            let more = other.join().expect("a packer does not panic");
            all = all.and_then(|mut all| {
                all.extend(more?);
                Ok(all)
            });
        }
        all
    })?;
    let source = source.into_inner().unwrap_or_else(PoisonError::into_inner);
    let size = Bytes(source.chunks.position());
    progress(size, Some(size));
    let padding = Bytes(source.chunks.padding());
    Ok(Made::of(size, padding, source.head, all))
}

impl Made {
    fn of(size: Bytes, padding: Bytes, head: Vec<u8>, mut all: Vec<Packed>) -> Self {
        all.sort_by_key(|packed| packed.chunk.offset);
        let new = || all.iter().filter(|packed| packed.is_new);
        Self {
            size,
            padding,
            head,
            new_chunks: new().count() as u64,
            new_bytes: Bytes(new().map(|packed| packed.chunk.stored_length.0).sum()),
            chunks: all.iter().map(|packed| packed.chunk).collect(),
        }
    }
}

impl Source<'_> {
    /// Puts the next chunk into `bytes`: its offset, and how far the content is read; `None` where there is nothing more
    /// to be done.
    fn next(&mut self, bytes: &mut Vec<u8>) -> Result<Option<(Bytes, Bytes)>, RepoError> {
        if self.failed {
            return Ok(None);
        }
        let next = self.chunks.next(bytes);
        self.failed = next.is_err();
        let Some(offset) = next? else {
            return Ok(None);
        };
        if offset == 0 {
            self.head
                .extend_from_slice(&bytes[..bytes.len().min(ext4::HEAD)]);
        }
        Ok(Some((Bytes(offset), Bytes(self.chunks.position()))))
    }
}

/// Packs until there is nothing left, or somebody has failed.
fn pack_all(
    packing: &Packing<'_>,
    source: &Mutex<Source<'_>>,
    heard: &mut dyn FnMut(Bytes),
) -> Result<Vec<Packed>, RepoError> {
    let lock = || source.lock().unwrap_or_else(PoisonError::into_inner);
    let mut work = || {
        let mut packer = Packer::new(packing)?;
        let (mut bytes, mut all) = (Vec::new(), Vec::new());
        loop {
            let next = lock().next(&mut bytes);
            let Some((offset, at)) = next? else {
                return Ok(all);
            };
            all.extend(packer.pack(offset, &bytes)?);
            heard(at);
        }
    };
    let done = work();
    if done.is_err() {
        lock().failed = true;
    }
    done
}
