// SPDX-License-Identifier: Apache-2.0
//! The image in spans: consecutive chunks that are asked for, proved and written together, and the zeros between them.
//!
//! Chunks are small, so that an update is; a question for each and a write for each would cost more than the bytes.

use super::limits::SPAN;
use alloc::vec::Vec;
use groundstate_api::Bytes;
use groundstate_api::fan_out::chunks_of_piece;
use groundstate_api::image::Manifest;

/// The most chunks of a span: as many as [`Chunks`] has bits.
pub const SPAN_CHUNKS_MAX: usize = 64;

/// Some of a span's chunks: bit 0 is its first one.
pub type Chunks = u64;

/// The same, as chunks are counted.
const BITS: u32 = Chunks::BITS;

/// A piece of the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Its first byte.
    pub from: Bytes,
    /// The first byte after it.
    pub to: Bytes,
    first: u32,
    count: u32,
}

impl Span {
    /// Its first chunk's number in the manifest; of zeros it says nothing.
    #[must_use]
    pub const fn first(&self) -> usize {
        self.first as usize
    }
    /// How many chunks it has; none are zeros.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.count as usize
    }
    /// Whether it reads as zero.
    #[must_use]
    pub const fn is_zero(&self) -> bool {
        self.count == 0
    }
    /// Its length.
    #[must_use]
    pub const fn length(&self) -> Bytes {
        Bytes(self.to.0 - self.from.0)
    }
    /// All of its chunks.
    #[must_use]
    pub const fn all(&self) -> Chunks {
        match self.count {
            0 => 0,
            count => u64::MAX >> (64 - count),
        }
    }
}

/// The numbers in the manifest of these chunks of a span, in order.
pub fn members(span: Span, chunks: Chunks) -> impl Iterator<Item = usize> {
    (0..span.count())
        .filter(move |at| chunks & (1 << at) != 0)
        .map(move |at| span.first() + at)
}

/// The bit of chunk `index` in its span.
#[must_use]
pub const fn bit(span: Span, index: usize) -> Chunks {
    match index.checked_sub(span.first()) {
        Some(at) if at < span.count() => 1 << at,
        Some(_) | None => 0,
    }
}

/// How long a span is at most, with chunks of `chunk_size`.
#[must_use]
pub const fn span_size(chunk_size: Bytes) -> Bytes {
    if chunk_size.0 > SPAN.0 {
        chunk_size
    } else {
        SPAN
    }
}

/// The whole image in spans, in order. `manifest` has been checked.
#[must_use]
pub fn cut(manifest: &Manifest) -> Vec<Span> {
    // A piece of the plan of who fetches what from whom is whole spans: none of them has two sources.
    let most = chunks_of_piece(manifest.chunk_size).min(BITS);
    let mut spans: Vec<Span> = Vec::new();
    let mut at = 0;
    for (index, chunk) in (0u32..).zip(&manifest.chunks) {
        let (from, to) = (chunk.offset.0, chunk.offset.0 + chunk.length.0);
        zeros(at, from, &mut spans);
        at = to;
        match spans.last_mut() {
            Some(last) if !last.is_zero() && last.to.0 == from && !index.is_multiple_of(most) => {
                last.to = Bytes(to);
                last.count += 1;
            }
            Some(_) | None => spans.push(Span {
                from: Bytes(from),
                to: Bytes(to),
                first: index,
                count: 1,
            }),
        }
    }
    zeros(at, manifest.size.0, &mut spans);
    spans
}

/// However long, a run of zeros is one span: a manifest of a few lines may tell of 16 EiB of them.
fn zeros(at: u64, to: u64, spans: &mut Vec<Span>) {
    if at < to {
        spans.push(Span {
            from: Bytes(at),
            to: Bytes(to),
            first: 0,
            count: 0,
        });
    }
}
