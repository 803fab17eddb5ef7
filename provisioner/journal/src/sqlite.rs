// SPDX-License-Identifier: Apache-2.0
//! The journal in SQLite: write-ahead log, synchronous, one writer.

use crate::audit::{Audited, Orders, PATH};
use crate::error::{EngineError, JournalError};
use crate::text::{LogEnd, Together, add};
use crate::{Election, Journal, Reader};
use groundstate_api::event::Event;
use groundstate_api::{Millis, NodeId, RunId};
use rusqlite::{Connection, ErrorCode, OptionalExtension as _, params};
use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Version of the tables (`PRAGMA user_version`).
const VERSION: i64 = 1;
/// How long a write waits for a reader such as `sqlite3` or a backup.
const BUSY: Duration = Duration::from_secs(5);
/// Events of one transaction: more gain nothing, since the disk is asked once in any case.
const BATCH_MAX: usize = 1_000;
/// How often a waiting reader looks.
const LOOK: Duration = Duration::from_millis(50);
/// Pages of the write-ahead log before it is brought into the file: 16 MiB, so that a wave of nodes does not do it all the time.
const CHECKPOINT: i64 = 4_096;

const TABLES: &str = r#"
CREATE TABLE IF NOT EXISTS events (
    number INTEGER PRIMARY KEY,
    at     INTEGER NOT NULL,
    node   TEXT,
    body   TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS events_by_node ON events (node, number);
CREATE INDEX IF NOT EXISTS orders ON events (number)
    WHERE substr(body, 1, 21) = '{"happened":"audited"';
CREATE INDEX IF NOT EXISTS orders_by ON events (json_extract(body, '$.audit.by'), number)
    WHERE substr(body, 1, 21) = '{"happened":"audited"';
CREATE INDEX IF NOT EXISTS orders_at ON events (
    substr(json_extract(body, '$.audit.did'), instr(json_extract(body, '$.audit.did'), ' ') + 1), number
) WHERE substr(body, 1, 21) = '{"happened":"audited"';
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
"#;

/// The embedded journal.
#[derive(Debug)]
pub struct SqliteJournal {
    db: Connection,
    path: PathBuf,
}

impl SqliteJournal {
    /// Opens the journal, and makes it where there is none, for its owner alone: the texts of the site that are placed on hosts
    /// are in it.
    ///
    /// # Errors
    /// Where the file cannot be used, or a newer version wrote it.
    pub fn open(path: &Path) -> Result<Self, JournalError> {
        let open = |source: rusqlite::Error| JournalError::Open {
            place: path.display().to_string(),
            source: match source.sqlite_error_code() {
                Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
                    EngineError::Damaged(source)
                }
                Some(_) | None => source.into(),
            },
        };
        make_private(path).map_err(|source| JournalError::Open {
            place: path.display().to_string(),
            source: source.into(),
        })?;
        let db = Connection::open(path).map_err(open)?;
        db.busy_timeout(BUSY).map_err(open)?;
        db.pragma_update(None, "journal_mode", "WAL")
            .map_err(open)?;
        db.pragma_update(None, "synchronous", "FULL")
            .map_err(open)?;
        db.pragma_update(None, "wal_autocheckpoint", CHECKPOINT)
            .map_err(open)?;
        let found: i64 = db
            .pragma_query_value(None, "user_version", |row| row.get(0))
            .map_err(open)?;
        if found > VERSION {
            return Err(JournalError::Version {
                place: path.display().to_string(),
                found,
                ours: VERSION,
            });
        }
        db.execute_batch(TABLES).map_err(open)?;
        db.pragma_update(None, "user_version", VERSION)
            .map_err(open)?;
        Ok(Self {
            db,
            path: path.to_owned(),
        })
    }
}

/// An empty file is a new journal to SQLite, which gives the files beside it the same rights.
fn make_private(path: &Path) -> io::Result<()> {
    let mut open = OpenOptions::new();
    match open.write(true).create_new(true).mode(0o600).open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

/// As the indices `orders` have it: SQLite uses them only where it stands so.
const IS_ORDER: &str = "substr(body, 1, 21) = '{\"happened\":\"audited\"'";
/// Of a caller.
const BY_CALLER: &str = "AND json_extract(body, '$.audit.by') = :by";
/// What only asked is left out.
const NO_DRY_RUN: &str = "AND json_extract(body, '$.audit.dry_run') IS NOT 1";
/// About a node: its own path, or one below it.
const AT_NODE: &str = "AND (
    substr(json_extract(body, '$.audit.did'), instr(json_extract(body, '$.audit.did'), ' ') + 1) = :path
    OR substr(json_extract(body, '$.audit.did'), instr(json_extract(body, '$.audit.did'), ' ') + 1) >= :first
    AND substr(json_extract(body, '$.audit.did'), instr(json_extract(body, '$.audit.did'), ' ') + 1) < :end)";

