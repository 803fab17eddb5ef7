// SPDX-License-Identifier: Apache-2.0
//! IDENTIFY DEVICE (ACS-4, 7.12): who the disk is, what it is made of, which logs it can have.

use super::BLOCK;
use crate::disk::facts::DiskFacts;
use crate::fields::{clean, le16};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use groundstate_api::Bytes;

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
    /// Size, where the disk counts in blocks.
    pub size: Option<Bytes>,
    /// Logical sector in bytes.
    pub logical_sector: u32,
    /// Rotations per minute, 0 for solid state; `None` where the disk does not say.
    pub rotation_rpm: Option<u32>,
    /// Whether the disk has SMART.
    pub smart_supported: bool,
    /// Whether SMART is switched on.
    pub smart_enabled: bool,
    /// Whether IDENTIFY says that SMART error logs are kept.
    pub error_log: bool,
    /// Whether IDENTIFY says that SMART self-tests are there.
    pub self_test: bool,
    /// Whether READ LOG EXT is there (General Purpose Logging).
    pub general_purpose_logging: bool,
    /// Whether the block's checksum is wrong.
    pub wrong_checksum: bool,
}

/// Words 82 to 87 hold something when bits 15:14 of word 83 (84, 87) are 01.
const WORDS_VALID_MASK: u16 = 0xc000;
const WORDS_VALID: u16 = 0x4000;
/// Word 82 and 85, bit 0: SMART.
const SMART_BIT: u16 = 1;
/// Word 84 and 87, bit 0: SMART error logging; bit 1: SMART self-test; bit 5: General Purpose Logging.
const ERROR_LOG_BIT: u16 = 1;
const SELF_TEST_BIT: u16 = 1 << 1;
const GPL_BIT: u16 = 1 << 5;
/// Word 83, bit 10: words 100 to 103 count the sectors.
const LBA48_BIT: u16 = 1 << 10;
/// Word 87, bit 8: words 108 to 111 hold a World Wide Name.
const WWN_BIT: u16 = 1 << 8;
/// Word 106, bit 12: words 117 and 118 hold the logical sector's size in words.
const LONG_SECTOR_BIT: u16 = 1 << 12;
/// Word 217: 1 is solid state, 0401h to FFFEh are rotations per minute.
const SOLID_STATE: u16 = 1;
const ROTATIONS: core::ops::RangeInclusive<u16> = 0x0401..=0xfffe;
/// Word 255, low byte: the high byte is a checksum.
const INTEGRITY: u16 = 0xa5;

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
    let valid = |number: usize| word(number) & WORDS_VALID_MASK == WORDS_VALID;
    // What is supported (word 84) or switched on (word 87): some disks set only one of them.
    let extension = |bit: u16| valid(84) && set(84) & bit != 0 || valid(87) && set(87) & bit != 0;
    let wwn = (108..112).fold(0u64, |all, number| all << 16 | u64::from(word(number)));
    let logical_sector = logical_sector(&word);
    Some(Identity {
        serial: swapped(block, 10, 10),
        revision: swapped(block, 23, 4),
        model: swapped(block, 27, 20),
        wwn: (valid(87) && word(87) & WWN_BIT != 0 && wwn != 0).then(|| format!("{wwn:#018x}")),
        size: sectors(&word)
            .and_then(|sectors| sectors.checked_mul(u64::from(logical_sector)))
            .map(Bytes),
        logical_sector,
        rotation_rpm: match word(217) {
            SOLID_STATE => Some(0),
            rpm if ROTATIONS.contains(&rpm) => Some(u32::from(rpm)),
            _ => None,
        },
        smart_supported: valid(83) && set(82) & SMART_BIT != 0,
        smart_enabled: valid(83) && set(85) & SMART_BIT != 0,
        error_log: extension(ERROR_LOG_BIT),
        self_test: extension(SELF_TEST_BIT),
        general_purpose_logging: extension(GPL_BIT),
        wrong_checksum: word(255) & 0xff == INTEGRITY && super::sum(block) != 0,
    })
}

/// The number of logical sectors; `None` where the disk counts none.
fn sectors(word: &impl Fn(usize) -> u16) -> Option<u64> {
    let number = |words: core::ops::Range<usize>| {
        words
            .rev()
            .fold(0u64, |all, n| all << 16 | u64::from(word(n)))
    };
    let valid = word(83) & WORDS_VALID_MASK == WORDS_VALID;
    let large = if valid && word(83) & LBA48_BIT != 0 {
        number(100..104)
    } else {
        0
    };
    Some(if large == 0 { number(60..62) } else { large }).filter(|sectors| *sectors != 0)
}

