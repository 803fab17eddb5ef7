// SPDX-License-Identifier: Apache-2.0
//! What differs between two images, and what an update from one to the other costs.

use crate::error::RepoError;
use crate::repository::Repository;
use groundstate_api::Bytes;
use groundstate_api::image::{Chunk, ImageRef, Manifest};
use image_core::facts::facts;
use serde::Serialize;
use std::collections::{BTreeMap, HashSet};

/// What is compared at once where chunks differ, in bytes.
const PIECE: u64 = 1 << 20;
/// A node writes this many bytes or none of them.
const BLOCK: usize = 4096;
/// The most ranges that are listed; those after them are counted only.
const RANGES_MAX: usize = 10_000;

/// What became of a range of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// Both have data there, and not the same.
    Changed,
    /// Only the second has data there, or it is longer.
    Added,
    /// Only the first has data there; in the second it is zero, or the second ends before.
    Removed,
}

/// A range of bytes, as chunks have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct DiffRange {
    /// First byte.
    pub offset: Bytes,
    /// Length.
    pub length: Bytes,
    /// What became of it.
    pub change: Change,
}

/// What differs in a partition of the second image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PartitionDiff {
    /// Its number in the table.
    pub number: u32,
    /// Its name, or what its type means.
    pub name: String,
    /// What must be written into it.
    pub write: Bytes,
}

/// What differs between two images.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DiffReport {
    /// The first.
    pub from: ImageRef,
    /// The second.
    pub to: ImageRef,
    /// Chunks of the second that the first has somewhere.
    pub shared_chunks: u64,
    /// The bytes in them.
    pub shared: Bytes,
    /// Chunks of the second that the first has not, each counted once: what is asked for.
    pub fetch_chunks: u64,
    /// How many bytes come over the wire for them.
    pub fetch: Bytes,
    /// What must be written onto a disk that holds the first: blocks of 4 KiB that differ, and zeros for what was removed.
    pub write: Bytes,
    /// Where they differ.
    pub ranges: Vec<DiffRange>,
    /// How many ranges there are.
    pub range_count: u64,
    /// The partitions of the second that are written to; empty where it has none.
    pub partitions: Vec<PartitionDiff>,
}

impl Repository {
    /// Compares two images. Chunks that both have at the same place are not read.
    ///
    /// # Errors
    /// A manifest or a chunk cannot be read.
    pub fn diff(&self, from: &ImageRef, to: &ImageRef) -> Result<DiffReport, RepoError> {
        let first = self.manifest(&from.manifest)?;
        let second = self.manifest(&to.manifest)?;
        let held: HashSet<_> = first.chunks.iter().map(|chunk| chunk.digest).collect();
        let is_shared = |chunk: &&Chunk| held.contains(&chunk.digest);
        let shared = second.chunks.iter().filter(is_shared);
        let wanted: BTreeMap<_, _> = second
            .chunks
            .iter()
            .filter(|chunk| !is_shared(chunk))
            .map(|chunk| (chunk.digest, chunk.stored_length.0))
            .collect();
        let ranges = ranges(&first, &second);
        let writes = self.writes(&first, &second, &ranges)?;
        Ok(DiffReport {
            from: from.clone(),
            to: to.clone(),
            shared_chunks: shared.clone().count() as u64,
            shared: Bytes(shared.map(|chunk| chunk.length.0).sum()),
            fetch_chunks: wanted.len() as u64,
            fetch: Bytes(wanted.values().sum()),
            write: Bytes(writes.iter().map(|(_, length)| length).sum()),
            range_count: ranges.len() as u64,
            partitions: self.partitions(&second, &writes)?,
            ranges: ranges.into_iter().take(RANGES_MAX).collect(),
        })
    }