impl SqliteJournal {
    fn events(
        &self,
        after: i64,
        limit: usize,
        node: Option<&NodeId>,
        order: &str,
    ) -> Result<Vec<Event>, JournalError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let filter = if node.is_some() {
            "AND node = ?3"
        } else {
            "AND ?3 IS NULL"
        };
        let sql = format!(
            "SELECT number, at, node, body FROM events WHERE number > ?1 {filter} ORDER BY number {order} LIMIT ?2"
        );
        let mut query = self.db.prepare_cached(&sql).map_err(unread)?;
        let mut rows = query
            .query(params![after, limit, node.map(NodeId::as_str)])
            .map_err(unread)?;
        events_of(&mut rows)
    }
}

/// Rows of number, time, node and body as events.
fn events_of(rows: &mut rusqlite::Rows<'_>) -> Result<Vec<Event>, JournalError> {
    let mut events = Vec::new();
    while let Some(row) = rows.next().map_err(unread)? {
        let number = from_row(row.get(0).map_err(unread)?, "an event's number")?;
        let at = from_row(row.get(1).map_err(unread)?, "an event's time")?;
        let node = row.get_ref(2).and_then(|text| Ok(text.as_str_or_null()?));
        let node = node
            .map_err(unread)?
            .map(str::parse)
            .transpose()
            .map_err(|_| JournalError::Range("a node's name"))?;
        let body = row.get_ref(3).and_then(|text| Ok(text.as_str()?));
        let what = serde_json::from_str(body.map_err(unread)?)
            .map_err(|source| JournalError::Event { number, source })?;
        events.push(Event {
            number,
            at: Millis(at),
            node,
            what,
        });
    }
    Ok(events)
}

fn wrong(source: rusqlite::Error) -> JournalError {
    JournalError::Write(EngineError::Sqlite(source))
}

fn unread(source: rusqlite::Error) -> JournalError {
    JournalError::Read(EngineError::Sqlite(source))
}

fn to_row(number: u64, what: &'static str) -> Result<i64, JournalError> {
    i64::try_from(number).map_err(|_| JournalError::Range(what))
}

fn from_row(number: i64, what: &'static str) -> Result<u64, JournalError> {
    u64::try_from(number).map_err(|_| JournalError::Range(what))
}

/// A number that is there already is another writer's; everything else is the disk's.
fn not_inserted(number: u64) -> impl Fn(rusqlite::Error) -> JournalError {
    move |source| match source.sqlite_error_code() {
        Some(ErrorCode::ConstraintViolation) => JournalError::Taken { number },
        Some(_) | None => wrong(source),
    }
}

impl Reader for SqliteJournal {
    fn read(
        &self,
        after: u64,
        limit: usize,
        node: Option<&NodeId>,
    ) -> Result<Vec<Event>, JournalError> {
        // A cursor beyond the range is beyond every event.
        let after = i64::try_from(after).unwrap_or(i64::MAX);
        self.events(after, limit, node, "ASC")
    }

    fn latest(&self, limit: usize, node: Option<&NodeId>) -> Result<Vec<Event>, JournalError> {
        let mut events = self.events(-1, limit, node, "DESC")?;
        events.reverse();
        Ok(events)
    }