fn logical_sector(word: &impl Fn(usize) -> u16) -> u32 {
    const DEFAULT: u32 = 512;
    if word(106) & WORDS_VALID_MASK != WORDS_VALID || word(106) & LONG_SECTOR_BIT == 0 {
        return DEFAULT;
    }
    let words = u32::from(word(118)) << 16 | u32::from(word(117));
    words
        .checked_mul(2)
        .filter(|b| *b >= DEFAULT)
        .unwrap_or(DEFAULT)
}

impl Identity {
    /// Puts what the disk said into its facts; what it left empty stays as the kernel said it.
    pub fn fill(&self, facts: &mut DiskFacts) {
        let identity = &mut facts.identity;
        for (text, said) in [
            (&mut identity.serial, &self.serial),
            (&mut identity.revision, &self.revision),
            (&mut identity.model, &self.model),
        ] {
            if !said.is_empty() {
                text.clone_from(said);
            }
        }
        identity.wwn = self.wwn.clone().or_else(|| identity.wwn.take());
        identity.size = self.size.or(identity.size);
        identity.logical_sector = Some(self.logical_sector);
        identity.rotation_rpm = self.rotation_rpm.or(identity.rotation_rpm);
        let ata = facts.ata.get_or_insert_default();
        ata.smart_available = Some(self.smart_supported);
        ata.smart_enabled = Some(self.smart_enabled);
        if self.wrong_checksum {
            ata.block_faults
                .push("IDENTIFY DEVICE has a wrong checksum".into());
        }
    }
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
    use crate::disk::facts::Protocol;

    fn block(words: &[(usize, u16)]) -> Vec<u8> {
        let mut block = vec![0u8; BLOCK];
        block[20..40].copy_from_slice(b"SG-DTA-AA1          ");
        for (word, value) in words {
            block[word * 2..word * 2 + 2].copy_from_slice(&value.to_le_bytes());
        }
        block
    }

    #[test]
    fn strings_are_swapped_and_the_wwn_is_whole() {
        let block = block(&[
            (82, 1),
            (83, 0x4000),
            (85, 1),
            (87, 0x4100),
            (108, 0x5000),
            (109, 0xc500),
            (110, 0x15ea),
            (111, 0x71ac),
        ]);
        let identity = identify(&block).unwrap();
        assert_eq!(identity.serial, "GSD-ATA-1A");
        assert_eq!(identity.wwn.as_deref(), Some("0x5000c50015ea71ac"));
        assert!(identity.smart_supported && identity.smart_enabled);
        assert!(!identity.general_purpose_logging && !identity.self_test);
        assert_eq!((identity.size, identity.rotation_rpm), (None, None));
        assert_eq!(identify(&[0; BLOCK]), None);
        assert_eq!(identify(&block[..511]), None);
    }

    #[test]
    fn a_disk_of_4_kib_sectors_has_its_size_rotation_and_logs() {
        let mut block = block(&[
            (60, 0xffff),
            (61, 0x0fff),
            (83, 0x4400),
            (84, 0x4023),
            (100, 0x0000),
            (101, 0x0010),
            (106, 0x5000),
            (117, 2048),
            (217, 7200),
        ]);
        let seen = identify(&block).unwrap();
        assert_eq!(seen.logical_sector, 4096);
        assert_eq!(seen.size, Some(Bytes(0x10_0000 * 4096)));
        assert_eq!(seen.rotation_rpm, Some(7200));
        assert!(seen.error_log && seen.self_test && seen.general_purpose_logging);
        assert!(!seen.wrong_checksum);
        block[510] = 0xa5;
        assert!(identify(&block).unwrap().wrong_checksum);
        block[511] = super::super::sum(&block).wrapping_neg();
        assert!(!identify(&block).unwrap().wrong_checksum);
        // An old disk counts in 28 bits and says nothing of rotation.
        (block[166], block[167], block[434], block[435]) = (0, 0, 1, 0);
        let old = identify(&block).unwrap();
        assert_eq!(old.size, Some(Bytes(0x0fff_ffff * 4096)));
        assert_eq!(old.rotation_rpm, Some(0), "1 is solid state");
    }

    #[test]
    fn what_the_disk_leaves_empty_stays_as_the_kernel_said() {
        let mut facts = DiskFacts::new("/dev/sda", "ioctl", Protocol::Ata);
        facts.identity.model = "KERNEL'S".into();
        facts.identity.serial = "KERNEL'S".into();
        identify(&block(&[(83, 0x4000)])).unwrap().fill(&mut facts);
        assert_eq!(facts.identity.model, "KERNEL'S");
        assert_eq!(facts.identity.serial, "GSD-ATA-1A");
        assert_eq!(facts.ata.unwrap().smart_available, Some(false));
    }
}
