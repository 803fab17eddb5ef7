// SPDX-License-Identifier: Apache-2.0
//! A disk or file with holes, so that an input of a few hundred bytes can be a VHDX of 8 MiB.
//!
//! The input: its length in sectors of 512 bytes (4 bytes, little-endian), then pieces, each an offset in bytes (4
//! bytes), a length (2 bytes) and as many bytes. Later pieces lie over earlier ones; everything else is zero.

use crate::Pieces;
use mos_core::random_access::ReadAt;

/// The disk.
#[derive(Clone, Debug)]
pub struct Sparse {
    length: u64,
    pieces: Vec<(u64, Vec<u8>)>,
}

/// What was asked for does not lie on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Beyond;

impl Sparse {
    /// What is left of an input as a disk of `most` bytes at most.
    #[must_use]
    pub fn new(mut input: Pieces<'_>, most: usize) -> Self {
        let length = u64::from(input.word()) * 512 % (most as u64 + 512);
        let mut pieces = Vec::new();
        while !input.is_empty() {
            let at = u64::from(input.word()) % length.max(1);
            let mut bytes = input.string().to_vec();
            bytes.truncate(usize::try_from(length - at.min(length)).unwrap_or(usize::MAX));
            pieces.push((at, bytes));
        }
        Self { length, pieces }
    }

    /// Puts bytes over what is there, as far as they lie on the disk.
    pub fn put(&mut self, at: u64, bytes: &[u8]) {
        if at
            .checked_add(bytes.len() as u64)
            .is_some_and(|end| end <= self.length)
        {
            self.pieces.push((at, bytes.to_vec()));
        }
    }

    /// The bytes at an offset; `None` where they do not lie on the disk.
    #[must_use]
    pub fn get(&self, at: u64, length: usize) -> Option<Vec<u8>> {
        let end = at
            .checked_add(length as u64)
            .filter(|end| *end <= self.length)?;
        let mut bytes = vec![0; length];
        for (from, piece) in &self.pieces {
            let (first, last) = (at.max(*from), end.min(from + piece.len() as u64));
            if first < last {
                let within = |offset: u64| usize::try_from(offset).unwrap_or(usize::MAX);
                bytes[within(first - at)..within(last - at)]
                    .copy_from_slice(&piece[within(first - from)..within(last - from)]);
            }
        }
        Some(bytes)
    }
}

impl ReadAt for Sparse {
    type Error = Beyond;

    fn len(&self) -> u64 {
        self.length
    }

    fn read_at(&mut self, at: u64, into: &mut [u8]) -> Result<(), Beyond> {
        into.copy_from_slice(&self.get(at, into.len()).ok_or(Beyond)?);
        Ok(())
    }
}
