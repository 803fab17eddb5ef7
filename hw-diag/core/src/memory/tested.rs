// SPDX-License-Identifier: Apache-2.0
//! What a memory test found, and which module that points to.
//!
//! A word that reads back wrong once is enough to fail: good memory never does. Refuses to name a module where the
//! firmware's tables give the address to several, or where the kernel does not tell the physical address.

use super::{Details, locate};
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use groundstate_api::health::{
    Advice, DeviceKind, DeviceReport, HealthFinding, Place, Sureness, Verdict,
};
use groundstate_api::inventory::Dimm;
use groundstate_api::units::{Bytes, Millis};
use serde::Serialize;

/// One word that read back wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Mismatch {
    /// Where in the tested region, in bytes.
    pub offset: u64,
    /// Physical address, where the kernel tells it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub physical: Option<u64>,
    /// What was written.
    pub expected: u64,
    /// What was read.
    pub got: u64,
    /// What a second reading gave: equal to `expected` where the first reading alone was wrong.
    pub again: u64,
    /// The pattern that found it.
    pub pattern: &'static str,
    /// The pass that found it, from 1.
    pub pass: u32,
}

impl Mismatch {
    /// The bits that differ.
    #[must_use]
    pub fn bits(&self) -> u64 {
        self.expected ^ self.got
    }

    fn words(&self) -> String {
        let address = self.physical.map_or_else(
            || format!("at byte {:#x} of the tested region", self.offset),
            |physical| format!("at physical address {physical:#x}"),
        );
        let lasting = if self.again == self.got {
            "again when read again"
        } else if self.again == self.expected {
            "right when read again"
        } else {
            "another value when read again"
        };
        let bits = self.bits();
        format!(
            "{address}: wrote {:#018x}, read {:#018x} ({} {}, mask {bits:#018x}), {lasting}; pattern {}, pass {}",
            self.expected,
            self.got,
            bits.count_ones(),
            if bits.count_ones() == 1 {
                "bit"
            } else {
                "bits"
            },
            self.pattern,
            self.pass
        )
    }
}

/// Why a test ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ended {
    /// Every pass is done.
    Done,
    /// Its time was up.
    TimeUp,
    /// It was called off.
    Cancelled,
}

/// What a memory test did and found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MemoryTestReport {
    /// How much memory was tested.
    pub tested: Bytes,
    /// Whether it was locked, so that the same memory was tested all the time.
    pub locked: bool,
    /// Passes that were completed; a pass runs every pattern.
    pub passes: u32,
    /// Patterns that were completed, over all passes.
    pub patterns: u32,
    /// Bytes that were written and read.
    pub moved: Bytes,
    /// How long it took.
    pub took: Millis,
    /// Why it ended.
    pub ended: Ended,
    /// How many words read back wrong, counted once for each reading.
    pub wrong_words: u64,
    /// The first of them.
    pub mismatches: Vec<Mismatch>,
    /// What a reader must know of how it was done, a line each.
    pub notes: Vec<String>,
}

/// The most lines of evidence in one finding; the count says how many there are in all.
const LINES_MAX: usize = 8;

impl MemoryTestReport {
    /// A report on the memory that was tested and one on each module that a wrong word points to alone.
    #[must_use]
    pub fn reports(&self, slots: &[Dimm], details: &Details) -> Vec<DeviceReport> {
        let mut by_slot: BTreeMap<usize, Vec<String>> = BTreeMap::new();
        let mut shared = Vec::new();
        for mismatch in &self.mismatches {
            let place = mismatch
                .physical
                .and_then(|address| locate(slots, details, address));
            match place {
                Some(found) if found.indices.len() == 1 => {
                    let index = found.indices.first().copied().unwrap_or(0);
                    let lines = by_slot.entry(index).or_default();
                    lines.push(mismatch.words());
                    lines.push(found.how);
                }
                Some(found) => {
                    shared.push(mismatch.words());
                    shared.push(format!("{}: {}", found.how, found.slots.join(", ")));
                }
                None => shared.push(mismatch.words()),
            }
        }
        let mut reports = alloc::vec![self.whole(shared)];
        let names = crate::judge::labels(slots);
        for (index, lines) in by_slot {
            let (Some(dimm), Some(name)) = (slots.get(index), names.get(index)) else {
                continue;
            };
            let what = format!("the DIMM in slot {name} failed the memory test");
            let next =
                format!("power the machine off, replace the DIMM in slot {name}, and test again");
            let mut lines = lines;
            lines.truncate(LINES_MAX);
            let finding = failed("dimm-test-failed", what, next, lines);
            let kind = DeviceKind::Dimm;
            let mut report =
                DeviceReport::new(name.clone(), kind, "memory test", alloc::vec![finding]);
            report.place = Place {
                slot: name.clone(),
                vendor: dimm.manufacturer.clone(),
                part_number: dimm.part_number.clone(),
                serial: dimm.serial.clone(),
                size: dimm.size,
                ..Place::default()
            };
            reports.push(report);
        }
        reports
    }

