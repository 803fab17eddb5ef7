// SPDX-License-Identifier: Apache-2.0
//! The threads that prove: stored bytes, decompression into a buffer of exactly the right length, plain bytes. The same
//! threads compare what was read from the disk with what should stand there.

use super::buffer::{Aligned, Pool};
use super::lane::Parcel;
use super::source::SourceBook;
use groundstate_api::image::{Chunk, Manifest};
use groundstate_api::{Bytes, Digest, Reason, ReasonCode};
use image_core::deploy::{Chunks, Span, members};
use image_core::proof::{self, Corrupt};
use std::sync::mpsc::Receiver;
use std::sync::{Mutex, PoisonError};

/// What a chunk's bytes are proved by before they are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Proof {
    /// By the digest of the stored bytes and by that of the plain ones.
    #[default]
    Both,
    /// By the digest of the stored bytes and the plain length: for who reads back what was written.
    Stored,
}

/// What is to be proved.
pub(super) enum Job {
    /// What a lane brought.
    Parcel(Parcel),
    /// What was read from a span's place: which chunks are right.
    Place(usize, Aligned),
    /// What was read back of a span that was written.
    Back(usize, Aligned),
    /// What was read from other places, these chunks of a span: each stands where it belongs in the span.
    Borrowed(usize, Chunks, Aligned),
}

/// What came of it.
pub(super) enum Verdict {
    /// These chunks are right; they stand in the buffer.
    Proved {
        span: usize,
        buffer: Aligned,
        good: Chunks,
        bad: Vec<(usize, Corrupt)>,
    },
    /// These chunks stand on the disk.
    Kept { span: usize, kept: Chunks },
    /// What was read back of a span is right, but for these chunks.
    Back { span: usize, wrong: Chunks },
    /// It cannot go on.
    Stopped(Reason),
}

/// What the provers of a deploy share.
pub(super) struct Bench<'a> {
    pub(super) manifest: &'a Manifest,
    pub(super) spans: &'a [Span],
    pub(super) pool: &'a Pool,
    pub(super) book: &'a dyn SourceBook,
    pub(super) proof: Proof,
}

impl Bench<'_> {
    /// Proves what `jobs` brings until it is closed.
    pub(super) fn prove(&self, jobs: &Mutex<Receiver<Job>>, tell: impl Fn(Verdict) -> bool) {
        let mut zstd = match zstd::bulk::Decompressor::new() {
            Ok(zstd) => zstd,
            Err(error) => {
                let reason = Reason::new(
                    ReasonCode::Internal,
                    "the decompressor could not be started",
                    "see that the machine has the memory that it should have",
                );
                // A closed channel means that it is over anyway.
                let _ = tell(Verdict::Stopped(reason.seen(error.to_string())));
                return;
            }
        };
        loop {
            let next = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
            let verdict = match next {
                Ok(Job::Parcel(parcel)) => match self.parcel(&mut zstd, parcel) {
                    Some(verdict) => verdict,
                    None => return,
                },
                Ok(Job::Place(span, buffer)) => {
                    let all = self.spans.get(span).map_or(0, Span::all);
                    let kept = self.right(span, all, buffer.bytes());
                    self.pool.reads.give_back(buffer);
                    Verdict::Kept { span, kept }
                }
                Ok(Job::Back(span, buffer)) => {
                    let all = self.spans.get(span).map_or(0, Span::all);
                    let wrong = all & !self.right(span, all, buffer.bytes());
                    self.pool.reads.give_back(buffer);
                    Verdict::Back { span, wrong }
                }
                Ok(Job::Borrowed(span, chunks, buffer)) => Verdict::Proved {
                    span,
                    good: self.right(span, chunks, buffer.bytes()),
                    buffer,
                    bad: Vec::new(),
                },
                Err(_) => return,
            };
            if !tell(verdict) {
                return;
            }
        }
    }

    /// None when it is over.
    fn parcel(&self, zstd: &mut zstd::bulk::Decompressor<'_>, parcel: Parcel) -> Option<Verdict> {
        let mut buffer = self.pool.plain.take(&self.pool.count)?;
        let base = self.spans.get(parcel.span).map_or(0, |span| span.from.0);
        let (mut good, mut bad) = (0, parcel.bad);
        for (row, start, length) in &parcel.rows {
            let stored = &parcel.bytes[*start..start + length];
            let at = usize::try_from(row.chunk.offset.0 - base).unwrap_or(usize::MAX);
            let room = buffer.bytes_mut().get_mut(at..).unwrap_or_default();
            match self.unpack(zstd, &row.chunk, stored, room) {
                Ok(()) => {
                    good |= row.bit;
                    self.book.proved(row.index, &row.chunk, stored);
                }
                Err(fault) => bad.push((row.index, fault)),
            }
        }
        self.pool.stored_back(parcel.bytes);
        Some(Verdict::Proved {
            span: parcel.span,
            buffer,
            good,
            bad,
        })
    }

    /// Puts the chunk's plain bytes at the start of `room`. Not one byte more than the manifest says is written there.
    fn unpack(
        &self,
        zstd: &mut zstd::bulk::Decompressor<'_>,
        chunk: &Chunk,
        stored: &[u8],
        room: &mut [u8],
    ) -> Result<(), Corrupt> {
        proof::stored(chunk, stored)?;
        let length = usize::try_from(chunk.length.0)
            .unwrap_or(usize::MAX)
            .min(room.len());
        let room = &mut room[..length];
        let found =
            zstd.decompress_to_buffer(stored, room)
                .map_err(|error| Corrupt::Decompress {
                    length: chunk.length,
                    said: error.to_string(),
                })?;
        if found as u64 != chunk.length.0 {
            return Err(Corrupt::Length {
                expected: chunk.length,
                found: Bytes(found as u64),
            });
        }
        match self.proof {
            Proof::Both => proof::plain(chunk, room),
            Proof::Stored => Ok(()),
        }
    }

    /// Which of these chunks of a span stand in `bytes`.
    fn right(&self, span: usize, chunks: Chunks, bytes: &[u8]) -> Chunks {
        let Some(span) = self.spans.get(span) else {
            return 0;
        };
        right(self.manifest, *span, chunks, bytes)
    }
}

/// Which of these chunks of a span stand in `bytes`, which begin where the span does.
pub(super) fn right(manifest: &Manifest, span: Span, chunks: Chunks, bytes: &[u8]) -> Chunks {
    let mut right = 0;
    for index in members(span, chunks) {
        let Some(chunk) = manifest.chunks.get(index) else {
            continue;
        };
        let start = usize::try_from(chunk.offset.0 - span.from.0).unwrap_or(usize::MAX);
        let length = usize::try_from(chunk.length.0).unwrap_or(usize::MAX);
        let part = bytes.get(start..).and_then(|rest| rest.get(..length));
        let is_right = part.is_some_and(|part| Digest::of(part) == chunk.digest);
        if is_right {
            right |= image_core::deploy::span::bit(span, index);
        }
    }
    right
}
