// SPDX-License-Identifier: Apache-2.0
//! IDENTIFY DEVICE (ACS-4, 7.12): who the disk is and whether it has SMART.

use super::BLOCK;
use crate::fields::{clean, le16};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// What the disk says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Serial number.
    pub serial: String,
    /// Firmware revision.
    pub revision: String,
    /// Model number.
    pub model: String,
    /// World Wide Name as `0x` and 16 digits, where the disk has one.
    pub wwn: Option<String>,
    /// Whether the disk has SMART.
    pub smart_supported: bool,
    /// Whether SMART is switched on.
    pub smart_enabled: bool,
}

/// Words 82 to 87 hold something when bits 15:14 of word 83 are 01.
const WORDS_VALID_MASK: u16 = 0xc000;
const WORDS_VALID: u16 = 0x4000;
/// Word 82 and 85, bit 0: SMART.
const SMART_BIT: u16 = 1;
/// Word 87, bit 8: words 108 to 111 hold a World Wide Name.
const WWN_BIT: u16 = 1 << 8;

/// Reads an IDENTIFY DEVICE block; `None` when it is short or holds nothing.
#[must_use]
pub fn identify(block: &[u8]) -> Option<Identity> {
    let block = block.get(..BLOCK)?;
    if block.iter().all(|b| *b == 0) || block.iter().all(|b| *b == 0xff) {
        return None;
    }
    let word = |number: usize| le16(block, number * 2).unwrap_or(0);
    let set = |number: usize| {
        let value = word(number);
        // A word of all ones was never written.
        if value == 0xffff { 0 } else { value }
    };
    let valid = word(83) & WORDS_VALID_MASK == WORDS_VALID;
    let wwn = (108..112).fold(0u64, |all, number| all << 16 | u64::from(word(number)));
    let has_wwn = word(87) & WORDS_VALID_MASK == WORDS_VALID && word(87) & WWN_BIT != 0;
    Some(Identity {
        serial: swapped(block, 10, 10),
        revision: swapped(block, 23, 4),
        model: swapped(block, 27, 20),
        wwn: (has_wwn && wwn != 0).then(|| format!("{wwn:#018x}")),
        smart_supported: valid && set(82) & SMART_BIT != 0,
        smart_enabled: valid && set(85) & SMART_BIT != 0,
    })
}

/// ATA strings have the two characters of each word exchanged.
fn swapped(block: &[u8], first_word: usize, words: usize) -> String {
    let range = block
        .get(first_word * 2..(first_word + words) * 2)
        .unwrap_or_default();
    let bytes: Vec<u8> = range
        .chunks_exact(2)
        .flat_map(|pair| pair.iter().rev().copied())
        .collect();
    clean(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_swapped_and_the_wwn_is_whole() {
        let mut block = [0u8; BLOCK];
        block[20..40].copy_from_slice(b"SG-DTA-AA1          ");
        for (word, value) in [
            (82u16, 1u16),
            (83, 0x4000),
            (85, 1),
            (87, 0x4100),
            (108, 0x5000),
            (109, 0xc500),
            (110, 0x15ea),
            (111, 0x71ac),
        ] {
            let at = usize::from(word) * 2;
            block[at..at + 2].copy_from_slice(&value.to_le_bytes());
        }
        let identity = identify(&block).unwrap();
        assert_eq!(identity.serial, "GSD-ATA-1A");
        assert_eq!(identity.wwn.as_deref(), Some("0x5000c50015ea71ac"));
        assert!(identity.smart_supported && identity.smart_enabled);
        assert_eq!(identify(&[0; BLOCK]), None);
        assert_eq!(identify(&block[..511]), None);
    }
}
