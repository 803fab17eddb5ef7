// SPDX-License-Identifier: Apache-2.0
//! SMART data of an ATA disk (ACS-4, 7.48 and A.; attribute layout as all vendors keep it since SFF-8035i).
//!
//! Raw values are each vendor's own affair; only counts that mean the same everywhere rule the verdict. What a vendor
//! means by a normalised value is in its threshold, which the disk brings along.

use super::BLOCK;
use crate::fields::{byte, le16, le64};
use crate::health::Assessment;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec::Vec;
use groundstate_api::inventory::Health;

/// Where the verdict comes from.
const SOURCE: &str = "ATA SMART";

/// Unreadable sectors from which a disk is pulled: 64 of 512 bytes are eight physical sectors of 4 KiB. One can be a
/// write that a power cut tore; eight at once are a surface that goes.
const UNREADABLE_FAIL: u64 = 64;
/// Interface CRC errors from which to warn: one or two come with every hot swap and stay counted for life (three of
/// 25 healthy drives have one); a hundred are a cable or a backplane.
const CRC_WARN: u64 = 100;
/// Command time-outs and reallocation events are shown from here and never rule: drives count spin-ups and host resets
/// in the one, and one of 25 healthy drives has 18,248 of the other with no reallocated sector.
const SHOWN_FROM: u64 = 1;
/// Degrees Celsius from which to warn: the highest case temperature that disk vendors allow for rotating drives.
const HOT_ROTATING: i16 = 60;
/// Degrees Celsius from which to warn for solid-state drives, which are rated to 70.
const HOT_SOLID: i16 = 70;

/// What SMART RETURN STATUS said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SelfAssessment {
    /// No threshold is exceeded.
    Passed,
    /// A threshold is exceeded.
    Failed,
    /// The registers did not come back (many bridges and RAID controllers drop them).
    NotSaid,
}

/// One attribute with its threshold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attribute {
    /// Its number.
    pub id: u8,
    /// Whether the vendor calls it a sign of failure (flag bit 0), not of age.
    pub prefail: bool,
    /// Normalised value, 1 to 253; the lower the worse.
    pub current: u8,
    /// The lowest normalised value so far.
    pub worst: u8,
    /// The vendor's threshold; 0 when it has none.
    pub threshold: u8,
    /// Raw value, 48 bits.
    pub raw: u64,
}

/// Everything that a verdict is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Smart {
    /// SMART RETURN STATUS.
    pub assessment: SelfAssessment,
    /// The attributes.
    pub attributes: Vec<Attribute>,
    /// Result of the last self-test (high nibble of byte 363), 0 when it went well or none ran.
    pub last_self_test: u8,
    /// Failed self-tests in the log that no later whole self-test took back.
    pub failed_self_tests: usize,
    /// Whether the disk rotates.
    pub rotational: bool,
}

/// The 30 attributes of SMART READ DATA, each with its threshold from SMART READ ATTRIBUTE THRESHOLDS.
#[must_use]
pub fn attributes(data: &[u8], thresholds: &[u8]) -> Vec<Attribute> {
    let limits: BTreeMap<u8, u8> = entries(thresholds)
        .filter_map(|entry| byte(entry, 0).zip(byte(entry, 1)))
        .collect();
    entries(data)
        .filter_map(|entry| {
            let id = byte(entry, 0).filter(|id| *id != 0)?;
            // Worst, six bytes of raw value, one reserved.
            let raw = le64(entry, 4)? & 0x00ff_ffff_ffff_ffff;
            Some(Attribute {
                id,
                prefail: le16(entry, 1)? & 1 != 0,
                current: byte(entry, 3)?,
                worst: byte(entry, 4)?,
                threshold: limits.get(&id).copied().unwrap_or(0),
                raw: raw >> 8,
            })
        })
        .collect()
}

/// Entries of 12 bytes from byte 2 on.
fn entries(block: &[u8]) -> impl Iterator<Item = &[u8]> {
    block.get(2..362).unwrap_or_default().chunks_exact(12)
}

