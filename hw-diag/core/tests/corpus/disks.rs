// SPDX-License-Identifier: Apache-2.0
//! Real captures of real drives: the verdict beside the label, printed as a table and held to the promised figures.

use crate::corpus;
use crate::labels::{Label, of_json, of_text};
use groundstate_api::health::Verdict;
use hw_core::capture::{CaptureError, smartctl_json, smartctl_text};
use hw_core::disk::{DiskFacts, judge};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The files of a folder with this ending, sorted.
pub(crate) fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == ending))
        .collect();
    found.sort();
    assert!(!found.is_empty(), "no .{ending} in {}", folder.display());
    found
}

/// One drive: its label, its verdict, and its findings in words.
struct Drive {
    label: Label,
    verdict: Verdict,
    words: String,
}

fn drive(label: Label, facts: &DiskFacts) -> Drive {
    let report = judge(facts, &[]);
    let lines = report.findings.iter().map(|finding| {
        let verdict = finding.verdict.as_str();
        format!("{verdict} {}: {}", finding.code, finding.what)
    });
    Drive {
        label,
        verdict: report.verdict,
        words: format!(
            "{}: {}",
            report.device,
            lines.collect::<Vec<_>>().join("; ")
        ),
    }
}

/// Prints the table and holds the promises.
fn hold(title: &str, drives: &[Drive]) {
    let mut table: BTreeMap<Label, BTreeMap<&str, usize>> = BTreeMap::new();
    for drive in drives {
        let row = table.entry(drive.label).or_default();
        *row.entry(drive.verdict.as_str()).or_default() += 1;
    }
    println!("{title}: {} drives", drives.len());
    println!(
        "{:<14} {:>5} {:>5} {:>5} {:>5} {:>7} {:>9}",
        "label", "count", "ok", "warn", "fail", "unknown", "agree"
    );
    for (label, row) in &table {
        let of = |verdict: &str| row.get(verdict).copied().unwrap_or(0);
        let count: usize = row.values().sum();
        let agree = match label {
            Label::Failed => of("fail"),
            Label::PassedBad => of("warn") + of("fail"),
            Label::PassedHealthy => of("ok") + of("unknown"),
            Label::NoVerdict => count - of("ok"),
        };
        let name = format!("{label:?}");
        println!(
            "{name:<14} {count:>5} {:>5} {:>5} {:>5} {:>7} {:>7.1} %",
            of("ok"),
            of("warn"),
            of("fail"),
            of("unknown"),
            100.0 * agree as f64 / count as f64
        );
    }
    let wrong = |label: Label, wrong: &dyn Fn(Verdict) -> bool| -> Vec<&str> {
        let of = drives
            .iter()
            .filter(|drive| drive.label == label && wrong(drive.verdict));
        of.map(|drive| drive.words.as_str()).collect()
    };
    let count = |label: Label| drives.iter().filter(|drive| drive.label == label).count();
    let none: [&str; 0] = [];
    assert_eq!(wrong(Label::Failed, &|v| v != Verdict::Fail), none);
    let missed = wrong(Label::PassedBad, &|v| v < Verdict::Warn);
    assert!(missed.len() * 50 <= count(Label::PassedBad), "{missed:#?}");
    let alarms = wrong(Label::PassedHealthy, &|v| v == Verdict::Warn);
    assert!(
        alarms.len() * 100 <= count(Label::PassedHealthy),
        "{alarms:#?}"
    );
    assert_eq!(wrong(Label::PassedHealthy, &|v| v == Verdict::Fail), none);
    assert_eq!(wrong(Label::NoVerdict, &|v| v == Verdict::Ok), none);
}

fn name(path: &Path) -> String {
    path.file_name().unwrap().to_string_lossy().into_owned()
}

#[test]
fn text_reports_of_server_drives() {
    let Some(root) = corpus("smart/linuxhw-enterprise") else {
        return;
    };
    let mut drives = Vec::new();
    for (folder, expected) in [
        ("failed", Label::Failed),
        ("passed-but-bad", Label::PassedBad),
        ("passed-healthy", Label::PassedHealthy),
        // SCSI translations of NVMe drives say OK and nothing else; the plain rule takes that for healthy.
        ("no-verdict", Label::PassedHealthy),
    ] {
        for path in files(&root.join(folder), "txt") {
            let bytes = std::fs::read(&path).unwrap();
            let label = of_text(&String::from_utf8_lossy(&bytes));
            assert_eq!(label, expected, "{}", path.display());
            let facts = smartctl_text(&bytes, &name(&path)).unwrap();
            let drive = drive(label, &facts);
            if folder == "no-verdict" {
                assert_eq!(drive.verdict, Verdict::Unknown, "{}", drive.words);
            }
            drives.push(drive);
        }
    }
    hold("smartctl -x text", &drives);
    for drive in &drives {
        println!("{:?} {}", drive.verdict, drive.words);
    }
}

#[test]
fn json_reports_of_server_drives() {
    let Some(root) = corpus("smart") else {
        return;
    };
    let mut drives = Vec::new();
    let mut refused = Vec::new();
    for folder in ["smartctl_exporter-json", "scrutiny-json"] {
        for path in files(&root.join(folder), "json") {
            let bytes = std::fs::read(&path).unwrap();
            match smartctl_json(&bytes, &name(&path)) {
                Ok(facts) => {
                    let report = serde_json::from_slice(&bytes).unwrap();
                    drives.push(drive(of_json(&report), &facts));
                }
                Err(error) => {
                    assert!(matches!(error, CaptureError::Scan { .. }), "{error}");
                    refused.push(name(&path));
                }
            }
        }
    }
    assert!(
        refused.iter().all(|name| name.contains("_scan_")),
        "{refused:?}"
    );
    assert!(!refused.is_empty());
    hold("smartctl --json", &drives);
    for drive in &drives {
        println!("{:?} {}", drive.verdict, drive.words);
    }
}
