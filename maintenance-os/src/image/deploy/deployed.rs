// SPDX-License-Identifier: Apache-2.0
//! What a deploy has moved, and the sentences about it; it moves nothing.

use super::Actor;
use crate::image::rate::Rate;
use crate::image::read_back::Proven;
use crate::image::source::Progress;
use groundstate_api::{Bytes, Millis, Reason};
use image_core::manifest::{data, digest, title};
use std::sync::atomic::Ordering;

/// What a deploy moved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Bytes that came from sources.
    pub fetched: Bytes,
    /// Stored bytes of the chunks that came and were written: what had to come.
    pub needed: Bytes,
    /// Bytes of the image that stood on the target before, zeros included.
    pub kept: Bytes,
    /// Bytes that were written to the target; ranges that the device itself cleared are none.
    pub written: Bytes,
    /// Chunks that were asked of sources.
    pub chunks_fetched: u64,
    /// Chunks that stood on the target before, where they belong.
    pub chunks_kept: u64,
}

/// An image that stands on its target.
#[derive(Clone, Debug)]
pub struct Deployed {
    /// What was moved for it.
    pub counts: Counts,
    /// How long it took.
    pub took: Millis,
    /// Which sources were dropped on the way, and why.
    pub dropped: Vec<(String, Reason)>,
    /// What is true of it now, a line each.
    pub facts: Vec<String>,
    /// What of it was read back on the way.
    pub proven: Proven,
}

impl Counts {
    /// Bytes that came and were not written: what was under way when a connection broke, what came twice, what was corrupt.
    #[must_use]
    pub const fn in_vain(&self) -> Bytes {
        Bytes(self.fetched.0.saturating_sub(self.needed.0))
    }
}

impl Actor<'_> {
    pub(super) fn progress(&mut self) -> Progress {
        let total = self.manifest.size;
        let rate = self.rate.at(self.clock.took(), self.done);
        Progress {
            done: self.done,
            total,
            fetched: self.fetched(),
            kept: self.counts.kept,
            written: self.counts.written,
            rate,
            left: Rate::left(rate, Bytes(total.0.saturating_sub(self.done.0))),
        }
    }

    pub(super) fn fetched(&self) -> Bytes {
        let lanes = self.lanes.iter();
        Bytes(
            lanes
                .map(|lane| lane.received.load(Ordering::Relaxed))
                .sum(),
        )
    }

    pub(super) fn deployed(mut self, fact: String, proven: Proven) -> Deployed {
        self.counts.fetched = self.fetched();
        let took = self.clock.took();
        let mut facts = self.facts(took);
        facts.push(fact);
        let names = self.dropped.iter();
        facts.extend(names.map(|(name, reason)| format!("{name} was dropped: {}", reason.what)));
        Deployed {
            counts: self.counts,
            took,
            dropped: std::mem::take(&mut self.dropped),
            facts,
            proven,
        }
    }

    fn facts(&self, took: Millis) -> Vec<String> {
        let (manifest, counts) = (self.manifest, &self.counts);
        let rate = manifest.size.0.saturating_mul(1_000) / took.0.max(1);
        vec![
            format!(
                "{} of {} stand on the target after {took} ({}/s): {} of data in {} chunks, zeros between them",
                manifest.size,
                title(manifest),
                Bytes(rate),
                data(manifest),
                manifest.chunks.len(),
            ),
            format!(
                "fetched {} bytes in {} chunks, kept {} bytes in {} chunks and zeros, written {} bytes, {} bytes in vain",
                counts.fetched.0,
                counts.chunks_fetched,
                counts.kept.0,
                counts.chunks_kept,
                counts.written.0,
                counts.in_vain().0
            ),
            format!("manifest {}", digest(manifest)),
            "each chunk was proved before it was written or kept; flushed to the disk".to_owned(),
            format!("buffers held at most {} bytes", self.pool.count.peak()),
        ]
    }
}
