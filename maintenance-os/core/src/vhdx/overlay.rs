// SPDX-License-Identifier: Apache-2.0
//! What a replayed log would have written, kept beside the file, which stays as it is.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::field::{index, offset};

/// Bytes of a log's data sector; what a log writes begins and ends at a multiple of it.
pub(super) const SECTOR: usize = 4096;

/// Pieces of the file that read otherwise, by their offset; no two overlap.
#[derive(Clone, Debug, Default)]
pub(super) struct Overlay(BTreeMap<u64, Piece>);

#[derive(Clone, Debug)]
struct Piece {
    len: u64,
    /// One sector, or zeros of any length.
    data: Option<Box<[u8; SECTOR]>>,
}

impl Overlay {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Lays a sector over what was there.
    pub(super) fn write(&mut self, at: u64, sector: Box<[u8; SECTOR]>) {
        let len = offset(SECTOR);
        self.clear(at, at + len);
        let data = Some(sector);
        self.0.insert(at, Piece { len, data });
    }

    /// Lays `len` zeros over what was there.
    pub(super) fn zero(&mut self, at: u64, len: u64) {
        if len > 0 {
            self.clear(at, at + len);
            self.0.insert(at, Piece { len, data: None });
        }
    }

    /// Removes what lies from `at` to `end`. Data are whole sectors and so never cut; zeros may be, at either side.
    fn clear(&mut self, at: u64, end: u64) {
        if let Some((&begin, piece)) = self.0.range_mut(..at).next_back() {
            let over = begin + piece.len;
            if over > at {
                piece.len = at - begin;
                let data = None;
                if over > end {
                    self.0.insert(
                        end,
                        Piece {
                            len: over - end,
                            data,
                        },
                    );
                }
            }
        }
        let inside: Vec<u64> = self.0.range(at..end).map(|(begin, _)| *begin).collect();
        for begin in inside {
            if let Some(piece) = self.0.remove(&begin)
                && begin + piece.len > end
            {
                let len = begin + piece.len - end;
                self.0.insert(end, Piece { len, data: None });
            }
        }
    }

    /// Corrects `into`, which was read from the file at `at`.
    pub(super) fn apply(&self, at: u64, into: &mut [u8]) {
        let end = at.saturating_add(offset(into.len()));
        let before = self.0.range(..at).next_back();
        for (begin, piece) in before.into_iter().chain(self.0.range(at..end)) {
            let (from, to) = ((*begin).max(at), (begin + piece.len).min(end));
            if from >= to {
                continue;
            }
            let Some(target) = into.get_mut(index(from - at)..index(to - at)) else {
                continue;
            };
            let data = piece.data.as_deref();
            let data = data.and_then(|data| data.get(index(from - begin)..index(to - begin)));
            match data {
                Some(data) => target.copy_from_slice(data),
                None => target.fill(0),
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::indexing_slicing)] // A test may panic.
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// The same as writing into a vector, in the same order.
        #[test]
        fn it_reads_as_if_it_had_been_written(
            writes in proptest::collection::vec((0usize..16, 0usize..6, any::<u8>(), any::<bool>()), 0..24),
            at in 0usize..80_000, len in 0usize..9_000,
        ) {
            let mut model = vec![7u8; 24 * SECTOR];
            let mut overlay = Overlay::default();
            for (sector, sectors, byte, zero) in writes {
                let begin = sector * SECTOR;
                if zero {
                    model[begin..begin + sectors * SECTOR].fill(0);
                    overlay.zero(begin as u64, (sectors * SECTOR) as u64);
                } else {
                    model[begin..begin + SECTOR].fill(byte);
                    overlay.write(begin as u64, Box::new([byte; SECTOR]));
                }
            }
            let mut read = vec![7u8; len];
            overlay.apply(at as u64, &mut read);
            prop_assert_eq!(&read[..], &model[at..at + len]);
        }
    }
}
