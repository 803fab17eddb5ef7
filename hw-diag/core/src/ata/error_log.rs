// SPDX-License-Identifier: Apache-2.0
//! Errors that the disk remembers: the Summary SMART Error log (01h) and the Extended Comprehensive SMART Error log (03h)
//! (ACS-4, 9.18 and A.6; the five-entry summary as ATA-8 laid it out).

use super::data::checksum;
use super::{BLOCK, ring};
use crate::disk::facts::{AtaFacts, LoggedError};
use crate::fields::{byte, le16};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// The newest entries that are kept: what smartctl shows, and enough to see a pattern.
const ENTRIES_MAX: usize = 8;
/// Entries of the summary: five of 90 bytes from byte 2.
const SUMMARY_ENTRIES: usize = 5;
const SUMMARY_ENTRY: usize = 90;
/// In an entry, the error follows five commands of 12 bytes.
const SUMMARY_ERROR: usize = 5 * 12;
/// Entries on a page of the extended log: four of 124 bytes from byte 4.
const PAGE_ENTRIES: usize = 4;
const PAGE_ENTRY: usize = 124;
/// In an entry, the error follows five commands of 18 bytes.
const PAGE_ERROR: usize = 5 * 18;

/// Bits of the error register (ACS-4, 6.3), worst first, and whether the address belongs to it.
const BITS: [(u8, &str, bool); 8] = [
    (0x40, "UNC", true),
    (0x10, "IDNF", true),
    (0x80, "ICRC", false),
    (0x01, "AMNF", true),
    (0x02, "NM", false),
    (0x04, "ABRT", false),
    (0x20, "MC", false),
    (0x08, "MCR", false),
];

/// Puts the summary log into the facts; `false` when the block holds none.
pub fn fill_summary(ata: &mut AtaFacts, block: &[u8]) -> bool {
    let Some(block) = block.get(..BLOCK).filter(|b| byte(b, 0) != Some(0)) else {
        return false;
    };
    checksum(ata, "the error log", block);
    let count = u64::from(le16(block, 452).unwrap_or(0));
    ata.error_count = Some(count);
    let newest = usize::from(byte(block, 1).unwrap_or(0));
    let places = ring(newest, SUMMARY_ENTRIES);
    let entries = places.enumerate().map_while(|(back, at)| {
        let error = entry(block, 2 + at * SUMMARY_ENTRY, SUMMARY_ENTRY, SUMMARY_ERROR)?;
        let at = |offset| u64::from(byte(error, offset).unwrap_or(0));
        let lba = at(3) | at(4) << 8 | at(5) << 16 | (at(6) & 0x0f) << 24;
        Some(LoggedError {
            number: number(count, back),
            hours: le16(error, 28).map(u64::from),
            what: what(byte(error, 1)?, byte(error, 7)?, lba),
        })
    });
    ata.errors = entries.collect();
    true
}

/// Puts the extended log into the facts. `page` reads one of its `pages` pages; only those with the newest entries are
/// asked for. `false` when there is no first page.
pub fn fill_extended(
    ata: &mut AtaFacts,
    pages: u16,
    mut page: impl FnMut(u16) -> Option<Vec<u8>>,
) -> bool {
    let Some(first) = page(0).filter(|b| b.len() >= BLOCK && byte(b, 0) != Some(0)) else {
        return false;
    };
    checksum(ata, "the extended error log", &first);
    let count = u64::from(le16(&first, 500).unwrap_or(0));
    ata.error_count = Some(count);
    let newest = le16(&first, 2).map_or(0, usize::from);
    let mut held = (0u16, first);
    let mut errors = Vec::new();
    for (back, at) in ring(newest, usize::from(pages) * PAGE_ENTRIES)
        .take(usize::try_from(count).map_or(ENTRIES_MAX, |count| count.min(ENTRIES_MAX)))
        .enumerate()
    {
        let Ok(number_of_page) = u16::try_from(at / PAGE_ENTRIES) else {
            break;
        };
        if held.0 != number_of_page {
            let Some(block) = page(number_of_page) else {
                break;
            };
            held = (number_of_page, block);
        }
        let start = 4 + at % PAGE_ENTRIES * PAGE_ENTRY;
        let Some(error) = entry(&held.1, start, PAGE_ENTRY, PAGE_ERROR) else {
            break;
        };
        errors.extend(extended(error, number(count, back)));
    }
    ata.errors = errors;
    true
}

fn extended(error: &[u8], number: Option<u64>) -> Option<LoggedError> {
    // Low, mid and high byte of the address stand at 4, 6, 8; their previous contents, which are bits 24 to 47, behind each.
    let lba = [9, 7, 5, 8, 6, 4].iter().fold(0u64, |all, at| {
        all << 8 | u64::from(byte(error, *at).unwrap_or(0))
    });
    Some(LoggedError {
        number,
        hours: le16(error, 32).map(u64::from),
        what: what(byte(error, 1)?, byte(error, 11)?, lba),
    })
}

