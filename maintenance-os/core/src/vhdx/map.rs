// SPDX-License-Identifier: Apache-2.0
//! Where every piece of a disk is, from its start to its end.

use crate::random_access::ReadAt;

use super::error::Failure;
use super::reader::{Place, Vhdx};

/// A piece of the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Bytes from the disk's start.
    pub at: u64,
    /// Bytes.
    pub len: u64,
    /// Where they are.
    pub place: Place,
}

impl Piece {
    /// Whether `next` goes on where this one ends, on the disk and in its place.
    fn goes_on(&self, next: &Self) -> bool {
        let place = match (self.place, next.place) {
            (Place::File(at), Place::File(next)) => at + self.len == next,
            (one, other) => one == other,
        };
        place && self.at + self.len == next.at
    }
}

/// The pieces of a disk; together they are the disk, and no two that follow each other could be one.
#[derive(Debug)]
pub struct Map<'a, S> {
    disk: &'a mut Vhdx<S>,
    at: u64,
    held: Option<Piece>,
}

impl<S: ReadAt> Vhdx<S> {
    /// Where every piece of the disk is. One block table window is read at a time; after an error nothing comes.
    pub const fn map(&mut self) -> Map<'_, S> {
        Map {
            disk: self,
            at: 0,
            held: None,
        }
    }

    /// The piece that begins at `at`, up to its block's end at most; none at the disk's end and beyond. Who copies a
    /// disk steps through it with this and reads in between.
    ///
    /// # Errors
    /// The source's, or the cause for which the block cannot be read.
    pub fn piece(&mut self, at: u64) -> Result<Option<Piece>, Failure<S::Error>> {
        if at >= self.shape.size {
            return Ok(None);
        }
        let (place, len) = self.place(at, u64::MAX)?;
        Ok(Some(Piece { at, len, place }))
    }
}

impl<S: ReadAt> Iterator for Map<'_, S> {
    type Item = Result<Piece, Failure<S::Error>>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let piece = match self.disk.piece(self.at) {
                Ok(Some(piece)) => piece,
                Ok(None) => return self.held.take().map(Ok),
                Err(why) => {
                    // What comes before it first; then it is met again.
                    if let Some(done) = self.held.take() {
                        return Some(Ok(done));
                    }
                    self.at = u64::MAX;
                    return Some(Err(why));
                }
            };
            self.at += piece.len;
            match &mut self.held {
                Some(held) if held.goes_on(&piece) => held.len += piece.len,
                held => {
                    if let Some(done) = held.replace(piece) {
                        return Some(Ok(done));
                    }
                }
            }
        }
    }
}
