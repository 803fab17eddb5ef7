// SPDX-License-Identifier: Apache-2.0
//! A disk in a file, of whatever format, read from its start to its end.

use super::error::FormatError;
use crate::content::{Content, GRAIN, Piece};
use crate::error::RepoError;
use groundstate_api::Bytes;

/// A stretch of a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stretch {
    /// Bytes, at least 1.
    pub(super) length: u64,
    /// Whether all of them are zero and need not be read.
    pub(super) zero: bool,
}

/// A disk whose bytes can be read at any place.
pub(super) trait Disk: Send {
    /// Bytes of the disk.
    fn size(&self) -> u64;
    /// What begins at `at`, which lies on the disk.
    fn stretch(&mut self, at: u64) -> Result<Stretch, FormatError>;
    /// Reads from `at` on; all of it lies on the disk.
    fn read(&mut self, at: u64, into: &mut [u8]) -> Result<(), FormatError>;
}

/// The disk in order.
pub(super) struct DiskContent {
    disk: Box<dyn Disk>,
    at: u64,
    /// The stretch that was asked for last: where it begins, and what it is.
    known: Option<(u64, Stretch)>,
}

impl DiskContent {
    pub(super) fn new(disk: Box<dyn Disk>) -> Self {
        Self {
            disk,
            at: 0,
            known: None,
        }
    }

    /// What begins at `at`: how long, and whether it is zero. Questions mostly come within the same stretch.
    fn stretch(&mut self, at: u64) -> Result<Stretch, FormatError> {
        if let Some((begin, known)) = self.known
            && (begin..begin + known.length).contains(&at)
        {
            let length = known.length - (at - begin);
            return Ok(Stretch { length, ..known });
        }
        let mut stretch = self.disk.stretch(at)?;
        stretch.length = stretch.length.min(self.disk.size() - at);
        self.known = Some((at, stretch));
        Ok(stretch)
    }

    /// How many bytes from `at` on are zero and need not be read, in whole grains or up to the end.
    fn zeros(&mut self, at: u64) -> Result<u64, FormatError> {
        let size = self.disk.size();
        let mut end = at;
        while end < size {
            let stretch = self.stretch(end)?;
            if !stretch.zero {
                break;
            }
            end += stretch.length;
        }
        Ok(if end == size {
            end - at
        } else {
            (end - at) / GRAIN * GRAIN
        })
    }

    /// How many bytes from `at` on are to be read: up to a whole grain of zeros, `most` or the end. The first grain is data.
    fn data(&mut self, at: u64, most: u64) -> Result<u64, FormatError> {
        let end = (at + most).min(self.disk.size());
        let mut next = at + GRAIN;
        while next < end {
            let stretch = self.stretch(next)?;
            if stretch.zero && self.zeros(next)? > 0 {
                break;
            }
            let whole = if stretch.zero {
                GRAIN
            } else {
                (stretch.length / GRAIN * GRAIN).max(GRAIN)
            };
            next += whole;
        }
        Ok(next.min(end) - at)
    }
}

impl Content for DiskContent {
    fn size(&self) -> Option<Bytes> {
        Some(Bytes(self.disk.size()))
    }

    fn next(&mut self, buffer: &mut [u8]) -> Result<Piece, RepoError> {
        if self.at == self.disk.size() {
            return Ok(Piece::End);
        }
        let zeros = self.zeros(self.at)?;
        if zeros > 0 {
            self.at += zeros;
            return Ok(Piece::Zeros(zeros));
        }
        let length = self.data(self.at, buffer.len() as u64)?;
        let count = usize::try_from(length).unwrap_or(buffer.len());
        self.disk.read(self.at, &mut buffer[..count])?;
        self.at += length;
        Ok(Piece::Data(count))
    }
}
