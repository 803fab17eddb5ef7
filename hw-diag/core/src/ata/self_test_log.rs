// SPDX-License-Identifier: Apache-2.0
//! Self-tests that ran: the SMART Self-Test log (06h) and the Extended SMART Self-Test log (07h) (ACS-4, 9.21 and A.20).

use super::data::{checksum, result};
use super::{BLOCK, ring};
use crate::disk::facts::{DiskFacts, SelfTest, SelfTestKind, SelfTestResult};
use crate::fields::{byte, le16, le32, le64};
use alloc::vec::Vec;

/// The newest entries that are kept: the whole short log, and more than a year of weekly tests would tell no more.
const ENTRIES_MAX: usize = 21;
/// The short log: 21 entries of 24 bytes from byte 2, the newest's number at byte 508.
const SHORT_ENTRIES: usize = 21;
const SHORT_ENTRY: usize = 24;
/// A page of the extended log: 19 entries of 26 bytes from byte 4, the newest's number in bytes 2 and 3 of the first page.
const PAGE_ENTRIES: usize = 19;
const PAGE_ENTRY: usize = 26;
/// The address of a test that found no bad block.
const NO_ADDRESS_28: u32 = 0xffff_ffff;
const NO_ADDRESS_48: u64 = 0xffff_ffff_ffff;

/// Puts the short log into the facts; `false` when the block holds none.
pub fn fill_short(facts: &mut DiskFacts, block: &[u8]) -> bool {
    let Some(block) = block.get(..BLOCK).filter(|b| le16(b, 0) != Some(0)) else {
        return false;
    };
    let ata = facts.ata.get_or_insert_default();
    checksum(ata, "the self-test log", block);
    let newest = byte(block, 508).map_or(0, usize::from);
    let tests = ring(newest, SHORT_ENTRIES).map_while(|at| {
        let start = 2 + at * SHORT_ENTRY;
        let entry = written(block.get(start..start + SHORT_ENTRY)?)?;
        let lba = le32(entry, 5).filter(|lba| *lba != NO_ADDRESS_28);
        self_test(entry, lba.map(u64::from))
    });
    facts.self_tests.get_or_insert_default().entries = tests.collect();
    true
}

/// Puts the extended log into the facts. `page` reads one of its `pages` pages. `false` when there is no first page.
pub fn fill_extended(
    facts: &mut DiskFacts,
    pages: u16,
    mut page: impl FnMut(u16) -> Option<Vec<u8>>,
) -> bool {
    let Some(first) = page(0).filter(|b| b.len() >= BLOCK && byte(b, 0) != Some(0)) else {
        return false;
    };
    let ata = facts.ata.get_or_insert_default();
    checksum(ata, "the extended self-test log", &first);
    let newest = le16(&first, 2).map_or(0, usize::from);
    let mut held = (0u16, first);
    let mut tests = Vec::new();
    for at in ring(newest, usize::from(pages) * PAGE_ENTRIES).take(ENTRIES_MAX) {
        let Ok(number) = u16::try_from(at / PAGE_ENTRIES) else {
            break;
        };
        if held.0 != number {
            let Some(block) = page(number) else { break };
            held = (number, block);
        }
        let start = 4 + at % PAGE_ENTRIES * PAGE_ENTRY;
        let Some(entry) = held.1.get(start..start + PAGE_ENTRY).and_then(written) else {
            break;
        };
        let lba = le64(entry, 5).map(|wide| wide & NO_ADDRESS_48);
        tests.extend(self_test(entry, lba.filter(|lba| *lba != NO_ADDRESS_48)));
    }
    facts.self_tests.get_or_insert_default().entries = tests;
    true
}

/// Entries that were never written are zero.
fn written(entry: &[u8]) -> Option<&[u8]> {
    entry.iter().any(|b| *b != 0).then_some(entry)
}

/// Both logs begin an entry with number, status and hours.
fn self_test(entry: &[u8], lba: Option<u64>) -> Option<SelfTest> {
    // Bit 7 of the number: captive.
    let kind = match byte(entry, 0)? & 0x7f {
        1 => SelfTestKind::Short,
        2 => SelfTestKind::Extended,
        3 => SelfTestKind::Conveyance,
        4 => SelfTestKind::Selective,
        _ => SelfTestKind::Other,
    };
    let result = result(byte(entry, 1)?);
    let failed = matches!(result, SelfTestResult::Failed(_));
    Some(SelfTest {
        kind,
        result,
        hours: le16(entry, 2).map(u64::from),
        // Where a test found nothing, the field is not defined.
        lba: lba.filter(|_| failed),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::facts::Protocol;

    fn facts() -> DiskFacts {
        DiskFacts::new("sda", "ioctl", Protocol::Ata)
    }
    fn words(facts: &DiskFacts) -> Vec<String> {
        let log = facts.self_tests.as_ref().unwrap();
        let line = |t: &SelfTest| format!("{:?} {:?} {:?} {:?}", t.kind, t.result, t.hours, t.lba);
        log.entries.iter().map(line).collect()
    }

    #[test]
    fn the_short_log_is_a_ring_read_from_its_newest_entry() {
        let mut block = vec![0u8; BLOCK];
        (block[0], block[508]) = (1, 2);
        block[2..11].copy_from_slice(&[2, 0x7a, 0x10, 0x27, 0, 0x78, 0x56, 0x34, 0x12]);
        block[26..35].copy_from_slice(&[0x81, 0x00, 0x11, 0x27, 0, 0xff, 0xff, 0xff, 0xff]);
        block[482..486].copy_from_slice(&[1, 0x19, 9, 0]);
        super::super::fixture::seal(&mut block);
        let mut facts = facts();
        assert!(fill_short(&mut facts, &block));
        assert_eq!(
            words(&facts),
            [
                "Short Passed Some(10001) None",
                "Extended Failed(\"read failure\") Some(10000) Some(305419896)",
                "Short Aborted Some(9) None",
            ]
        );
        block[508] = 200;
        assert!(fill_short(&mut facts, &block));
        assert!(words(&facts).is_empty(), "a number beyond the ring");
        assert!(!fill_short(&mut facts, &[0; BLOCK]));
        assert!(!fill_short(&mut facts, &[]));
    }

    #[test]
    fn the_extended_log_goes_over_its_pages() {
        let mut pages = vec![vec![0u8; BLOCK]; 2];
        pages[0][0] = 1;
        // The newest is the first of the second page.
        pages[0][2..4].copy_from_slice(&20u16.to_le_bytes());
        pages[1][4..15].copy_from_slice(&[2, 0x70, 5, 0, 0, 1, 2, 3, 4, 5, 6]);
        let at = 4 + 18 * 26;
        pages[0][at..at + 4].copy_from_slice(&[3, 0xf4, 4, 0]);
        let mut facts = facts();
        assert!(fill_extended(&mut facts, 2, |page| pages
            .get(usize::from(page))
            .cloned()));
        assert_eq!(
            words(&facts),
            [
                "Extended Failed(\"read failure\") Some(5) Some(6618611909121)",
                "Conveyance Running { remaining: 40 } Some(4) None",
            ]
        );
    }
}
