// SPDX-License-Identifier: Apache-2.0
//! Counts what was read before and after an erase. It keeps eight bytes a block: fingerprints, and no contents.

use super::sample::{Content, Print, Range};
use alloc::vec::Vec;
use groundstate_api::erase::EraseSample;
use groundstate_api::units::Bytes;

/// Blocks with contents that must be there before an erase; where there are fewer, witnesses are written. One block in a
/// thousand that a drive left as it was is then found nearly always.
pub const WITNESSES: usize = 1_024;
/// The most blank places that are remembered as places for witnesses.
const PLACES_MAX: u64 = 4_096;

/// The count of one disk.
#[derive(Clone, Debug)]
pub(super) struct Tally {
    /// Fingerprints of what was there before.
    old: Vec<u64>,
    is_sorted: bool,
    /// Blank blocks, spread over the sample.
    blank: Vec<u64>,
    /// One blank block in so many is remembered.
    stride: u64,
    seen: u64,
    plant: Vec<u64>,
    counts: EraseSample,
    bytes_after: u64,
}

impl Tally {
    pub(super) fn new(blocks: u64) -> Self {
        Self {
            old: Vec::new(),
            is_sorted: false,
            blank: Vec::new(),
            stride: (blocks / PLACES_MAX).max(1),
            seen: 0,
            plant: Vec::new(),
            counts: EraseSample::default(),
            bytes_after: 0,
        }
    }

    pub(super) fn before(&mut self, print: &Print) {
        match print.content {
            Content::Data(fingerprint) => self.old.push(fingerprint),
            Content::Unreadable => self.counts.unreadable_before += 1,
            Content::Zeros | Content::Uniform => {
                if self.seen.is_multiple_of(self.stride) {
                    self.blank.push(print.at);
                }
            }
        }
        self.seen += 1;
    }

    /// Where witnesses are to be written, because too little is there. The same answer each time once it was asked for.
    pub(super) fn places_to_plant(&mut self) -> Vec<u64> {
        if self.plant.is_empty() && self.old.len() < WITNESSES {
            let every = (self.blank.len() / WITNESSES).max(1);
            let places = self.blank.iter().copied().step_by(every);
            self.plant = places.take(WITNESSES).collect();
        }
        self.plant.clone()
    }

    pub(super) fn planted(&mut self, print: &Print) {
        if let Content::Data(fingerprint) = print.content {
            self.old.push(fingerprint);
            self.counts.planted += 1;
        }
    }

    pub(super) const fn witnesses(&self) -> usize {
        self.old.len()
    }

    pub(super) fn after(&mut self, print: &Print) {
        if !self.is_sorted {
            self.old.sort_unstable();
            self.is_sorted = true;
        }
        let counts = &mut self.counts;
        counts.blocks += 1;
        match print.content {
            Content::Unreadable => counts.unreadable += 1,
            Content::Zeros => {
                counts.zeros += 1;
                counts.blank += 1;
            }
            Content::Uniform => counts.blank += 1,
            Content::Data(fingerprint) => match self.old.binary_search(&fingerprint) {
                Ok(_) => counts.unchanged += 1,
                Err(_) => counts.changed += 1,
            },
        }
        self.bytes_after += u64::from(print.length);
    }

    pub(super) fn sample(&self, ranges: &[Range], size: Bytes, sector: u32) -> EraseSample {
        let whole = matches!(ranges, [one] if one.start == 0 && one.length == size.0);
        EraseSample {
            whole,
            ranges: ranges.len() as u64,
            sector,
            sectors: self.bytes_after / u64::from(sector.max(1)),
            witnesses: self.old.len() as u64,
            ..self.counts.clone()
        }
    }
}
