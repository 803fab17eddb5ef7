// SPDX-License-Identifier: Apache-2.0
//! Device Statistics, log 04h (ACS-4, 9.5): what a disk counts under names that mean the same on all of them.

use super::BLOCK;
use crate::disk::facts::{AtaFacts, Statistic};
use crate::fields::{byte, le64};
use alloc::vec::Vec;

/// A statistic's name and the width of its value; the first stands at byte 8 of its page, each takes 8.
type Field = (&'static str, Width);

/// How many bytes of a statistic are its value.
#[derive(Clone, Copy)]
enum Width {
    Bytes(u32),
    Signed,
}
use Width::{Bytes, Signed};

/// General Statistics.
const GENERAL: [Field; 12] = [
    ("Lifetime Power-On Resets", Bytes(4)),
    ("Power-on Hours", Bytes(4)),
    ("Logical Sectors Written", Bytes(6)),
    ("Number of Write Commands", Bytes(6)),
    ("Logical Sectors Read", Bytes(6)),
    ("Number of Read Commands", Bytes(6)),
    ("Date and Time TimeStamp", Bytes(6)),
    ("Pending Error Count", Bytes(4)),
    ("Workload Utilization", Bytes(2)),
    ("Utilization Usage Rate", Bytes(6)),
    ("Resource Availability", Bytes(7)),
    ("Random Write Resources Used", Bytes(1)),
];
/// Free-Fall Statistics.
const FREE_FALL: [Field; 2] = [
    ("Number of Free-Fall Events Detected", Bytes(4)),
    ("Overlimit Shock Events", Bytes(4)),
];
/// Rotating Media Statistics.
const ROTATING: [Field; 8] = [
    ("Spindle Motor Power-on Hours", Bytes(4)),
    ("Head Flying Hours", Bytes(4)),
    ("Head Load Events", Bytes(4)),
    ("Number of Reallocated Logical Sectors", Bytes(4)),
    ("Read Recovery Attempts", Bytes(4)),
    ("Number of Mechanical Start Failures", Bytes(4)),
    ("Number of Realloc. Candidate Logical Sectors", Bytes(4)),
    ("Number of High Priority Unload Events", Bytes(4)),
];
/// General Errors Statistics.
const ERRORS: [Field; 3] = [
    ("Number of Reported Uncorrectable Errors", Bytes(4)),
    ("Resets Between Cmd Acceptance and Completion", Bytes(4)),
    ("Physical Element Status Changed", Bytes(4)),
];
/// Temperature Statistics, in degrees Celsius and minutes.
const TEMPERATURE: [Field; 13] = [
    ("Current Temperature", Signed),
    ("Average Short Term Temperature", Signed),
    ("Average Long Term Temperature", Signed),
    ("Highest Temperature", Signed),
    ("Lowest Temperature", Signed),
    ("Highest Average Short Term Temperature", Signed),
    ("Lowest Average Short Term Temperature", Signed),
    ("Highest Average Long Term Temperature", Signed),
    ("Lowest Average Long Term Temperature", Signed),
    ("Time in Over-Temperature", Bytes(4)),
    ("Specified Maximum Operating Temperature", Signed),
    ("Time in Under-Temperature", Bytes(4)),
    ("Specified Minimum Operating Temperature", Signed),
];
/// Transport Statistics.
const TRANSPORT: [Field; 3] = [
    ("Number of Hardware Resets", Bytes(4)),
    ("Number of ASR Events", Bytes(4)),
    ("Number of Interface CRC Errors", Bytes(4)),
];
/// Solid State Device Statistics.
const SOLID_STATE: [Field; 1] = [("Percentage Used Endurance Indicator", Bytes(1))];

/// Bits of a statistic: it is there, it holds a value, the value is normalised.
const SUPPORTED: u64 = 1 << 63;
const VALID: u64 = 1 << 62;
const NORMALISED: u64 = 1 << 61;

/// The pages that page 0 lists and that have names here, in order.
#[must_use]
pub fn pages(first: &[u8]) -> Vec<u8> {
    if first.len() < BLOCK || byte(first, 2) != Some(0) {
        return Vec::new();
    }
    let count = byte(first, 8).map_or(0, usize::from);
    let listed = first.get(9..9 + count).unwrap_or_default();
    let mut pages: Vec<u8> = listed
        .iter()
        .copied()
        .filter(|page| !fields(*page).is_empty())
        .collect();
    pages.sort_unstable();
    pages.dedup();
    pages
}

/// Puts one page's statistics into the facts; `false` when the block is not that page.
pub fn fill(ata: &mut AtaFacts, page: u8, block: &[u8]) -> bool {
    if block.len() < BLOCK || byte(block, 2) != Some(page) {
        return false;
    }
    for (offset, (name, width)) in (8u16..).step_by(8).zip(fields(page)) {
        let Some(word) = le64(block, usize::from(offset)) else {
            break;
        };
        if word & SUPPORTED == 0 || word & VALID == 0 {
            continue;
        }
        ata.statistics.push(Statistic {
            page,
            offset,
            name: (*name).into(),
            value: value(word, *width),
            normalised: word & NORMALISED != 0,
        });
    }
    true
}

fn value(word: u64, width: Width) -> i64 {
    match width {
        Signed => i64::from(word.to_le_bytes()[0].cast_signed()),
        Bytes(count) => {
            // At most seven bytes are a value: it always fits.
            let mask = 1u64.checked_shl(count * 8).map_or(u64::MAX, |bit| bit - 1);
            i64::try_from(word & mask & 0x00ff_ffff_ffff_ffff).unwrap_or(i64::MAX)
        }
    }
}

fn fields(page: u8) -> &'static [Field] {
    match page {
        1 => &GENERAL,
        2 => &FREE_FALL,
        3 => &ROTATING,
        4 => &ERRORS,
        5 => &TEMPERATURE,
        6 => &TRANSPORT,
        7 => &SOLID_STATE,
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(number: u8, words: &[(usize, u64)]) -> Vec<u8> {
        let mut block = vec![0u8; BLOCK];
        (block[0], block[2]) = (1, number);
        for (offset, word) in words {
            block[*offset..offset + 8].copy_from_slice(&word.to_le_bytes());
        }
        block
    }

    #[test]
    fn only_what_is_supported_and_valid_is_a_statistic() {
        let there = SUPPORTED | VALID;
        let mut ata = AtaFacts::default();
        let general = page(
            1,
            &[
                (8, there | 0xff_0000_0007),
                (16, SUPPORTED | 9),
                (24, there | 0xffff_ffff_ffff),
                (72, 12),
            ],
        );
        assert!(fill(&mut ata, 1, &general));
        assert!(fill(&mut ata, 5, &page(5, &[(8, there | 0xf6)])));
        assert!(fill(
            &mut ata,
            7,
            &page(7, &[(8, there | NORMALISED | 103)])
        ));
        let lines: Vec<_> = ata
            .statistics
            .iter()
            .map(|s| {
                format!(
                    "{}/{} {} {} {}",
                    s.page, s.offset, s.name, s.value, s.normalised
                )
            })
            .collect();
        expect_test::expect![[r#"
            1/8 Lifetime Power-On Resets 7 false
            1/24 Logical Sectors Written 281474976710655 false
            5/8 Current Temperature -10 false
            7/8 Percentage Used Endurance Indicator 103 true"#]]
        .assert_eq(&lines.join("\n"));
        assert!(
            !fill(&mut ata, 2, &general),
            "not the page that was asked for"
        );
        assert!(!fill(&mut ata, 1, &general[..100]));
    }

    #[test]
    fn page_0_lists_the_pages() {
        let mut first = page(0, &[]);
        first[8..14].copy_from_slice(&[5, 0, 7, 1, 0xff, 7]);
        assert_eq!(pages(&first), [1, 7]);
        first[8] = 255;
        assert!(pages(&first).len() <= 7);
        assert!(pages(&page(3, &[])).is_empty());
        assert!(pages(&[]).is_empty());
    }
}
