// SPDX-License-Identifier: Apache-2.0
//! The trait over etcd's keys. An append is one transaction that compares the last number and the leader's term.

use super::Fence;
use super::client::Client;
use super::common::EtcdCommon;
use super::keys::{Keys, number_of};
use super::lead::EtcdElection;
use super::options::EtcdOptions;
use super::orders;
use super::stored::{Pieces, StoredDocument, StoredEvent, StoredLog};
use super::wire::{
    RangeAnswer, TxnAnswer, changed_in, delete, get, keys_of, made_in, one, put, range, txn, values,
};
use crate::error::{EngineError, JournalError};
use crate::text::{LogEnd, Together, add};
use crate::{Audited, Common, Election, Journal, Orders, Reader};
use groundstate_api::event::Event;
use groundstate_api::{Digest, NodeId, RunId};
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// Version of the layout of keys: who writes the first order into the index says that no older groundstate writes here any more,
/// which would leave orders out of it.
const VERSION: i64 = 2;
/// The oldest layout that is read: without the index of orders.
const OLDEST: i64 = 1;
/// Events of one transaction: etcd takes 128 operations by default, those of the index of orders among them as one each, and an
/// event is two; three more say how far the journal and the index go.
const BATCH_MAX: usize = 60;
/// Bytes of values in one transaction. etcd refuses requests beyond 1.5 MiB; base64 does not count, keys and frames do.
const INLINE_MAX: usize = 768 << 10;
/// Bytes of one piece of what is longer.
const PIECE: usize = 512 << 10;
/// Events that are asked for at once.
const PAGE: usize = 100;
/// How often a log's piece is tried where another try of ours came in between.
const LOG_TRIES: u32 = 3;

/// The journal in etcd.
#[derive(Clone, Debug)]
pub struct EtcdJournal {
    client: Client,
    pub(super) keys: Keys,
    fence: Arc<Fence>,
    /// Appends of this process, for stamps.
    appends: Arc<AtomicU64>,
    /// Whether the index of orders was begun.
    indexed: Arc<AtomicBool>,
}

impl EtcdJournal {
    /// Opens the journal, and makes it where there is none. Nothing is written until [`Election::lead`] says that we lead.
    ///
    /// # Errors
    /// Where no member answers, or a newer version wrote the keys.
    pub fn open(options: &EtcdOptions) -> Result<Self, JournalError> {
        let open = |source| JournalError::Open {
            place: options.place(),
            source,
        };
        let client = Client::new(options).map_err(open)?;
        let keys = Keys::new(&options.prefix);
        let key = keys.version();
        let begin = txn(
            &[made_in(&key, 0)],
            &[put(&key, VERSION.to_string().as_bytes())],
            &[get(&key)],
        );
        let answer: TxnAnswer = client.call("kv/txn", &begin).map_err(open)?;
        let found = values(&answer)
            .next()
            .and_then(|value| String::from_utf8(value).ok()?.parse().ok())
            .unwrap_or(if answer.succeeded { VERSION } else { 0 });
        if !(OLDEST..=VERSION).contains(&found) {
            return Err(JournalError::Version {
                place: options.place(),
                found,
                ours: VERSION,
            });
        }
        Ok(Self {
            client,
            keys,
            fence: Arc::new(Fence::new(0)),
            appends: Arc::new(AtomicU64::new(0)),
            indexed: Arc::default(),
        })
    }

    pub(super) fn term(&self) -> Result<u64, JournalError> {
        match self.fence.load(Ordering::SeqCst) {
            0 => Err(JournalError::NotLeader { leader: None }),
            term => Ok(term),
        }
    }

    pub(super) fn ask<T: serde::de::DeserializeOwned>(
        &self,
        call: &'static str,
        body: &Value,
    ) -> Result<T, JournalError> {
        self.client.call(call, body).map_err(JournalError::Read)
    }

    pub(super) fn tell(&self, body: &Value) -> Result<TxnAnswer, JournalError> {
        self.client
            .call("kv/txn", body)
            .map_err(JournalError::Write)
    }

