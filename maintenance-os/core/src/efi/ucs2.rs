// SPDX-License-Identifier: Apache-2.0
//! Texts of the firmware: 16-bit units up to a NUL, kept as they are even where they are not valid UTF-16.

use super::EfiError;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// A text without NUL. Firmware in the field writes unpaired surrogates; they survive decode and encode.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ucs2(Vec<u16>);

impl Ucs2 {
    /// The text `text`.
    ///
    /// # Errors
    /// `text` holds a NUL.
    pub fn new(text: &str) -> Result<Self, EfiError> {
        Self::from_units(text.encode_utf16().collect())
    }

    /// The text of these units.
    ///
    /// # Errors
    /// A unit is NUL.
    pub fn from_units(units: Vec<u16>) -> Result<Self, EfiError> {
        if units.contains(&0) {
            Err(EfiError::Nul)
        } else {
            Ok(Self(units))
        }
    }

    /// Reads up to the first NUL of `bytes`; returns the text and what follows the NUL.
    pub(super) fn decode<'a>(
        bytes: &'a [u8],
        field: &'static str,
    ) -> Result<(Self, &'a [u8]), EfiError> {
        let length = bytes.len();
        let mut units = Vec::new();
        let mut rest = bytes;
        while let Some((pair, after)) = rest.split_first_chunk::<2>() {
            rest = after;
            match u16::from_le_bytes(*pair) {
                0 => return Ok((Self(units), rest)),
                unit => units.push(unit),
            }
        }
        Err(EfiError::Short { field, length })
    }

    /// Appends the text and its NUL.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        for unit in self.0.iter().chain(&[0]) {
            out.extend_from_slice(&unit.to_le_bytes());
        }
    }
}

impl fmt::Display for Ucs2 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&String::from_utf16_lossy(&self.0))
    }
}

impl fmt::Debug for Ucs2 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&String::from_utf16_lossy(&self.0), f)
    }
}
