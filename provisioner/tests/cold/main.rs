// SPDX-License-Identifier: Apache-2.0
//! Starts over a long journal. `GROUNDSTATE_COLD_NODES` makes the fleet larger, for measurements by hand:
//! `GROUNDSTATE_COLD_NODES=10000 cargo test --release -p provisioner --test cold -- --nocapture`.

#![allow(
    clippy::unwrap_used,
    reason = "a test that unwraps what is not there has failed"
)]

use groundstate_api::Reason;
use groundstate_api::image::ImageRef;
use groundstate_api::view::Phase;
use groundstate_journal::past::{Past, name};
use provisioner::journal::SqliteJournal;
use provisioner::{Images, Options, Provisioner};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

struct NoImages;

impl Images for NoImages {
    fn newest(&self, _: &str) -> Result<Option<ImageRef>, Reason> {
        Ok(None)
    }
    fn verify(&self, _: &ImageRef) -> Result<(), Reason> {
        Ok(())
    }
}

fn nodes() -> u32 {
    let said = std::env::var("GROUNDSTATE_COLD_NODES").ok();
    said.and_then(|text| text.parse().ok()).unwrap_or(60)
}

fn past(nodes: u32) -> Past {
    Past {
        nodes,
        runs: 1,
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
    let of = past(nodes());
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
