// SPDX-License-Identifier: Apache-2.0
//! The engines under test, each in a place of its own.

use groundstate_journal::peer::Cluster;
use groundstate_journal::{Election, EtcdJournal, Journal, Lead, Leader, SqliteJournal};

/// One journal that can be opened again and again.
pub(crate) trait Engine {
    /// Opens it to write: where an election is needed, it is won.
    fn open(&self) -> Box<dyn Journal>;
}

pub(crate) struct Sqlite(tempfile::TempDir);

impl Sqlite {
    pub(crate) fn start() -> Option<Self> {
        Some(Self(tempfile::tempdir().unwrap()))
    }
}

impl Engine for Sqlite {
    fn open(&self) -> Box<dyn Journal> {
        Box::new(SqliteJournal::open(&self.0.path().join("journal.db")).unwrap())
    }
}

pub(crate) struct Etcd(pub(crate) Cluster);

impl Etcd {
    pub(crate) fn start() -> Option<Self> {
        Cluster::start(1).map(Self)
    }

    pub(crate) fn journal(&self) -> EtcdJournal {
        EtcdJournal::open(&self.0.options("site")).unwrap()
    }
}

impl Engine for Etcd {
    /// Whoever opens takes over, so that the one before is deposed.
    fn open(&self) -> Box<dyn Journal> {
        let journal = self.journal();
        LAST.with_borrow_mut(|last| {
            if let Some(election) = last {
                election.resign();
            }
            let mut election = journal.election().unwrap();
            let lead = election.lead(&me("tester")).unwrap();
            assert!(matches!(lead, Lead::Ours { .. }), "{lead:?}");
            *last = Some(election);
        });
        Box::new(journal)
    }
}

thread_local! {
    static LAST: std::cell::RefCell<Option<Box<dyn Election>>> = const { std::cell::RefCell::new(None) };
}

pub(crate) fn me(name: &str) -> Leader {
    Leader {
        name: name.into(),
        url: format!("https://{name}:8443"),
    }
}
