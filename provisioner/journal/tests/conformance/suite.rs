// SPDX-License-Identifier: Apache-2.0
//! What holds for every engine.

use super::engines::{Engine, Etcd, Sqlite};
use groundstate_api::audit::Audit;
use groundstate_api::event::{Event, Happened};
use groundstate_api::{Millis, NodeId, RunId};
use groundstate_journal::{JournalError, Orders, Reader, log_of_boot};
use std::time::{Duration, Instant};

macro_rules! for_every_engine {
    ($($name:ident)*) => {
        mod sqlite {
            $(#[test] fn $name() { super::$name(&super::Sqlite::start().unwrap()); })*
        }
        mod etcd {
            $(#[test] fn $name() { if let Some(etcd) = super::Etcd::start() { super::$name(&etcd); } })*
        }
    };
}

for_every_engine! {
    events_outlive_the_writer
    a_page_begins_after_its_cursor
    all_or_nothing
    two_writers_do_not_fork_it
    long_events_come_back
    a_log_ignores_what_it_has_names_what_it_lacks_and_stays_in_bounds
    documents_are_replaced_whole
    documents_are_listed_and_taken_away
    readers_wait_for_news
    a_batch_is_bounded
    hostile_text_comes_back_as_it_was
    orders_are_found_by_caller_and_node
}

pub(crate) fn event(number: u64, node: Option<&str>) -> Event {
    Event {
        number,
        at: Millis(number * 1_000),
        node: node.map(|n| n.parse().unwrap()),
        what: Happened::NodeAdded,
    }
}

fn remark(number: u64, text: &str) -> Event {
    Event {
        what: Happened::Remarked {
            by: "tester".into(),
            text: text.into(),
        },
        ..event(number, Some("a"))
    }
}

fn events_outlive_the_writer(engine: &impl Engine) {
    let events = [event(1, Some("a")), event(2, None), event(3, Some("b"))];
    let mut first = engine.open();
    assert_eq!(first.newest().unwrap(), 0);
    assert_eq!(first.read(0, 10, None).unwrap(), []);
    first.append(&events).unwrap();
    first.append(&[]).unwrap();
    drop(first);
    let mut second = engine.open();
    assert_eq!(second.newest().unwrap(), 3);
    assert_eq!(second.read(0, 10, None).unwrap(), events);
    second.append(&[event(4, Some("a"))]).unwrap();
    assert_eq!(second.newest().unwrap(), 4);
}

fn a_page_begins_after_its_cursor(engine: &impl Engine) {
    let mut journal = engine.open();
    let names = ["a", "a-b", "b"];
    let all: Vec<Event> = (1..=250)
        .map(|n| event(n, names.get(usize::try_from(n % 4).unwrap()).copied()))
        .collect();
    for batch in all.chunks(50) {
        journal.append(batch).unwrap();
    }
    let reader = journal.reader().unwrap();
    assert_eq!(reader.read(1, 1, None).unwrap(), all[1..2]);
    assert_eq!(reader.read(0, 1_000, None).unwrap(), all);
    assert_eq!(reader.read(u64::MAX, 10, None).unwrap(), []);
    for name in names {
        let node: NodeId = name.parse().unwrap();
        let of = |e: &&Event| e.node.as_ref() == Some(&node);
        let right: Vec<Event> = all.iter().filter(of).cloned().collect();
        assert_eq!(reader.read(0, 1_000, Some(&node)).unwrap(), right);
        let some: Vec<Event> = right
            .iter()
            .filter(|e| e.number > 100)
            .take(7)
            .cloned()
            .collect();
        assert_eq!(reader.read(100, 7, Some(&node)).unwrap(), some);
    }
    assert_eq!(reader.latest(7, None).unwrap(), all[243..]);
    assert_eq!(reader.latest(1_000, None).unwrap(), all);
    let b: NodeId = "b".parse().unwrap();
    assert_eq!(
        reader.latest(2, Some(&b)).unwrap(),
        [all[245].clone(), all[249].clone()]
    );
    assert_eq!(reader.latest(2, Some(&"c".parse().unwrap())).unwrap(), []);
    assert_eq!(reader.read(0, 10, Some(&"c".parse().unwrap())).unwrap(), []);
}

fn all_or_nothing(engine: &impl Engine) {
    let mut journal = engine.open();
    journal.append(&[event(1, None)]).unwrap();
    assert!(journal.append(&[event(2, None), event(1, None)]).is_err());
    assert_eq!(journal.newest().unwrap(), 1);
    assert_eq!(journal.read(1, 10, None).unwrap(), []);
    journal.append(&[event(2, None)]).unwrap();
    assert_eq!(journal.newest().unwrap(), 2);
}

fn two_writers_do_not_fork_it(engine: &impl Engine) {
    let mut old = engine.open();
    old.append(&[event(1, None)]).unwrap();
    let mut new = engine.open();
    new.append(&[event(2, None)]).unwrap();
    let refused = old
        .append(&[event(2, Some("a")), event(3, None)])
        .unwrap_err();
    let right = matches!(
        refused,
        JournalError::Taken { number: 2 } | JournalError::NotLeader { .. }
    );
    assert!(right, "{refused}");
    assert!(!refused.is_uncertain());
    assert_eq!(
        new.read(0, 10, None).unwrap(),
        [event(1, None), event(2, None)]
    );
}

fn long_events_come_back(engine: &impl Engine) {
    let mut journal = engine.open();
    let mut events: Vec<Event> = (1..=20).map(|n| remark(n, &"x".repeat(100_000))).collect();
    events.push(remark(21, &"ä\u{1F600}".repeat(400_000)));
    events.push(remark(22, "short"));
    journal.append(&events).unwrap();
    assert!(journal.read(0, 100, None).unwrap() == events);
    let node: NodeId = "a".parse().unwrap();
    assert!(journal.read(20, 2, Some(&node)).unwrap() == events[20..]);
}

fn a_log_ignores_what_it_has_names_what_it_lacks_and_stays_in_bounds(engine: &impl Engine) {
    let mut journal = engine.open();
    let (node, run): (NodeId, RunId) = ("a".parse().unwrap(), "r1".parse().unwrap());
    assert_eq!(journal.log(&node, &run).unwrap(), None);
    for (offset, text) in [(0, "one\n"), (0, "one\n"), (2, "e\ntwo\n"), (10, "four\n")] {
        journal.append_log(&node, &run, offset, text).unwrap();
    }
    let text = journal.log(&node, &run).unwrap().unwrap();
    assert_eq!(
        text,
        "one\ntwo\n[2 bytes of the log are missing here]\nfour\n"
    );
    // Each boot of the run counts from 0; what it says follows what the boot before said.
    let back: RunId = "r2".parse().unwrap();
    let (first, second) = (log_of_boot(1), log_of_boot(2));
    for (offset, said) in [
        (first, "one\n"),
        (second, "two\n"),
        (second, "two\n"),
        (second + 6, "four\n"),
        (log_of_boot(3) + 1, "five\n"),
    ] {
        journal.append_log(&node, &back, offset, said).unwrap();
    }
    let boot =
        |which| format!("[the machine came back after power loss: {which} boot of this run]\n");
    let missing = |bytes| format!("[{bytes} bytes of the log are missing here]\n");
    let (b, c) = (boot("2nd"), boot("3rd"));
    let (two, one) = (missing(2), missing(1));
    let right = format!("one\n{b}two\n{two}four\n{c}{one}five\n");
    assert_eq!(journal.log(&node, &back).unwrap().unwrap(), right);
    let other: NodeId = "b".parse().unwrap();
    assert_eq!(journal.log(&other, &run).unwrap(), None);
    let mib = "x".repeat(1 << 20);
    for piece in 0..9 {
        journal
            .append_log(&node, &run, 15 + (piece << 20), &mib)
            .unwrap();
    }
    let text = engine.open().log(&node, &run).unwrap().unwrap();
    assert!(text.len() < (8 << 20) + 200);
    assert!(text.ends_with("bytes came after the log was full]\n"));
}

fn documents_are_replaced_whole(engine: &impl Engine) {
    let mut journal = engine.open();
    assert_eq!(journal.document("site").unwrap(), None);
    let long: Vec<u8> = (0..3_000_000u32)
        .map(|n| n.to_le_bytes()[n as usize % 3])
        .collect();
    for bytes in [
        b"".to_vec(),
        b"one".to_vec(),
        long.clone(),
        b"two".to_vec(),
        long,
    ] {
        journal.put_document("site", &bytes).unwrap();
        journal
            .put_document("sha256:other/than ../that", b"other")
            .unwrap();
        assert!(journal.reader().unwrap().document("site").unwrap().unwrap() == bytes);
    }
    let again = engine.open();
    assert_eq!(
        again
            .document("sha256:other/than ../that")
            .unwrap()
            .unwrap(),
        b"other"
    );
    assert_eq!(again.document("sit").unwrap(), None);
}

fn documents_are_listed_and_taken_away(engine: &impl Engine) {
    let mut journal = engine.open();
    assert_eq!(journal.documents("").unwrap(), [""; 0]);
    // More than a page of any engine, and names around those that are asked for.
    let files: Vec<String> = (0..130).map(|n| format!("file/{n:03}")).collect();
    for name in &files {
        journal.put_document(name, name.as_bytes()).unwrap();
    }
    for name in ["file", "file.", "file0", "fil\u{e9}/1", "other"] {
        journal.put_document(name, b"beside").unwrap();
    }
    journal
        .put_document("file/long", &vec![7; 1_200_000])
        .unwrap();
    let listed = |reader: Box<dyn Reader>| reader.documents("file/").unwrap();
    let all: Vec<String> = files.iter().cloned().chain(["file/long".into()]).collect();
    assert_eq!(listed(journal.reader().unwrap()), all);
    journal.remove_document("file/long").unwrap();
    journal.remove_document("file/007").unwrap();
    journal.remove_document("file/none").unwrap();
    let mut again = engine.open();
    for gone in ["file/long", "file/007", "file/none"] {
        assert_eq!(again.document(gone).unwrap(), None, "{gone}");
    }
    let left: Vec<String> = files
        .into_iter()
        .filter(|name| name != "file/007")
        .collect();
    assert_eq!(listed(again.reader().unwrap()), left);
    for name in left.iter().map(String::as_str).chain(["file", "file0"]) {
        assert!(again.document(name).unwrap().is_some(), "{name}");
    }
    // What went may come back.
    again.put_document("file/long", b"short").unwrap();
    let back = again.document("file/long").unwrap();
    assert_eq!(back.as_deref(), Some(b"short".as_slice()));
}

fn readers_wait_for_news(engine: &impl Engine) {
    let mut journal = engine.open();
    let reader = journal.reader().unwrap();
    reader.wait(0, Duration::from_millis(30)).unwrap();
    let waits = std::thread::spawn(move || {
        let end = Instant::now() + Duration::from_secs(60);
        while reader.newest().unwrap() == 0 {
            assert!(Instant::now() < end, "nobody was woken");
            reader.wait(0, Duration::from_secs(30)).unwrap();
        }
    });
    journal.append(&[event(1, None)]).unwrap();
    waits.join().unwrap();
}

fn a_batch_is_bounded(engine: &impl Engine) {
    let mut journal = engine.open();
    let most = journal.batch_max();
    let events: Vec<Event> = (1..).take(most + 1).map(|n| event(n, Some("a"))).collect();
    assert!(journal.append(&events).is_err());
    assert_eq!(journal.newest().unwrap(), 0);
    journal.append(&events[..most]).unwrap();
    assert_eq!(journal.newest().unwrap(), most as u64);
}

fn hostile_text_comes_back_as_it_was(engine: &impl Engine) {
    let mut journal = engine.open();
    let text = "\0\n\r${HOME}\u{202e}\u{feff}\"\\'; DROP TABLE events; --".repeat(50);
    let events = [remark(1, &text)];
    journal.append(&events).unwrap();
    assert_eq!(journal.read(0, 1, None).unwrap(), events);
    journal.put_document(&text, text.as_bytes()).unwrap();
    assert_eq!(journal.document(&text).unwrap().unwrap(), text.as_bytes());
}

/// Numbers of the orders that are wanted, page by page; in the order in which they come.
fn orders(reader: &dyn Reader, limit: usize, wanted: Orders<'_>) -> Vec<u64> {
    let (mut numbers, mut after) = (Vec::new(), 0);
    loop {
        let page = reader.audited(after, limit, wanted).unwrap();
        assert!(page.events.len() <= limit && page.looked_to >= after);
        numbers.extend(page.events.iter().map(|event| event.number));
        if !page.more {
            return numbers;
        }
        after = page.looked_to;
    }
}

#[expect(
    clippy::too_many_lines,
    reason = "a history and what is looked for in it"
)]
fn orders_are_found_by_caller_and_node(engine: &impl Engine) {
    const CALLERS: [&str; 3] = ["operator:ana", "operator:an", "fabric:fc-1"];
    const PATHS: [&str; 7] = [
        "POST /v1/nodes/a/provision",
        "POST /v1/nodes/a-2/provision",
        "POST /v1/nodes/ab/remarks",
        "DELETE /v1/nodes/a/adopt",
        "PUT /v1/site",
        "POST /v1/nodes/a",
        "POST /v1/nodes/b/provision",
    ];
    let mut journal = engine.open();
    let of = |number: u64| {
        let at = usize::try_from(number).unwrap();
        let audit = Audit {
            by: CALLERS[at / 3 % 3].into(),
            from: "10.0.0.9".into(),
            did: PATHS[at / 3 % 7].into(),
            act: None,
            key: None,
            status: 200,
            body: None,
            dry_run: at.is_multiple_of(4),
        };
        number.is_multiple_of(3).then_some(audit)
    };
    let events: Vec<Event> = (1..=180)
        .map(|number| match of(number) {
            Some(audit) => Event {
                what: Happened::Audited { audit },
                ..event(number, None)
            },
            None => remark(
                number,
                "{\"happened\":\"audited\",\"audit\":{\"by\":\"operator:ana\"}}",
            ),
        })
        .collect();
    for batch in events.chunks(journal.batch_max()) {
        journal.append(batch).unwrap();
    }
    let reader = journal.reader().unwrap();
    let about = |did: &str, node: &str| {
        did.ends_with(&format!("/{node}")) || did.contains(&format!("/{node}/"))
    };
    let expected = |wanted: Orders<'_>| -> Vec<u64> {
        let fits = |number: &u64| {
            let at = Millis(number * 1_000);
            of(*number).is_some_and(|audit| {
                wanted.by.is_none_or(|by| by == audit.by)
                    && wanted
                        .node
                        .is_none_or(|node| about(&audit.did, node.as_str()))
                    && wanted.since.is_none_or(|since| at >= since)
                    && wanted.until.is_none_or(|until| at < until)
                    && !(wanted.no_dry_runs && audit.dry_run)
            })
        };
        (1..=180).filter(fits).collect()
    };
    let times = [
        (None, None),
        (Some(Millis(90_000)), None),
        (None, Some(Millis(90_000))),
        (Some(Millis(60_000)), Some(Millis(60_001))),
        (Some(Millis(7)), Some(Millis(7))),
    ];
    let mut some = Vec::new();
    for by in [
        None,
        Some("operator:ana"),
        Some("operator:an"),
        Some("nobody"),
    ] {
        for node in [None, Some("a"), Some("a-2"), Some("ab"), Some("c")] {
            let named: Option<NodeId> = node.map(|node| node.parse().unwrap());
            for (since, until) in times {
                for no_dry_runs in [false, true] {
                    let wanted = Orders {
                        by,
                        node: named.as_ref(),
                        since,
                        until,
                        no_dry_runs,
                    };
                    let right = expected(wanted);
                    for limit in [1, 7, 1_000] {
                        let found = orders(reader.as_ref(), limit, wanted);
                        assert_eq!(found, right, "{wanted:?} {limit}");
                    }
                    some.push(right.len());
                }
            }
        }
    }
    assert_eq!(some.first(), Some(&60), "all that there are");
    assert_eq!(some.iter().filter(|count| **count > 0).count(), 72);
    let beyond = reader.audited(u64::MAX, 5, Orders::default()).unwrap();
    assert!(beyond.events.is_empty() && !beyond.more);
    assert_eq!(beyond.looked_to, u64::MAX);
}
