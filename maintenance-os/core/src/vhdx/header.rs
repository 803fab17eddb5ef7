// SPDX-License-Identifier: Apache-2.0
//! The file identifier and the two headers ([MS-VHDX] 2.2.1 and 2.2.2).

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use crate::guid::Guid;

use super::crc32c::Crc32c;
use super::error::{CopyFault, VhdxError};
use super::field::{guid_at, put, u16_at, u32_at, u64_at};
use super::limits::{CREATOR_MAX, SECTION};

/// What the file begins with.
pub(super) const FILE_SIGNATURE: &[u8; 8] = b"vhdxfile";
/// Bytes of the file identifier: signature and the creator in UTF-16.
pub(super) const IDENTIFIER_LEN: usize = 8 + 2 * CREATOR_MAX;
/// Where the two headers are.
pub(super) const HEADERS_AT: [u64; 2] = [64 * 1024, 128 * 1024];
/// Bytes of a header that its checksum covers.
pub(super) const HEADER_LEN: usize = 4096;
pub(super) const NIL: Guid = Guid([0; 16]);

const SIGNATURE: &[u8; 4] = b"head";
const CHECKSUM_AT: usize = 4;
const VERSION: u16 = 1;

/// One header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) sequence: u64,
    /// Changes with every opening for writing.
    pub(super) file_write: Guid,
    /// Changes when the disk's content does; children name their parent by it.
    pub(super) data_write: Guid,
    /// The log's entries bear it; nil where there is nothing to replay.
    pub(super) log: Guid,
    pub(super) log_version: u16,
    pub(super) version: u16,
    pub(super) log_len: u32,
    pub(super) log_at: u64,
}

impl Header {
    pub(super) fn new(file_write: Guid, data_write: Guid, sequence: u64) -> Self {
        Self {
            sequence,
            file_write,
            data_write,
            log: NIL,
            log_version: 0,
            version: VERSION,
            log_len: 1 << 20,
            log_at: SECTION,
        }
    }

    pub(super) fn decode(bytes: &[u8; HEADER_LEN]) -> Result<Self, CopyFault> {
        if !bytes.starts_with(SIGNATURE) {
            return Err(CopyFault::Signature);
        }
        let (said, sum) = (
            u32_at(bytes, CHECKSUM_AT),
            Crc32c::without_field(bytes, CHECKSUM_AT),
        );
        if said != sum {
            return Err(CopyFault::Checksum { said, sum });
        }
        Ok(Self {
            sequence: u64_at(bytes, 8),
            file_write: guid_at(bytes, 16),
            data_write: guid_at(bytes, 32),
            log: guid_at(bytes, 48),
            log_version: u16_at(bytes, 64),
            version: u16_at(bytes, 66),
            log_len: u32_at(bytes, 68),
            log_at: u64_at(bytes, 72),
        })
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = vec![0; HEADER_LEN];
        put(&mut out, 0, SIGNATURE);
        put(&mut out, 8, &self.sequence.to_le_bytes());
        put(&mut out, 16, &self.file_write.to_gpt());
        put(&mut out, 32, &self.data_write.to_gpt());
        put(&mut out, 48, &self.log.to_gpt());
        put(&mut out, 64, &self.log_version.to_le_bytes());
        put(&mut out, 66, &self.version.to_le_bytes());
        put(&mut out, 68, &self.log_len.to_le_bytes());
        put(&mut out, 72, &self.log_at.to_le_bytes());
        let sum = Crc32c::without_field(&out, CHECKSUM_AT);
        put(&mut out, CHECKSUM_AT, &sum.to_le_bytes());
        out
    }

    /// The header that counts: the valid one, or of two the newer one. Microsoft's Disk2vhd writes the same header
    /// twice with one sequence number; that is no disagreement.
    pub(super) fn current(
        first: Result<Self, CopyFault>,
        second: Result<Self, CopyFault>,
    ) -> Result<Self, VhdxError> {
        match (first, second) {
            (Ok(first), Ok(second)) if first == second => Ok(first),
            (Ok(first), Ok(second)) if first.sequence == second.sequence => {
                let sequence = first.sequence;
                Err(VhdxError::HeadersDisagree { sequence })
            }
            (Ok(first), Ok(second)) if first.sequence > second.sequence => Ok(first),
            (Ok(_) | Err(_), Ok(second)) => Ok(second),
            (Ok(first), Err(_)) => Ok(first),
            (Err(first), Err(second)) => Err(VhdxError::NoHeader { first, second }),
        }
    }

