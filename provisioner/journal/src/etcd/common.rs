// SPDX-License-Identifier: Apache-2.0
//! What provisioners keep in common beside the events. Everybody may write it, the leader or not; a write compares the revision
//! that its writer read, so that two who write at once both go through one after the other.

use super::client::Client;
use super::keys::Keys;
use super::wire::{RangeAnswer, TxnAnswer, changed_in, one, put, txn};
use crate::Common;
use crate::error::{EngineError, JournalError};

/// Bytes of one value: etcd takes requests of 1.5 MiB.
const VALUE_MAX: usize = 1 << 20;

/// The common things of one cluster.
pub struct EtcdCommon {
    client: Client,
    keys: Keys,
}

impl EtcdCommon {
    pub(super) fn new(client: Client, keys: Keys) -> Self {
        Self { client, keys }
    }
}

impl Common for EtcdCommon {
    fn get(&self, name: &str) -> Result<(Option<Vec<u8>>, u64), JournalError> {
        let body = one(&self.keys.common(name));
        let answer: RangeAnswer = self
            .client
            .call("kv/range", &body)
            .map_err(JournalError::Read)?;
        let Some(kv) = answer.kvs.first() else {
            return Ok((None, 0));
        };
        let value = kv.value().ok_or_else(|| {
            JournalError::Read(EngineError::EtcdNonsense {
                endpoint: "a member".into(),
                call: "kv/range",
                said: "a value that is no base64".into(),
            })
        })?;
        let seen = u64::try_from(kv.mod_revision.0)
            .map_err(|_| JournalError::Range("a revision of etcd"))?;
        Ok((Some(value), seen))
    }

    fn put(&self, name: &str, bytes: &[u8], seen: u64) -> Result<bool, JournalError> {
        if bytes.len() > VALUE_MAX {
            return Err(JournalError::Range("what provisioners keep in common"));
        }
        let seen = i64::try_from(seen).map_err(|_| JournalError::Range("a revision of etcd"))?;
        let key = self.keys.common(name);
        let body = txn(&[changed_in(&key, seen)], &[put(&key, bytes)], &[]);
        let answer: TxnAnswer = self
            .client
            .call("kv/txn", &body)
            .map_err(JournalError::Write)?;
        Ok(answer.succeeded)
    }
}
