// SPDX-License-Identifier: Apache-2.0
//! What only a cluster does: elections, fences, members that die; and what only a file does: versions.

use super::engines::{Etcd, me};
use super::suite::event;
use groundstate_journal::peer::Cluster;
use groundstate_journal::{
    EtcdJournal, Journal as _, JournalError, Lead, Reader as _, SqliteJournal,
};
use std::time::{Duration, Instant};

#[test]
fn who_was_replaced_cannot_append_whatever_it_believes() {
    let Some(etcd) = Etcd::start() else { return };
    let (mut a, mut b) = (etcd.journal(), etcd.journal());
    let (mut ea, mut eb) = (a.election().unwrap(), b.election().unwrap());
    let refused = a.append(&[event(1, None)]).unwrap_err();
    assert!(
        matches!(refused, JournalError::NotLeader { .. }),
        "{refused}"
    );
    let Lead::Ours { term, until } = ea.lead(&me("a")).unwrap() else {
        panic!("nobody else is there");
    };
    assert!(until > Instant::now());
    assert_eq!(eb.lead(&me("b")).unwrap(), Lead::Others(Some(me("a"))));
    a.append(&[event(1, None)]).unwrap();
    assert!(matches!(
        b.append(&[event(2, None)]),
        Err(JournalError::NotLeader { .. })
    ));
    // A stops without a word: B takes over when the lease has ended, in a later term.
    let began = Instant::now();
    let later = loop {
        match eb.lead(&me("b")).unwrap() {
            Lead::Ours { term, .. } => break term,
            Lead::Others(_) => std::thread::sleep(Duration::from_millis(100)),
        }
        assert!(began.elapsed() < Duration::from_secs(60), "no failover");
    };
    assert!(later > term);
    assert!(Instant::now() >= until, "not before A's time had ended");
    // A believes still that it leads.
    let refused = a.append(&[event(2, Some("a"))]).unwrap_err();
    assert!(
        matches!(refused, JournalError::NotLeader { .. }),
        "{refused}"
    );
    assert!(a.put_document("x", b"y").is_err());
    assert!(
        a.append_log(&"a".parse().unwrap(), &"r".parse().unwrap(), 0, "x")
            .is_err()
    );
    b.append(&[event(2, None)]).unwrap();
    assert_eq!(
        b.read(0, 9, None).unwrap(),
        [event(1, None), event(2, None)]
    );
    assert!(matches!(ea.lead(&me("a")).unwrap(), Lead::Others(Some(who)) if who == me("b")));
    eb.resign();
    assert!(matches!(ea.lead(&me("a")).unwrap(), Lead::Ours { .. }));
}

#[test]
fn a_cluster_of_three_loses_one_and_goes_on_and_loses_two_and_refuses() {
    let Some(mut cluster) = Cluster::start(3) else {
        return;
    };
    let mut journal = EtcdJournal::open(&cluster.options("site")).unwrap();
    let mut election = journal.election().unwrap();
    assert!(matches!(
        election.lead(&me("a")).unwrap(),
        Lead::Ours { .. }
    ));
    let mut number = 0;
    let mut append = |journal: &mut EtcdJournal| {
        number += 1;
        journal.append(&[event(number, Some("a"))])
    };
    append(&mut journal).unwrap();
    cluster.kill(0);
    for _ in 0..20 {
        append(&mut journal).unwrap();
    }
    assert!(matches!(
        election.lead(&me("a")).unwrap(),
        Lead::Ours { .. }
    ));
    cluster.kill(1);
    let refused = append(&mut journal).unwrap_err();
    assert!(
        refused.to_string().contains("no etcd member answered"),
        "{refused}"
    );
    cluster.restart(0);
    cluster.restart(1);
    let end = Instant::now() + Duration::from_secs(60);
    let newest = loop {
        match journal.newest() {
            Ok(newest) => break newest,
            Err(error) => assert!(Instant::now() < end, "{error}"),
        }
    };
    assert!(
        newest == 21 || newest == 22,
        "{newest}: what was acknowledged is there"
    );
}

#[test]
fn a_journal_of_a_newer_version_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal.db");
    drop(SqliteJournal::open(&path).unwrap());
    let db = rusqlite::Connection::open(&path).unwrap();
    db.pragma_update(None, "user_version", 2).unwrap();
    let error = SqliteJournal::open(&path).unwrap_err().to_string();
    assert!(error.contains("version 2"), "{error}");
}
