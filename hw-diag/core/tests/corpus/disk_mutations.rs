// SPDX-License-Identifier: Apache-2.0
//! 100,000 seeded mutations of real captures: no panic, nothing unbounded, and never ok for want of knowledge.

use crate::corpus;
use crate::disks::files;
use groundstate_api::health::Verdict;
use hw_core::capture::{CaptureError, smartctl_json, smartctl_text};
use hw_core::disk::facts::Assessment;
use hw_core::disk::{DiskFacts, judge};
use serde_json::Value;

/// Mutations of each format.
const MUTATIONS: u64 = 50_000;
/// Threads that share them.
const THREADS: u64 = 2;

/// xorshift64*: the same numbers for the same seed on every machine.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(limit.max(1)).unwrap()).unwrap()
    }
}

/// Numbers at the edges of what fields can hold, and beyond.
const NUMBERS: [&str; 14] = [
    "0",
    "-1",
    "1",
    "100",
    "254",
    "255",
    "256",
    "65535",
    "4294967295",
    "281474976710655",
    "18446744073709551615",
    "99999999999999999999999999",
    "1e308",
    "0x7f",
];

fn mutate(bytes: &mut Vec<u8>, dice: &mut Dice) {
    for _ in 0..=dice.below(4) {
        if bytes.is_empty() {
            return;
        }
        let at = dice.below(bytes.len());
        match dice.below(6) {
            0 => bytes[at] ^= 1 << dice.below(8),
            1 => bytes.truncate(at),
            2 => swap_lines(bytes, dice),
            3 | 4 => replace_number(bytes, at, NUMBERS[dice.below(NUMBERS.len())]),
            _ => {
                let end = (at + dice.below(40)).min(bytes.len());
                let piece = bytes[at..end].to_vec();
                let to = dice.below(bytes.len());
                bytes.splice(to..to, piece);
            }
        }
    }
}

fn swap_lines(bytes: &mut Vec<u8>, dice: &mut Dice) {
    let mut lines: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
    let (one, two) = (dice.below(lines.len()), dice.below(lines.len()));
    lines.swap(one, two);
    *bytes = lines.join(&b'\n');
}

/// Replaces the number at or after a place.
fn replace_number(bytes: &mut Vec<u8>, at: usize, with: &str) {
    let Some(start) = bytes[at..].iter().position(u8::is_ascii_digit) else {
        return;
    };
    let start = at + start;
    let length = bytes[start..]
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    bytes.splice(start..start + length, with.bytes());
}

/// What must hold of whatever was read.
fn hold(facts: &DiskFacts) {
    let who = &facts.identity;
    let texts = [
        &who.vendor,
        &who.family,
        &who.model,
        &who.serial,
        &who.revision,
        &facts.slot,
    ];
    assert!(
        texts
            .iter()
            .all(|text| text.is_ascii() && text.len() <= 128),
        "{who:?}"
    );
    assert!(facts.missed.len() <= 32 && facts.missed.iter().all(|line| line.len() < 300));
    if let Some(ata) = &facts.ata {
        assert!(ata.attributes.len() <= 255 && ata.errors.len() <= 32);
        assert!(ata.statistics.len() <= 512);
    }
    let tests = facts.self_tests.as_ref().map_or(0, |log| log.entries.len());
    assert!(tests <= 64);
    let report = judge(facts, &[]);
    let says = facts.nvme.as_ref().and_then(|nvme| nvme.critical_warning) == Some(0)
        || facts.assessment == Assessment::Passed;
    assert!(report.verdict != Verdict::Ok || says, "{facts:#?}");
    let gravest = report.findings.iter().map(|finding| finding.verdict).max();
    assert_eq!(report.verdict, gravest.unwrap_or(Verdict::Ok));
    for finding in &report.findings {
        assert!(!finding.what.contains(['{', '}']) && finding.what.len() < 1_000);
    }
}

fn run(bases: &[Vec<u8>], read: fn(&[u8], &str) -> Result<DiskFacts, CaptureError>) {
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            scope.spawn(move || {
                let mut dice = Dice(0x6772_6f75_6e64 + thread);
                let mut read_at_all = 0;
                for _ in 0..MUTATIONS / THREADS {
                    let mut bytes = bases[dice.below(bases.len())].clone();
                    mutate(&mut bytes, &mut dice);
                    if let Ok(facts) = read(&bytes, "mutated") {
                        read_at_all += 1;
                        hold(&facts);
                    }
                }
                // Else the mutations would try the refusals and nothing behind them.
                assert!(read_at_all > MUTATIONS / THREADS / 5, "{read_at_all}");
            });
        }
    });
}

/// Attributes that something is read from. The others are read the same way, and longer captures only try more slowly.
const ATTRIBUTES: [u64; 10] = [5, 9, 184, 187, 194, 197, 198, 199, 202, 233];

/// The lines of a text that something is read from, and a few others.
fn short_text(text: &str) -> String {
    let keep = |line: &&str| {
        let row = line.trim_start().split(' ').next().map(str::parse::<u64>);
        let attribute = matches!(row, Some(Ok(id)) if ATTRIBUTES.contains(&id));
        let statistic = line.starts_with("0x0") && line.get(4..9) == Some("  0x0");
        let field = line.starts_with(|c: char| c.is_ascii_alphabetic()) && line.contains(':');
        let header = line.starts_with("SMART") || line.starts_with("ID#") || line.starts_with('=');
        attribute || statistic || field || header || line.starts_with('#')
    };
    let lines: Vec<&str> = text.lines().filter(keep).collect();
    lines.join("\n")
}

#[test]
fn mutated_texts() {
    let Some(root) = corpus("smart/linuxhw-enterprise") else {
        return;
    };
    let mut bases = Vec::new();
    for folder in ["failed", "passed-but-bad", "passed-healthy", "no-verdict"] {
        for path in files(&root.join(folder), "txt") {
            let text = std::fs::read_to_string(path).unwrap();
            bases.push(short_text(&text).into_bytes());
        }
    }
    run(&bases, smartctl_text);
}

fn short_json(report: &mut Value) {
    let fields = report.as_object_mut().unwrap();
    for long in [
        "ata_log_directory",
        "ata_sct_temperature_history",
        "ata_smart_selective_self_test_log",
        "sata_phy_event_counters",
        "local_time",
    ] {
        fields.remove(long);
    }
    for pointer in [
        "/ata_smart_error_log/summary/table",
        "/ata_smart_self_test_log/standard/table",
        "/ata_smart_self_test_log/extended/table",
    ] {
        if let Some(Value::Array(rows)) = report.pointer_mut(pointer) {
            rows.truncate(2);
            for row in rows {
                row.as_object_mut().unwrap().remove("previous_commands");
            }
        }
    }
    if let Some(Value::Array(rows)) = report.pointer_mut("/ata_smart_attributes/table") {
        rows.retain(|row| {
            row["id"]
                .as_u64()
                .is_some_and(|id| ATTRIBUTES.contains(&id))
        });
    }
}

#[test]
fn mutated_json() {
    let Some(root) = corpus("smart") else {
        return;
    };
    let mut bases = Vec::new();
    for folder in ["smartctl_exporter-json", "scrutiny-json"] {
        for path in files(&root.join(folder), "json") {
            let mut report: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
            short_json(&mut report);
            bases.push(report.to_string().replace(",\"", ",\n\"").into_bytes());
        }
    }
    run(&bases, smartctl_json);
}
