// SPDX-License-Identifier: Apache-2.0
//! A region of a disk, read through a closure: both ends once, everything else where and when it is asked for, and
//! never more in all than its allowance.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// How much of each end is read and judged: every common signature but a few lies within.
const END: usize = 1 << 20;
/// The same of a partition. It is less: a table names the disk as used already, and a disk may have many.
const PARTITION_END: usize = 256 << 10;
/// The most that is read of one disk, its partitions included. The disk itself takes 2.2 MiB, a partition 0.8 MiB; of a
/// table with more partitions the rest is unread, and what is unread is [`crate::guard::UNKNOWN_DATA`].
pub const READ_MAX: u64 = 8 << 20;
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
    is_partition: bool,
    allowance: u64,
    is_spent: bool,
}

impl<'a, E> Window<'a, E> {
    /// A whole disk of `size` bytes with logical sectors of `sector` bytes, of which [`READ_MAX`] may be read.
    pub fn new(size: u64, sector: u32, read: Read<'a, E>) -> Self {
        Self {
            size,
            sector,
            read,
            ends: None,
            is_partition: false,
            allowance: READ_MAX,
            is_spent: false,
        }
    }

    /// The same as a partition: what controllers and firmware write to the end of a disk is not looked for.
    #[must_use]
    pub const fn partition(mut self) -> Self {
        self.is_partition = true;
        self
    }

    /// The same with another allowance: what an earlier window of the same disk has left.
    #[must_use]
    pub const fn may_read(mut self, bytes: u64) -> Self {
        self.allowance = bytes;
        self
    }

    /// How much may still be read.
    #[must_use]
    pub const fn allowance(&self) -> u64 {
        self.allowance
    }

    /// Whether something was not read because the allowance was used up: then nothing can be said of it.
    pub(crate) const fn is_spent(&self) -> bool {
        self.is_spent
    }

    pub(crate) const fn is_partition(&self) -> bool {
        self.is_partition
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

    /// Both ends, or less where the region is smaller; nothing where the allowance does not reach.
    pub(crate) fn ends(&mut self) -> Result<(&[u8], &[u8]), E> {
        if self.ends.is_none() {
            let most = if self.is_partition {
                PARTITION_END
            } else {
                END
            };
            let length = usize::try_from(self.size).unwrap_or(usize::MAX).min(most);
            let head = self.take(0, length)?.unwrap_or_default();
            let tail = self.take(self.size - length as u64, length)?;
            self.ends = Some((head, tail.unwrap_or_default()));
        }
        Ok(self
            .ends
            .as_ref()
            .map_or((&[], &[]), |(head, tail)| (head, tail)))
    }

    /// The bytes at `offset`; `None` where they are not within the region or the allowance does not reach.
    pub(crate) fn at(&mut self, offset: u64, length: usize) -> Result<Option<Vec<u8>>, E> {
        let size = self.size;
        if offset
            .checked_add(length as u64)
            .is_none_or(|end| end > size)
        {
            return Ok(None);
        }
        let (head, tail) = self.ends()?;
        if let Some(bytes) = slice(head, offset, length) {
            return Ok(Some(bytes.to_vec()));
        }
        let tail_start = size - tail.len() as u64;
        if let Some(bytes) = offset
            .checked_sub(tail_start)
            .and_then(|at| slice(tail, at, length))
        {
            return Ok(Some(bytes.to_vec()));
        }
        self.take(offset, length)
    }

    fn take(&mut self, offset: u64, length: usize) -> Result<Option<Vec<u8>>, E> {
        match self.allowance.checked_sub(length as u64) {
            Some(left) => {
                self.allowance = left;
                (self.read)(offset, length).map(Some)
            }
            None => {
                self.is_spent = true;
                Ok(None)
            }
        }
    }

    /// Whether `magic` stands at `offset`.
    pub(crate) fn has(&mut self, offset: u64, magic: &[u8]) -> Result<bool, E> {
        Ok(self.at(offset, magic.len())?.as_deref() == Some(magic))
    }

    /// Where the sectors begin that stand `count` before the end, counted in 512 bytes and in the disk's own: software
    /// that knows no other sector writes to the first, software that does to the second.
    pub(crate) fn before_end(&self, count: u64) -> impl Iterator<Item = u64> + use<E> {
        let size = self.size;
        let own = u64::from(self.sector);
        [512, own]
            .into_iter()
            .take(if own == 512 { 1 } else { 2 })
            .filter_map(move |unit| {
                let sectors = size.checked_div(unit)?.checked_sub(count)?;
                sectors.checked_mul(unit)
            })
    }
}

fn slice(bytes: &[u8], at: u64, length: usize) -> Option<&[u8]> {
    let at = usize::try_from(at).ok()?;
    bytes.get(at..at.checked_add(length)?)
}

/// All zeros, or all ones as erased flash reads.
pub(crate) fn is_blank(bytes: &[u8]) -> bool {
    const PIECE: usize = 4_096;
    let all = |pattern: &[u8; PIECE]| {
        bytes
            .chunks(PIECE)
            .all(|piece| pattern.get(..piece.len()) == Some(piece))
    };
    all(&[0; PIECE]) || all(&[0xff; PIECE])
}

pub(crate) fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}

pub(crate) fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    array(bytes, at).map(u16::from_be_bytes)
}

pub(crate) fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    array(bytes, at).map(u32::from_be_bytes)
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
