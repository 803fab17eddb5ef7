// SPDX-License-Identifier: Apache-2.0
//! The journal: append-only, numbered, durable. Behind a narrow trait, so that engines can take each other's place.
//!
//! What is acknowledged is durable, and one writer at a time appends: who was replaced is refused, whatever it believes. The
//! journal never decides, never folds, and never repairs what it cannot understand.

mod audit;
mod error;
mod etcd;
#[cfg(feature = "peer")]
pub mod hooked;
#[cfg(feature = "peer")]
pub mod past;
#[cfg(feature = "peer")]
pub mod peer;
mod sqlite;
mod text;

pub use audit::{Audited, Orders};
pub use error::{EngineError, JournalError};
pub use etcd::{EtcdCommon, EtcdElection, EtcdJournal, EtcdOptions, OptionsError};
pub use sqlite::SqliteJournal;

use groundstate_api::event::Event;
use groundstate_api::{NodeId, RunId};
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};

/// What everybody may read.
pub trait Reader: Send {
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
    /// The newest events, at most `limit`, by rising number, of `node` or of all.
    ///
    /// # Errors
    /// Where the journal cannot be read.
    fn latest(&self, limit: usize, node: Option<&NodeId>) -> Result<Vec<Event>, JournalError>;
    /// Number of the newest event, 0 where there is none.
    ///
    /// # Errors
    /// Where the journal cannot be read.
    fn newest(&self) -> Result<u64, JournalError>;
    /// The log of one of the node's runs; `None` where that node has no such log.
    ///
    /// # Errors
    /// Where the journal cannot be read.
    fn log(&self, node: &NodeId, run: &RunId) -> Result<Option<String>, JournalError>;
    /// A document; `None` where there is none of this name.
    ///
    /// # Errors
    /// Where the journal cannot be read.
    fn document(&self, key: &str) -> Result<Option<Vec<u8>>, JournalError>;
    /// The names of all documents that begin with `prefix`, in order.
    ///
    /// # Errors
    /// Where the journal cannot be read.
    fn documents(&self, prefix: &str) -> Result<Vec<String>, JournalError>;
    /// Orders of the audit trail with a number above `after`, by rising number, at most `limit`.
    ///
    /// # Errors
    /// Where the journal cannot be read.
    fn audited(
        &self,
        after: u64,
        limit: usize,
        wanted: Orders<'_>,
    ) -> Result<Audited, JournalError> {
        audit::by_looking(self, after, limit, (wanted, u64::MAX))
    }
    /// Blocks until there is an event above `after`, or for `most`. Another event, or none, may have woken it.
    ///
    /// # Errors
    /// Where the journal cannot be read.
    fn wait(&self, after: u64, most: Duration) -> Result<(), JournalError>;
}

/// Where events, logs and documents are kept.
pub trait Journal: Reader {
    /// Makes all events durable, or none. Their numbers follow each other and begin after the newest one; there are at most
    /// [`Self::batch_max`].
    ///
    /// # Errors
    /// Where they could not be made durable, a number taken by another writer included. Where
    /// [`JournalError::is_uncertain`], they may be durable all the same: read before you go on.
    fn append(&mut self, events: &[Event]) -> Result<(), JournalError>;
    /// How many events one call of [`Self::append`] takes.
    fn batch_max(&self) -> usize;
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
    /// Keeps a document under a name, in the place of what was there under it.
    ///
    /// # Errors
    /// Where it could not be made durable.
    fn put_document(&mut self, key: &str, bytes: &[u8]) -> Result<(), JournalError>;
    /// Takes a document away; where there is none of this name, nothing changes.
    ///
    /// # Errors
    /// Where that could not be made durable.
    fn remove_document(&mut self, key: &str) -> Result<(), JournalError>;
    /// Another way to read, which does not wait for the writer.
    ///
    /// # Errors
    /// Where it cannot be opened.
    fn reader(&self) -> Result<Box<dyn Reader>, JournalError>;
    /// Who writes, where several may; `None` where the journal has one writer by its nature.
    fn election(&self) -> Option<Box<dyn Election>>;
    /// What provisioners keep in common, where several may; `None` where the journal has one writer by its nature.
    fn common(&self) -> Option<Box<dyn Common>> {
        None
    }
}

/// Small things that all provisioners of a site keep in common beside the events, and that each may change, whoever leads: what a
/// change adds must stay right whatever another one added meanwhile.
pub trait Common: Send {
    /// What stands under a name, and which state of it that is: 0 where there is nothing.
    ///
    /// # Errors
    /// Where the journal cannot be read.
    fn get(&self, name: &str) -> Result<(Option<Vec<u8>>, u64), JournalError>;
    /// Puts it in the place of the state that was read; false where another one was quicker: read again.
    ///
    /// # Errors
    /// Where it could not be made durable, or is too long.
    fn put(&self, name: &str, bytes: &[u8], seen: u64) -> Result<bool, JournalError>;
}

/// Who may write, where several provisioners share a journal.
pub trait Election: Send {
    /// Tries to become the one that writes, or to stay it. To be called again long before the end.
    ///
    /// # Errors
    /// Where the journal cannot be asked: then whoever leads does so until its time ends.
    fn lead(&mut self, me: &Leader) -> Result<Lead, JournalError>;
    /// The provisioners of the site, as the last [`Self::lead`] saw them: each that was there within a day.
    fn members(&self) -> Vec<Leader>;
    /// Gives the lead away at once; what is appended after that is refused.
    fn resign(&mut self);
}

/// Who leads, for people and for clients that must go there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leader {
    /// Its name.
    pub name: String,
    /// Where its API is.
    pub url: String,
}

/// The outcome of an election.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lead {
    /// We lead.
    Ours {
        /// Rises with every leader; what is appended carries it.
        term: u64,
        /// On the steady clock: from here on another one may lead. Counted from before we asked.
        until: Instant,
    },
    /// Somebody else leads, or nobody does for a moment.
    Others(Option<Leader>),
}

/// A boot's log within its run begins at a multiple of this many bytes, so that the logs of a run's boots follow one another
/// although each counts its bytes from 0. A TiB is more than any boot says.
pub(crate) const LOG_OF_BOOT: u64 = 1 << 40;

/// Where the log of a run's boot (1, 2, …) begins.
#[must_use]
pub fn log_of_boot(boot: u32) -> u64 {
    u64::from(boot.saturating_sub(1)).saturating_mul(LOG_OF_BOOT)
}
