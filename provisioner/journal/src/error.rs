// SPDX-License-Identifier: Apache-2.0
//! Why the journal could not be used.

use crate::Leader;
use std::path::PathBuf;
use std::sync::Arc;

/// What an engine says.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// SQLite.
    #[error("{0}")]
    Sqlite(#[from] rusqlite::Error),
    /// The file of the journal is not there and cannot be made.
    #[error("the file cannot be made: {0}")]
    File(#[from] std::io::Error),
    /// The file is damaged, or was written by something else.
    #[error(
        "it is no journal, or no whole one ({0}); nothing was changed. Look at its disk, and bring the file back from a copy: without it nobody knows which hosts are on the nodes' disks"
    )]
    Damaged(rusqlite::Error),
    /// etcd answered that it would not.
    #[error("etcd at {endpoint} refuses {call}: {said}")]
    EtcdRefuses {
        /// Which member.
        endpoint: String,
        /// What was asked.
        call: &'static str,
        /// Its words.
        said: String,
    },
    /// No member of etcd answered in time.
    #[error("no etcd member answered {call} in time: {seen}")]
    EtcdSilent {
        /// What was asked.
        call: &'static str,
        /// What each member said last.
        seen: String,
        /// Whether a member may have carried it out all the same.
        uncertain: bool,
    },
    /// A file of ours for etcd cannot be used.
    #[error("{path} cannot be used for etcd: {said}")]
    EtcdFile {
        /// The file.
        path: PathBuf,
        /// Why.
        said: String,
    },
    /// A member shows a certificate that is not believed.
    #[error(
        "etcd at {endpoint} shows a certificate that is not believed ({said}): --journal-ca must be the CA that signed it, and it must name the host that is called"
    )]
    EtcdCertificate {
        /// Which member.
        endpoint: String,
        /// What TLS says.
        said: String,
    },
    /// A member does not believe ours, or there is none.
    #[error(
        "etcd at {endpoint} does not accept us over TLS ({said}): it asks for a certificate that its --trusted-ca-file signed, --journal-cert with --journal-key"
    )]
    EtcdOurCertificate {
        /// Which member.
        endpoint: String,
        /// What TLS says.
        said: String,
    },
    /// A member asks who we are, and nobody told us.
    #[error(
        "etcd at {endpoint} asks for a user, and none was given: --journal-login names a file with user:password"
    )]
    EtcdNoLogin {
        /// Which member.
        endpoint: String,
    },
    /// The user or the password is wrong.
    #[error(
        "etcd at {endpoint} does not take the user {user:?} with this password ({said}): see the file of --journal-login"
    )]
    EtcdLogin {
        /// Which member.
        endpoint: String,
        /// Whom we said to be.
        user: String,
        /// Its words.
        said: String,
    },
    /// A login was given to a cluster that asks nobody.
    #[error(
        "etcd at {endpoint} asks nobody who they are, so a login protects nothing: etcdctl auth enable, or leave --journal-login out"
    )]
    EtcdOpen {
        /// Which member.
        endpoint: String,
    },
    /// The user may not do that.
    #[error(
        "etcd's user {user:?} may not do {call} with the keys {keys}/: etcdctl role grant-permission ROLE --prefix=true readwrite {keys}/"
    )]
    EtcdDenied {
        /// Whom we are.
        user: String,
        /// What was asked.
        call: &'static str,
        /// What our keys begin with.
        keys: String,
    },
    /// etcd's answer is not what its API says.
    #[error("etcd at {endpoint} answers {call} with what is no answer: {said}")]
    EtcdNonsense {
        /// Which member.
        endpoint: String,
        /// What was asked.
        call: &'static str,
        /// What was wrong.
        said: String,
    },
}

/// Why the journal could not be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// It cannot be opened or set up.
    #[error("the journal {place} cannot be opened: {source}")]
    Open {
        /// The file or the cluster.
        place: String,
        /// Why.
        source: EngineError,
    },
    /// It was written by a newer Groundstate.
    #[error("the journal {place} has version {found}; this groundstate reads version {ours}")]
    Version {
        /// The file or the cluster.
        place: String,
        /// Its version.
        found: i64,
        /// Ours.
        ours: i64,
    },
    /// Something could not be written.
    #[error("the journal cannot be written: {0}")]
    Write(#[source] EngineError),
    /// Something could not be read.
    #[error("the journal cannot be read: {0}")]
    Read(#[source] EngineError),
    /// Another writer has the number.
    #[error("event {number} of the journal is another writer's")]
    Taken {
        /// The number.
        number: u64,
    },
    /// Another provisioner leads.
    #[error("this provisioner does not lead{}", .leader.as_ref().map(|l| format!(": {} does, at {}", l.name, l.url)).unwrap_or_default())]
    NotLeader {
        /// Who does, where that is known.
        leader: Option<Leader>,
    },
    /// The journal is not to be believed, or not the one that was used before; what it holds may still be read.
    #[error("the journal is not used: {why}")]
    Unusable {
        /// Why.
        why: String,
    },
    /// What is known here is less than the journal holds, which is the truth.
    #[error(
        "event {number} stands in the journal and was not taken in to its end: what is known here is not what the journal says"
    )]
    Unfolded {
        /// The first event of those.
        number: u64,
    },
    /// A site is durable, and what it takes to put it in force could not be read.
    #[error("the site of event {number} stands in the journal and is not in force yet: {source}")]
    NotInForce {
        /// The event that puts it in force.
        number: u64,
        /// What could not be read.
        source: Box<JournalError>,
    },
    /// Who was to decide and write came upon a fault of its own on the way.
    #[error("a fault of the provisioner ended this before it was answered")]
    Fault,
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
    #[error("the journal's document {key:?} has another digest than was written down for it")]
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
    /// What was written together failed together.
    #[error("{0}")]
    Shared(Arc<JournalError>),
    /// A number is outside of what the journal can hold.
    #[error("{0} is out of the journal's range")]
    Range(&'static str),
}

impl JournalError {
    /// The error itself, where several share it.
    #[must_use]
    pub fn one(&self) -> &Self {
        match self {
            Self::Shared(one) => one.one(),
            other => other,
        }
    }

    /// Whether what was to be written may be durable all the same.
    #[must_use]
    pub fn is_uncertain(&self) -> bool {
        match self {
            // SQLite's commit may fail after the bytes are on the disk.
            Self::Write(EngineError::Sqlite(_)) => true,
            Self::Write(EngineError::EtcdSilent { uncertain, .. }) => *uncertain,
            Self::Write(EngineError::EtcdNonsense { .. }) => true,
            Self::Shared(one) => one.is_uncertain(),
            Self::Write(
                EngineError::EtcdRefuses { .. }
                | EngineError::File(_)
                | EngineError::Damaged(_)
                | EngineError::EtcdFile { .. }
                | EngineError::EtcdCertificate { .. }
                | EngineError::EtcdOurCertificate { .. }
                | EngineError::EtcdNoLogin { .. }
                | EngineError::EtcdLogin { .. }
                | EngineError::EtcdOpen { .. }
                | EngineError::EtcdDenied { .. },
            )
            | Self::Open { .. }
            | Self::Version { .. }
            | Self::Read(_)
            | Self::Taken { .. }
            | Self::NotLeader { .. }
            | Self::Unusable { .. }
            | Self::Unfolded { .. }
            | Self::NotInForce { .. }
            | Self::Fault
            | Self::Event { .. }
            | Self::Encode(_)
            | Self::NoDocument { .. }
            | Self::WrongDocument { .. }
            | Self::Document { .. }
            | Self::Range(_) => false,
        }
    }
}
