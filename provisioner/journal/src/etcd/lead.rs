// SPDX-License-Identifier: Apache-2.0
//! Who writes: the one whose key stands in etcd, for as long as its lease lives. The key's creation revision is the term, and
//! every write compares it, so that whoever was replaced cannot write even where it does not know yet.

use super::Fence;
use super::client::Client;
use super::keys::Keys;
use super::wire::{
    Alive, Int, KeyValue, LeaseAnswer, Streamed, TxnAnswer, get, made_in, put_leased, range, txn,
};
use crate::error::{EngineError, JournalError};
use crate::{Election, Lead, Leader};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// How long a leader may be silent until another one takes over. Where a leader of etcd's own dies at the same moment, its
/// election (one to two seconds) begins the lease anew: a new leader acts in under ten seconds even then.
const LEASE: Duration = Duration::from_secs(3);

/// How long a provisioner is told of that was not there: over a night and a morning's work at its machine.
const MEMBER: Duration = Duration::from_secs(24 * 3_600);
/// How often it says that it is there.
const ENLIST_EVERY: Duration = Duration::from_secs(3_600);
/// Provisioners of one site.
const MEMBERS_MAX: usize = 16;

/// One candidate.
pub struct EtcdElection {
    client: Client,
    keys: Keys,
    fence: Arc<Fence>,
    lease: Option<i64>,
    /// When we wrote down that we are there.
    enlisted: Option<Instant>,
    members: Vec<Leader>,
}

/// What the leader's key says.
#[derive(Serialize, Deserialize)]
struct Standing {
    #[serde(flatten)]
    who: Leader,
    lease: i64,
}

impl EtcdElection {
    pub(super) fn new(client: Client, keys: Keys, fence: Arc<Fence>) -> Self {
        Self {
            client,
            keys,
            fence,
            lease: None,
            enlisted: None,
            members: Vec::new(),
        }
    }

    /// Writes down that we are there, for a day; again every hour. Without it the others do not tell nodes of us: no more.
    fn enlist(&mut self, me: &Leader) {
        if self.enlisted.is_some_and(|at| at.elapsed() < ENLIST_EVERY) {
            return;
        }
        let put = || -> Result<(), JournalError> {
            let body = json!({"TTL": MEMBER.as_secs().to_string()});
            let made: LeaseAnswer = self
                .client
                .call_for_lease("lease/grant", &body)
                .map_err(JournalError::Write)?;
            let value = serde_json::to_vec(me).map_err(JournalError::Encode)?;
            let put = put_leased(&self.keys.member(&me.name), &value, made.id.0);
            let done: Result<TxnAnswer, _> =
                self.client.call_for_lease("kv/txn", &txn(&[], &[put], &[]));
            done.map(|_| ()).map_err(JournalError::Write)
        };
        match put() {
            Ok(()) => self.enlisted = Some(Instant::now()),
            Err(error) => tracing::warn!(%error, "the others do not hear of this provisioner yet"),
        }
    }

    /// The provisioners that a turn saw.
    fn see(&mut self, answer: &TxnAnswer) {
        let ranges = answer.responses.iter();
        let ranges = ranges.filter_map(|op| op.response_range.as_ref());
        let (first, _) = self.keys.members();
        let kvs = ranges.flat_map(|range| &range.kvs);
        let of_members = kvs.filter(|kv| kv.key().is_some_and(|key| key.starts_with(&first)));
        let members = of_members.filter_map(|kv| serde_json::from_slice(&kv.value()?).ok());
        self.members = members.collect();
    }

    fn forget(&mut self) {
        self.fence.store(0, Ordering::SeqCst);
        self.lease = None;
    }

    /// The lease, and until when it lives at least.
    fn lease(&mut self) -> Result<(i64, Instant), EngineError> {
        if let Some(id) = self.lease {
            let asked = Instant::now();
            let body = json!({"ID": id.to_string()});
            let alive: Streamed<Alive> = self.client.call_for_lease("lease/keepalive", &body)?;
            match u64::try_from(alive.result.ttl.0) {
                Ok(left) if left > 0 => return Ok((id, asked + Duration::from_secs(left))),
                Ok(_) | Err(_) => self.forget(),
            }
        }
        let asked = Instant::now();
        let body = json!({"TTL": LEASE.as_secs().to_string()});
        let made: LeaseAnswer = self.client.call_for_lease("lease/grant", &body)?;
        self.lease = Some(made.id.0);
        Ok((made.id.0, asked + LEASE))
    }
}

fn revision(number: Int) -> u64 {
    u64::try_from(number.0).unwrap_or_default()
}

fn standing(kv: &KeyValue) -> Option<Standing> {
    serde_json::from_slice(&kv.value()?).ok()
}

impl Election for EtcdElection {
    fn lead(&mut self, me: &Leader) -> Result<Lead, JournalError> {
        let (lease, until) = self.lease().map_err(JournalError::Write)?;
        let key = self.keys.leader();
        let mine = Standing {
            who: me.clone(),
            lease,
        };
        let value = serde_json::to_vec(&mine).map_err(JournalError::Encode)?;
        let (first, end) = self.keys.members();
        let members = json!({"request_range": range(&first, &end, MEMBERS_MAX, false)});
        let body = txn(
            &[made_in(&key, 0)],
            &[put_leased(&key, &value, lease), members.clone()],
            &[get(&key), members],
        );
        let answer: TxnAnswer = self
            .client
            .call_for_lease("kv/txn", &body)
            .map_err(JournalError::Write)?;
        self.see(&answer);
        self.enlist(me);
        if answer.succeeded {
            let term = revision(answer.header.revision);
            self.fence.store(term, Ordering::SeqCst);
            return Ok(Lead::Ours { term, until });
        }
        let there = answer
            .responses
            .iter()
            .find_map(|op| op.response_range.as_ref()?.kvs.first());
        let Some((kv, says)) = there.and_then(|kv| Some((kv, standing(kv)?))) else {
            self.fence.store(0, Ordering::SeqCst);
            return Ok(Lead::Others(None));
        };
        if says.lease == lease {
            let term = revision(kv.create_revision);
            self.fence.store(term, Ordering::SeqCst);
            return Ok(Lead::Ours { term, until });
        }
        self.fence.store(0, Ordering::SeqCst);
        Ok(Lead::Others(Some(says.who)))
    }

    fn members(&self) -> Vec<Leader> {
        self.members.clone()
    }

    fn resign(&mut self) {
        self.fence.store(0, Ordering::SeqCst);
        if let Some(id) = self.lease.take() {
            let body = json!({"ID": id.to_string()});
            let gone: Result<serde_json::Value, _> =
                self.client.call_for_lease("lease/revoke", &body);
            if let Err(error) = gone {
                tracing::warn!(%error, "the lease is not given back; it ends by itself");
            }
        }
    }
}
