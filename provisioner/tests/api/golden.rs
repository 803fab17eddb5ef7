// SPDX-License-Identifier: Apache-2.0
//! Journals that versions before this one wrote are read, and come to the fleet that they say. See `tests/golden`.

use crate::way::{handed_over, phase, register};
use crate::world::{World, racked_site};
use groundstate_api::event::Event;
use groundstate_api::view::EventPage;
use provisioner::journal::{Reader as _, SqliteJournal};
use rusqlite::Connection;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(name)
}

/// A state directory with this journal in it.
fn kept(name: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let sql = std::fs::read_to_string(file(name)).unwrap();
    let db = Connection::open(dir.path().join("journal.db")).unwrap();
    db.execute_batch(&sql).unwrap();
    dir
}

fn events(dir: &Path) -> Vec<Event> {
    let journal = SqliteJournal::open(&dir.join("journal.db")).unwrap();
    journal.read(0, 100_000, None).unwrap()
}

/// Each event as it stands and as it would be written today.
fn as_written(dir: &Path) -> Vec<(Value, Value)> {
    let db = Connection::open(dir.join("journal.db")).unwrap();
    let mut query = db
        .prepare("SELECT body FROM events ORDER BY number")
        .unwrap();
    let bodies = query.query_map([], |row| row.get::<_, String>(0)).unwrap();
    let stands = bodies.map(|body| serde_json::from_str(&body.unwrap()).unwrap());
    let today = events(dir)
        .into_iter()
        .map(|event| serde_json::to_value(event.what).unwrap());
    stands.zip(today).collect()
}

#[test]
fn a_journal_of_the_first_version_comes_to_the_fleet_that_it_says() {
    let dir = kept("first.sql");
    let before = events(dir.path());
    assert_eq!(before.len(), 15);
    let world = World::at(dir, Ok(()));
    let operator = world.operator();
    let view = |node: &str| operator.get(&format!("/v1/nodes/{node}")).ok()["view"].clone();
    // By their names of today.
    assert_eq!(view("node-1")["phase"], "suspect");
    assert_eq!(view("node-1")["run"], "node-1-1");
    let reason = view("node-1")["reason"].to_string();
    assert!(reason.contains("has not called"), "{reason}");
    assert_eq!(view("node-2")["phase"], "held");
    let log = operator.get("/v1/nodes/node-1/log?run=node-1-1").ok_text();
    assert!(log.contains("the first line"), "{log}");
    let page: EventPage = operator.get("/v1/events").read();
    assert_eq!(page.events[..15], before[..], "what stands there stays");
    let history = operator.get("/v1/events").ok_text();
    for (old, new) in [
        ("known", "enrolled"),
        ("deploying", "provisioning"),
        ("silent", "suspect"),
    ] {
        let quoted = |name: &str| format!("\"to\":\"{name}\"");
        assert!(!history.contains(&quoted(old)), "{old}");
        let from = format!("\"from\":\"{new}\"");
        assert!(
            history.contains(&quoted(new)) || history.contains(&from),
            "{new}"
        );
    }
    // It goes on: an order is taken, and a start after it reads both.
    operator.post("/v1/nodes/node-2/provision", &json!({})).ok();
    let world = world.restart();
    let all: EventPage = world.operator().get("/v1/events?limit=1000").read();
    let numbers: Vec<u64> = all.events.iter().map(|event| event.number).collect();
    assert_eq!(
        numbers,
        (1..=u64::try_from(numbers.len()).unwrap()).collect::<Vec<_>>()
    );
    assert_eq!(
        world.operator().get("/v1/nodes/node-2").ok()["view"]["phase"],
        "ordered"
    );
}

