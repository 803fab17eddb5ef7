// SPDX-License-Identifier: Apache-2.0
//! Sites that are durable and cannot be put in force at once, put in the way by the test: the journal's site comes into force
//! before anything else is decided, and its nodes are added whoever took them in.

use super::super::tests::{many, parts};
use super::*;
use crate::clock::Clock;
use crate::journal::{Journal, SqliteJournal, may_stand, reason_of};
use crate::peer::NoImages;
use groundstate_api::ReasonCode;
use groundstate_api::view::NodeView;
use groundstate_journal::EngineError;
use groundstate_journal::hooked::Hooked;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

fn open(dir: &Path, site: Site, journal: Box<dyn Journal>) -> Provisioner {
    let parts = parts(dir, Clock::new(), site, Arc::new(NoImages));
    Provisioner::with_parts(parts, journal).unwrap()
}

fn sqlite(dir: &Path) -> SqliteJournal {
    SqliteJournal::open(&dir.join("journal.db")).unwrap()
}

/// The disk does not give what a node was once.
fn damaged(dir: &Path, node: &NodeId, damaged: bool) {
    let db = rusqlite::Connection::open(dir.join("journal.db")).unwrap();
    let body = if damaged {
        "'{' || body"
    } else {
        "substr(body, 2)"
    };
    let all = format!("UPDATE events SET body = {body} WHERE node = ?1");
    assert!(db.execute(&all, [node.as_str()]).unwrap() > 1);
}

fn remark(text: &str) -> Input {
    Input::Remarked {
        by: "operator:ana".into(),
        text: text.into(),
    }
}

fn nodes(ours: &Provisioner) -> Vec<NodeId> {
    let views = ours.list().nodes.into_iter();
    views.map(|view| view.node).collect()
}

/// What the journal has of a node, by kind.
fn history(ours: &Provisioner, node: &NodeId) -> Vec<&'static str> {
    let kind = |event: Event| match event.what {
        Happened::NodeAdded => "added",
        Happened::Remarked { .. } => "remarked",
        _ => "other",
    };
    let events = ours.reader().read(0, 1_000, Some(node)).unwrap();
    events.into_iter().map(kind).collect()
}

#[test]
fn a_durable_site_that_cannot_be_put_in_force_comes_into_force_before_anything_else() {
    let dir = tempfile::tempdir().unwrap();
    let (few, few_names) = many(1);
    let (site, names) = many(3);
    let ours = open(dir.path(), many(2).0, Box::new(sqlite(dir.path())));
    ours.submit(&names[1], remark("of old")).unwrap();
    let version = ours.apply_site(few, "operator:ana").unwrap();
    assert_eq!(nodes(&ours), few_names);

    damaged(dir.path(), &names[1], true);
    let refused = ours.apply_site(site.clone(), "operator:ana").unwrap_err();
    assert!(
        matches!(refused, JournalError::NotInForce { .. }),
        "{refused}"
    );
    assert!(may_stand(&refused), "its key is not free for another try");
    let said = reason_of(&refused);
    assert!(
        said.next_automatic.contains("tried again by itself"),
        "{said}"
    );
    assert!(
        !said.next_automatic.contains("nothing was changed"),
        "{said}"
    );
    // Nothing of it is in force, nothing is decided on what was before it, and whoever asks is told.
    for _ in 0..2 {
        assert_eq!(
            (ours.site_version(), nodes(&ours)),
            (version, few_names.clone())
        );
        assert!(ours.submit(&names[0], remark("too early")).is_err());
        ours.tick();
        let ready = ours.ready();
        assert!(!ready.ready);
        assert_eq!(ready.reason.unwrap().code, ReasonCode::JournalUnusable);
    }

    damaged(dir.path(), &names[1], false);
    ours.tick();
    assert_eq!(
        (ours.site_version(), nodes(&ours)),
        (version + 1, names.clone())
    );
    assert!(ours.ready().ready);
    assert_eq!(history(&ours, &names[0]), ["added"]);
    assert_eq!(
        history(&ours, &names[1]),
        ["added", "remarked"],
        "it came back as it was"
    );
    assert_eq!(
        history(&ours, &names[2]),
        ["added"],
        "although nobody waited for it"
    );
    // Applied once more, it is in force already.
    assert_eq!(ours.apply_site(site, "operator:ana").unwrap(), version + 1);
    ours.submit(&names[2], remark("now")).unwrap();
    let known: Vec<_> = names.iter().map(|node| ours.view(node)).collect();
    drop(ours);
    let ours = open(dir.path(), many(3).0, Box::new(sqlite(dir.path())));
    let versions = |views: &[Option<NodeView>]| -> Vec<u64> {
        let views = views.iter().map(|view| view.as_ref().unwrap());
        views.map(|view| view.version).collect()
    };
    let again: Vec<_> = names.iter().map(|node| ours.view(node)).collect();
    assert_eq!(versions(&again), versions(&known));
    assert_eq!(history(&ours, &names[2]), ["added", "remarked"]);
}

#[test]
fn a_site_whose_new_nodes_find_the_disk_full_is_in_force_and_they_are_added_when_there_is_room() {
    let dir = tempfile::tempdir().unwrap();
    let (site, names) = many(3);
    let full = Arc::new(AtomicBool::new(false));
    let filled = full.clone();
    let journal = Hooked::over(sqlite(dir.path())).before(move |write| {
        let added = |event: &Event| matches!(event.what, Happened::NodeAdded);
        match write.events().iter().any(added) && filled.load(Ordering::SeqCst) {
            true => Err(JournalError::Write(EngineError::EtcdSilent {
                call: "kv/txn",
                seen: "of this test".into(),
                uncertain: false,
            })),
            false => Ok(()),
        }
    });
    let ours = open(dir.path(), many(1).0, Box::new(journal));
    full.store(true, Ordering::SeqCst);
    let version = ours.apply_site(site, "operator:ana").unwrap();
    assert_eq!(
        (ours.site_version(), nodes(&ours)),
        (version, names.clone())
    );
    assert_eq!(history(&ours, &names[2]), Vec::<&str>::new());
    ours.tick();
    assert_eq!(history(&ours, &names[2]), Vec::<&str>::new());
    full.store(false, Ordering::SeqCst);
    ours.tick();
    ours.tick();
    for node in &names {
        assert_eq!(history(&ours, node), ["added"], "once");
    }
}
