// SPDX-License-Identifier: Apache-2.0
//! The verdict after a load: errors under load, and disks that are slow beside their siblings.
//!
//! A slow disk is only told by comparison: what is slow for one model is fast for another. Siblings are disks of the same
//! model; without at least two others of its model a disk is measured and not judged by its speed.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use groundstate_api::Bytes;
use groundstate_api::health::{
    Advice, DeviceKind, DeviceReport, HealthFinding, Place, Sureness, Verdict,
};
use serde::{Deserialize, Serialize};

/// The fewest disks of one model that are compared: with two nobody knows which of them is the slow one.
pub const SIBLINGS_MIN: usize = 3;
/// A disk below this share of its siblings' median rate is an outlier, in percent. Disks of one model differ by up to
/// 10 % with the place on the platter and with how full a solid-state drive is.
pub const SLOW_PERCENT: u64 = 70;
/// A disk whose 99th percentile of waiting is this many times its siblings' median is an outlier: it retries.
pub const LATE_TIMES: u64 = 4;
/// Waits below this many microseconds are not compared: caches and the scheduler rule them.
pub const LATE_FROM_US: u64 = 20_000;

/// What a load showed of one disk.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskLoad {
    /// The kernel's name.
    pub device: String,
    /// Where it sits.
    pub slot: String,
    /// Serial number.
    pub serial: String,
    /// Model.
    pub model: String,
    /// Size.
    pub size: Bytes,
    /// Bytes read.
    pub read: Bytes,
    /// Bytes written and read back; 0 in a read-only load.
    pub written: Bytes,
    /// Median rate of sequential reads in KiB/s.
    pub sequential_kib_s: u64,
    /// Median wait of one random read in microseconds.
    pub wait_median_us: u64,
    /// 99th percentile of the wait of one random read in microseconds.
    pub wait_p99_us: u64,
    /// What went wrong, a line each: I/O errors with their place, bytes that read back differently.
    pub errors: Vec<String>,
    /// Why it was not loaded, where it was not.
    pub not_loaded: Option<String>,
}

/// What a load showed of the processors.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CpuLoad {
    /// Rounds of known work by logical processor.
    pub rounds: BTreeMap<u32, u64>,
    /// Logical processors that computed something else, with how often.
    pub wrong: BTreeMap<u32, u64>,
    /// Why processors were not loaded, a line each.
    pub not_loaded: Vec<String>,
}

/// Something that could not be loaded: unknown, never ok.
#[must_use]
pub fn not_loaded(what: &str, why: &str) -> HealthFinding {
    HealthFinding {
        code: "burn-in-not-loaded".into(),
        verdict: Verdict::Unknown,
        what: what.into(),
        evidence: Vec::from([why.into()]),
        sureness: Sureness::Certain,
        advice: Advice::Look,
        next_step: "mend what is named above and run the burn-in again".into(),
    }
}

/// The reports on loaded disks, in the order given.
#[must_use]
pub fn judge_disks(loads: &[DiskLoad]) -> Vec<DeviceReport> {
    loads.iter().map(|load| judge_disk(load, loads)).collect()
}

fn judge_disk(load: &DiskLoad, all: &[DiskLoad]) -> DeviceReport {
    let mut findings = Vec::new();
    if let Some(why) = &load.not_loaded {
        findings.push(not_loaded("the disk was not loaded", why));
    }
    if !load.errors.is_empty() {
        findings.push(HealthFinding {
            code: "burn-in-disk-errors".into(),
            verdict: Verdict::Fail,
            what: format!("{} errors under load", load.errors.len()),
            evidence: load.errors.clone(),
            sureness: Sureness::Certain,
            advice: Advice::Replace,
            next_step: "replace the disk; where its siblings on the same cable or backplane fail too, reseat those first".into(),
        });
    }
    let is_sibling = |other: &&DiskLoad| {
        other.model == load.model
            && !other.model.is_empty()
            && other.not_loaded.is_none()
            && other.device != load.device
    };
    let siblings: Vec<&DiskLoad> = all.iter().filter(is_sibling).collect();
    if load.not_loaded.is_none() && siblings.len() + 1 >= SIBLINGS_MIN {
        findings.extend(slow(load, &siblings));
        findings.extend(late(load, &siblings));
    }
    let mut report = DeviceReport::new(&load.device, DeviceKind::Disk, "burn-in", findings);
    report.place = Place {
        slot: load.slot.clone(),
        model: load.model.clone(),
        serial: load.serial.clone(),
        size: Some(load.size),
        ..Place::default()
    };
    for (name, value) in [
        ("sequential_kib_per_second", load.sequential_kib_s),
        ("random_read_wait_median_microseconds", load.wait_median_us),
        ("random_read_wait_p99_microseconds", load.wait_p99_us),
    ] {
        if load.not_loaded.is_none() {
            let value = i64::try_from(value).unwrap_or(i64::MAX);
            report.figures.insert(name.to_string(), value);
        }
    }
    report
}

/// The middle of the siblings' values; 0 without any.
fn median(siblings: &[&DiskLoad], value: fn(&DiskLoad) -> u64) -> u64 {
    let mut values: Vec<u64> = siblings.iter().map(|load| value(load)).collect();
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or(0)
}

