// SPDX-License-Identifier: Apache-2.0
//! The header of a dynamic or differencing VHD: where its table lies, how large its blocks are, who its parent is.

use super::SECTOR;
use super::big_endian::{checksum, field, long, put, word};
use super::locator::{LOCATORS, Located};
use alloc::string::String;
use alloc::vec::Vec;
use thiserror::Error;

/// Length of the header in bytes.
pub const HEADER_LEN: usize = 1024;
/// The block size that everybody writes.
pub const BLOCK_SIZE: u64 = 2 << 20;
/// The smallest block that is read: one sector, as QEMU does.
pub const BLOCK_SIZE_MIN: u64 = SECTOR;
/// The largest block that is read; its bitmap is 64 KiB. The largest that anybody is known to write is 2 MiB.
pub const BLOCK_SIZE_MAX: u64 = 256 << 20;

const COOKIE: &[u8; 8] = b"cxsparse";
const VERSION: u32 = 0x0001_0000;
const NO_DATA: u64 = u64::MAX;
const CHECKSUM_AT: usize = 36;
const NAME_AT: usize = 64;
const NAME_UNITS: usize = 256;
const LOCATORS_AT: usize = 576;
const LOCATOR_LEN: usize = 24;

/// What the dynamic header says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Where the block allocation table lies in the file.
    pub table_at: u64,
    /// How many entries the table has room for.
    pub entries: u32,
    /// Bytes in a block; a power of two.
    pub block_size: u64,
    /// The parent's unique id; zero in a dynamic VHD.
    pub parent_id: [u8; 16],
    /// When the parent was last changed, in seconds since 2000-01-01 00:00 UTC.
    pub parent_timestamp: u32,
    /// The parent's file name, at most 256 UTF-16 units.
    pub parent_name: String,
    /// Where the parent's paths stand in the file.
    pub locators: [Located; LOCATORS],
}

/// Why bytes are not a dynamic header.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum HeaderError {
    /// Not as long as a header.
    #[error("{0} bytes are not a dynamic header of 1,024 bytes")]
    Length(usize),
    /// The cookie is not `cxsparse`.
    #[error("no `cxsparse` at the dynamic header's start")]
    Cookie,
    /// The one's complement sum differs.
    #[error("the dynamic header says checksum {said:08x} and its bytes add up to {sum:08x}")]
    Checksum {
        /// In the header.
        said: u32,
        /// Of its bytes.
        sum: u32,
    },
    /// A version other than 1.0.
    #[error("dynamic header version {0:08x} is not 1.0")]
    Version(u32),
    /// A block size that cannot be or that we do not read.
    #[error("blocks of {0} bytes: not a power of two between 512 bytes and 256 MiB")]
    BlockSize(u32),
}

impl Header {
    /// The header of a dynamic VHD.
    #[must_use]
    pub fn new(table_at: u64, entries: u32, block_size: u64) -> Self {
        Self {
            table_at,
            entries,
            block_size,
            parent_id: [0; 16],
            parent_timestamp: 0,
            parent_name: String::new(),
            locators: [Located::NONE; LOCATORS],
        }
    }

    /// The 1,024 bytes. A parent's name beyond 256 UTF-16 units is cut there; its path is in the locators.
    #[must_use]
    pub fn encode(&self) -> [u8; HEADER_LEN] {
        let mut out = [0u8; HEADER_LEN];
        let block_size = u32::try_from(self.block_size).unwrap_or(u32::MAX);
        let name: Vec<u8> = self
            .parent_name
            .encode_utf16()
            .take(NAME_UNITS)
            .flat_map(u16::to_be_bytes)
            .collect();
        let fields: [(usize, &[u8]); 9] = [
            (0, COOKIE),
            (8, &NO_DATA.to_be_bytes()),
            (16, &self.table_at.to_be_bytes()),
            (24, &VERSION.to_be_bytes()),
            (28, &self.entries.to_be_bytes()),
            (32, &block_size.to_be_bytes()),
            (40, &self.parent_id),
            (56, &self.parent_timestamp.to_be_bytes()),
            (NAME_AT, &name),
        ];
        for (at, bytes) in fields {
            put(&mut out, at, bytes);
        }
        for (number, locator) in self.locators.iter().enumerate() {
            put(
                &mut out,
                LOCATORS_AT + number * LOCATOR_LEN,
                &locator.encode(),
            );
        }
        let sum = checksum(&out, CHECKSUM_AT).to_be_bytes();
        put(&mut out, CHECKSUM_AT, &sum);
        out
    }

    /// Reads a header.
    ///
    /// # Errors
    /// A variant of [`HeaderError`] per way in which it is not one that we read.
    pub fn decode(bytes: &[u8]) -> Result<Self, HeaderError> {
        if bytes.len() != HEADER_LEN {
            return Err(HeaderError::Length(bytes.len()));
        }
        if field::<8>(bytes, 0) != *COOKIE {
            return Err(HeaderError::Cookie);
        }
        let (said, sum) = (word(bytes, CHECKSUM_AT), checksum(bytes, CHECKSUM_AT));
        if said != sum {
            return Err(HeaderError::Checksum { said, sum });
        }
        let version = word(bytes, 24);
        if version != VERSION {
            return Err(HeaderError::Version(version));
        }
        let block_size = u64::from(word(bytes, 32));
        if !block_size.is_power_of_two() || !(BLOCK_SIZE_MIN..=BLOCK_SIZE_MAX).contains(&block_size)
        {
            return Err(HeaderError::BlockSize(word(bytes, 32)));
        }
        let name = (0..NAME_UNITS)
            .map(|unit| u16::from_be_bytes(field(bytes, NAME_AT + unit * 2)))
            .take_while(|unit| *unit != 0);
        Ok(Self {
            table_at: long(bytes, 16),
            entries: word(bytes, 28),
            block_size,
            parent_id: field(bytes, 40),
            parent_timestamp: word(bytes, 56),
            parent_name: char::decode_utf16(name)
                .map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER))
                .collect(),
            locators: core::array::from_fn(|number| {
                Located::decode(field(bytes, LOCATORS_AT + number * LOCATOR_LEN))
            }),
        })
    }
}

#[cfg(test)]
#[allow(clippy::indexing_slicing)] // A test may panic.
mod tests {
    use super::*;
    use crate::vhd::Platform;
    use proptest::prelude::*;

    fn header() -> Header {
        let mut header = Header::new(4_096, 64, BLOCK_SIZE);
        header.parent_id = [3; 16];
        header.parent_timestamp = 77;
        header.parent_name = "größe.vhd".into();
        header.locators[1] = Located {
            platform: Platform::W2ku,
            space: 2,
            length: 44,
            at: 8_192,
        };
        header
    }

    proptest! {
        #[test]
        fn a_changed_byte_is_noticed(at in 0usize..HEADER_LEN, by in 1u8..=255) {
            let mut bytes = header().encode();
            bytes[at] = bytes[at].wrapping_add(by);
            prop_assert!(Header::decode(&bytes).is_err());
        }
    }

    #[test]
    fn what_is_encoded_is_decoded() {
        let header = header();
        assert_eq!(Header::decode(&header.encode()), Ok(header));
    }

    #[test]
    fn a_block_size_that_is_no_power_of_two_is_refused() {
        for size in [0u64, 256, 3 << 20, 512 << 20] {
            let bytes = Header::new(4_096, 1, size).encode();
            assert_eq!(
                Header::decode(&bytes),
                Err(HeaderError::BlockSize(u32::try_from(size).unwrap()))
            );
        }
    }
}