    /// The value and the revision of its last change.
    pub(super) fn get(&self, key: &str) -> Result<Option<(Vec<u8>, i64)>, JournalError> {
        let answer: RangeAnswer = self.ask("kv/range", &one(key))?;
        let Some(kv) = answer.kvs.first() else {
            return Ok(None);
        };
        let value = kv.value().ok_or(nonsense("a value that is no base64"))?;
        Ok(Some((value, kv.mod_revision.0)))
    }

    /// Puts a value as long as we lead.
    fn put_fenced(&self, key: &str, value: &[u8]) -> Result<(), JournalError> {
        let lead = made_in(&self.keys.leader(), self.term()?);
        let answer = self.tell(&txn(&[lead], &[put(key, value)], &[]))?;
        self.still_lead(answer.succeeded)
    }

    pub(super) fn still_lead(&self, succeeded: bool) -> Result<(), JournalError> {
        if succeeded {
            return Ok(());
        }
        self.fence.store(0, Ordering::SeqCst);
        Err(JournalError::NotLeader { leader: None })
    }

    /// The operations that write the events; long bodies are written on the way, where nothing names them yet.
    fn operations(&self, events: &[Event], stamp: &str) -> Result<Vec<Value>, JournalError> {
        let (mut operations, mut room) = (Vec::new(), INLINE_MAX);
        for event in events {
            let mut stored = StoredEvent {
                at: event.at,
                node: event.node.clone(),
                what: Some(Box::new(event.what.clone())),
                body: None,
            };
            let mut value = serde_json::to_vec(&stored).map_err(JournalError::Encode)?;
            if value.len() > room.min(PIECE) {
                let body = serde_json::to_vec(&event.what).map_err(JournalError::Encode)?;
                let mut pieces = 0;
                for piece in body.chunks(PIECE) {
                    self.put_fenced(&self.keys.body(event.number, stamp, pieces), piece)?;
                    pieces += 1;
                }
                stored.what = None;
                stored.body = Some(Pieces {
                    stamp: stamp.to_owned(),
                    pieces,
                    digest: Digest::of(&body),
                });
                value = serde_json::to_vec(&stored).map_err(JournalError::Encode)?;
            }
            room = room.saturating_sub(value.len());
            operations.push(put(&self.keys.event(event.number), &value));
            if let Some(node) = &event.node {
                operations.push(put(&self.keys.of_node(node, event.number), b""));
            }
            operations.extend(orders::entries(&self.keys, event)?);
        }
        Ok(operations)
    }

    pub(super) fn event(&self, number: u64, value: &[u8]) -> Result<Event, JournalError> {
        let wrong = |source| JournalError::Event { number, source };
        let stored: StoredEvent = serde_json::from_slice(value).map_err(wrong)?;
        let what = match (stored.what, stored.body) {
            (Some(what), _) => *what,
            (None, Some(pieces)) => {
                let key = |piece| self.keys.body(number, &pieces.stamp, piece);
                let body = self.pieces(pieces.pieces, key, &pieces.digest, &format!("{number}"))?;
                serde_json::from_slice(&body).map_err(wrong)?
            }
            (None, None) => return Err(JournalError::Range("an event without a body")),
        };
        Ok(Event {
            number,
            at: stored.at,
            node: stored.node,
            what,
        })
    }

    fn pieces(
        &self,
        pieces: usize,
        key: impl Fn(usize) -> String,
        digest: &Digest,
        name: &str,
    ) -> Result<Vec<u8>, JournalError> {
        let mut bytes = Vec::new();
        for piece in 0..pieces {
            let found = self.get(&key(piece))?;
            let Some((value, _)) = found else {
                return Err(JournalError::NoDocument { key: name.into() });
            };
            bytes.extend_from_slice(&value);
        }
        if Digest::of(&bytes) != *digest {
            return Err(JournalError::WrongDocument { key: name.into() });
        }
        Ok(bytes)
    }

    pub(super) fn page(
        &self,
        first: &str,
        end: &str,
        limit: usize,
    ) -> Result<RangeAnswer, JournalError> {
        self.ask("kv/range", &range(first, end, limit, false))
    }

