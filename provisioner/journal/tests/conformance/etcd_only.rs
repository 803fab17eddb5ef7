// SPDX-License-Identifier: Apache-2.0
//! What only a cluster does: elections, fences, members that die; and what only a file does: versions.

use super::engines::{Etcd, me};
use super::suite::event;
use groundstate_api::NodeId;
use groundstate_api::audit::Audit;
use groundstate_api::event::{Event, Happened};
use groundstate_journal::peer::Cluster;
use groundstate_journal::{
    EtcdJournal, Journal as _, JournalError, Lead, Orders, Reader as _, SqliteJournal,
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

fn order(number: u64, by: &str, node: &str) -> Event {
    let audit = Audit {
        by: by.into(),
        from: "10.0.0.9".into(),
        did: format!("POST /v1/nodes/{node}/provision"),
        act: None,
        key: None,
        status: 200,
        body: None,
        dry_run: false,
    };
    Event {
        what: Happened::Audited { audit },
        ..event(number, None)
    }
}

/// A journal whose orders before the eleventh event an older groundstate wrote, which knew of no index.
fn begun_by_an_older_one(etcd: &Etcd) -> EtcdJournal {
    let mut journal = etcd.journal();
    let mut election = journal.election().unwrap();
    election.lead(&me("a")).unwrap();
    let events: Vec<Event> = (1..=10)
        .map(|number| match number % 2 {
            0 => order(number, "operator:ana", "a"),
            _ => event(number, Some("a")),
        })
        .collect();
    journal.append(&events).unwrap();
    for folder in ["o/", "ob/", "on/"] {
        etcd.0
            .ctl(None, &["del", "--prefix", &format!("site/{folder}")]);
    }
    etcd.0.ctl(None, &["del", "site/orders-from"]);
    etcd.0.ctl(None, &["put", "site/version", "1"]);
    drop(journal);
    let mut journal = etcd.journal();
    election.resign();
    let mut election = journal.election().unwrap();
    election.lead(&me("b")).unwrap();
    let events: Vec<Event> = (11..=70)
        .map(|number| order(number, &format!("operator:op-{}", number % 3), "b"))
        .collect();
    journal.append(&events).unwrap();
    journal
}

#[test]
fn orders_are_found_by_an_index_and_those_before_it_by_looking() {
    let Some(etcd) = Etcd::start() else { return };
    let journal = begun_by_an_older_one(&etcd);
    let numbers = |after: u64, limit: usize, wanted: Orders<'_>| {
        let page = journal.audited(after, limit, wanted)?;
        let numbers: Vec<u64> = page.events.iter().map(|event| event.number).collect();
        Ok::<_, JournalError>((numbers, page.looked_to, page.more))
    };
    let all = |limit| {
        let (mut found, mut after) = (Vec::new(), 0);
        loop {
            let (some, looked_to, more) = numbers(after, limit, Orders::default()).unwrap();
            found.extend(some);
            if !more {
                return found;
            }
            after = looked_to;
        }
    };
    let right: Vec<u64> = (1..=5).map(|n| 2 * n).chain(11..=70).collect();
    for limit in [1, 4, 5, 6, 1_000] {
        assert_eq!(all(limit), right, "{limit}");
    }
    let a: NodeId = "a".parse().unwrap();
    let of_a = Orders {
        node: Some(&a),
        ..Orders::default()
    };
    assert_eq!(
        numbers(0, 9, of_a).unwrap(),
        (vec![2, 4, 6, 8, 10], 70, false)
    );
    let of_one = Orders {
        by: Some("operator:op-1"),
        ..Orders::default()
    };
    // An event that nobody asked for is not looked at, whatever it says.
    let key = format!("site/e/{:020}", 12);
    etcd.0.ctl(None, &["put", &key, "no event"]);
    assert!(numbers(10, 9, Orders::default()).is_err(), "12 is read");
    let found = numbers(10, 3, of_one).unwrap();
    assert_eq!(found, (vec![13, 16, 19], 19, true));
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
    let Some(etcd) = Etcd::start() else { return };
    drop(etcd.journal());
    etcd.0.ctl(None, &["put", "site/version", "3"]);
    let error = EtcdJournal::open(&etcd.0.options("site")).unwrap_err();
    assert!(
        matches!(
            error,
            JournalError::Version {
                found: 3,
                ours: 2,
                ..
            }
        ),
        "{error}"
    );
}
