// SPDX-License-Identifier: Apache-2.0
//! Journals that are full, slow, silent, old or somebody else's; and what is seen of a decision before it is durable.

use super::open::Parts;
use super::tests::{many, parts};
use super::*;
use crate::journal::SqliteJournal;
use crate::peer::NoImages;
use groundstate_api::ReasonCode;
use groundstate_api::event::{Event, Happened};
use groundstate_api::ready::RoleAmong;
use groundstate_api::view::Phase;
use groundstate_journal::EngineError;
use groundstate_journal::hooked::Hooked;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

fn silent(uncertain: bool) -> JournalError {
    JournalError::Write(EngineError::EtcdSilent {
        call: "kv/txn",
        seen: "of this test".into(),
        uncertain,
    })
}

type Hook = Box<dyn FnMut(&[Event]) -> Result<(), JournalError> + Send>;

/// With something before and after each append.
fn open(dir: &std::path::Path, site: Site, mut before: Hook, mut after: Hook) -> Provisioner {
    let journal = SqliteJournal::open(&dir.join("journal.db")).unwrap();
    let journal = Hooked::over(journal)
        .before(move |write| before(write.events()))
        .after(move |write| after(write.events()));
    let parts: Parts = parts(dir, Clock::new(), site, Arc::new(NoImages));
    Provisioner::with_parts(parts, Box::new(journal)).unwrap()
}

fn order(ours: &Provisioner, node: &NodeId) -> Result<Option<Reply>, JournalError> {
    ours.order(node, None, false, Default::default())
}

fn is_order(events: &[Event]) -> bool {
    let ordered = |event: &Event| matches!(event.what, Happened::RunOrdered { .. });
    events.iter().any(ordered)
}

fn nothing() -> Hook {
    Box::new(|_| Ok(()))
}

#[test]
fn a_full_journal_refuses_and_nothing_has_changed_and_it_goes_on_when_there_is_room() {
    let dir = tempfile::tempdir().unwrap();
    let (site, names) = many(1);
    let tries = Arc::new(AtomicUsize::new(0));
    let counted = tries.clone();
    let full = move |events: &[Event]| {
        let first = is_order(events) && counted.fetch_add(1, Ordering::SeqCst) == 0;
        if first { Err(silent(false)) } else { Ok(()) }
    };
    let ours = open(dir.path(), site, Box::new(full), nothing());
    let before = ours.follow().borrow().to_owned();
    let refused = order(&ours, &names[0]).unwrap_err();
    assert_eq!(
        crate::journal::reason_of(&refused).code,
        ReasonCode::JournalUnusable
    );
    assert_eq!(ours.view(&names[0]).unwrap().phase, Phase::Enrolled);
    assert_eq!(*ours.follow().borrow(), before);
    order(&ours, &names[0]).unwrap();
    assert_eq!(ours.view(&names[0]).unwrap().phase, Phase::Ordered);
}

#[test]
fn what_failed_and_is_durable_all_the_same_is_folded_in_once() {
    let dir = tempfile::tempdir().unwrap();
    let (site, names) = many(2);
    let mut first = true;
    let after = move |events: &[Event]| {
        let fails = is_order(events) && std::mem::take(&mut first);
        if fails { Err(silent(true)) } else { Ok(()) }
    };
    let ours = open(dir.path(), site, nothing(), Box::new(after));
    order(&ours, &names[0]).unwrap_err();
    assert_eq!(ours.view(&names[0]).unwrap().phase, Phase::Enrolled);
    // The next decision is made on what the journal says.
    order(&ours, &names[1]).unwrap();
    assert_eq!(ours.view(&names[0]).unwrap().phase, Phase::Ordered);
    let again = order(&ours, &names[0]).unwrap();
    assert!(matches!(again, Some(Reply::Conflict(_) | Reply::Accepted)));
    let events = ours.events(0, 1_000, None).unwrap();
    let orders = events.iter().filter(|e| is_order(std::slice::from_ref(e)));
    assert_eq!(orders.count(), 2);
    let numbers: Vec<u64> = events.iter().map(|event| event.number).collect();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>());
}

