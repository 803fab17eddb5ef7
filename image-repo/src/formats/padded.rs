// SPDX-License-Identifier: Apache-2.0
//! Whole sectors: zeros are added at the end, as `qemu-img convert -O raw` does it.

use super::note::{Note, Notes};
use crate::content::{Content, Piece};
use crate::error::RepoError;
use groundstate_api::Bytes;

/// Bytes of a sector.
const SECTOR: u64 = 512;

/// A content that ends at a whole sector, and notes where it did not.
pub(super) struct Padded {
    content: Box<dyn Content>,
    notes: Notes,
    at: u64,
}

impl Padded {
    pub(super) fn new(content: Box<dyn Content>, notes: Notes) -> Self {
        Self {
            content,
            notes,
            at: 0,
        }
    }

    fn padded(&mut self, count: u64) -> u64 {
        let from = self.at + count;
        let to = from.next_multiple_of(SECTOR);
        if from != to {
            self.notes.add(Note::Padded { from, to });
        }
        self.at = to;
        count + (to - from)
    }
}

impl Content for Padded {
    fn size(&self) -> Option<Bytes> {
        let size = self.content.size()?;
        Some(Bytes(size.0.checked_next_multiple_of(SECTOR)?))
    }

    fn consumed(&self) -> Option<(Bytes, Bytes)> {
        self.content.consumed()
    }

    fn next(&mut self, buffer: &mut [u8]) -> Result<Piece, RepoError> {
        // Only the last piece is no whole number of grains, and a buffer is; so there is room behind it.
        Ok(match self.content.next(buffer)? {
            Piece::Data(count) => {
                let padded = usize::try_from(self.padded(count as u64)).unwrap_or(count);
                if let Some(room) = buffer.get_mut(count..padded) {
                    room.fill(0);
                }
                Piece::Data(padded)
            }
            Piece::Zeros(count) => Piece::Zeros(self.padded(count)),
            Piece::End => Piece::End,
        })
    }
}
