// SPDX-License-Identifier: Apache-2.0
//! A bounded way to read an image: hostile bytes may claim anything, so what is read in all has a limit that no claim
//! moves.

use super::ReadAt;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

/// Bytes that could not be read: the fault of the medium, never of what the bytes say.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the image cannot be read at byte {at}: {said}")]
pub struct ReadError {
    /// The first byte that was asked for.
    pub at: u64,
    /// What the reader said.
    pub said: String,
}

/// The most that is read of an image for its facts, in bytes: an ordinary disk takes one or two MiB.
pub(super) const READ_MAX: u64 = 64 << 20;
/// The most reads: each is a chunk to decompress at worst, and an ordinary disk takes some hundreds.
pub(super) const READS_MAX: u32 = 20_000;
/// What is read at once and kept, in bytes: metadata lies side by side.
const BLOCK: u64 = 4096;
/// How many blocks are kept: 256 KiB, one walk's worth.
const KEPT: usize = 64;

/// Why something was not found out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Halt {
    /// The medium failed.
    Read(ReadError),
    /// The allowance is used up.
    Spent,
    /// The bytes contradict themselves: what is wrong.
    Damaged(&'static str),
}

impl From<ReadError> for Halt {
    fn from(error: ReadError) -> Self {
        Self::Read(error)
    }
}

pub(super) type Found<T> = Result<T, Halt>;

/// The image's bytes within the allowance.
pub(super) struct Source<'a> {
    reader: &'a mut dyn ReadAt,
    bytes_left: u64,
    reads_left: u32,
    kept: Vec<(u64, Vec<u8>)>,
    next: usize,
}

impl<'a> Source<'a> {
    pub(super) fn new(reader: &'a mut dyn ReadAt) -> Self {
        Self {
            reader,
            bytes_left: READ_MAX,
            reads_left: READS_MAX,
            kept: Vec::new(),
            next: 0,
        }
    }

    pub(super) fn size(&self) -> u64 {
        self.reader.size()
    }

    /// The bytes from `at` on; `None` where they are not all within the image.
    pub(super) fn bytes(&mut self, at: u64, length: usize) -> Found<Option<Vec<u8>>> {
        let end = at.checked_add(length as u64);
        if end.is_none_or(|end| end > self.size()) {
            return Ok(None);
        }
        if length as u64 > BLOCK {
            return self.fresh(at, length).map(Some);
        }
        let mut bytes = Vec::with_capacity(length);
        let mut from = at;
        while bytes.len() < length {
            let block = from / BLOCK * BLOCK;
            let skip = usize::try_from(from - block).unwrap_or(0);
            let wanted = length - bytes.len();
            let kept = self.block(block)?;
            let piece = kept.get(skip..).unwrap_or(&[]);
            let piece = piece.get(..wanted).unwrap_or(piece);
            if piece.is_empty() {
                return Ok(None);
            }
            bytes.extend_from_slice(piece);
            from += piece.len() as u64;
        }
        Ok(Some(bytes))
    }

    fn block(&mut self, at: u64) -> Found<&[u8]> {
        let index = match self.kept.iter().position(|(of, _)| *of == at) {
            Some(index) => index,
            None => {
                let length = usize::try_from((self.size() - at).min(BLOCK)).unwrap_or(0);
                let bytes = self.fresh(at, length)?;
                let index = self.next % KEPT;
                self.next = index + 1;
                match self.kept.get_mut(index) {
                    Some(place) => *place = (at, bytes),
                    None => self.kept.push((at, bytes)),
                }
                index
            }
        };
        Ok(self.kept.get(index).map_or(&[], |(_, bytes)| bytes))
    }

    fn fresh(&mut self, at: u64, length: usize) -> Found<Vec<u8>> {
        let bytes_left = self.bytes_left.checked_sub(length as u64);
        let reads_left = self.reads_left.checked_sub(1);
        let (Some(bytes_left), Some(reads_left)) = (bytes_left, reads_left) else {
            return Err(Halt::Spent);
        };
        (self.bytes_left, self.reads_left) = (bytes_left, reads_left);
        let mut bytes = vec![0; length];
        self.reader.read_at(at, &mut bytes)?;
        Ok(bytes)
    }
}

/// A part of the image: a partition, or all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Region {
    pub(super) start: u64,
    pub(super) length: u64,
}

impl Region {
    /// Bytes of the region; `None` where they are not all within it and within the image.
    pub(super) fn bytes(
        self,
        source: &mut Source<'_>,
        at: u64,
        length: usize,
    ) -> Found<Option<Vec<u8>>> {
        let end = at.checked_add(length as u64);
        if end.is_none_or(|end| end > self.length) {
            return Ok(None);
        }
        match self.start.checked_add(at) {
            Some(at) => source.bytes(at, length),
            None => Ok(None),
        }
    }
}

pub(super) fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}

pub(super) fn le16(bytes: &[u8], at: usize) -> Option<u16> {
    array(bytes, at).map(u16::from_le_bytes)
}

pub(super) fn le32(bytes: &[u8], at: usize) -> Option<u32> {
    array(bytes, at).map(u32::from_le_bytes)
}

pub(super) fn le64(bytes: &[u8], at: usize) -> Option<u64> {
    array(bytes, at).map(u64::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_has_a_limit_that_no_claim_moves() {
        let mut image = super::super::tests::Image(alloc::vec![7u8; 10_000]);
        let mut source = Source::new(&mut image);
        assert_eq!(source.bytes(9_990, 10).unwrap().unwrap(), [7; 10]);
        assert_eq!(source.bytes(9_990, 11), Ok(None));
        assert_eq!(source.bytes(u64::MAX, 1), Ok(None));
        assert_eq!(source.bytes(4_000, 200).unwrap().unwrap().len(), 200);
        let mut reads = 0;
        let spent = loop {
            match source.bytes(0, 5_000) {
                Ok(_) => reads += 1,
                Err(halt) => break halt,
            }
        };
        assert_eq!(spent, Halt::Spent);
        assert!(reads <= READ_MAX / 5_000);
    }
}