    fn whole(&self, lines: Vec<String>) -> DeviceReport {
        let mut findings = Vec::new();
        if self.wrong_words > 0 {
            let words = if self.wrong_words == 1 {
                "word"
            } else {
                "words"
            };
            let what = format!(
                "{} {words} of {} tested read back wrong",
                self.wrong_words, self.tested
            );
            let next = "test the modules one by one, or halve them until it goes away, and replace the one that fails";
            let mut lines = lines;
            lines.truncate(LINES_MAX);
            lines.extend_from_slice(&self.notes);
            findings.push(failed("memory-test-failed", what, next.into(), lines));
        } else if self.passes == 0 {
            findings.push(HealthFinding {
                code: "memory-test-incomplete".into(),
                verdict: Verdict::Unknown,
                what: "the memory test ended before its first pass was complete".into(),
                evidence: alloc::vec![format!(
                    "{} patterns over {} in {}",
                    self.patterns, self.tested, self.took
                )],
                sureness: Sureness::Certain,
                advice: Advice::Look,
                next_step: "give it more time or less memory".into(),
            });
        }
        let mut report = DeviceReport::new("memory", DeviceKind::Memory, "memory test", findings);
        report.place.size = Some(self.tested);
        let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        for (name, count) in [
            ("memory_test_passes", u64::from(self.passes)),
            ("memory_test_wrong_words", self.wrong_words),
            ("memory_test_mib", self.tested.0 >> 20),
        ] {
            report.figures.insert(name.into(), number(count));
        }
        report
    }
}

fn failed(code: &str, what: String, next: String, lines: Vec<String>) -> HealthFinding {
    HealthFinding {
        code: code.into(),
        verdict: Verdict::Fail,
        what,
        evidence: lines,
        sureness: Sureness::Certain,
        advice: Advice::Replace,
        next_step: next,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::{Module, Range};

    fn report(physical: &[Option<u64>], passes: u32) -> MemoryTestReport {
        let mismatch = |physical: &Option<u64>| Mismatch {
            offset: 0x40,
            physical: *physical,
            expected: 0xff,
            got: 0xfd,
            again: 0xfd,
            pattern: "checkerboard",
            pass: 1,
        };
        MemoryTestReport {
            tested: Bytes::gib(1),
            locked: true,
            passes,
            patterns: 8,
            moved: Bytes::gib(16),
            took: Millis(900),
            ended: Ended::Done,
            wrong_words: u64::try_from(physical.len()).unwrap(),
            mismatches: physical.iter().map(mismatch).collect(),
            notes: vec![],
        }
    }

    fn told(report: &MemoryTestReport) -> String {
        let dimm = |slot: &str| Dimm {
            slot: slot.into(),
            bank: String::new(),
            size: Some(Bytes::gib(1)),
            populated: true,
            kind: "DDR4".into(),
            speed: 0,
            manufacturer: "Maker".into(),
            part_number: "P-1".into(),
            serial: format!("S-{slot}"),
            errors: None,
        };
        let details = Details {
            modules: [1, 2]
                .map(|handle| Module {
                    handle,
                    array: Some(0x10),
                    ..Module::default()
                })
                .to_vec(),
            ranges: [(0, 0xfff, 1), (0x1000, 0x1fff, 1), (0x1000, 0x1fff, 2)]
                .map(|(start, end, device)| Range {
                    start,
                    end,
                    array: None,
                    device: Some(device),
                    interleave: None,
                })
                .to_vec(),
            ..Details::default()
        };
        let reports = report.reports(&[dimm("A1"), dimm("A2")], &details);
        groundstate_api::health::page(&reports).join("\n")
    }

    #[test]
    fn a_wrong_word_names_its_module_where_the_table_does() {
        expect_test::expect![[r"
            FAIL: 2 fail

            FAIL    DIMM A1: 1 GiB, Maker, part P-1, serial S-A1
              the DIMM in slot A1 failed the memory test [dimm-test-failed]
                seen:     at physical address 0x40: wrote 0x00000000000000ff, read 0x00000000000000fd (1 bit, mask 0x0000000000000002), again when read again; pattern checkerboard, pass 1
                seen:     SMBIOS type 20 gives the address 0x40 to this slot alone
                how sure: certain
                do now:   power the machine off, replace the DIMM in slot A1, and test again

            FAIL    memory memory: 1 GiB
              3 words of 1 GiB tested read back wrong [memory-test-failed]
                seen:     at physical address 0x1040: wrote 0x00000000000000ff, read 0x00000000000000fd (1 bit, mask 0x0000000000000002), again when read again; pattern checkerboard, pass 1
                seen:     SMBIOS type 20 gives the address 0x1040 to 2 slots, which share it by interleaving: A1, A2
                seen:     at byte 0x40 of the tested region: wrote 0x00000000000000ff, read 0x00000000000000fd (1 bit, mask 0x0000000000000002), again when read again; pattern checkerboard, pass 1
                how sure: certain
                do now:   test the modules one by one, or halve them until it goes away, and replace the one that fails"]]
        .assert_eq(&told(&report(&[Some(0x40), Some(0x1040), None], 2)));
    }

    #[test]
    fn a_test_without_a_whole_pass_is_unknown() {
        let reports = report(&[], 0).reports(&[], &Details::default());
        assert_eq!(reports[0].verdict, Verdict::Unknown);
        let reports = report(&[], 1).reports(&[], &Details::default());
        assert_eq!(reports[0].verdict, Verdict::Ok);
    }
}