    fn newest(&self) -> Result<u64, JournalError> {
        let newest: i64 = self
            .db
            .query_row("SELECT COALESCE(MAX(number), 0) FROM events", [], |row| {
                row.get(0)
            })
            .map_err(unread)?;
        from_row(newest, "an event's number")
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
            .map_err(unread)?;
        let Some(lost) = lost else { return Ok(None) };
        let mut query = self
            .db
            .prepare("SELECT start, body FROM logs WHERE run = ?1 AND node = ?2 ORDER BY start")
            .map_err(unread)?;
        let rows = query
            .query_map([run.as_str(), node.as_str()], |row| {
                Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?))
            })
            .map_err(unread)?;
        let mut together = Together::default();
        for row in rows {
            let (start, body) = row.map_err(unread)?;
            together.piece(from_row(start, "a log's offset")?, &body);
        }
        Ok(Some(together.done(from_row(lost, "a log's length")?)))
    }

    fn document(&self, key: &str) -> Result<Option<Vec<u8>>, JournalError> {
        self.db
            .query_row("SELECT body FROM documents WHERE key = ?1", [key], |row| {
                row.get(0)
            })
            .optional()
            .map_err(unread)
    }

    fn documents(&self, prefix: &str) -> Result<Vec<String>, JournalError> {
        let mut query = self
            .db
            .prepare("SELECT key FROM documents WHERE key >= ?1 ORDER BY key")
            .map_err(unread)?;
        let rows = query
            .query_map([prefix], |row| row.get::<_, String>(0))
            .map_err(unread)?;
        let mut names = Vec::new();
        for name in rows {
            let name = name.map_err(unread)?;
            if !name.starts_with(prefix) {
                break;
            }
            names.push(name);
        }
        Ok(names)
    }

    fn audited(
        &self,
        after: u64,
        limit: usize,
        wanted: Orders<'_>,
    ) -> Result<Audited, JournalError> {
        let begins = after;
        let after = i64::try_from(after).unwrap_or(i64::MAX);
        let by = wanted.by.map_or("", |_| BY_CALLER);
        let at = wanted.node.map_or("", |_| AT_NODE);
        let since = wanted.since.map_or("", |_| "AND at >= :since");
        let until = wanted.until.map_or("", |_| "AND at < :until");
        let dry = if wanted.no_dry_runs { NO_DRY_RUN } else { "" };
        let sql = format!(
            "SELECT number, at, node, body FROM events
             WHERE {IS_ORDER} AND number > :after {by} {at} {since} {until} {dry} ORDER BY number LIMIT :most"
        );
        let moment = |at: Millis| i64::try_from(at.0).unwrap_or(i64::MAX);
        let (since, until) = (wanted.since.map(moment), wanted.until.map(moment));
        let path = wanted.node.map(|node| format!("{PATH}{node}"));
        // '0' follows '/'.
        let (first, end) = (
            path.as_ref().map(|path| format!("{path}/")),
            path.as_ref().map(|path| format!("{path}0")),
        );
        // Before the look: what is written beside it is found by the next one.
        let newest = self.newest()?;
        let mut query = self.db.prepare_cached(&sql).map_err(unread)?;
        let most = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut given: Vec<(&str, &dyn rusqlite::ToSql)> =
            vec![(":after", &after), (":most", &most)];
        if wanted.by.is_some() {
            given.push((":by", &wanted.by));
        }
        if wanted.node.is_some() {
            given.extend([
                (":path", &path as &dyn rusqlite::ToSql),
                (":first", &first),
                (":end", &end),
            ]);
        }
        let moments = [(":since", &since), (":until", &until)];
        let moments = moments.into_iter().filter(|(_, at)| at.is_some());
        given.extend(moments.map(|(name, at)| (name, at as &dyn rusqlite::ToSql)));
        let mut rows = query.query(given.as_slice()).map_err(unread)?;
        let events = events_of(&mut rows)?;
        let full = events.len() >= limit;
        let looked_to = match events.last() {
            Some(last) if full => last.number,
            Some(last) => newest.max(begins).max(last.number),
            None => newest.max(begins),
        };
        Ok(Audited {
            events,
            looked_to,
            more: full,
        })
    }

    fn wait(&self, after: u64, most: Duration) -> Result<(), JournalError> {
        let end = Instant::now() + most;
        while self.newest()? <= after && Instant::now() < end {
            std::thread::sleep(LOOK);
        }
        Ok(())
    }
}

impl Journal for SqliteJournal {
    fn append(&mut self, events: &[Event]) -> Result<(), JournalError> {
        if events.len() > BATCH_MAX {
            return Err(JournalError::Range("a batch of events"));
        }
        let change = self.db.transaction().map_err(wrong)?;
        for event in events {
            let body = serde_json::to_string(&event.what).map_err(JournalError::Encode)?;
            // The number is the primary key: a second writer cannot fork the journal, its append fails.
            change
                .prepare_cached(
                    "INSERT INTO events (number, at, node, body) VALUES (?1, ?2, ?3, ?4)",
                )
                .map_err(wrong)?
                .execute(params![
                    to_row(event.number, "an event's number")?,
                    i64::try_from(event.at.0).unwrap_or(i64::MAX),
                    event.node.as_ref().map(NodeId::as_str),
                    body
                ])
                .map_err(not_inserted(event.number))?;
        }
        change.commit().map_err(wrong)
    }

    fn batch_max(&self) -> usize {
        BATCH_MAX
    }