/// Failed entries of the self-test log (ACS-4, A.20) that no later completed extended self-test took back. The log is a
/// ring of 21 entries; byte 508 is the number of the newest.
#[must_use]
pub fn failed_self_tests(log: &[u8]) -> usize {
    const ENTRIES: usize = 21;
    const EXTENDED: u8 = 2;
    let newest = byte(log, 508).map_or(0, usize::from);
    let Some(newest) = newest.checked_sub(1).filter(|at| *at < ENTRIES) else {
        return 0;
    };
    let mut failed = 0;
    for back in 0..ENTRIES {
        let at = 2 + (newest + ENTRIES - back) % ENTRIES * 24;
        let (Some(test), Some(status)) = (byte(log, at), byte(log, at + 1)) else {
            break;
        };
        let result = status >> 4;
        if result == 0 && test & 0x7f == EXTENDED {
            break;
        }
        if self_test_fault(result).is_some() {
            failed += 1;
        }
    }
    failed
}

/// What a self-test result means (ACS-4, table A.22); `None` when nothing was found.
fn self_test_fault(result: u8) -> Option<&'static str> {
    match result {
        3 => Some("a fatal or unknown error ended it"),
        4 => Some("an unknown element failed"),
        5 => Some("the electrical element failed"),
        6 => Some("the servo element failed"),
        7 => Some("the read element failed"),
        8 => Some("the drive suspects handling damage"),
        _ => None,
    }
}

/// The health of an ATA disk from its blocks. `data` and `thresholds` are blocks of 512 bytes; `self_test_log` is empty
/// when the disk has none.
#[must_use]
pub fn health(
    assessment: SelfAssessment,
    data: &[u8],
    thresholds: &[u8],
    self_test_log: &[u8],
    rotational: bool,
) -> Health {
    let usable = |block: &[u8]| block.len() >= BLOCK && block.iter().any(|b| *b != 0);
    if !usable(data) {
        return match assessment {
            SelfAssessment::Failed => {
                let mut seen = Assessment::new(SOURCE);
                seen.fail("the disk's own SMART assessment is FAILED");
                seen.done()
            }
            SelfAssessment::Passed | SelfAssessment::NotSaid => {
                crate::health::unknown(SOURCE, "the disk returned no SMART data")
            }
        };
    }
    let smart = Smart {
        assessment,
        attributes: attributes(data, thresholds),
        last_self_test: byte(data, 363).unwrap_or(0) >> 4,
        failed_self_tests: failed_self_tests(self_test_log),
        rotational,
    };
    let mut seen = Assessment::new(SOURCE);
    let sum = |block: &[u8]| {
        block
            .iter()
            .take(BLOCK)
            .fold(0u8, |s, b| s.wrapping_add(*b))
    };
    if sum(data) != 0 {
        seen.warn("the SMART data block has a wrong checksum");
    }
    if !usable(thresholds) {
        seen.unknown("the disk returned no SMART thresholds");
    } else if sum(thresholds) != 0 {
        seen.warn("the SMART threshold block has a wrong checksum");
    }
    assess(&smart, &mut seen);
    seen.done()
}

/// The verdict on SMART values that were read some other way.
#[must_use]
pub fn verdict(smart: &Smart) -> Health {
    let mut seen = Assessment::new(SOURCE);
    assess(smart, &mut seen);
    seen.done()
}

