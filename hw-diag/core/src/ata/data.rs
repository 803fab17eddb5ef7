// SPDX-License-Identifier: Apache-2.0
//! SMART READ DATA and SMART READ ATTRIBUTE THRESHOLDS (ACS-4, 7.48; attribute layout as all vendors keep it since
//! SFF-8035i).
//!
//! Raw values are each vendor's own affair; what a vendor means by a normalised value is in its threshold, which the disk
//! brings along.

use super::{BLOCK, sum};
use crate::disk::facts::{AtaFacts, Attribute, DiskFacts, SelfTestResult, WhenFailed};
use crate::fields::{byte, le16, le64};
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

/// Length of an entry of both tables, in bytes; there are 30, from byte 2 on.
const ENTRY: usize = 12;
/// Six bytes of raw value.
const RAW_MASK: u64 = 0xffff_ffff_ffff;

/// What SMART READ DATA says beside the attributes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Abilities {
    /// Self-test execution status (byte 363): result above, tenths that remain below.
    pub self_test_status: u8,
    /// Whether self-tests can be started.
    pub self_test: bool,
    /// Whether conveyance self-tests can be started.
    pub conveyance: bool,
    /// Whether error logs are kept.
    pub error_log: bool,
    /// Expected minutes of a short self-test.
    pub short_minutes: Option<u32>,
    /// Expected minutes of an extended self-test.
    pub extended_minutes: Option<u32>,
    /// Expected minutes of a conveyance self-test.
    pub conveyance_minutes: Option<u32>,
}

impl Abilities {
    /// Reads them from SMART READ DATA; `None` when the block is short or empty.
    #[must_use]
    pub fn read(data: &[u8]) -> Option<Self> {
        let data = usable(data)?;
        let at = |offset| byte(data, offset).unwrap_or(0);
        let minutes = |offset| Some(u32::from(at(offset))).filter(|m| *m != 0);
        // Byte 367: what off-line collection can do. Bit 4 self-tests, bit 5 conveyance.
        let offline = at(367);
        Some(Self {
            self_test_status: at(363),
            self_test: offline & (1 << 4) != 0,
            conveyance: offline & (1 << 5) != 0,
            error_log: at(370) & 1 != 0,
            short_minutes: minutes(372),
            // 255: too many for a byte, the word at 375 has them.
            extended_minutes: match at(373) {
                0xff => le16(data, 375).map(u32::from).filter(|m| *m != 0),
                _ => minutes(373),
            },
            conveyance_minutes: minutes(374),
        })
    }
    /// Percent that remain of the self-test that runs now.
    #[must_use]
    pub fn running(&self) -> Option<u8> {
        match result(self.self_test_status) {
            SelfTestResult::Running { remaining } => Some(remaining),
            SelfTestResult::Passed
            | SelfTestResult::Aborted
            | SelfTestResult::Failed(_)
            | SelfTestResult::Unknown(_) => None,
        }
    }
}

/// Puts attributes, self-test status and expected minutes into the facts.
pub fn fill(facts: &mut DiskFacts, data: &[u8], thresholds: &[u8]) {
    let ata = facts.ata.get_or_insert_default();
    let Some(abilities) = Abilities::read(data) else {
        facts.missed.push("the disk returned no SMART data".into());
        return;
    };
    checksum(ata, "the SMART data block", data);
    if usable(thresholds).is_some() {
        checksum(ata, "the SMART threshold block", thresholds);
    } else {
        facts
            .missed
            .push("the disk returned no SMART thresholds".into());
    }
    ata.attributes = attributes(data, thresholds);
    let log = facts.self_tests.get_or_insert_default();
    log.running = abilities.running();
    // A status of 0 may also mean that none ever ran.
    log.last_status = Some(result(abilities.self_test_status));
    log.short_minutes = abilities.short_minutes;
    log.extended_minutes = abilities.extended_minutes;
}

/// The 30 attributes, each with its threshold. A threshold of 0 never fails (ACS-2 made them obsolete).
#[must_use]
pub fn attributes(data: &[u8], thresholds: &[u8]) -> Vec<Attribute> {
    let limits: BTreeMap<u8, u8> = entries(thresholds)
        .filter_map(|entry| byte(entry, 0).zip(byte(entry, 1)))
        .collect();
    entries(data)
        .filter_map(|entry| {
            let id = byte(entry, 0).filter(|id| *id != 0)?;
            let (current, worst) = (byte(entry, 3)?, byte(entry, 4)?);
            let threshold = limits.get(&id).copied();
            Some(Attribute {
                id,
                name: None,
                prefail: le16(entry, 1)? & 1 != 0,
                current: Some(current),
                worst: Some(worst),
                threshold,
                // Worst, six bytes of raw value, one reserved.
                raw: le64(entry, 4)? >> 8 & RAW_MASK,
                raw_text: None,
                when_failed: WhenFailed::by_threshold(Some(current), Some(worst), threshold),
            })
        })
        .collect()
}

/// What a self-test's status means (ACS-4, table A.22).
pub(super) fn result(status: u8) -> SelfTestResult {
    let failed = |what: &str| SelfTestResult::Failed(String::from(what));
    match status >> 4 {
        0 => SelfTestResult::Passed,
        1 | 2 => SelfTestResult::Aborted,
        3 => failed("fatal or unknown error"),
        4 => failed("unknown failure"),
        5 => failed("electrical failure"),
        6 => failed("servo or seek failure"),
        7 => failed("read failure"),
        8 => failed("handling damage"),
        15 => SelfTestResult::Running {
            remaining: (status & 0x0f).min(10) * 10,
        },
        other => SelfTestResult::Unknown(alloc::format!("result {other}")),
    }
}

/// Entries of 12 bytes from byte 2 on.
fn entries(block: &[u8]) -> impl Iterator<Item = &[u8]> {
    block.get(2..362).unwrap_or_default().chunks_exact(ENTRY)
}

fn usable(block: &[u8]) -> Option<&[u8]> {
    let block = block.get(..BLOCK)?;
    block.iter().any(|b| *b != 0).then_some(block)
}

pub(super) fn checksum(ata: &mut AtaFacts, what: &str, block: &[u8]) {
    if sum(block) != 0 {
        ata.block_faults
            .push(alloc::format!("{what} has a wrong checksum"));
    }
}

#[cfg(test)]
mod tests;