    fn append_log(
        &mut self,
        node: &NodeId,
        run: &RunId,
        offset: u64,
        text: &str,
    ) -> Result<(), JournalError> {
        let change = self.db.transaction().map_err(wrong)?;
        let (end, kept, lost): (i64, i64, i64) = change
            .query_row(
                "SELECT end_at, kept, lost FROM log_ends WHERE run = ?1",
                [run.as_str()],
                |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
            )
            .optional()
            .map_err(wrong)?
            .unwrap_or_default();
        let end = LogEnd {
            end: from_row(end, "a log's length")?,
            kept: from_row(kept, "a log's length")?,
            lost: from_row(lost, "a log's length")?,
        };
        let Some(added) = add(end, offset, text) else {
            return Ok(());
        };
        if let Some((start, body)) = added.keep {
            let start = to_row(start, "a log's offset")?;
            change
                .execute(
                    "INSERT INTO logs (run, node, start, body) VALUES (?1, ?2, ?3, ?4)",
                    params![run.as_str(), node.as_str(), start, body],
                )
                .map_err(wrong)?;
        }
        change
            .execute(
                "INSERT INTO log_ends (run, node, end_at, kept, lost) VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT (run) DO UPDATE SET end_at = ?3, kept = ?4, lost = ?5",
                params![
                    run.as_str(),
                    node.as_str(),
                    to_row(added.then.end, "a log's offset")?,
                    to_row(added.then.kept, "a log's length")?,
                    to_row(added.then.lost, "a log's length")?,
                ],
            )
            .map_err(wrong)?;
        change.commit().map_err(wrong)
    }

    fn put_document(&mut self, key: &str, bytes: &[u8]) -> Result<(), JournalError> {
        self.db
            .execute(
                "INSERT INTO documents (key, body) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET body = ?2",
                params![key, bytes],
            )
            .map(|_| ())
            .map_err(wrong)
    }

    fn remove_document(&mut self, key: &str) -> Result<(), JournalError> {
        self.db
            .execute("DELETE FROM documents WHERE key = ?1", [key])
            .map(|_| ())
            .map_err(wrong)
    }

    fn reader(&self) -> Result<Box<dyn Reader>, JournalError> {
        Ok(Box::new(Self::open(&self.path)?))
    }

    fn election(&self) -> Option<Box<dyn Election>> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_new_journal_is_its_owners_alone_with_all_files_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let mut journal = SqliteJournal::open(&dir.path().join("journal.db")).unwrap();
        journal.put_document("k", b"a password").unwrap();
        let mut names = Vec::new();
        for file in std::fs::read_dir(dir.path()).unwrap() {
            let file = file.unwrap();
            let mode = file.metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{:?}", file.path());
            names.push(file.file_name().into_string().unwrap());
        }
        names.sort();
        assert_eq!(names, ["journal.db", "journal.db-shm", "journal.db-wal"]);
    }

    #[test]
    fn a_journal_that_cannot_be_made_says_where_and_why() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("none/journal.db");
        let said = SqliteJournal::open(&path).unwrap_err().to_string();
        assert!(
            said.contains("none/journal.db cannot be opened: the file cannot be made: "),
            "{said}"
        );
    }

    #[test]
    fn a_file_that_is_no_journal_is_left_as_it_is_and_says_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal.db");
        let bytes = b"no database".repeat(1_000);
        std::fs::write(&path, &bytes).unwrap();
        let said = SqliteJournal::open(&path).unwrap_err().to_string();
        assert!(said.contains("bring the file back from a copy"), "{said}");
        assert_eq!(std::fs::read(&path).unwrap(), bytes);
    }

    #[test]
    fn orders_are_found_by_an_index_and_not_by_looking_at_every_event() {
        let dir = tempfile::tempdir().unwrap();
        let journal = SqliteJournal::open(&dir.path().join("journal.db")).unwrap();
        let plan = |filter: &str| -> String {
            let sql = format!(
                "EXPLAIN QUERY PLAN SELECT number, at, node, body FROM events
                 WHERE {IS_ORDER} AND number > 7 {filter} ORDER BY number LIMIT 9"
            );
            let mut query = journal.db.prepare(&sql).unwrap();
            let rows = query.query_map([], |row| row.get::<_, String>(3)).unwrap();
            rows.map(Result::unwrap).collect::<Vec<_>>().join("; ")
        };
        for (filter, index) in [
            ("", "USING INDEX orders "),
            (
                "AND json_extract(body, '$.audit.by') = 'operator:ana'",
                "USING INDEX orders_by ",
            ),
        ] {
            let said = plan(filter);
            assert!(said.contains(index) && !said.contains("SCAN"), "{said}");
        }
        let at_node = AT_NODE
            .replace(":path", "'/v1/nodes/a'")
            .replace(":first", "'/v1/nodes/a/'")
            .replace(":end", "'/v1/nodes/a0'");
        let said = plan(&at_node);
        assert!(
            said.contains("USING INDEX orders") && !said.contains("SCAN"),
            "{said}"
        );
    }
}
