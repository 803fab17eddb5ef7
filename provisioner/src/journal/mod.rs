// SPDX-License-Identifier: Apache-2.0
//! The journal: append-only, numbered, durable. Behind a narrow trait, so that another engine can take its place.

mod sqlite;

pub use sqlite::SqliteJournal;

use groundstate_api::event::Event;
use groundstate_api::{NodeId, RunId};
use std::path::PathBuf;

/// Where events and logs are kept.
pub trait Journal: Send {
    /// Makes all events durable, or none. Their numbers follow each other and begin after the newest one.
    ///
    /// # Errors
    /// Where they could not be made durable, a number taken by another writer included.
    fn append(&mut self, events: &[Event]) -> Result<(), JournalError>;
    /// At most `limit` events with a number above `after`, by rising number, of `node` or of all.
    ///
    /// # Errors
    /// Where the journal cannot be read.
    fn read(
        &self,
        after: u64,
        limit: usize,
        node: Option<&NodeId>,
    ) -> Result<Vec<Event>, JournalError>;
    /// Number of the newest event, 0 where there is none.
    ///
    /// # Errors
    /// Where the journal cannot be read.
    fn newest(&self) -> Result<u64, JournalError>;
    /// Keeps a piece of a run's log. A piece, or the part of it, that is there already is ignored; what exceeds
    /// [`groundstate_api::limits::LOG_PER_RUN_MAX`] is counted and not kept.
    ///
    /// # Errors
    /// Where it could not be made durable.
    fn append_log(
        &mut self,
        node: &NodeId,
        run: &RunId,
        offset: u64,
        text: &str,
    ) -> Result<(), JournalError>;
    /// The log of one of the node's runs; `None` where that node has no such log.
    ///
    /// # Errors
    /// Where the journal cannot be read.
    fn log(&self, node: &NodeId, run: &RunId) -> Result<Option<String>, JournalError>;
    /// Keeps a document under a name, in the place of what was there under it.
    ///
    /// # Errors
    /// Where it could not be made durable.
    fn put_document(&mut self, key: &str, bytes: &[u8]) -> Result<(), JournalError>;
    /// A document; `None` where there is none of this name.
    ///
    /// # Errors
    /// Where the journal cannot be read.
    fn document(&self, key: &str) -> Result<Option<Vec<u8>>, JournalError>;
}

/// A boot's log within its run begins at a multiple of this many bytes, so that the logs of a run's boots follow one another
/// although each counts its bytes from 0. A TiB is more than any boot says.
const LOG_OF_BOOT: u64 = 1 << 40;

/// Where the log of a run's boot (1, 2, …) begins.
pub(crate) fn log_of_boot(boot: u32) -> u64 {
    u64::from(boot.saturating_sub(1)).saturating_mul(LOG_OF_BOOT)
}

/// Why the journal could not be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The file cannot be opened or set up.
    #[error("the journal {path} cannot be opened: {source}")]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        source: rusqlite::Error,
    },
    /// It was written by a newer Groundstate.
    #[error("the journal {path} has version {found}; this groundstate reads version {ours}")]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// Ours.
        ours: i64,
    },
    /// Something could not be written.
    #[error("the journal cannot be written: {0}")]
    Write(#[source] rusqlite::Error),
    /// Something could not be read.
    #[error("the journal cannot be read: {0}")]
    Read(#[source] rusqlite::Error),
    /// An event is not what we write.
    #[error("event {number} of the journal cannot be understood: {source}")]
    Event {
        /// Its number.
        number: u64,
        /// Why.
        source: serde_json::Error,
    },
    /// An event cannot be written as JSON.
    #[error("an event cannot be encoded: {0}")]
    Encode(#[source] serde_json::Error),
    /// An event names a document that is not there.
    #[error("the journal has no document {key:?}, and an event names it")]
    NoDocument {
        /// Its name.
        key: String,
    },
    /// A document is not what its name says.
    #[error("the journal's document {key:?} has another digest than its name")]
    WrongDocument {
        /// Its name.
        key: String,
    },
    /// A document is not what we write.
    #[error("the journal's document {key:?} cannot be understood: {source}")]
    Document {
        /// Its name.
        key: String,
        /// Why.
        source: serde_json::Error,
    },
    /// A number is outside of what the file can hold.
    #[error("{0} is out of the journal's range")]
    Range(&'static str),
}
