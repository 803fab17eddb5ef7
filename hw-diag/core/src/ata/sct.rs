// SPDX-License-Identifier: Apache-2.0
//! SCT Status, log E0h (ACS-4, 8.2): the assessment and the temperature once more, for disks whose registers do not come
//! through or that have no temperature attribute.

use super::BLOCK;
use crate::disk::facts::{Assessment, DiskFacts};
use crate::fields::{byte, le16};

/// Format versions whose fields stand where they are read here.
const FORMATS: core::ops::RangeInclusive<u16> = 2..=3;
/// What SMART RETURN STATUS returns in LBA (23:8).
const PASSED: u16 = 0xc24f;
const FAILED: u16 = 0x2cf4;
/// A temperature that is not known.
const NO_TEMPERATURE: u8 = 0x80;

/// Fills the assessment and the temperature where nothing else told them.
pub fn fill_sct(facts: &mut DiskFacts, block: &[u8]) {
    let Some(block) = block.get(..BLOCK) else {
        return;
    };
    if !le16(block, 0).is_some_and(|format| FORMATS.contains(&format)) {
        return;
    }
    if facts.assessment == Assessment::NotSaid {
        facts.assessment = match le16(block, 214) {
            Some(PASSED) => Assessment::Passed,
            Some(FAILED) => Assessment::Failed,
            _ => Assessment::NotSaid,
        };
    }
    let celsius = byte(block, 200).filter(|c| *c != NO_TEMPERATURE && *c != 0);
    let celsius = celsius.map(|c| i16::from(c.cast_signed()));
    facts.temperature_c = facts.temperature_c.or(celsius);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::facts::Protocol;

    fn of(format: u8, status: [u8; 2], celsius: u8) -> DiskFacts {
        let mut block = [0u8; BLOCK];
        (block[0], block[200]) = (format, celsius);
        block[214..216].copy_from_slice(&status);
        let mut facts = DiskFacts::new("sda", "ioctl", Protocol::Ata);
        fill_sct(&mut facts, &block);
        facts
    }

    #[test]
    fn it_says_again_what_did_not_come_through() {
        let seen = of(3, [0xf4, 0x2c], 33);
        assert_eq!(seen.assessment, Assessment::Failed);
        assert_eq!(seen.temperature_c, Some(33));
        assert_eq!(of(3, [0x4f, 0xc2], 0x80).assessment, Assessment::Passed);
        assert_eq!(of(3, [0x4f, 0xc2], 0x80).temperature_c, None);
        assert_eq!(of(2, [0, 0], 0xf6).temperature_c, Some(-10));
        assert_eq!(of(9, [0xf4, 0x2c], 33).assessment, Assessment::NotSaid);
        let mut told = of(3, [0x4f, 0xc2], 33);
        told.assessment = Assessment::Failed;
        fill_sct(&mut told, &[3; BLOCK]);
        assert_eq!(told.assessment, Assessment::Failed);
        fill_sct(&mut told, &[3; 10]);
    }
}
