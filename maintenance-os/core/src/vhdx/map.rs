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
}

impl<S: ReadAt> Iterator for Map<'_, S> {
    type Item = Result<Piece, Failure<S::Error>>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.at < self.disk.shape.size {
            let at = self.at;
            let (place, len) = match self.disk.place(at, u64::MAX) {
                Ok(found) => found,
                Err(why) => {
                    self.at = u64::MAX;
                    self.held = None;
                    return Some(Err(why));
                }
            };
            self.at += len;
            let piece = Piece { at, len, place };
            match &mut self.held {
                Some(held) if held.goes_on(&piece) => held.len += len,
                held => {
                    if let Some(done) = held.replace(piece) {
                        return Some(Ok(done));
                    }
                }
            }
        }
        self.held.take().map(Ok)
    }
}
