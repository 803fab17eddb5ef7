// SPDX-License-Identifier: Apache-2.0
//! Faults between the write and the end of the fold, put there by the test: whatever was written stays the truth, nobody waits for
//! ever, and nothing more is decided until the journal is folded anew.

use super::tests::{many, parts};
use super::*;
use crate::journal::{EtcdJournal, Journal, SqliteJournal};
use crate::leader::Standing;
use crate::peer::NoImages;
use groundstate_api::ReasonCode;
use groundstate_api::event::Happened;
use groundstate_api::plan::OrderTerms;
use groundstate_journal::hooked::Hooked;
use groundstate_journal::peer::Cluster;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::mpsc;

/// An event that says so is not folded in.
const TRIP: &str = "the fold ends here";

/// The test build's fold begins with this.
pub(super) fn trip(event: &Event) {
    let trips = match &event.what {
        Happened::Remarked { text, .. } => text == TRIP,
        Happened::SiteApplied { by, .. } => by == TRIP,
        _ => false,
    };
    assert!(!trips, "event {}: a fault of this test", event.number);
}

fn sqlite(dir: &Path) -> SqliteJournal {
    SqliteJournal::open(&dir.join("journal.db")).unwrap()
}

fn open(dir: &Path, site: Site, journal: Box<dyn Journal>) -> Provisioner {
    let parts = parts(dir, Clock::new(), site, Arc::new(NoImages));
    Provisioner::with_parts(parts, journal).unwrap()
}

fn remark(text: &str) -> Input {
    Input::Remarked {
        by: "operator:ana".into(),
        text: text.into(),
    }
}

fn remarks(ours: &Provisioner) -> Vec<String> {
    let text = |event: Event| match event.what {
        Happened::Remarked { text, .. } => Some(text),
        _ => None,
    };
    let events = ours.reader().read(0, 10_000, None).unwrap();
    events.into_iter().filter_map(text).collect()
}

fn is_unfolded<T: std::fmt::Debug>(outcome: Result<T, JournalError>) {
    let error = outcome.unwrap_err();
    assert!(
        matches!(error.one(), JournalError::Unfolded { .. }),
        "{error}"
    );
}

fn stands_still(ours: &Provisioner, node: &NodeId) {
    is_unfolded(ours.order(node, None, false, OrderTerms::default()));
    is_unfolded(ours.submit(node, remark("more")));
    is_unfolded(ours.submit(node, Input::Considered(None)));
    is_unfolded(ours.set_brake(true, "operator:ana".into(), None));
    is_unfolded(ours.change_document("a", |_| (Some(vec![1]), ())));
    is_unfolded(ours.apply_site(many(1).0, "operator:ana"));
    assert!(!ours.snapshot(), "half a fold is not kept");
    let ready = ours.ready();
    assert!(!ready.ready);
    let reason = ready.reason.unwrap();
    assert_eq!(reason.code, ReasonCode::JournalUnusable);
    assert!(reason.next_step.contains("restart groundstate"), "{reason}");
    assert!(ours.view(node).is_some(), "what was known is answered");
}

#[test]
fn a_fold_that_ends_half_way_is_never_decided_on_and_a_restart_mends_it() {
    let dir = tempfile::tempdir().unwrap();
    let (site, names) = many(2);
    let ours = open(dir.path(), site.clone(), Box::new(sqlite(dir.path())));
    ours.submit(&names[0], remark("before")).unwrap();
    assert!(ours.ready().ready);
    let ended = catch_unwind(AssertUnwindSafe(|| ours.submit(&names[0], remark(TRIP))));
    assert!(ended.is_err());
    stands_still(&ours, &names[1]);
    assert_eq!(remarks(&ours), ["before", TRIP], "it is durable");
    drop(ours);
    let ours = open(dir.path(), site, Box::new(sqlite(dir.path())));
    assert!(ours.ready().ready);
    let version = ours.view(&names[0]).unwrap().version;
    let events = ours.reader().latest(1, Some(&names[0])).unwrap();
    assert_eq!(version, events[0].number, "all of it is folded in");
    ours.submit(&names[1], remark("after")).unwrap();
    assert_eq!(remarks(&ours), ["before", TRIP, "after"]);
}

