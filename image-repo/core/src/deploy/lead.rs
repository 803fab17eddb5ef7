// SPDX-License-Identifier: Apache-2.0
//! Where on the target a chunk may stand, by the image that stood there before. A lead is never believed: what is read there
//! is proved as whatever comes from a source.

use super::span::{Chunks, Span, bit, members};
use alloc::vec::Vec;
use groundstate_api::image::Manifest;
use groundstate_api::{Bytes, Digest};

/// What is worth knowing of the image that stood on the target before: where each chunk was. Some 16 bytes a chunk.
#[derive(Clone, Debug, Default)]
pub struct Former {
    /// The first bytes of a digest and the place of its chunk, sorted.
    places: Vec<(u64, Bytes)>,
}

impl Former {
    /// The places of this image's chunks. `manifest` has been checked.
    #[must_use]
    pub fn of(manifest: &Manifest) -> Self {
        let rows = manifest.chunks.iter();
        let mut places: Vec<_> = rows.map(|row| (key(&row.digest), row.offset)).collect();
        places.sort_unstable();
        Self { places }
    }

    /// Whether it had any chunk of this image, wherever. One with chunks of another size has none, and tells nothing.
    pub(super) fn shares(&self, manifest: &Manifest) -> bool {
        let mut rows = manifest.chunks.iter();
        rows.any(|row| self.at(&row.digest).next().is_some())
    }

    /// Which chunks of a span it had where they belong now.
    pub(super) fn in_place(&self, manifest: &Manifest, span: Span) -> Chunks {
        let mut there = 0;
        for index in members(span, span.all()) {
            let row = manifest.chunks.get(index);
            if row.is_some_and(|row| self.at(&row.digest).any(|at| at == row.offset)) {
                there |= bit(span, index);
            }
        }
        there
    }

    /// Where these chunks of a span may stand, other than where they belong.
    pub(super) fn find(
        &self,
        manifest: &Manifest,
        span: Span,
        chunks: Chunks,
    ) -> Vec<(usize, Bytes)> {
        let mut found = Vec::new();
        for index in members(span, chunks) {
            let Some(row) = manifest.chunks.get(index) else {
                continue;
            };
            if let Some(at) = self.at(&row.digest).find(|at| *at != row.offset) {
                found.push((index, at));
            }
        }
        found
    }

    /// Where it had a chunk of this digest.
    fn at(&self, digest: &Digest) -> impl Iterator<Item = Bytes> + '_ {
        let key = key(digest);
        let first = self.places.partition_point(|(one, _)| *one < key);
        let same = self.places.iter().skip(first);
        same.take_while(move |(one, _)| *one == key)
            .map(|(_, at)| *at)
    }
}

fn key(digest: &Digest) -> u64 {
    digest
        .0
        .first_chunk()
        .map_or(0, |eight| u64::from_le_bytes(*eight))
}
