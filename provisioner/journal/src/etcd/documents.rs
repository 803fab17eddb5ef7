// SPDX-License-Identifier: Apache-2.0
//! Which documents there are, and how one goes. Their keys are digests of their names, so that whoever wants to know the names
//! looks at all of them.

use super::journal::{EtcdJournal, nonsense};
use super::stored::StoredDocument;
use super::wire::{delete, made_in, txn};
use crate::JournalError;

/// Documents that are looked at at once; each has about 250 bytes there.
const PAGE: usize = 100;

impl EtcdJournal {
    pub(super) fn names_of_documents(&self, prefix: &str) -> Result<Vec<String>, JournalError> {
        let (mut first, end) = self.keys.documents();
        let mut names = Vec::new();
        loop {
            let page = self.page(&first, &end, PAGE)?;
            for kv in &page.kvs {
                let key = kv.key().ok_or(nonsense("a key that is no base64"))?;
                let value = kv.value().ok_or(nonsense("a value that is no base64"))?;
                first = behind(&key);
                let stored: StoredDocument = serde_json::from_slice(&value)
                    .map_err(|source| JournalError::Document { key, source })?;
                if stored.name.starts_with(prefix) {
                    names.push(stored.name);
                }
            }
            if page.kvs.len() < PAGE {
                names.sort_unstable();
                return Ok(names);
            }
        }
    }

    /// The document and all its pieces go in one transaction.
    pub(super) fn without_document(&self, name: &str) -> Result<(), JournalError> {
        let key = self.keys.document(name);
        let (first, end) = self.keys.all_pieces(name);
        let success = [delete(&key, &behind(&key)), delete(&first, &end)];
        let lead = made_in(&self.keys.leader(), self.term()?);
        let answer = self.tell(&txn(&[lead], &success, &[]))?;
        self.still_lead(answer.succeeded)
    }
}

/// The first key behind this one that there can be.
fn behind(key: &str) -> String {
    format!("{key}\0")
}