#[test]
fn a_journal_of_this_version_says_the_same_for_ever() {
    let dir = kept("present.sql");
    for (stands, today) in as_written(dir.path()) {
        // A key may come to be left out, or come in; none changes its meaning.
        let (Value::Object(stands), Value::Object(today)) = (&stands, &today) else {
            panic!("{stands}")
        };
        for (key, value) in stands {
            assert_eq!(Some(value), today.get(key).or(Some(&Value::Null)), "{key}");
        }
    }
    let world = World::at(dir, Ok(()));
    let list = world.operator().get("/v1/nodes").ok();
    let mut said = String::new();
    for view in list["nodes"].as_array().unwrap() {
        // What it drains for ends by itself: its time is over long since.
        let is_draining = view["phase"] == "draining";
        let reason = view["reason"]["what"].as_str().filter(|_| !is_draining);
        let reason = reason.unwrap_or("-");
        let run = view["run"].as_str().unwrap_or("-");
        let phase = view["phase"].as_str().unwrap();
        let name = view["node"].as_str().unwrap();
        writeln!(said, "{name} {phase} {} | {reason}", run.split('-').count()).unwrap();
    }
    let brake = world.operator().get("/v1/brake").ok();
    writeln!(said, "brake {}", brake["on"]).unwrap();
    let version = world.operator().get("/v1/site").tag.unwrap();
    writeln!(said, "site {version}").unwrap();
    let wants = std::fs::read_to_string(file("present.txt")).unwrap();
    assert_eq!(said, wants);
}

#[test]
#[ignore = "writes another golden: GROUNDSTATE_NEW_GOLDEN says where"]
#[expect(clippy::too_many_lines, reason = "a life with one of each event")]
fn a_journal_of_this_version_is_written() {
    let out = std::env::var("GROUNDSTATE_NEW_GOLDEN").unwrap();
    let world = World::with_site(racked_site());
    let (plan, host) = handed_over(&world);
    host.post("/v1/host/register", &register("node-1", &plan))
        .ok();
    assert_eq!(phase(&world), "ready");
    let operator = world.operator();
    for (path, body) in [
        (
            "/v1/nodes/node-1/remarks",
            json!({"text": "fan 3 was replaced"}),
        ),
        ("/v1/nodes/node-1/drain", json!({"why": "a new kernel"})),
        (
            "/v1/nodes/node-2/provision",
            json!({"approve": true, "confirm_wipe": ["D1"]}),
        ),
        (
            "/v1/nodes/node-2/quarantine",
            json!({"why": "a smell of burning"}),
        ),
        ("/v1/brake", json!({"on": true, "why": "the hall is hot"})),
    ] {
        assert_eq!(operator.post(path, &body).status, 200, "{path}");
    }
    let (site, tag) = (
        operator.get("/v1/site").ok(),
        operator.get("/v1/site").tag.unwrap(),
    );
    let mut changed = site;
    changed["policy"]["closed"] = json!(false);
    operator.put("/v1/site", Some(&tag), &changed).ok();
    world
        .anyone()
        .post("/v1/enrol", &crate::world::Key::new().request(9))
        .ok();
    let db = Connection::open(world.dir.path().join("journal.db")).unwrap();
    let mut sql = String::from(
        "-- SPDX-License-Identifier: Apache-2.0\n-- A journal as the version of 2026-11 wrote it.\n",
    );
    let mut tables = db
        .prepare("SELECT sql FROM sqlite_master WHERE sql NOT NULL")
        .unwrap();
    for table in tables.query_map([], |row| row.get::<_, String>(0)).unwrap() {
        writeln!(sql, "{};", table.unwrap()).unwrap();
    }
    sql += "PRAGMA user_version = 1;\n";
    // Documents and logs as they are; keys and answers of the desk belong to no golden.
    for (table, columns, wanted) in [
        (
            "events",
            "quote(number)||','||quote(at)||','||quote(node)||','||quote(body)",
            "1",
        ),
        (
            "logs",
            "quote(run)||','||quote(node)||','||quote(start)||','||quote(body)",
            "1",
        ),
        (
            "log_ends",
            "quote(run)||','||quote(node)||','||quote(end_at)||','||quote(kept)||','||quote(lost)",
            "1",
        ),
        (
            "documents",
            "quote(key)||','||quote(body)",
            "key LIKE 'sha256:%'",
        ),
    ] {
        let query = format!("SELECT {columns} FROM {table} WHERE {wanted}");
        let mut rows = db.prepare(&query).unwrap();
        for row in rows.query_map([], |row| row.get::<_, String>(0)).unwrap() {
            writeln!(sql, "INSERT INTO {table} VALUES ({});", row.unwrap()).unwrap();
        }
    }
    std::fs::write(out, sql).unwrap();
}
