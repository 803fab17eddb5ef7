// SPDX-License-Identifier: Apache-2.0
//! The parent locator of a differencing disk ([MS-VHDX] 2.6.2.6): which disk is its parent and where it may be found.
//!
//! It names the parent; who looks for it, by which of the paths, is the caller's affair.

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use crate::guid::Guid;

use super::error::VhdxError;
use super::field::{guid_at, put, u16_at, u32_at};
use super::limits::LOCATOR_PAIRS_MAX;

/// b04aefb7-d19e-4a81-b789-25b8e9445913: the parent is a VHDX.
const VHDX: Guid = Guid([
    0xb0, 0x4a, 0xef, 0xb7, 0xd1, 0x9e, 0x4a, 0x81, 0xb7, 0x89, 0x25, 0xb8, 0xe9, 0x44, 0x59, 0x13,
]);
const HEAD_LEN: usize = 20;
const PAIR_LEN: usize = 12;
const LINKAGE: &str = "parent_linkage";
const LINKAGE_2: &str = "parent_linkage2";

/// What a differencing disk says of its parent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParentLocator {
    /// The parent's data write id: the same as in its header, or the parent has changed since.
    pub linkage: Guid,
    /// A second id that the parent may have instead.
    pub linkage2: Option<Guid>,
    /// Every other pair as it stands: `relative_path`, `volume_path`, `absolute_win32_path` by the specification.
    pub paths: Vec<(String, String)>,
}

impl ParentLocator {
    /// The value of a pair.
    #[must_use]
    pub fn path(&self, key: &str) -> Option<&str> {
        let pair = self.paths.iter().find(|(found, _)| found == key)?;
        Some(&pair.1)
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, VhdxError> {
        let id = guid_at(bytes, 0);
        if bytes.len() < HEAD_LEN || id != VHDX {
            return Err(VhdxError::LocatorType { id });
        }
        let count = u16_at(bytes, 18);
        if count > LOCATOR_PAIRS_MAX {
            return Err(VhdxError::LocatorPairs { count });
        }
        let mut pairs: Vec<(String, String)> = Vec::new();
        for pair in 0..count {
            let at = HEAD_LEN + usize::from(pair) * PAIR_LEN;
            let key = text(bytes, u32_at(bytes, at), u16_at(bytes, at + 8));
            let value = text(bytes, u32_at(bytes, at + 4), u16_at(bytes, at + 10));
            let (Some(key), Some(value)) = (key, value) else {
                return Err(VhdxError::LocatorPair { pair });
            };
            if pairs.iter().any(|(known, _)| *known == key) {
                return Err(VhdxError::LocatorTwice { key });
            }
            pairs.push((key, value));
        }
        let mut take = |key: &str| {
            let at = pairs.iter().position(|(found, _)| found == key)?;
            Guid::parse(pairs.remove(at).1.trim_matches(['{', '}']))
        };
        let linkage = take(LINKAGE).ok_or(VhdxError::LocatorLinkage)?;
        let linkage2 = take(LINKAGE_2);
        Ok(Self {
            linkage,
            linkage2,
            paths: pairs,
        })
    }

    pub(super) fn encode(&self) -> Result<Vec<u8>, VhdxError> {
        let braced = |id: &Guid| alloc::format!("{{{}}}", id.lower());
        let mut pairs = vec![(LINKAGE, braced(&self.linkage))];
        pairs.extend(self.linkage2.iter().map(|id| (LINKAGE_2, braced(id))));
        pairs.extend(
            self.paths
                .iter()
                .map(|(key, value)| (key.as_str(), value.clone())),
        );
        let count = u16::try_from(pairs.len()).unwrap_or(u16::MAX);
        if count > LOCATOR_PAIRS_MAX {
            return Err(VhdxError::LocatorPairs { count });
        }
        let mut out = vec![0; HEAD_LEN + pairs.len() * PAIR_LEN];
        put(&mut out, 0, &VHDX.to_gpt());
        put(&mut out, 18, &count.to_le_bytes());
        for (index, (key, value)) in pairs.iter().enumerate() {
            let at = HEAD_LEN + index * PAIR_LEN;
            for (text, place, length) in [(*key, at, at + 8), (value, at + 4, at + 10)] {
                let too_long = |_| VhdxError::LocatorTooLong;
                let begin = u32::try_from(out.len()).map_err(too_long)?;
                let units: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
                let len = u16::try_from(units.len()).map_err(too_long)?;
                put(&mut out, place, &begin.to_le_bytes());
                put(&mut out, length, &len.to_le_bytes());
                out.extend(units);
            }
        }
        Ok(out)
    }
}

/// UTF-16 text of `len` bytes at `at`; none where it is empty, outside or not UTF-16.
fn text(bytes: &[u8], at: u32, len: u16) -> Option<String> {
    let at = usize::try_from(at).ok()?;
    let bytes = bytes.get(at..)?.get(..usize::from(len))?;
    let (units, []) = bytes.as_chunks::<2>() else {
        return None;
    };
    let units = units.iter().map(|unit| u16::from_le_bytes(*unit));
    let text: Result<String, _> = char::decode_utf16(units).collect();
    text.ok().filter(|text| !text.is_empty())
}

#[cfg(test)]
#[allow(clippy::indexing_slicing)] // A test may panic.
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(linkage: [u8; 16], second: Option<[u8; 16]>, path in "\\PC{1,40}") {
            let locator = ParentLocator {
                linkage: Guid(linkage),
                linkage2: second.map(Guid),
                paths: vec![("relative_path".into(), path)],
            };
            prop_assert_eq!(ParentLocator::decode(&locator.encode().unwrap()), Ok(locator));
        }

        #[test]
        fn no_bytes_make_it_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..400), kind: bool) {
            if kind && bytes.len() >= 20 {
                bytes[..16].copy_from_slice(&VHDX.to_gpt());
                bytes[19] = 0;
            }
            let _ = ParentLocator::decode(&bytes);
        }
    }
}
