// SPDX-License-Identifier: Apache-2.0
//! The journal in SQLite: write-ahead log, synchronous, one writer.

use super::{Journal, JournalError, LOG_OF_BOOT};
use groundstate_api::event::Event;
use groundstate_api::headline::ordinal;
use groundstate_api::limits::LOG_PER_RUN_MAX;
use groundstate_api::{Millis, NodeId, RunId};
use rusqlite::{Connection, OptionalExtension as _, params};
use std::path::Path;
use std::time::Duration;

/// Version of the tables (`PRAGMA user_version`).
const VERSION: i64 = 1;
/// How long a write waits for a reader such as `sqlite3` or a backup.
const BUSY: Duration = Duration::from_secs(5);

const TABLES: &str = "
CREATE TABLE IF NOT EXISTS events (
    number INTEGER PRIMARY KEY,
    at     INTEGER NOT NULL,
    node   TEXT,
    body   TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS events_by_node ON events (node, number);
CREATE TABLE IF NOT EXISTS logs (
    run    TEXT NOT NULL,
    node   TEXT NOT NULL,
    start  INTEGER NOT NULL,
    body   TEXT NOT NULL,
    PRIMARY KEY (run, start)
) STRICT;
CREATE TABLE IF NOT EXISTS log_ends (
    run    TEXT PRIMARY KEY,
    node   TEXT NOT NULL,
    end_at INTEGER NOT NULL,
    kept   INTEGER NOT NULL,
    lost   INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS documents (
    key    TEXT PRIMARY KEY,
    body   BLOB NOT NULL
) STRICT;
";

/// The embedded journal.
#[derive(Debug)]
pub struct SqliteJournal {
    db: Connection,
}

impl SqliteJournal {
    /// Opens the journal, and makes it where there is none.
    ///
    /// # Errors
    /// Where the file cannot be used, or a newer version wrote it.
    pub fn open(path: &Path) -> Result<Self, JournalError> {
        let open = |source| JournalError::Open {
            path: path.to_owned(),
            source,
        };
        let db = Connection::open(path).map_err(open)?;
        db.busy_timeout(BUSY).map_err(open)?;
        db.pragma_update(None, "journal_mode", "WAL")
            .map_err(open)?;
        db.pragma_update(None, "synchronous", "FULL")
            .map_err(open)?;
        let found: i64 = db
            .pragma_query_value(None, "user_version", |row| row.get(0))
            .map_err(open)?;
        if found > VERSION {
            return Err(JournalError::Version {
                path: path.to_owned(),
                found,
                ours: VERSION,
            });
        }
        db.execute_batch(TABLES).map_err(open)?;
        db.pragma_update(None, "user_version", VERSION)
            .map_err(open)?;
        Ok(Self { db })
    }
}

fn to_row(number: u64, what: &'static str) -> Result<i64, JournalError> {
    i64::try_from(number).map_err(|_| JournalError::Range(what))
}

fn from_row(number: i64, what: &'static str) -> Result<u64, JournalError> {
    u64::try_from(number).map_err(|_| JournalError::Range(what))
}

impl Journal for SqliteJournal {
    fn append(&mut self, events: &[Event]) -> Result<(), JournalError> {
        let change = self.db.transaction().map_err(JournalError::Write)?;
        for event in events {
            let body = serde_json::to_string(&event.what).map_err(JournalError::Encode)?;
            // The number is the primary key: a second writer cannot fork the journal, its append fails.
            change
                .prepare_cached(
                    "INSERT INTO events (number, at, node, body) VALUES (?1, ?2, ?3, ?4)",
                )
                .and_then(|mut insert| {
                    insert.execute(params![
                        i64::try_from(event.number).unwrap_or(i64::MAX),
                        i64::try_from(event.at.0).unwrap_or(i64::MAX),
                        event.node.as_ref().map(NodeId::as_str),
                        body
                    ])
                })
                .map_err(JournalError::Write)?;
        }
        change.commit().map_err(JournalError::Write)
    }

    fn read(
        &self,
        after: u64,
        limit: usize,
        node: Option<&NodeId>,
    ) -> Result<Vec<Event>, JournalError> {
        // A cursor beyond the range is beyond every event.
        let after = i64::try_from(after).unwrap_or(i64::MAX);
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let filter = if node.is_some() {
            "AND node = ?3"
        } else {
            "AND ?3 IS NULL"
        };
        let sql = format!(
            "SELECT number, at, node, body FROM events WHERE number > ?1 {filter} ORDER BY number LIMIT ?2"
        );
        let mut query = self.db.prepare_cached(&sql).map_err(JournalError::Read)?;
        let rows = query
            .query_map(params![after, limit, node.map(NodeId::as_str)], |row| {
                Ok((
                    row.get::<_, i64>(0)?,
                    row.get::<_, i64>(1)?,
                    row.get::<_, Option<String>>(2)?,
                    row.get::<_, String>(3)?,
                ))
            })
            .map_err(JournalError::Read)?;
        let mut events = Vec::new();
        for row in rows {
            let (number, at, node, body) = row.map_err(JournalError::Read)?;
            let number = from_row(number, "an event's number")?;
            let node = node
                .map(|text| text.parse())
                .transpose()
                .map_err(|_| JournalError::Range("a node's name"))?;
            let what = serde_json::from_str(&body)
                .map_err(|source| JournalError::Event { number, source })?;
            events.push(Event {
                number,
                at: Millis(from_row(at, "an event's time")?),
                node,
                what,
            });
        }
        Ok(events)
    }

    fn newest(&self) -> Result<u64, JournalError> {
        let newest: i64 = self
            .db
            .query_row("SELECT COALESCE(MAX(number), 0) FROM events", [], |row| {
                row.get(0)
            })
            .map_err(JournalError::Read)?;
        from_row(newest, "an event's number")
    }

    fn append_log(
        &mut self,
        node: &NodeId,
        run: &RunId,
        offset: u64,
        text: &str,
    ) -> Result<(), JournalError> {
        let change = self.db.transaction().map_err(JournalError::Write)?;
        let (end, kept, lost): (i64, i64, i64) = change
            .query_row(
                "SELECT end_at, kept, lost FROM log_ends WHERE run = ?1",
                [run.as_str()],
                |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
            )
            .optional()
            .map_err(JournalError::Write)?
            .unwrap_or_default();
        let end = from_row(end, "a log's length")?;
        // What lies before the end was sent before.
        let Some(new) = usize::try_from(end.saturating_sub(offset))
            .ok()
            .and_then(|seen| text.get(seen..))
            .filter(|new| !new.is_empty())
        else {
            return Ok(());
        };
        let start = offset.max(end);
        let length = u64::try_from(new.len()).map_err(|_| JournalError::Range("a log's piece"))?;
        let room = LOG_PER_RUN_MAX
            .0
            .saturating_sub(from_row(kept, "a log's length")?);
        let fits = length <= room;
        if fits {
            change
                .execute(
                    "INSERT INTO logs (run, node, start, body) VALUES (?1, ?2, ?3, ?4)",
                    params![
                        run.as_str(),
                        node.as_str(),
                        to_row(start, "a log's offset")?,
                        new
                    ],
                )
                .map_err(JournalError::Write)?;
        }
        let length = to_row(length, "a log's piece")?;
        change
            .execute(
                "INSERT INTO log_ends (run, node, end_at, kept, lost) VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT (run) DO UPDATE SET end_at = ?3, kept = ?4, lost = ?5",
                params![
                    run.as_str(),
                    node.as_str(),
                    to_row(start, "a log's offset")?.saturating_add(length),
                    if fits { kept + length } else { kept },
                    if fits { lost } else { lost + length },
                ],
            )
            .map_err(JournalError::Write)?;
        change.commit().map_err(JournalError::Write)
    }

    fn log(&self, node: &NodeId, run: &RunId) -> Result<Option<String>, JournalError> {
        let lost: Option<i64> = self
            .db
            .query_row(
                "SELECT lost FROM log_ends WHERE run = ?1 AND node = ?2",
                [run.as_str(), node.as_str()],
                |row| row.get(0),
            )
            .optional()
            .map_err(JournalError::Read)?;
        let Some(lost) = lost else { return Ok(None) };
        let mut query = self
            .db
            .prepare("SELECT start, body FROM logs WHERE run = ?1 AND node = ?2 ORDER BY start")
            .map_err(JournalError::Read)?;
        let rows = query
            .query_map([run.as_str(), node.as_str()], |row| {
                Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?))
            })
            .map_err(JournalError::Read)?;
        let (mut text, mut end) = (String::new(), 0u64);
        for row in rows {
            let (start, body) = row.map_err(JournalError::Read)?;
            let start = from_row(start, "a log's offset")?;
            if start / LOG_OF_BOOT > end / LOG_OF_BOOT {
                end = start - start % LOG_OF_BOOT;
                let boot = ordinal(u32::try_from(end / LOG_OF_BOOT + 1).unwrap_or(u32::MAX));
                text.push_str(&format!(
                    "[the machine came back after power loss: {boot} boot of this run]\n"
                ));
            }
            if start > end {
                text.push_str(&format!(
                    "[{} bytes of the log are missing here]\n",
                    start - end
                ));
            }
            end = start.saturating_add(u64::try_from(body.len()).unwrap_or(u64::MAX));
            text.push_str(&body);
        }
        if lost > 0 {
            text.push_str(&format!("[{lost} bytes came after the log was full]\n"));
        }
        Ok(Some(text))
    }

    fn put_document(&mut self, key: &str, bytes: &[u8]) -> Result<(), JournalError> {
        self.db
            .execute(
                "INSERT INTO documents (key, body) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET body = ?2",
                params![key, bytes],
            )
            .map(|_| ())
            .map_err(JournalError::Write)
    }

    fn document(&self, key: &str) -> Result<Option<Vec<u8>>, JournalError> {
        self.db
            .query_row("SELECT body FROM documents WHERE key = ?1", [key], |row| {
                row.get(0)
            })
            .optional()
            .map_err(JournalError::Read)
    }
}

