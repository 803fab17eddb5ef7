// SPDX-License-Identifier: Apache-2.0
//! Starts over a long journal. `GROUNDSTATE_COLD_NODES` makes the fleet larger, for measurements by hand:
//! `GROUNDSTATE_COLD_NODES=10000 cargo test --release -p provisioner --test cold -- --nocapture`. `GROUNDSTATE_COLD_RUNS` says how often
//! each node was provisioned.

#![allow(
    clippy::unwrap_used,
    reason = "a test that unwraps what is not there has failed"
)]

use groundstate_api::view::Phase;
use groundstate_journal::past::{Past, name};
use provisioner::journal::SqliteJournal;
use provisioner::peer::NoImages;
use provisioner::{OpenError, Options, Provisioner};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

/// A number that a measurement by hand sets.
fn set(name: &str, usual: u32) -> u32 {
    let said = std::env::var(name).ok();
    said.and_then(|text| text.parse().ok()).unwrap_or(usual)
}

fn past(nodes: u32) -> Past {
    Past {
        nodes,
        runs: set("GROUNDSTATE_COLD_RUNS", 1),
        disks: 24,
        dimms: 24,
    }
}

fn open(of: &Past, dir: &Path) -> Provisioner {
    Provisioner::open(Options {
        site: of.site(),
        state_dir: dir.to_owned(),
        images: Arc::new(NoImages),
    })
    .unwrap()
}

/// Resident memory of this process in MiB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS"))
        .unwrap();
    let digits: String = line.chars().filter(char::is_ascii_digit).collect();
    digits.parse::<u64>().unwrap() / 1_024
}

#[test]
fn a_start_over_a_long_journal_knows_every_node() {
    rustls::crypto::ring::default_provider()
        .install_default()
        .ok();
    let of = past(set("GROUNDSTATE_COLD_NODES", 60));
    let dir = tempfile::tempdir().unwrap();
    let began = Instant::now();
    let mut journal = SqliteJournal::open(&dir.path().join("journal.db")).unwrap();
    let written = of.write(&mut journal).unwrap();
    drop(journal);
    eprintln!(
        "{written} events written in {:?}, resident {} MiB",
        began.elapsed(),
        resident()
    );
    for start in ["the first start", "the second start", "the third start"] {
        let (before, began) = (resident(), Instant::now());
        let ours = open(&of, dir.path());
        eprintln!(
            "{start} took {:?}; resident {} MiB, {before} before",
            began.elapsed(),
            resident()
        );
        let list = ours.list();
        assert_eq!(list.nodes.len(), usize::try_from(of.nodes).unwrap());
        assert!(list.nodes.iter().all(|node| node.phase == Phase::Ready));
        let report = ours.report(&name(of.nodes - 1)).unwrap();
        assert_eq!(report.inventory.unwrap().disks.len(), 24);
        assert_eq!(report.plan.unwrap().disks.len(), 24);
        assert_eq!(report.facts.len(), 10);
        let began = Instant::now();
        assert!(ours.snapshot());
        let length = std::fs::metadata(dir.path().join("fold.snapshot"))
            .unwrap()
            .len();
        eprintln!(
            "a snapshot of {length} bytes took {:?}; resident {} MiB",
            began.elapsed(),
            resident()
        );
    }
}

/// Every node as the API shows it.
fn shown(ours: &Provisioner) -> Vec<String> {
    let nodes = ours.list().nodes;
    let report = |id| serde_json::to_string(&ours.report(id).unwrap()).unwrap();
    nodes.iter().map(|view| report(&view.node)).collect()
}

struct Stage {
    of: Past,
    dir: tempfile::TempDir,
}

impl Stage {
    fn new() -> Self {
        rustls::crypto::ring::default_provider()
            .install_default()
            .ok();
        let (of, dir) = (past(70), tempfile::tempdir().unwrap());
        let mut journal = SqliteJournal::open(&dir.path().join("journal.db")).unwrap();
        of.write(&mut journal).unwrap();
        Self { of, dir }
    }

    fn open(&self) -> Result<Provisioner, OpenError> {
        Provisioner::open(Options {
            site: self.of.site(),
            state_dir: self.dir.path().to_owned(),
            images: Arc::new(NoImages),
        })
    }

    fn snapshot(&self) -> std::path::PathBuf {
        self.dir.path().join("fold.snapshot")
    }

    /// The journal forgets everything before its last event: who folds it from its beginning cannot.
    fn forget(&self) {
        let db = rusqlite::Connection::open(self.dir.path().join("journal.db")).unwrap();
        let all = "DELETE FROM events WHERE number < (SELECT MAX(number) FROM events)";
        assert!(db.execute(all, []).unwrap() > 1_000);
    }
}

#[test]
fn a_start_from_a_snapshot_knows_what_a_start_without_one_knows() {
    let stage = Stage::new();
    let first = stage.open().unwrap();
    let (known, newest) = (shown(&first), *first.follow().borrow());
    assert!(first.snapshot());
    drop(first);
    stage.forget();
    let second = stage.open().unwrap();
    assert_eq!(*second.follow().borrow(), newest);
    assert!(shown(&second) == known, "nothing but the snapshot says it");
    assert!(second.snapshot(), "and the next one is taken from there");
    drop(second);
    assert!(shown(&stage.open().unwrap()) == known);
}

#[test]
fn a_damaged_snapshot_is_not_believed_and_costs_nothing_but_time() {
    let stage = Stage::new();
    let first = stage.open().unwrap();
    let known = shown(&first);
    assert!(first.snapshot());
    drop(first);
    let mut bytes = std::fs::read(stage.snapshot()).unwrap();
    let at = bytes.len() / 2;
    bytes[at] ^= 1;
    std::fs::write(stage.snapshot(), &bytes).unwrap();
    let second = stage.open().unwrap();
    assert!(shown(&second) == known);
    drop(second);
    stage.forget();
    let refused = stage.open().map(drop).unwrap_err().to_string();
    assert!(refused.contains("follows event 0"), "{refused}");
}