    /// The blocks that a disk with the first needs to hold the second: offsets and lengths.
    fn writes(
        &self,
        first: &Manifest,
        second: &Manifest,
        ranges: &[DiffRange],
    ) -> Result<Vec<(u64, u64)>, RepoError> {
        let (mut old, mut new) = (self.reader(first)?, self.reader(second)?);
        let (mut before, mut after) = (Vec::new(), Vec::new());
        let mut writes: Vec<(u64, u64)> = Vec::new();
        for range in ranges {
            // What lies behind the second image's end is not written.
            let end = (range.offset.0 + range.length.0).min(second.size.0);
            let mut at = range.offset.0;
            while at < end {
                let length = (end - at).min(PIECE);
                let count = usize::try_from(length).unwrap_or(0);
                after.resize(count, 0);
                before.clear();
                before.resize(count, 0);
                new.fill(at, &mut after)?;
                let there = first.size.0.saturating_sub(at).min(length);
                let there = usize::try_from(there).unwrap_or(0);
                old.fill(at.min(first.size.0), &mut before[..there])?;
                for (index, (one, other)) in
                    before.chunks(BLOCK).zip(after.chunks(BLOCK)).enumerate()
                {
                    let is_beyond = index * BLOCK >= there;
                    if one != other || is_beyond {
                        join(&mut writes, at + (index * BLOCK) as u64, other.len() as u64);
                    }
                }
                at += length;
            }
        }
        Ok(writes)
    }

    fn partitions(
        &self,
        manifest: &Manifest,
        writes: &[(u64, u64)],
    ) -> Result<Vec<PartitionDiff>, RepoError> {
        if manifest.kind.is_root_fs() {
            return Ok(Vec::new());
        }
        let facts = facts(&mut self.reader(manifest)?)?;
        let partitions = facts.partitions.iter().map(|partition| {
            let (start, end) = (
                partition.start.0,
                partition.start.0.saturating_add(partition.length.0),
            );
            let within = writes.iter().map(|(at, length)| {
                let (from, to) = ((*at).max(start), (at + length).min(end));
                to.saturating_sub(from)
            });
            PartitionDiff {
                number: partition.number,
                name: if partition.name.is_empty() {
                    partition.kind.clone()
                } else {
                    partition.name.clone()
                },
                write: Bytes(within.sum()),
            }
        });
        Ok(partitions.filter(|part| part.write.0 > 0).collect())
    }
}

/// Adds a stretch to the last one where it goes on from there.
fn join(all: &mut Vec<(u64, u64)>, at: u64, length: u64) {
    match all.last_mut() {
        Some((from, held)) if *from + *held == at => *held += length,
        _ => all.push((at, length)),
    }
}

/// What a place holds: nothing, or a piece of a chunk.
fn there(manifest: &Manifest, at: u64) -> (Option<&Chunk>, u64) {
    let index = manifest
        .chunks
        .partition_point(|chunk| chunk.offset.0 + chunk.length.0 <= at);
    match manifest.chunks.get(index) {
        Some(chunk) if chunk.offset.0 <= at => (Some(chunk), chunk.offset.0 + chunk.length.0),
        Some(chunk) => (None, chunk.offset.0),
        None => (None, u64::MAX),
    }
}

/// Where the chunks of two images differ, neighbours of one kind joined.
fn ranges(first: &Manifest, second: &Manifest) -> Vec<DiffRange> {
    let end = first.size.0.max(second.size.0);
    let mut ranges: Vec<DiffRange> = Vec::new();
    let mut at = 0;
    while at < end {
        let ((old, old_end), (new, new_end)) = (there(first, at), there(second, at));
        let mut next = old_end.min(new_end).min(end);
        for size in [first.size.0, second.size.0] {
            if at < size {
                next = next.min(size);
            }
        }
        let is_same = |old: &Chunk, new: &Chunk| {
            (old.offset, old.length, old.digest) == (new.offset, new.length, new.digest)
        };
        let change = match (old, new) {
            (Some(old), Some(new)) if is_same(old, new) => None,
            (Some(_), Some(_)) => Some(Change::Changed),
            (None, Some(_)) => Some(Change::Added),
            (Some(_), None) => Some(Change::Removed),
            (None, None) if at >= first.size.0 => Some(Change::Added),
            (None, None) if at >= second.size.0 => Some(Change::Removed),
            (None, None) => None,
        };
        if let Some(change) = change {
            match ranges.last_mut() {
                Some(last) if last.change == change && last.offset.0 + last.length.0 == at => {
                    last.length.0 += next - at;
                }
                _ => ranges.push(DiffRange {
                    offset: Bytes(at),
                    length: Bytes(next - at),
                    change,
                }),
            }
        }
        at = next;
    }
    ranges
}
