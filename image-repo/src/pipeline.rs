// SPDX-License-Identifier: Apache-2.0
//! Makes a content chunks: one thread reads, as many as the machine has processors hash, compress and store.
//!
//! Memory: [`AHEAD_BYTES`] of chunks that were read ahead, two chunks a packer, and what zstd needs for each.

use crate::content::{Chunks, Content};
use crate::error::RepoError;
use crate::ext4;
use crate::pack::{Packed, Packer, Packing};
use groundstate_api::Bytes;
use groundstate_api::image::Chunk;
use groundstate_api::limits::CHUNK_SIZE_MAX;
use std::num::NonZero;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::sync::{Mutex, PoisonError};

/// The most threads that compress: more wait for the one that reads.
const PACKERS_MAX: usize = 16;
/// Bytes of chunks that are read ahead of them, so that one slow chunk does not stop the reader.
const AHEAD_BYTES: u64 = 8 << 20;
/// The fewest and the most chunks that are read ahead.
const AHEAD_MIN: u64 = 2;
const AHEAD_MAX: u64 = 64;

/// A chunk's place and its bytes.
type Job = (u64, Vec<u8>);

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

/// What the reader is told.
struct Reading<'a> {
    chunk_size: Bytes,
    jobs: SyncSender<Job>,
    spare: Receiver<Vec<u8>>,
    /// A packer has failed: what is still to be read is in vain.
    failed: &'a AtomicBool,
}

/// Reads the content to its end. `progress` hears how many bytes are done, of how many.
pub(crate) fn make(
    packing: &Packing<'_>,
    content: &mut dyn Content,
    chunk_size: Bytes,
    progress: &mut dyn FnMut(Bytes, Option<Bytes>),
) -> Result<Made, RepoError> {
    let ahead = (AHEAD_BYTES / chunk_size.0.max(1)).clamp(AHEAD_MIN, AHEAD_MAX);
    let ahead = usize::try_from(ahead).unwrap_or(1);
    let packers = std::thread::available_parallelism().map_or(1, NonZero::get);
    let packers = packers.min(PACKERS_MAX);
    let (jobs, job) = mpsc::sync_channel::<Job>(ahead);
    let (spares, spare) = mpsc::sync_channel::<Vec<u8>>(ahead + packers + 1);
    let job = Mutex::new(job);
    let failed = AtomicBool::new(false);
    let reading = Reading {
        chunk_size,
        jobs,
        spare,
        failed: &failed,
    };
    std::thread::scope(|scope| {
        let packers: Vec<_> = (0..packers)
            .map(|_| {
                let (job, failed, spares) = (&job, &failed, spares.clone());
                scope.spawn(move || pack_all(packing, job, failed, &spares))
            })
            .collect();
        let read = reading.read(content, progress);
        let mut all = Vec::new();
        let mut first = None;
        for packer in packers {
            match packer.join().expect("a packer does not panic") {
                Ok(some) => all.extend(some),
                Err(error) => first = first.or(Some(error)),
            }
        }
        // A packer's failure comes before the reader's, which may be its consequence.
        let (size, padding, head) = first.map_or(read, Err)?;
        progress(size, Some(size));
        Ok(Made::of(size, padding, head, all))
    })
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

impl Reading<'_> {
    /// Gives all chunks out; how many bytes there were, how many of them are padding, and the first of them.
    fn read(
        self,
        content: &mut dyn Content,
        progress: &mut dyn FnMut(Bytes, Option<Bytes>),
    ) -> Result<(Bytes, Bytes, Vec<u8>), RepoError> {
        let total = content.size();
        let size = usize::try_from(self.chunk_size.0.min(CHUNK_SIZE_MAX.0)).unwrap_or(0);
        let mut chunks = Chunks::new(content, size);
        let mut head = Vec::new();
        loop {
            let mut bytes = self.spare.try_recv().unwrap_or_default();
            let next = chunks.next(&mut bytes)?;
            let at = Bytes(chunks.position());
            let Some(offset) = next.filter(|_| !self.failed.load(Ordering::Relaxed)) else {
                return Ok((at, Bytes(chunks.padding()), head));
            };
            if offset == 0 {
                head.extend_from_slice(&bytes[..bytes.len().min(ext4::HEAD)]);
            }
            self.jobs
                .send((offset, bytes))
                .expect("the packers listen until the channel closes");
            progress(at, total.map(|total| total.max(at)));
        }
    }
}

/// Packs until there are no jobs left. After a failure the jobs are still taken, so that the reader does not wait for ever.
fn pack_all(
    packing: &Packing<'_>,
    jobs: &Mutex<Receiver<Job>>,
    failed: &AtomicBool,
    spares: &SyncSender<Vec<u8>>,
) -> Result<Vec<Packed>, RepoError> {
    let mut made = Packer::new(packing).map(|packer| (packer, Vec::new()));
    loop {
        if made.is_err() {
            failed.store(true, Ordering::Relaxed);
        }
        let next = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok((offset, bytes)) = next else {
            return made.map(|(_, chunks)| chunks);
        };
        made = made.and_then(|(mut packer, mut chunks)| {
            chunks.extend(packer.pack(Bytes(offset), &bytes)?);
            Ok((packer, chunks))
        });
        // The reader has gone when it has read everything; then no buffer is needed any more.
        let _ = spares.try_send(bytes);
    }
}