fn slow(load: &DiskLoad, siblings: &[&DiskLoad]) -> Option<HealthFinding> {
    let usual = median(siblings, |load| load.sequential_kib_s);
    let mine = load.sequential_kib_s;
    (usual > 0 && mine.saturating_mul(100) < usual.saturating_mul(SLOW_PERCENT)).then(|| {
        HealthFinding {
            code: "burn-in-disk-slow".into(),
            verdict: Verdict::Warn,
            what: format!("the disk reads at {} % of its siblings' rate", mine.saturating_mul(100) / usual),
            evidence: Vec::from([format!(
                "{mine} KiB/s; the median of {} others of model {} is {usual} KiB/s",
                siblings.len(),
                load.model
            )]),
            sureness: Sureness::Likely,
            advice: Advice::Reseat,
            next_step: "look at this disk's link speed and SMART values, reseat it, and replace it if it stays slow".into(),
        }
    })
}

fn late(load: &DiskLoad, siblings: &[&DiskLoad]) -> Option<HealthFinding> {
    let usual = median(siblings, |load| load.wait_p99_us);
    let mine = load.wait_p99_us;
    let outlier = mine >= LATE_FROM_US && mine > usual.saturating_mul(LATE_TIMES);
    outlier.then(|| HealthFinding {
        code: "burn-in-disk-late".into(),
        verdict: Verdict::Warn,
        what: "one read in a hundred takes much longer than on the disk's siblings".into(),
        evidence: Vec::from([format!(
            "99th percentile {mine} µs; the median of {} others of model {} is {usual} µs",
            siblings.len(),
            load.model
        )]),
        sureness: Sureness::Hint,
        advice: Advice::Watch,
        next_step: "look at this disk's SMART values: it may be reading sectors again and again"
            .into(),
    })
}

/// The report on the loaded processors.
#[must_use]
pub fn judge_cpus(load: &CpuLoad) -> DeviceReport {
    let mut findings = Vec::new();
    for (cpu, times) in &load.wrong {
        findings.push(HealthFinding {
            code: "burn-in-cpu-wrong".into(),
            verdict: Verdict::Fail,
            what: format!("processor {cpu} computed something else {times} times"),
            evidence: Vec::from([format!(
                "{} rounds of the same work on it",
                load.rounds.get(cpu).copied().unwrap_or(0)
            )]),
            sureness: Sureness::Certain,
            advice: Advice::Replace,
            next_step: "look at the processor's heat and voltage; replace it, or the board, if it computes wrong when cool".into(),
        });
    }
    for why in &load.not_loaded {
        findings.push(not_loaded("a processor was not loaded", why));
    }
    let mut report = DeviceReport::new("processors", DeviceKind::Cpu, "burn-in", findings);
    let rounds = load
        .rounds
        .values()
        .fold(0u64, |sum, one| sum.saturating_add(*one));
    let rounds = i64::try_from(rounds).unwrap_or(i64::MAX);
    report.figures.insert("burn_in_rounds".into(), rounds);
    report
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;
    use groundstate_api::health::page;

    fn load(serial: &str, rate: u64, p99: u64) -> DiskLoad {
        DiskLoad {
            device: serial.to_lowercase(),
            slot: alloc::format!("bay {serial}"),
            serial: serial.into(),
            model: "M-1".into(),
            size: Bytes::gib(4),
            sequential_kib_s: rate,
            wait_p99_us: p99,
            ..DiskLoad::default()
        }
    }

    #[test]
    fn a_slow_disk_is_told_by_its_siblings_only() {
        let slow = || load("S", 60_000, 90_000);
        let pair = [load("A", 100_000, 9_000), slow()];
        assert!(judge_disks(&pair).iter().all(|r| r.verdict == Verdict::Ok));
        let mut three = Vec::from(pair);
        three.push(load("B", 110_000, 10_000));
        expect![[r#"
            WARN: 1 warn, 2 ok

            WARN    disk s: bay S, 4 GiB, M-1, serial S
              the disk reads at 54 % of its siblings' rate [burn-in-disk-slow]
                seen:     60000 KiB/s; the median of 2 others of model M-1 is 110000 KiB/s
                how sure: likely
                do now:   look at this disk's link speed and SMART values, reseat it, and replace it if it stays slow
              one read in a hundred takes much longer than on the disk's siblings [burn-in-disk-late]
                seen:     99th percentile 90000 µs; the median of 2 others of model M-1 is 10000 µs
                how sure: a hint
                do now:   look at this disk's SMART values: it may be reading sectors again and again

            ok      disk a: bay A, 4 GiB, M-1, serial A
            ok      disk b: bay B, 4 GiB, M-1, serial B"#]].assert_eq(&page(&judge_disks(&three)).join("\n"));
        let mut others = three.clone();
        others[0].model = "M-2".into();
        assert!(
            judge_disks(&others)
                .iter()
                .all(|r| r.verdict == Verdict::Ok)
        );
    }

    #[test]
    fn errors_fail_and_a_disk_that_was_not_loaded_is_unknown() {
        let mut bad = load("E", 1, 1);
        bad.errors
            .push("read of 1 MiB at 4096: Input/output error".into());
        let mut absent = load("N", 0, 0);
        absent.not_loaded = Some("/dev/sdn: Permission denied".into());
        let reports = judge_disks(&[bad, absent]);
        assert_eq!(reports[0].verdict, Verdict::Fail);
        assert_eq!(reports[1].verdict, Verdict::Unknown);
        assert!(reports[1].figures.is_empty());
        let cpus = CpuLoad {
            rounds: BTreeMap::from([(0, 10), (1, 9)]),
            wrong: BTreeMap::from([(1, 2)]),
            not_loaded: Vec::new(),
        };
        assert_eq!(judge_cpus(&cpus).verdict, Verdict::Fail);
    }
}
