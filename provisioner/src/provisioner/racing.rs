// SPDX-License-Identifier: Apache-2.0
//! Two who saw the same state of a node, and order at once.

use super::tests::{parts, site};
use super::*;
use crate::journal::SqliteJournal;
use crate::peer::NoImages;
use groundstate_api::ReasonCode;
use groundstate_api::event::Happened;
use std::sync::Barrier;

fn open(dir: &std::path::Path) -> (Provisioner, NodeId) {
    let site = site();
    let node = site.nodes[0].name.clone();
    let journal = SqliteJournal::open(&dir.join("journal.db")).unwrap();
    let parts = parts(dir, Clock::new(), site, Arc::new(NoImages));
    (
        Provisioner::with_parts(parts, Box::new(journal)).unwrap(),
        node,
    )
}

fn seen(node: &NodeId, version: u64) -> Option<Arc<OnlyIf>> {
    let header = format!("\"{version}\"");
    Some(Arc::new(OnlyIf::of(node.clone(), &header)))
}

fn remark(by: usize) -> Input {
    Input::Remarked {
        by: format!("operator:op-{by}"),
        text: "looked at it".into(),
    }
}

/// A remark is always taken: nothing but the state that its writer saw stands between the two.
#[test]
fn of_two_that_saw_the_same_exactly_one_is_carried_out() {
    let dir = tempfile::tempdir().unwrap();
    let (ours, node) = open(dir.path());
    for round in 0..20 {
        let version = ours.view(&node).unwrap().version;
        let (together, before) = (Barrier::new(2), *ours.follow().borrow());
        let replies: Vec<Option<Reply>> = std::thread::scope(|scope| {
            let order = |by: usize| {
                let ours = ours.only_if(seen(&node, version));
                let (together, node) = (&together, &node);
                scope.spawn(move || {
                    together.wait();
                    ours.submit(node, remark(by)).unwrap()
                })
            };
            let both = [order(1), order(2)];
            both.into_iter().map(|one| one.join().unwrap()).collect()
        });
        let moved_on = |reply: &&Option<Reply>| matches!(reply, Some(Reply::Conflict(reason)) if reason.code == ReasonCode::Precondition);
        assert_eq!(
            replies.iter().filter(moved_on).count(),
            1,
            "round {round}: {replies:?}"
        );
        let events = ours.events(before, 10, Some(&node)).unwrap();
        let remarks = events
            .iter()
            .filter(|event| matches!(event.what, Happened::Remarked { .. }));
        assert_eq!(remarks.count(), 1, "round {round}");
    }
}

#[test]
fn who_names_a_state_that_is_past_or_another_nodes_hears_so_or_is_not_asked() {
    let dir = tempfile::tempdir().unwrap();
    let (ours, node) = open(dir.path());
    let version = ours.view(&node).unwrap().version;
    let conflict = |reply: Option<Reply>| matches!(reply, Some(Reply::Conflict(_)));
    let past = ours.only_if(seen(&node, version.wrapping_sub(1)));
    assert!(conflict(past.submit(&node, remark(1)).unwrap()));
    assert_eq!(ours.view(&node).unwrap().version, version);
    let any = ours.only_if(Some(Arc::new(OnlyIf::of(node.clone(), "*"))));
    assert!(!conflict(any.submit(&node, remark(1)).unwrap()));
    let other = ours.only_if(seen(&"other".parse().unwrap(), 0));
    assert!(!conflict(other.submit(&node, remark(1)).unwrap()));
    assert!(!conflict(ours.submit(&node, remark(1)).unwrap()));
}