fn assess(smart: &Smart, seen: &mut Assessment) {
    match smart.assessment {
        SelfAssessment::Passed => {}
        SelfAssessment::Failed => seen.fail("the disk's own SMART assessment is FAILED"),
        SelfAssessment::NotSaid => seen.unknown("the disk did not return its SMART assessment"),
    }
    if smart.attributes.is_empty() {
        seen.unknown("the disk lists no SMART attribute");
    }
    for attribute in &smart.attributes {
        against_threshold(attribute, seen);
        against_count(attribute, seen);
    }
    if let Some(fault) = self_test_fault(smart.last_self_test) {
        seen.warn(format!("the last self-test failed: {fault}"));
    }
    if smart.failed_self_tests > 0 {
        let count = smart.failed_self_tests;
        seen.warn(format!(
            "{count} failed self-tests in the log, and no whole one passed since"
        ));
    }
    let find = |id: u8| smart.attributes.iter().find(|a| a.id == id);
    // 194 is the temperature; some drives have only 190 (airflow). The low byte is degrees Celsius on all of them.
    let celsius = find(194).or_else(|| find(190)).and_then(|a| a.count(8));
    let celsius = celsius.and_then(|c| i16::try_from(c).ok());
    let hot = if smart.rotational {
        HOT_ROTATING
    } else {
        HOT_SOLID
    };
    if let Some(degrees) = celsius.filter(|c| *c >= hot) {
        seen.warn(format!("{degrees} °C; {hot} and more are too hot"));
    }
    seen.temperature(celsius);
    // The lower 24 bits: several vendors keep milliseconds above them.
    seen.hours(find(9).and_then(|a| a.count(24)));
}

/// Values outside 1 to 253 are not normalised values (SFF-8035i).
const NORMALISED: core::ops::RangeInclusive<u8> = 1..=253;
/// A threshold of 254 is invalid, 255 is for tests (SFF-8035i).
const THRESHOLD_INVALID: u8 = 254;

fn against_threshold(attribute: &Attribute, seen: &mut Assessment) {
    let Attribute {
        id,
        prefail,
        current,
        worst,
        threshold,
        ..
    } = *attribute;
    if threshold == 0 || threshold == THRESHOLD_INVALID || !NORMALISED.contains(&current) {
        return;
    }
    let name = name(id);
    if current <= threshold {
        let line =
            format!("attribute {id} ({name}) is {current}, at or below its threshold {threshold}");
        if prefail {
            seen.fail(line);
        } else {
            seen.warn(line);
        }
    } else if prefail && worst <= threshold && NORMALISED.contains(&worst) {
        seen.warn(format!(
            "attribute {id} ({name}) was {worst} once, at or below its threshold {threshold}"
        ));
    }
}

impl Attribute {
    /// The lowest `bits` of the raw value. Vendors pack other counters above.
    fn count(&self, bits: u32) -> Option<u64> {
        Some(self.raw & 1u64.checked_shl(bits)?.checked_sub(1)?)
    }
}

fn against_count(attribute: &Attribute, seen: &mut Assessment) {
    let id = attribute.id;
    // Widths as smartmontools reads them by default: 16 bits where vendors keep more counters above.
    let (bits, warn_from, fail_from) = match id {
        5 | 10 | 187 => (16, 1, u64::MAX),
        184 => (16, 1, u64::MAX),
        197 | 198 => (32, 1, UNREADABLE_FAIL),
        199 => (32, CRC_WARN, u64::MAX),
        188 | 196 => (16, u64::MAX, u64::MAX),
        _ => return,
    };
    let Some(count) = attribute.count(bits) else {
        return;
    };
    let line = format!("{count} {} (attribute {id})", name(id));
    if count >= fail_from {
        seen.fail(line);
    } else if count >= warn_from {
        seen.warn(line);
    } else if count >= SHOWN_FROM && matches!(id, 188 | 196) {
        seen.note(line);
    }
}

/// What the attributes count, in words.
fn name(id: u8) -> &'static str {
    match id {
        1 => "read error rate",
        3 => "spin-up time",
        5 => "reallocated sectors",
        7 => "seek error rate",
        9 => "power-on hours",
        10 => "spin retries",
        170 | 232 => "available reserve",
        177 | 173 | 202 | 231 | 233 => "wear",
        184 => "end-to-end errors",
        187 => "uncorrectable errors reported",
        188 => "command time-outs",
        190 | 194 => "temperature",
        196 => "reallocation events",
        197 => "sectors pending reallocation",
        198 => "uncorrectable sectors found offline",
        199 => "interface CRC errors",
        _ => "vendor's own",
    }
}

#[cfg(test)]
mod tests;