    fn read_all(&self, after: u64, limit: usize) -> Result<Vec<Event>, JournalError> {
        let (mut events, mut next) = (Vec::new(), after.saturating_add(1));
        while events.len() < limit {
            let want = PAGE.min(limit - events.len());
            let first = self.keys.event(next);
            let page = self.page(&first, &self.keys.events_end(), want)?;
            for kv in &page.kvs {
                let number = kv.key().as_deref().and_then(number_of);
                let number = number.ok_or(JournalError::Range("an event's key"))?;
                let value = kv.value().ok_or(nonsense("a value that is no base64"))?;
                events.push(self.event(number, &value)?);
                next = number.saturating_add(1);
            }
            if page.kvs.len() < want {
                break;
            }
        }
        Ok(events)
    }

    fn read_node(
        &self,
        after: u64,
        limit: usize,
        node: &NodeId,
    ) -> Result<Vec<Event>, JournalError> {
        let (mut events, mut next) = (Vec::new(), after.saturating_add(1));
        while events.len() < limit {
            let want = PAGE.min(limit - events.len());
            let first = self.keys.of_node(node, next);
            let page = self.page(&first, &self.keys.of_node_end(node), want)?;
            let keys = page.kvs.iter().filter_map(super::wire::KeyValue::key);
            let numbers: Vec<u64> = keys.filter_map(|key| number_of(&key)).collect();
            let gets: Vec<Value> = numbers.iter().map(|n| get(&self.keys.event(*n))).collect();
            if !gets.is_empty() {
                let answer: TxnAnswer = self.ask("kv/txn", &txn(&[], &gets, &[]))?;
                for (number, value) in numbers.iter().zip(values(&answer)) {
                    events.push(self.event(*number, &value)?);
                    next = number.saturating_add(1);
                }
            }
            if page.kvs.len() < want {
                break;
            }
        }
        Ok(events)
    }

    /// The newest number, the stamp of its append, and the revision of the answer.
    fn head(&self) -> Result<(u64, String, i64), JournalError> {
        let answer: RangeAnswer = self.ask("kv/range", &one(&self.keys.newest()))?;
        let value = answer.kvs.first().and_then(super::wire::KeyValue::value);
        let (number, stamp) = match value {
            None => (0, String::new()),
            Some(value) => newest_of(&value).ok_or(JournalError::Range("the newest number"))?,
        };
        Ok((number, stamp, answer.header.revision.0))
    }
}

fn newest_of(value: &[u8]) -> Option<(u64, String)> {
    let text = std::str::from_utf8(value).ok()?;
    let (number, stamp) = text.split_once(' ')?;
    Some((number.parse().ok()?, stamp.to_owned()))
}

pub(super) fn nonsense(said: &str) -> JournalError {
    JournalError::Read(EngineError::EtcdNonsense {
        endpoint: "a member".into(),
        call: "kv/range",
        said: said.into(),
    })
}

impl Reader for EtcdJournal {
    fn read(
        &self,
        after: u64,
        limit: usize,
        node: Option<&NodeId>,
    ) -> Result<Vec<Event>, JournalError> {
        match node {
            None => self.read_all(after, limit),
            Some(node) => self.read_node(after, limit, node),
        }
    }

    fn latest(&self, limit: usize, node: Option<&NodeId>) -> Result<Vec<Event>, JournalError> {
        let (first, end) = match node {
            None => (self.keys.event(0), self.keys.events_end()),
            Some(node) => (self.keys.of_node(node, 0), self.keys.of_node_end(node)),
        };
        let newest: RangeAnswer =
            self.ask("kv/range", &keys_of(range(&first, &end, limit, true)))?;
        let oldest = newest.kvs.last().and_then(|kv| number_of(&kv.key()?));
        match oldest {
            None => Ok(Vec::new()),
            Some(number) => self.read(number.saturating_sub(1), limit, node),
        }
    }

    fn newest(&self) -> Result<u64, JournalError> {
        Ok(self.head()?.0)
    }

