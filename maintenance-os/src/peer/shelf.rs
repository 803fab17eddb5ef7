// SPDX-License-Identifier: Apache-2.0
//! Frames in memory as they came from the repository, the oldest given up first.

use super::SHELF_MAX;
use groundstate_api::fan_out::{PieceSet, Pieces};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// The frames, by their chunk's number in the manifest.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    frames: BTreeMap<u32, Arc<[u8]>>,
    order: VecDeque<u32>,
    bytes: usize,
}

impl Shelf {
    pub(super) fn put(&mut self, chunk: u32, frame: &[u8]) {
        if frame.len() > limit() || self.frames.contains_key(&chunk) {
            return;
        }
        while self.bytes + frame.len() > limit() {
            let Some(oldest) = self.order.pop_front() else {
                break;
            };
            self.forget(oldest);
        }
        self.bytes += frame.len();
        self.frames.insert(chunk, frame.into());
        self.order.push_back(chunk);
    }

    pub(super) fn get(&self, chunk: u32) -> Option<Arc<[u8]>> {
        self.frames.get(&chunk).cloned()
    }

    /// Gives these pieces up.
    pub(super) fn shed(&mut self, pieces: Pieces, shed: &PieceSet) {
        let gone = |chunk: &u32| shed.has(pieces.of_chunk(*chunk));
        let chunks: Vec<u32> = self.frames.keys().copied().filter(gone).collect();
        self.order.retain(|chunk| !gone(chunk));
        for chunk in chunks {
            self.forget(chunk);
        }
    }

    /// The pieces all of whose chunks are here.
    pub(super) fn whole(&self, pieces: Pieces) -> PieceSet {
        let mut counts: BTreeMap<u32, u32> = BTreeMap::new();
        for chunk in self.frames.keys() {
            *counts.entry(pieces.of_chunk(*chunk)).or_default() += 1;
        }
        let is_whole = |(piece, count): (u32, u32)| {
            let all = pieces.chunks(&(piece..piece + 1));
            (count == all.end - all.start).then_some(piece)
        };
        counts.into_iter().filter_map(is_whole).collect()
    }

    fn forget(&mut self, chunk: u32) {
        if let Some(frame) = self.frames.remove(&chunk) {
            self.bytes -= frame.len();
        }
    }
}

fn limit() -> usize {
    usize::try_from(SHELF_MAX.0).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use groundstate_api::Bytes;

    #[test]
    fn the_oldest_goes_first_and_never_more_is_held() {
        let (mut shelf, frame) = (Shelf::default(), vec![7u8; 1 << 20]);
        for chunk in 0..8 {
            shelf.put(chunk, &frame);
            assert!(shelf.bytes <= limit());
        }
        let here: Vec<u32> = (0..8).filter(|chunk| shelf.get(*chunk).is_some()).collect();
        assert_eq!(here, [3, 4, 5, 6, 7]);
        shelf.shed(Pieces::of(8, Bytes(0)), &[5].into_iter().collect());
        assert!(shelf.get(5).is_none());
        assert_eq!(shelf.bytes, 4 << 20);
        shelf.put(8, &vec![0; limit() + 1]);
        assert!(shelf.get(8).is_none());
    }

    #[test]
    fn a_piece_is_here_when_all_of_it_is() {
        // 5,000 chunks: two in each piece.
        let (mut shelf, pieces) = (Shelf::default(), Pieces::of(5_000, Bytes(0)));
        for chunk in [0, 1, 2, 5, 4, 4_999] {
            shelf.put(chunk, b"frame");
        }
        assert_eq!(shelf.whole(pieces).iter().collect::<Vec<_>>(), [0, 2]);
    }
}