/// The error part of the entry at `start`; `None` where the entry is beyond the end or was never written.
fn entry(block: &[u8], start: usize, length: usize, error: usize) -> Option<&[u8]> {
    let entry = block.get(start..start.checked_add(length)?)?;
    entry.iter().any(|b| *b != 0).then(|| entry.get(error..))?
}

/// The running number: the newest has the count.
fn number(count: u64, back: usize) -> Option<u64> {
    count.checked_sub(u64::try_from(back).ok()?)
}

fn what(error: u8, status: u8, lba: u64) -> String {
    let mut names = String::new();
    let mut addressed = false;
    for (bit, name, with_address) in BITS {
        if error & bit != 0 {
            if !names.is_empty() {
                names.push_str(", ");
            }
            names.push_str(name);
            addressed |= with_address;
        }
    }
    match (names.is_empty(), addressed) {
        (true, _) => format!("status {status:#04x}"),
        (false, true) => format!("{names} at LBA {lba}"),
        (false, false) => names,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(ata: &AtaFacts) -> Vec<String> {
        let line = |e: &LoggedError| {
            let (number, hours) = (e.number.unwrap(), e.hours.unwrap());
            format!("#{number} at {hours} h: {}", e.what)
        };
        ata.errors.iter().map(line).collect()
    }

    #[test]
    fn the_summary_is_a_ring_of_five() {
        let mut block = vec![0u8; BLOCK];
        (block[0], block[1], block[452]) = (1, 1, 6);
        for (slot, error, hours) in [(0usize, 0x40u8, 600u16), (4, 0x84, 500), (3, 0, 400)] {
            let at = 2 + slot * 90 + 60;
            (block[at + 1], block[at + 7]) = (error, 0x51);
            block[at + 3..at + 7].copy_from_slice(&[0x78, 0x56, 0x34, 0xe2]);
            block[at + 28..at + 30].copy_from_slice(&hours.to_le_bytes());
        }
        super::super::fixture::seal(&mut block);
        let mut ata = AtaFacts::default();
        assert!(fill_summary(&mut ata, &block));
        assert_eq!(ata.error_count, Some(6));
        assert_eq!(
            words(&ata),
            [
                "#6 at 600 h: UNC at LBA 36984440",
                "#5 at 500 h: ICRC, ABRT",
                "#4 at 400 h: status 0x51"
            ]
        );
        assert!(ata.block_faults.is_empty());
        block[1] = 9;
        let mut ata = AtaFacts::default();
        assert!(fill_summary(&mut ata, &block));
        assert!(ata.errors.is_empty(), "a pointer beyond the ring");
        assert_eq!(ata.block_faults, ["the error log has a wrong checksum"]);
        assert!(!fill_summary(&mut ata, &[0; BLOCK]));
        assert!(!fill_summary(&mut ata, &block[..100]));
    }

    #[test]
    fn the_extended_log_asks_for_the_pages_of_the_newest_entries_only() {
        let pages = 50u16;
        let mut first = vec![0u8; BLOCK];
        first[0] = 1;
        // The newest is entry 2 of the first page, the one before it entry 1, then the ring goes on at its end.
        first[2..4].copy_from_slice(&2u16.to_le_bytes());
        first[500..502].copy_from_slice(&700u16.to_le_bytes());
        let mut last = vec![0u8; BLOCK];
        let put = |page: &mut [u8], entry: usize, error: u8, hours: u16| {
            let at = 4 + entry * 124 + 90;
            (page[at + 1], page[at + 11]) = (error, 0x41);
            page[at + 4..at + 10].copy_from_slice(&[1, 4, 2, 5, 3, 6]);
            page[at + 32..at + 34].copy_from_slice(&hours.to_le_bytes());
        };
        put(&mut first, 1, 0x40, 9);
        put(&mut first, 0, 0x10, 8);
        put(&mut last, 3, 0x80, 7);
        let mut asked = Vec::new();
        let mut ata = AtaFacts::default();
        assert!(fill_extended(&mut ata, pages, |page| {
            asked.push(page);
            Some(if page == 0 {
                first.clone()
            } else {
                last.clone()
            })
        }));
        assert_eq!(asked, [0, 49]);
        assert_eq!(ata.error_count, Some(700));
        assert_eq!(
            words(&ata),
            [
                "#700 at 9 h: UNC at LBA 6618611909121",
                "#699 at 8 h: IDNF at LBA 6618611909121",
                "#698 at 7 h: ICRC"
            ]
        );
        assert!(!fill_extended(&mut ata, 1, |_| None));
    }
}