    fn log(&self, node: &NodeId, run: &RunId) -> Result<Option<String>, JournalError> {
        let wrong = |source| JournalError::Document {
            key: format!("log of {run}"),
            source,
        };
        let Some((value, _)) = self.get(&self.keys.log_end(run))? else {
            return Ok(None);
        };
        let end: StoredLog = serde_json::from_slice(&value).map_err(wrong)?;
        if end.node != *node {
            return Ok(None);
        }
        let mut together = Together::default();
        let (mut next, last) = (0, self.keys.log_end_of_pieces(run));
        loop {
            let page = self.page(&self.keys.log(run, next), &last, PAGE)?;
            for kv in &page.kvs {
                let start = kv.key().as_deref().and_then(number_of);
                let start = start.ok_or(JournalError::Range("a log's offset"))?;
                let value = kv.value().ok_or(nonsense("a value that is no base64"))?;
                together.piece(start, &String::from_utf8_lossy(&value));
                next = start.saturating_add(1);
            }
            if page.kvs.len() < PAGE {
                return Ok(Some(together.done(end.lost)));
            }
        }
    }

    fn document(&self, name: &str) -> Result<Option<Vec<u8>>, JournalError> {
        let Some((value, _)) = self.get(&self.keys.document(name))? else {
            return Ok(None);
        };
        let stored: StoredDocument =
            serde_json::from_slice(&value).map_err(|source| JournalError::Document {
                key: name.to_owned(),
                source,
            })?;
        let folder = self.keys.document_pieces(name, &stored.digest.to_string());
        let key = |piece| format!("{folder}{piece:06}");
        self.pieces(stored.pieces, key, &stored.digest, name)
            .map(Some)
    }

    fn documents(&self, prefix: &str) -> Result<Vec<String>, JournalError> {
        self.names_of_documents(prefix)
    }

    fn audited(
        &self,
        after: u64,
        limit: usize,
        wanted: Orders<'_>,
    ) -> Result<Audited, JournalError> {
        self.orders(after, limit, wanted)
    }

    fn wait(&self, after: u64, most: Duration) -> Result<(), JournalError> {
        let (newest, _, revision) = self.head()?;
        if newest <= after {
            self.client.watch(&self.keys.newest(), revision + 1, most);
        }
        Ok(())
    }
}