#[test]
fn a_site_that_is_put_in_force_half_way_stops_every_decision_too() {
    let dir = tempfile::tempdir().unwrap();
    let (site, names) = many(2);
    let ours = open(dir.path(), site.clone(), Box::new(sqlite(dir.path())));
    let (more, _) = many(3);
    let ended = catch_unwind(AssertUnwindSafe(|| ours.apply_site(more.clone(), TRIP)));
    assert!(ended.is_err());
    stands_still(&ours, &names[0]);
    drop(ours);
    let ours = open(dir.path(), site, Box::new(sqlite(dir.path())));
    assert_eq!(ours.site().nodes.len(), 3, "the journal's site is in force");
    assert!(ours.ready().ready);
}

#[test]
fn whoever_shares_a_transaction_with_the_fault_hears_of_it_and_nobody_waits_for_ever() {
    const NODES: u8 = 9;
    let dir = tempfile::tempdir().unwrap();
    let (site, names) = many(NODES);
    let (entered, began) = mpsc::channel();
    let (go_on, waits) = mpsc::channel::<()>();
    let journal = Hooked::over(sqlite(dir.path())).before(move |write| {
        let holds = |event: &Event| matches!(&event.what, Happened::Remarked { text, .. } if text == "hold");
        if write.events().iter().any(holds) {
            entered.send(()).unwrap();
            waits.recv().unwrap();
        }
        Ok(())
    });
    let ours = open(dir.path(), site, Box::new(journal));
    std::thread::scope(|scope| {
        let say = |node: &NodeId, text: &'static str| {
            let (ours, node) = (ours.clone(), node.clone());
            scope.spawn(move || ours.submit(&node, remark(text)))
        };
        let first = say(&names[0], "hold");
        began.recv().unwrap();
        let others: Vec<_> = (1..usize::from(NODES))
            .map(|at| say(&names[at], if at == 4 { TRIP } else { "with it" }))
            .collect();
        while ours.inner.queue.lock().unwrap().len() < others.len() {
            std::thread::yield_now();
        }
        go_on.send(()).unwrap();
        first.join().unwrap().unwrap();
        let ended: Vec<_> = others.into_iter().map(|one| one.join()).collect();
        // Whichever of them carried the transaction out.
        assert_eq!(ended.iter().filter(|one| one.is_err()).count(), 1);
        for one in ended.into_iter().flatten() {
            let error = one.unwrap_err();
            let said = crate::journal::reason_of(&error);
            assert!(matches!(error.one(), JournalError::Fault), "{error}");
            assert!(said.next_step.contains("look at the node"), "{said}");
        }
    });
    stands_still(&ours, &names[0]);
    assert_eq!(remarks(&ours).len(), usize::from(NODES), "all are durable");
}

#[test]
fn a_leader_that_is_unfolded_gives_its_lead_away() {
    let Some(cluster) = Cluster::start(1) else {
        return;
    };
    let (site, names) = many(1);
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let journal = || Box::new(EtcdJournal::open(&cluster.options("site")).unwrap());
    let first = open(dirs[0].path(), site.clone(), journal());
    let until = |what: &str, come: &dyn Fn() -> bool| {
        let end = std::time::Instant::now() + Duration::from_secs(120);
        while !come() {
            assert!(std::time::Instant::now() < end, "{what}");
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    let leads = |one: &Provisioner| matches!(one.standing(), Standing::Leads { .. });
    until("nobody leads", &|| leads(&first) && first.ready().ready);
    // Whoever works for the queue at that moment comes upon it: we, or the election that has just been won.
    let ended = catch_unwind(AssertUnwindSafe(|| first.submit(&names[0], remark(TRIP))));
    assert!(!matches!(ended, Ok(Ok(_))));
    until("it leads on", &|| !leads(&first));
    assert!(first.leads_elsewhere().is_some(), "nodes go to another one");
    let mut election = journal().election().unwrap();
    let me = Leader {
        name: "other".into(),
        url: "https://other:8443".into(),
    };
    let until_ours = || matches!(election.lead(&me), Ok(crate::journal::Lead::Ours { .. }));
    let election = std::cell::RefCell::new(until_ours);
    until("no other may lead", &|| (election.borrow_mut())());
    let ready = first.ready();
    assert!(!ready.ready);
    assert!(
        ready
            .reason
            .unwrap()
            .next_step
            .contains("restart groundstate")
    );
}