#[cfg(test)]
mod tests {
    use super::super::log_of_boot;
    use super::*;
    use groundstate_api::event::Happened;

    fn event(number: u64, node: Option<&str>) -> Event {
        Event {
            number,
            at: Millis(number * 1_000),
            node: node.map(|n| n.parse().unwrap()),
            what: Happened::NodeAdded,
        }
    }

    #[test]
    fn events_outlive_the_process_and_cannot_be_forked() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal.db");
        let events = [event(1, Some("a")), event(2, None), event(3, Some("b"))];
        let mut journal = SqliteJournal::open(&path).unwrap();
        journal.append(&events).unwrap();
        let mut second = SqliteJournal::open(&path).unwrap();
        assert_eq!(second.newest().unwrap(), 3);
        assert_eq!(second.read(0, 10, None).unwrap(), events);
        let b: NodeId = "b".parse().unwrap();
        assert_eq!(second.read(0, 10, Some(&b)).unwrap(), [event(3, Some("b"))]);
        assert_eq!(second.read(1, 1, None).unwrap(), [event(2, None)]);
        // Two writers with the same next number: one wins, and the other one's whole batch is refused.
        journal.append(&[event(4, None)]).unwrap();
        assert!(matches!(
            second.append(&[event(5, None), event(4, None)]),
            Err(JournalError::Write(_))
        ));
        assert_eq!(journal.newest().unwrap(), 4);
    }

    #[test]
    fn a_log_ignores_what_it_has_names_what_it_lacks_and_stays_in_bounds() {
        let dir = tempfile::tempdir().unwrap();
        let mut journal = SqliteJournal::open(&dir.path().join("journal.db")).unwrap();
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
        let text = journal.log(&node, &run).unwrap().unwrap();
        assert!(text.len() < (8 << 20) + 200);
        assert!(text.ends_with("bytes came after the log was full]\n"));
    }

    #[test]
    fn a_journal_of_a_newer_version_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal.db");
        drop(SqliteJournal::open(&path).unwrap());
        let db = Connection::open(&path).unwrap();
        db.pragma_update(None, "user_version", 2).unwrap();
        let error = SqliteJournal::open(&path).unwrap_err().to_string();
        assert!(error.contains("version 2"), "{error}");
    }
}
