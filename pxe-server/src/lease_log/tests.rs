// SPDX-License-Identifier: Apache-2.0
//! The log over restarts, damage, growth and a full disk.

use super::*;
use groundstate_api::{MacAddr, Millis};
use std::os::unix::fs::MetadataExt as _;

fn lease(n: u32, until: u64) -> Lease {
    let [a, b, c, d] = n.to_be_bytes();
    Lease {
        address: Ipv4Addr::from(u32::from(Ipv4Addr::new(10, 64, 0, 0)) + n),
        mac: MacAddr([2, 0, a, b, c, d]),
        until: Millis(until),
        ..test_lease()
    }
}

fn reopened(folder: &Path) -> Vec<Lease> {
    let mut kept = LeaseLog::open(folder).unwrap().1;
    kept.sort_by_key(|lease| lease.address);
    kept
}

#[test]
fn leases_outlive_a_restart_and_two_services_do_not_share_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let (log, kept) = LeaseLog::open(folder.path()).unwrap();
    assert!(kept.is_empty());
    log.append(&[lease(1, 1), lease(2, 1)]).unwrap();
    log.append(&[lease(1, 5)]).unwrap();
    let error = LeaseLog::open(folder.path()).unwrap_err().to_string();
    assert!(error.contains("another boot service"), "{error}");
    drop(log);
    assert_eq!(reopened(folder.path()), [lease(1, 5), lease(2, 1)]);
}

#[test]
fn a_torn_end_is_cut_off_once() {
    let folder = tempfile::tempdir().unwrap();
    let (log, _) = LeaseLog::open(folder.path()).unwrap();
    log.append(&[lease(1, 1), lease(2, 1)]).unwrap();
    drop(log);
    let path = folder.path().join(NAME);
    // The power fails in the midst of the last line: behind it stand the zeros that were written ahead.
    let mut bytes = fs::read(&path).unwrap();
    let end = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    assert!(bytes.len() > end + 1, "nothing was written ahead");
    bytes[end - 9..].fill(0);
    fs::write(&path, bytes).unwrap();
    let (log, kept) = LeaseLog::open(folder.path()).unwrap();
    assert_eq!(kept, [lease(1, 1)]);
    log.append(&[lease(3, 1)]).unwrap();
    drop(log);
    assert_eq!(reopened(folder.path()), [lease(1, 1), lease(3, 1)]);
    fs::write(&path, b"").unwrap();
    assert!(reopened(folder.path()).is_empty());
}

#[test]
fn what_an_earlier_version_kept_is_taken_over_once() {
    let folder = tempfile::tempdir().unwrap();
    let json = folder.path().join("leases.json");
    let old = r#"{"schema":1,"leases":[{"address":"10.64.0.9","mac":"02:00:00:00:00:09","state":"bound","until":7,"uuid":null,"firmware":"bios"}]}"#;
    fs::write(&json, old).unwrap();
    let kept = reopened(folder.path());
    assert_eq!(
        (kept.len(), kept[0].address.to_string()),
        (1, "10.64.0.9".to_owned())
    );
    assert!(!json.exists() && folder.path().join("leases.json.taken-over").exists());
    assert_eq!(reopened(folder.path()), kept);
    let folder = tempfile::tempdir().unwrap();
    fs::write(
        folder.path().join("leases.json"),
        b"{\"schema\":2,\"leases\":[]}",
    )
    .unwrap();
    let error = LeaseLog::open(folder.path()).unwrap_err().to_string();
    assert!(
        error.contains("leases.json") && error.contains("schema is 2"),
        "{error}"
    );
}

#[test]
fn a_log_that_has_grown_is_written_anew_while_leases_are_appended() {
    let folder = tempfile::tempdir().unwrap();
    let (log, _) = LeaseLog::open(folder.path()).unwrap();
    let path = folder.path().join(NAME);
    let first = fs::metadata(&path).unwrap().ino();
    let mut round = 0;
    while fs::metadata(&path).unwrap().ino() == first {
        round += 1;
        let leases: Vec<Lease> = (0..2_000).map(|n| lease(n, round)).collect();
        log.append(&leases).unwrap();
        assert!(round < 5_000, "it is never written anew");
        if log.lock().compaction.is_some() {
            // Appended while it is written anew, and not lost.
            log.append(&[lease(5_000, 1)]).unwrap();
            while log
                .lock()
                .compaction
                .as_ref()
                .is_some_and(|thread| !thread.is_finished())
            {
                std::thread::yield_now();
            }
        }
    }
    drop(log);
    let kept = reopened(folder.path());
    assert_eq!(kept.len(), 2_001);
    assert!(
        kept.iter()
            .take(2_000)
            .all(|lease| lease.until == Millis(round))
    );
    assert!(fs::metadata(&path).unwrap().len() < COMPACT_MIN);
}

#[test]
fn what_a_full_disk_did_not_take_is_written_when_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let (log, _) = LeaseLog::open(folder.path()).unwrap();
    log.append(&[lease(1, 1)]).unwrap();
    // /dev/full takes nothing, as a full disk.
    let good = {
        let mut open = log.lock();
        let full = OpenOptions::new().append(true).open("/dev/full").unwrap();
        std::mem::replace(&mut open.file, full)
    };
    let error = log.append(&[lease(2, 1)]).unwrap_err().to_string();
    assert!(error.contains("leases.log"), "{error}");
    log.append(&[lease(2, 2), lease(3, 1)]).unwrap_err();
    assert_eq!(log.unkept(), 2);
    log.lock().file = good;
    // A full disk is not asked for each lease.
    log.append(&[]).unwrap_err();
    log.lock().failed = None;
    log.append(&[]).unwrap();
    assert_eq!(log.unkept(), 0);
    drop(log);
    assert_eq!(
        reopened(folder.path()),
        [lease(1, 1), lease(2, 2), lease(3, 1)]
    );
}
