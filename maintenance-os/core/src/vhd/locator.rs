// SPDX-License-Identifier: Apache-2.0
//! The paths under which a differencing VHD knows its parent.
//!
//! Only the two Windows codes hold paths that we read and write; others are shown by their number. What a path means on
//! this machine, and whether the file there is the parent, is the shell's and [`super::Vhd::attach`]'s to say.

use super::SECTOR;
use super::big_endian::{long, put, word};
use alloc::string::String;
use alloc::vec::Vec;

/// A header has room for this many locators.
pub const LOCATORS: usize = 8;
/// The longest path that is read: 32,767 UTF-16 units, the most that Windows has.
pub const LOCATOR_BYTES_MAX: u32 = 65_534;

/// What kind of path a locator holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Platform {
    /// Nothing.
    None,
    /// `W2ru`: relative to the child's folder, UTF-16LE, with backslashes.
    W2ru,
    /// `W2ku`: absolute, UTF-16LE.
    W2ku,
    /// Another code, for example `MacX`.
    Other(u32),
}

impl Platform {
    const W2RU: u32 = u32::from_be_bytes(*b"W2ru");
    const W2KU: u32 = u32::from_be_bytes(*b"W2ku");

    const fn code(self) -> u32 {
        match self {
            Self::None => 0,
            Self::W2ru => Self::W2RU,
            Self::W2ku => Self::W2KU,
            Self::Other(code) => code,
        }
    }

    const fn of(code: u32) -> Self {
        match code {
            0 => Self::None,
            Self::W2RU => Self::W2ru,
            Self::W2KU => Self::W2ku,
            other => Self::Other(other),
        }
    }
}

/// Where a locator's bytes stand in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Located {
    /// What kind of path.
    pub platform: Platform,
    /// How many sectors are kept for it. Some programs write bytes here; nobody needs it to read.
    pub space: u32,
    /// How many bytes it has.
    pub length: u32,
    /// Where they begin.
    pub at: u64,
}

impl Located {
    /// No locator.
    pub const NONE: Self = Self {
        platform: Platform::None,
        space: 0,
        length: 0,
        at: 0,
    };

    pub(super) fn encode(self) -> [u8; 24] {
        let mut out = [0; 24];
        put(&mut out, 0, &self.platform.code().to_be_bytes());
        put(&mut out, 4, &self.space.to_be_bytes());
        put(&mut out, 8, &self.length.to_be_bytes());
        put(&mut out, 16, &self.at.to_be_bytes());
        out
    }

    pub(super) fn decode(bytes: [u8; 24]) -> Self {
        Self {
            platform: Platform::of(word(&bytes, 0)),
            space: word(&bytes, 4),
            length: word(&bytes, 8),
            at: long(&bytes, 16),
        }
    }
}

/// A path to the parent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Locator {
    /// What kind of path.
    pub platform: Platform,
    /// The path; what is no UTF-16 reads as U+FFFD.
    pub path: String,
}

impl Locator {
    pub(super) fn encode(&self) -> Vec<u8> {
        self.path
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect()
    }

    pub(super) fn decode(platform: Platform, bytes: &[u8]) -> Self {
        let units = bytes
            .chunks_exact(2)
            .filter_map(|pair| pair.try_into().ok())
            .map(u16::from_le_bytes)
            .take_while(|unit| *unit != 0);
        let path = char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER));
        Self {
            platform,
            path: path.collect(),
        }
    }

    /// Where it goes when the first free sector is at `at`.
    pub(super) fn placed(&self, at: u64) -> Located {
        let length = u64::try_from(self.encode().len()).unwrap_or(u64::MAX);
        Located {
            platform: self.platform,
            space: u32::try_from(length.div_ceil(SECTOR)).unwrap_or(u32::MAX),
            length: u32::try_from(length).unwrap_or(u32::MAX),
            at,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_little_endian_and_codes_survive() {
        let locator = Locator {
            platform: Platform::W2ru,
            path: ".\\größe.vhd".into(),
        };
        let bytes = locator.encode();
        assert_eq!(bytes.get(..4), Some(&b".\0\\\0"[..]));
        assert_eq!(Locator::decode(Platform::W2ru, &bytes), locator);
        let other = Located {
            platform: Platform::Other(u32::from_be_bytes(*b"MacX")),
            space: 1,
            length: 9,
            at: 4_096,
        };
        assert_eq!(Located::decode(other.encode()), other);
    }
}
