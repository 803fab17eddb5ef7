// SPDX-License-Identifier: Apache-2.0
//! Where else on the target a chunk may stand, by the image that stood there before. A lead is never believed: what is read
//! there is proved as whatever comes from a source.

use super::span::{Chunks, Span, members};
use alloc::vec::Vec;
use groundstate_api::image::Manifest;
use groundstate_api::{Bytes, Digest};

/// The places of a former image's chunks.
#[derive(Debug, Default)]
pub(super) struct Leads {
    /// The first bytes of a digest and the place of its chunk, sorted.
    places: Vec<(u64, Bytes)>,
}

impl Leads {
    pub(super) fn of(manifest: &Manifest) -> Self {
        let rows = manifest.chunks.iter();
        let mut places: Vec<_> = rows.map(|row| (key(&row.digest), row.offset)).collect();
        places.sort_unstable();
        Self { places }
    }

    /// Where these chunks of a span may stand, other than where they belong.
    pub(super) fn find(
        &self,
        manifest: &Manifest,
        span: Span,
        chunks: Chunks,
    ) -> Vec<(usize, Bytes)> {
        let mut found = Vec::new();
        if self.places.is_empty() {
            return found;
        }
        for index in members(span, chunks) {
            let Some(row) = manifest.chunks.get(index) else {
                continue;
            };
            let key = key(&row.digest);
            let first = self.places.partition_point(|(one, _)| *one < key);
            let same = self.places.iter().skip(first);
            let same = same.take_while(|(one, _)| *one == key);
            let fits = |at: &Bytes| *at != row.offset;
            if let Some((_, at)) = same.into_iter().find(|(_, at)| fits(at)) {
                found.push((index, *at));
            }
        }
        found
    }
}

fn key(digest: &Digest) -> u64 {
    digest
        .0
        .first_chunk()
        .map_or(0, |eight| u64::from_le_bytes(*eight))
}