impl Journal for EtcdJournal {
    fn append(&mut self, events: &[Event]) -> Result<(), JournalError> {
        let (Some(first), Some(last)) = (events.first(), events.last()) else {
            return Ok(());
        };
        let follow = events
            .iter()
            .zip(first.number..)
            .all(|(e, n)| e.number == n);
        if events.len() > BATCH_MAX || !follow || first.number == 0 {
            return Err(JournalError::Range("a batch of events"));
        }
        let term = self.term()?;
        let nonce = self.appends.fetch_add(1, Ordering::SeqCst);
        let stamp = format!("{term}-{nonce}");
        let (leader, newest) = (self.keys.leader(), self.keys.newest());
        let (before, before_stamp, _) = self.head()?;
        if before + 1 != first.number {
            return Err(JournalError::Taken {
                number: first.number,
            });
        }
        let expected = format!("{before} {before_stamp}");
        let unchanged = if before == 0 {
            made_in(&newest, 0)
        } else {
            serde_json::json!({
                "key": super::wire::b64(newest.as_bytes()), "target": "VALUE", "result": "EQUAL",
                "value": super::wire::b64(expected.as_bytes()),
            })
        };
        let mut success = self.operations(events, &stamp)?;
        success.push(put(&newest, format!("{} {stamp}", last.number).as_bytes()));
        let begun = self.indexed.load(Ordering::SeqCst) || self.orders_from()?.is_some();
        if !begun {
            // The compared newest number is the fence: nobody else begins the index behind another event.
            let from = first.number.to_string();
            success.push(put(&self.keys.orders_from(), from.as_bytes()));
            success.push(put(&self.keys.version(), VERSION.to_string().as_bytes()));
        }
        let body = txn(
            &[made_in(&leader, term), unchanged],
            &success,
            &[get(&newest)],
        );
        let answer = self.tell(&body)?;
        // A try before this one may have gone through without an answer: then the stamp is ours.
        let ours = || {
            values(&answer)
                .next()
                .and_then(|v| newest_of(&v))
                .is_some_and(|(_, s)| s == stamp)
        };
        if answer.succeeded || ours() {
            self.indexed.store(true, Ordering::SeqCst);
            return Ok(());
        }
        let now = values(&answer)
            .next()
            .and_then(|v| newest_of(&v))
            .map(|(n, _)| n);
        if now.unwrap_or_default() >= first.number {
            return Err(JournalError::Taken {
                number: first.number,
            });
        }
        self.still_lead(false)
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
        let key = self.keys.log_end(run);
        for _ in 0..LOG_TRIES {
            let found = self.get(&key)?;
            let revision = found.as_ref().map_or(0, |(_, revision)| *revision);
            let stored: Option<StoredLog> = match found {
                None => None,
                Some((value, _)) => {
                    Some(serde_json::from_slice(&value).map_err(JournalError::Encode)?)
                }
            };
            let end = stored.map_or_else(LogEnd::default, |log| LogEnd {
                end: log.end,
                kept: log.kept,
                lost: log.lost,
            });
            let Some(added) = add(end, offset, text) else {
                return Ok(());
            };
            let then = StoredLog {
                node: node.clone(),
                end: added.then.end,
                kept: added.then.kept,
                lost: added.then.lost,
            };
            let value = serde_json::to_vec(&then).map_err(JournalError::Encode)?;
            let mut success = vec![put(&key, &value)];
            if let Some((start, body)) = added.keep {
                let mut at = start;
                for piece in text_pieces(body) {
                    success.push(put(&self.keys.log(run, at), piece.as_bytes()));
                    at = at.saturating_add(u64::try_from(piece.len()).unwrap_or(u64::MAX));
                }
            }
            let lead = made_in(&self.keys.leader(), self.term()?);
            let compare = [lead, changed_in(&key, revision)];
            let answer = self.tell(&txn(&compare, &success, &[get(&self.keys.leader())]))?;
            if answer.succeeded {
                return Ok(());
            }
        }
        self.still_lead(false)
    }

    fn put_document(&mut self, name: &str, bytes: &[u8]) -> Result<(), JournalError> {
        let digest = Digest::of(bytes);
        let text = digest.to_string();
        let folder = self.keys.document_pieces(name, &text);
        let mut pieces = 0;
        for piece in bytes.chunks(PIECE) {
            self.put_fenced(&format!("{folder}{pieces:06}"), piece)?;
            pieces += 1;
        }
        let stored = StoredDocument {
            name: name.to_owned(),
            pieces,
            digest,
        };
        let value = serde_json::to_vec(&stored).map_err(JournalError::Encode)?;
        let mut success = vec![put(&self.keys.document(name), &value)];
        let others = self.keys.other_pieces(name, &text);
        success.extend(others.iter().map(|(first, end)| delete(first, end)));
        let lead = made_in(&self.keys.leader(), self.term()?);
        let answer = self.tell(&txn(&[lead], &success, &[]))?;
        self.still_lead(answer.succeeded)
    }

    fn remove_document(&mut self, name: &str) -> Result<(), JournalError> {
        self.without_document(name)
    }

    fn reader(&self) -> Result<Box<dyn Reader>, JournalError> {
        Ok(Box::new(self.clone()))
    }

    fn common(&self) -> Option<Box<dyn Common>> {
        let common = EtcdCommon::new(self.client.clone(), self.keys.clone());
        Some(Box::new(common))
    }

    fn election(&self) -> Option<Box<dyn Election>> {
        Some(Box::new(EtcdElection::new(
            self.client.clone(),
            self.keys.clone(),
            self.fence.clone(),
        )))
    }
}

/// A text in pieces that fit into a value, cut between characters.
fn text_pieces(mut text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    while !text.is_empty() {
        let mut cut = text.len().min(PIECE);
        while !text.is_char_boundary(cut) {
            cut -= 1;
        }
        let (piece, rest) = text.split_at(cut);
        pieces.push(piece);
        text = rest;
    }
    pieces
}
