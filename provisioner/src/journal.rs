// SPDX-License-Identifier: Apache-2.0
//! The journal, as this crate uses it; the engines are a crate of their own.

pub use groundstate_journal::{
    Audited, Common, Election, EtcdJournal, EtcdOptions, Journal, JournalError, Lead, Leader,
    OptionsError, Orders, Reader, SqliteJournal,
};

pub(crate) use groundstate_journal::log_of_boot;

use groundstate_api::{Reason, ReasonCode};
use groundstate_journal::EngineError;

/// Whether what was to be written may stand in the journal, and the answer to who asked is no answer to that: the cluster said
/// nothing at all, the decision ended in a fault, or a site waits to be put in force.
pub(crate) fn may_stand(error: &JournalError) -> bool {
    match error.one() {
        JournalError::Fault | JournalError::NotInForce { .. } => true,
        JournalError::Write(EngineError::EtcdSilent { uncertain, .. }) => *uncertain,
        JournalError::Write(EngineError::EtcdNonsense { .. }) => true,
        _ => false,
    }
}

/// What to do where the journal cannot be used, for people.
#[must_use]
pub fn reason_of(error: &JournalError) -> Reason {
    let said = error.to_string();
    match error.one() {
        JournalError::NotLeader { leader } => not_leader(leader.as_ref()),
        JournalError::Unfolded { .. } => Reason::new(
            ReasonCode::JournalUnusable,
            "this provisioner has stopped deciding: a fault of its own kept it from taking in what stands in the journal",
            "restart groundstate: the journal is the truth, and is folded anew at the start; then report the fault, with the provisioner's log",
        )
        .seen(said)
        .then("nothing more is decided or changed here until then; what was written stays in the journal"),
        JournalError::NotInForce { .. } => Reason::new(
            ReasonCode::JournalUnusable,
            "the new site is written down, and is not in force yet: what the journal has of its nodes cannot be read",
            "look at the disk of the state directory, or at the etcd cluster, and at the provisioner's log; then look at the site (groundstate site show)",
        )
        .seen(said)
        .then("nothing is decided before it is in force, which is tried again by itself; it need not be applied again"),
        JournalError::Fault => Reason::new(
            ReasonCode::Internal,
            "the provisioner came upon a fault of its own, and does not know whether this was done",
            "look at the node before you ask again (groundstate node explain NODE), and at the provisioner's log",
        )
        .seen(said)
        .then("what was written down stands, and nothing else was changed"),
        JournalError::Write(_) if may_stand(error) => Reason::new(
            ReasonCode::JournalUnusable,
            "the journal did not say whether it took this",
            "look at the node before you ask again, and at the etcd cluster: do its members answer?",
        )
        .seen(said)
        .then("what stands in the journal counts, and is read before anything else is decided"),
        JournalError::Write(_)
        | JournalError::Taken { .. }
        | JournalError::Open { .. }
        | JournalError::Version { .. }
        | JournalError::Unusable { .. }
        | JournalError::NoDocument { .. }
        | JournalError::WrongDocument { .. } => Reason::new(
            ReasonCode::JournalUnusable,
            "the journal does not take anything now, so nothing is decided",
            "look at the disk of the state directory, or at the etcd cluster: is it full, gone or restored from a backup?",
        )
        .seen(said)
        .then("nothing was changed; it is tried again with the next request"),
        JournalError::Read(_)
        | JournalError::Event { .. }
        | JournalError::Encode(_)
        | JournalError::Document { .. }
        | JournalError::Shared(_)
        | JournalError::Range(_) => Reason::new(
            ReasonCode::Internal,
            "the provisioner cannot do that now",
            "look at the provisioner's log and its disk",
        )
        .seen(said)
        .then("nothing was changed; ask again"),
    }
}

/// Who follows says who leads.
#[must_use]
pub fn not_leader(leader: Option<&Leader>) -> Reason {
    let next = match leader {
        Some(leader) => format!("ask {} at {}", leader.name, leader.url),
        None => "ask again in a few seconds: a leader is being elected".to_owned(),
    };
    let seen = leader.map_or_else(
        || "nobody leads at this moment".to_owned(),
        |leader| format!("{} leads", leader.name),
    );
    Reason::new(
        ReasonCode::NotLeader,
        "this provisioner follows another one, and only answers questions",
        next,
    )
    .seen(seen)
    .then("nothing was changed here; this provisioner takes over by itself when the leader is gone")
}