    /// Refuses versions that we do not know and a log outside a file of `file_len` bytes.
    pub(super) fn admit(&self, file_len: u64) -> Result<(), VhdxError> {
        if self.version != VERSION {
            let version = self.version;
            return Err(VhdxError::Version { version });
        }
        if self.log != NIL && self.log_version != 0 {
            let version = self.log_version;
            return Err(VhdxError::LogVersion { version });
        }
        let (at, len) = (self.log_at, u64::from(self.log_len));
        let within = at.checked_add(len).is_some_and(|end| end <= file_len);
        let stepped = at.is_multiple_of(SECTION) && len.is_multiple_of(SECTION);
        if at < SECTION || !within || !stepped || (len == 0 && self.log != NIL) {
            return Err(VhdxError::LogPlace { at, len });
        }
        Ok(())
    }
}

/// The creator's name, up to the first zero; units that are no character become U+FFFD.
pub(super) fn creator(identifier: &[u8; IDENTIFIER_LEN]) -> String {
    let (_, text) = identifier.split_at(FILE_SIGNATURE.len());
    let (units, _) = text.as_chunks::<2>();
    let units = units.iter().map(|unit| u16::from_le_bytes(*unit));
    char::decode_utf16(units.take_while(|unit| *unit != 0))
        .map(|character| character.unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect()
}

/// The file identifier with the creator's name.
pub(super) fn identifier(creator: &str) -> Result<Vec<u8>, VhdxError> {
    let units = creator.encode_utf16().count();
    if units > CREATOR_MAX {
        return Err(VhdxError::CreatorTooLong { units });
    }
    let mut out = FILE_SIGNATURE.to_vec();
    out.extend(creator.encode_utf16().flat_map(u16::to_le_bytes));
    out.resize(IDENTIFIER_LEN, 0);
    Ok(out)
}

#[cfg(test)]
#[allow(clippy::indexing_slicing)] // A test may panic.
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_is_decoded_and_any_change_is_noticed() {
        let header = Header::new(Guid([1; 16]), Guid([2; 16]), 7);
        let bytes: [u8; HEADER_LEN] = header.encode().try_into().unwrap();
        assert_eq!(Header::decode(&bytes), Ok(header));
        for at in (0..HEADER_LEN).step_by(97).chain(0..80) {
            let mut changed = bytes;
            changed[at] ^= 0x40;
            assert!(Header::decode(&changed).is_err(), "byte {at}");
        }
        let name = identifier("Groundstate ☃").unwrap();
        assert_eq!(creator(&name.try_into().unwrap()), "Groundstate ☃");
        let units = 257;
        assert_eq!(
            identifier(&"x".repeat(units)),
            Err(VhdxError::CreatorTooLong { units })
        );
    }

    #[test]
    fn the_newer_header_counts_and_a_broken_one_never() {
        let [old, new] = [4, 5].map(|sequence| Header::new(NIL, NIL, sequence));
        let other = Header {
            data_write: Guid([3; 16]),
            ..new
        };
        let broken = Err(CopyFault::Signature);
        assert_eq!(Header::current(Ok(old), Ok(new)), Ok(new));
        assert_eq!(Header::current(Ok(new), Ok(old)), Ok(new));
        assert_eq!(Header::current(broken, Ok(old)), Ok(old));
        assert_eq!(Header::current(Ok(old), broken), Ok(old));
        assert_eq!(Header::current(Ok(new), Ok(new)), Ok(new));
        let disagree = VhdxError::HeadersDisagree { sequence: 5 };
        assert_eq!(Header::current(Ok(new), Ok(other)), Err(disagree));
        let (first, second) = (CopyFault::Signature, CopyFault::Signature);
        assert_eq!(
            Header::current(broken, broken),
            Err(VhdxError::NoHeader { first, second })
        );
    }
}