#[test]
fn an_old_copy_is_refused_and_read_and_the_reason_says_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let (site, names) = many(2);
    let copy = dir.path().join("copy.db");
    {
        let ours = open(dir.path(), site.clone(), nothing(), nothing());
        order(&ours, &names[0]).unwrap();
    }
    std::fs::copy(dir.path().join("journal.db"), &copy).unwrap();
    {
        let ours = open(dir.path(), site.clone(), nothing(), nothing());
        order(&ours, &names[1]).unwrap();
        ours.tick();
    }
    for file in ["journal.db", "journal.db-wal", "journal.db-shm"] {
        let _ = std::fs::remove_file(dir.path().join(file));
    }
    std::fs::copy(&copy, dir.path().join("journal.db")).unwrap();
    let ours = open(dir.path(), site.clone(), nothing(), nothing());
    assert_eq!(
        ours.view(&names[0]).unwrap().phase,
        Phase::Ordered,
        "reads go on"
    );
    let refused = order(&ours, &names[1]).unwrap_err();
    let reason = crate::journal::reason_of(&refused);
    assert_eq!(reason.code, ReasonCode::JournalUnusable);
    assert!(reason.evidence[0].contains("old copy"), "{reason}");
    let ready = ours.ready();
    assert_eq!((ready.ready, ready.role), (false, RoleAmong::Refuses));
    drop(ours);
    // Somebody says that it is to be used all the same.
    std::fs::remove_file(dir.path().join("journal.mark")).unwrap();
    let ours = open(dir.path(), site, nothing(), nothing());
    order(&ours, &names[1]).unwrap();
    assert!(ours.ready().ready);
}

#[test]
fn many_share_a_transaction_and_nothing_is_seen_of_it_before_it_is_durable() {
    const NODES: u8 = 32;
    let dir = tempfile::tempdir().unwrap();
    let (site, names) = many(NODES);
    let (entered, began) = mpsc::channel();
    let (go_on, waits) = mpsc::channel::<()>();
    let appends = Arc::new(AtomicUsize::new(0));
    let counted = appends.clone();
    let slow = move |events: &[Event]| {
        if is_order(events) && counted.fetch_add(1, Ordering::SeqCst) == 0 {
            // How many orders are written at once before anybody waits is a matter of chance.
            let first = events
                .iter()
                .filter(|event| is_order(std::slice::from_ref(event)));
            entered.send(first.count()).unwrap();
            waits.recv().unwrap();
        }
        Ok(())
    };
    let ours = open(dir.path(), site, Box::new(slow), nothing());
    let before = *ours.follow().borrow();
    std::thread::scope(|scope| {
        let all: Vec<_> = names
            .iter()
            .map(|name| {
                let (ours, name) = (ours.clone(), name.clone());
                scope.spawn(move || order(&ours, &name).unwrap())
            })
            .collect();
        let first = began.recv().unwrap();
        // The disk is writing. Nobody sees anything of it, and who changes nothing durable does not wait.
        assert!(
            names
                .iter()
                .all(|n| ours.view(n).unwrap().phase == Phase::Enrolled)
        );
        assert_eq!(*ours.follow().borrow(), before);
        let run: RunId = "nobodys".parse().unwrap();
        ours.submit(&names[0], Input::Spoke { run }).unwrap();
        // All others are on their way into the queue.
        while ours.inner.queue.lock().unwrap().len() < usize::from(NODES) - first {
            std::thread::yield_now();
        }
        go_on.send(()).unwrap();
        all.into_iter().for_each(|one| drop(one.join().unwrap()));
    });
    assert!(
        names
            .iter()
            .all(|n| ours.view(n).unwrap().phase == Phase::Ordered)
    );
    assert_eq!(
        appends.load(Ordering::SeqCst),
        2,
        "one for who came first, one for all others"
    );
}

#[test]
fn two_processes_over_one_file_do_not_both_decide() {
    let dir = tempfile::tempdir().unwrap();
    let (site, names) = many(2);
    let first = open(dir.path(), site.clone(), nothing(), nothing());
    let second = open(dir.path(), site, nothing(), nothing());
    order(&second, &names[0]).unwrap();
    let refused = order(&first, &names[1]).unwrap_err();
    assert!(
        matches!(refused.one(), JournalError::Taken { .. }),
        "{refused}"
    );
    let refused = order(&first, &names[1]).unwrap_err();
    assert!(
        matches!(refused.one(), JournalError::Unusable { .. }),
        "{refused}"
    );
    order(&second, &names[1]).unwrap();
}
