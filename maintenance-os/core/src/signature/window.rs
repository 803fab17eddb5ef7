// SPDX-License-Identifier: Apache-2.0
//! A region of a disk, read through a closure, with both ends read once.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// How much of each end is read and judged: every common signature but a few lies within.
pub(crate) const END: usize = 1 << 20;
/// The longest label that is kept, in characters.
const LABEL_MAX: usize = 128;

/// Reads `length` bytes at an offset from the region's start; always whole, the window asks only within the region.
pub type Read<'a, E> = &'a mut dyn FnMut(u64, usize) -> Result<Vec<u8>, E>;

/// A region of a disk: the whole of it or a partition.
pub struct Window<'a, E> {
    size: u64,
    sector: u32,
    read: Read<'a, E>,
    ends: Option<(Vec<u8>, Vec<u8>)>,
}

impl<'a, E> Window<'a, E> {
    /// A region of `size` bytes on a disk with logical sectors of `sector` bytes.
    pub fn new(size: u64, sector: u32, read: Read<'a, E>) -> Self {
        Self {
            size,
            sector,
            read,
            ends: None,
        }
    }

    /// Its length in bytes.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The logical sector size in bytes.
    #[must_use]
    pub const fn sector(&self) -> u32 {
        self.sector
    }

    /// The first and the last [`END`] bytes, or less where the region is smaller.
    pub(crate) fn ends(&mut self) -> Result<(&[u8], &[u8]), E> {
        if self.ends.is_none() {
            let length = usize::try_from(self.size).unwrap_or(usize::MAX).min(END);
            let head = (self.read)(0, length)?;
            let tail = (self.read)(self.size - length as u64, length)?;
            self.ends = Some((head, tail));
        }
        Ok(self
            .ends
            .as_ref()
            .map_or((&[], &[]), |(head, tail)| (head, tail)))
    }

    /// The bytes at `offset`; `None` where they are not within the region.
    pub(crate) fn at(&mut self, offset: u64, length: usize) -> Result<Option<Vec<u8>>, E> {
        let size = self.size;
        let Some(end) = offset.checked_add(length as u64).filter(|end| *end <= size) else {
            return Ok(None);
        };
        let (head, tail) = self.ends()?;
        if let Some(bytes) = slice(head, offset, length) {
            return Ok(Some(bytes.to_vec()));
        }
        let tail_start = size - tail.len() as u64;
        if offset >= tail_start {
            return Ok(slice(tail, offset - tail_start, length).map(<[u8]>::to_vec));
        }
        debug_assert!(end <= size);
        (self.read)(offset, length).map(Some)
    }

    /// Whether `magic` stands at `offset`.
    pub(crate) fn has(&mut self, offset: u64, magic: &[u8]) -> Result<bool, E> {
        Ok(self.at(offset, magic.len())?.as_deref() == Some(magic))
    }
}

fn slice(bytes: &[u8], at: u64, length: usize) -> Option<&[u8]> {
    let at = usize::try_from(at).ok()?;
    bytes.get(at..at.checked_add(length)?)
}

/// All zeros, or all ones as erased flash reads.
pub(crate) fn is_blank(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0) || bytes.iter().all(|byte| *byte == 0xff)
}

pub(crate) fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}

pub(crate) fn le16(bytes: &[u8], at: usize) -> Option<u16> {
    array(bytes, at).map(u16::from_le_bytes)
}

pub(crate) fn le32(bytes: &[u8], at: usize) -> Option<u32> {
    array(bytes, at).map(u32::from_le_bytes)
}

pub(crate) fn le64(bytes: &[u8], at: usize) -> Option<u64> {
    array(bytes, at).map(u64::from_le_bytes)
}

/// A label: up to its first NUL, without spaces at its end; what is no printable character becomes `?`.
pub(crate) fn label(bytes: &[u8]) -> Option<String> {
    let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
    let text = String::from_utf8_lossy(bytes.get(..end)?);
    printable(text.chars())
}

/// A label in little-endian UTF-16.
pub(crate) fn label_utf16(bytes: &[u8]) -> Option<String> {
    let units = bytes.chunks_exact(2).map(|pair| le16(pair, 0).unwrap_or(0));
    let units: Vec<u16> = units.take_while(|unit| *unit != 0).collect();
    printable(char::decode_utf16(units).map(|unit| unit.unwrap_or('?')))
}

fn printable(chars: impl Iterator<Item = char>) -> Option<String> {
    let text: String = chars
        .take(LABEL_MAX)
        .map(|c| if c.is_control() { '?' } else { c })
        .collect();
    let text = text.trim_end();
    (!text.is_empty()).then(|| String::from(text))
}

/// Sixteen bytes as lower-case UUID text; none where they are all zero.
pub(crate) fn uuid(bytes: &[u8]) -> Option<String> {
    let bytes: [u8; 16] = bytes.try_into().ok()?;
    (bytes != [0; 16]).then(|| crate::guid::Guid(bytes).lower())
}

/// A FAT or exFAT volume id: `XXXX-XXXX`.
pub(crate) fn volume_id(id: u32) -> String {
    format!("{:04X}-{:04X}", id >> 16, id & 0xffff)
}
