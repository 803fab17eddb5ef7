// SPDX-License-Identifier: Apache-2.0
//! Finds every place of the image that names one of its GUIDs. Where the image has nothing but zeros is not read.

use super::error::FitError;
use super::open_disk::OpenDisk;
use groundstate_api::image::Manifest;
use mos_core::whole_disk::{Gpt, HITS_MAX, Hit, Needles, OVERLAP};
use std::ops::Range;

/// What is read at once.
const PIECE: u64 = 1 << 20;

/// All names of the image's GUIDs between the table and its backup; at most one more than [`HITS_MAX`]. `on` hears how many
/// bytes are done, of how many.
pub(super) fn names(
    disk: &OpenDisk,
    manifest: &Manifest,
    gpt: &Gpt,
    on: &mut dyn FnMut(u64, u64),
) -> Result<Vec<Hit>, FitError> {
    let guids = gpt.partitions().iter().map(|one| one.guid);
    let needles = Needles::new(guids.chain([gpt.disk_guid()]));
    let (from, to) = gpt.usable();
    let ranges = held(manifest, from.0..to.0.min(disk.size()));
    let total: u64 = ranges.iter().map(|range| range.end - range.start).sum();
    let overlap = OVERLAP as u64;
    let (mut hits, mut done) = (Vec::new(), 0);
    let mut buffer = Vec::new();
    for range in ranges {
        let mut at = range.start;
        while at < range.end {
            let length = PIECE.min(range.end - at);
            // The end of the piece before is looked at once more, for a name across the border.
            let again = overlap.min(at - range.start);
            buffer.resize(usize::try_from(again + length).unwrap_or(0), 0);
            disk.read(at - again, &mut buffer)
                .map_err(FitError::io("reading", disk.path()))?;
            needles.scan(&buffer, at - again, &mut hits);
            disk.forget(at, length)?;
            at += length;
            done += length;
            on(done, total);
            if hits.len() > HITS_MAX {
                hits.truncate(HITS_MAX + 1);
                return Ok(hits);
            }
        }
    }
    hits.sort_unstable();
    hits.dedup();
    Ok(hits)
}

/// What the image holds within the range; chunks that follow each other are one.
fn held(manifest: &Manifest, within: Range<u64>) -> Vec<Range<u64>> {
    let mut ranges: Vec<Range<u64>> = Vec::new();
    for chunk in &manifest.chunks {
        let start = chunk.offset.0.max(within.start);
        let end = (chunk.offset.0 + chunk.length.0).min(within.end);
        match ranges.last_mut() {
            Some(last) if last.end == start => last.end = end.max(last.end),
            Some(_) | None if start < end => ranges.push(start..end),
            Some(_) | None => {}
        }
    }
    ranges
}
