// SPDX-License-Identifier: Apache-2.0
//! Idempotency keys: an order that is sent twice with the same key is carried out once, and answered the same.
//!
//! Before an order is carried out, its key stands in the journal's documents; then the answer stands beside it. A provisioner
//! that was killed in between does not know what came of the order and says so: it never carries it out a second time.

use super::problem::Refusal;
use crate::provisioner::Provisioner;
use axum::http::{HeaderMap, StatusCode};
use groundstate_api::{Digest, Millis, Reason, ReasonCode};
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::OwnedMutexGuard;

/// The header.
pub(crate) const HEADER: &str = "idempotency-key";
/// The longest key, in bytes: a UUID has 36.
const KEY_MAX: usize = 128;
/// How long an answer is kept: a caller that was down over a night sends its order again in the morning.
const KEPT: Millis = Millis::secs(24 * 3_600);
/// Keys in one document; there are 4,096 documents. A million orders in 24 hours are more than the rate limit lets through.
const PER_DOCUMENT_MAX: usize = 256;
/// The longest answer that is kept, in bytes; the answers to orders have 1 to 20 KiB.
pub(crate) const ANSWER_MAX: usize = 256 * 1024;

/// Keys of orders that were refused and whose entries could not be taken out of the journal: a caller tries each again soon.
const FREE_MAX: usize = 65_536;

/// Orders that go on now, each with its key.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    places: Mutex<HashMap<Digest, Arc<tokio::sync::Mutex<()>>>>,
    /// Keys that stand in the journal as if their orders went on, and nothing was carried out: the journal was full when they
    /// were to be taken out.
    free: Mutex<HashSet<Digest>>,
}

/// An answer as it was given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) kind: Option<String>,
    pub(crate) tag: Option<String>,
    pub(crate) body: String,
}

/// One key in a document.
#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    /// Digest of caller and key.
    of: Digest,
    /// Digest of the request.
    request: Digest,
    at: Millis,
    /// None while it is carried out, or where we were killed in that time.
    answer: Option<Answer>,
}

/// A key with its request: what holds while the order is carried out.
#[derive(Debug)]
pub(crate) struct Claim {
    of: Digest,
    request: Digest,
    _alone: OwnedMutexGuard<()>,
}

/// What is to be done with an order.
#[derive(Debug)]
pub(crate) enum Claimed {
    /// It is new: carry it out, and [`Keys::answered`].
    New(Claim),
    /// It was carried out.
    Before(Answer),
}

/// The key of a request, where it has one.
pub(crate) fn key_of(headers: &HeaderMap) -> Result<Option<String>, Refusal> {
    let mut values = headers.get_all(HEADER).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    let text = value.to_str().unwrap_or_default();
    let good = (1..=KEY_MAX).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
    if good && values.next().is_none() {
        return Ok(Some(text.to_owned()));
    }
    let what = format!("one key of 1 to {KEY_MAX} printable ASCII characters");
    Err(Refusal::field("Idempotency-Key", what))
}

impl Keys {
    /// Claims the key for this request; waits while the same key is being carried out.
    pub(crate) async fn claim(
        self: &Arc<Self>,
        ours: &Provisioner,
        caller: &str,
        key: &str,
        request: Digest,
    ) -> Result<Claimed, Refusal> {
        let of = Digest::of(format!("{caller}\n{key}").as_bytes());
        let place = {
            let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
            // Places that nobody holds any more are given back here: each order holds one.
            places.retain(|_, place| Arc::strong_count(place) > 1);
            places.entry(of).or_default().clone()
        };
        let alone = place.lock_owned().await;
        let (asked, now) = (ours.clone(), ours.written_now());
        let is_free = self.free().contains(&of);
        let began = move || begin(&asked, of, (request, is_free), now);
        let found = tokio::task::spawn_blocking(began).await??;
        self.free().remove(&of);
        match found {
            Begun::New => Ok(Claimed::New(Claim {
                of,
                request,
                _alone: alone,
            })),
            Begun::Before(answer) => Ok(Claimed::Before(answer)),
            Begun::Reused => Err(reused()),
            Begun::InDoubt => Err(in_doubt()),
            Begun::Full => Err(full()),
        }
    }

    /// Keeps the answer. Without one the key is free again: nothing was carried out, or it failed by our own fault.
    pub(crate) async fn answered(
        &self,
        ours: &Provisioner,
        claim: Claim,
        answer: Option<Answer>,
    ) -> Result<(), Refusal> {
        let (ours, now) = (ours.clone(), ours.written_now());
        let (of, is_free) = (claim.of, answer.is_none());
        let keep = move || {
            let done = ours.change_document(&name_of(claim.of), |before| {
                let mut entries = valid(before, now);
                entries.retain(|entry| entry.of != claim.of);
                if answer.is_some() {
                    entries.push(Entry {
                        of: claim.of,
                        request: claim.request,
                        at: now,
                        answer,
                    });
                }
                (serde_json::to_vec(&entries).ok(), ())
            });
            drop(claim);
            done
        };
        let done = tokio::task::spawn_blocking(keep).await?;
        if done.is_err() && is_free {
            let mut free = self.free();
            if free.len() < FREE_MAX {
                free.insert(of);
            }
        }
        Ok(done?)
    }

    fn free(&self) -> MutexGuard<'_, HashSet<Digest>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum Begun {
    New,
    Before(Answer),
    Reused,
    InDoubt,
    Full,
}

/// `is_free`: whether an entry without an answer is known to be of an order that was not carried out.
fn begin(
    ours: &Provisioner,
    of: Digest,
    (request, is_free): (Digest, bool),
    now: Millis,
) -> Result<Begun, Refusal> {
    let begun = ours.change_document(&name_of(of), |before| {
        let mut entries = valid(before, now);
        entries.retain(|entry| !(is_free && entry.of == of && entry.answer.is_none()));
        if let Some(entry) = entries.iter().find(|entry| entry.of == of) {
            let said = match &entry.answer {
                _ if entry.request != request => Begun::Reused,
                Some(answer) => Begun::Before(answer.clone()),
                None => Begun::InDoubt,
            };
            return (None, said);
        }
        if entries.len() >= PER_DOCUMENT_MAX {
            return (None, Begun::Full);
        }
        entries.push(Entry {
            of,
            request,
            at: now,
            answer: None,
        });
        (serde_json::to_vec(&entries).ok(), Begun::New)
    })?;
    Ok(begun)
}

/// The document of a key: one of 4,096.
fn name_of(of: Digest) -> String {
    let hex = of.hex();
    format!("idempotency/{}", hex.get(..3).unwrap_or_default())
}

/// The entries that have not expired.
fn valid(document: Option<Vec<u8>>, now: Millis) -> Vec<Entry> {
    // A document that is not ours any more holds no key of ours.
    let entries: Vec<Entry> = document
        .and_then(|bytes| serde_json::from_slice(&bytes).ok())
        .unwrap_or_default();
    let fresh = |entry: &Entry| now.since(entry.at) < KEPT;
    entries.into_iter().filter(fresh).collect()
}

fn reused() -> Refusal {
    let reason = Reason::new(
        ReasonCode::KeyReused,
        "this idempotency key was used for another request",
        "use a new key for every order, and the same one only to send the same order again",
    )
    .then("nothing: the request changed nothing");
    Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, reason)
}

fn in_doubt() -> Refusal {
    let reason = Reason::new(
        ReasonCode::KeyReused,
        "the provisioner stopped while this order was carried out, and does not know how far it came",
        "look at the node; where the order is still wanted, send it with a new key",
    )
    .then("nothing: it is not carried out a second time");
    Refusal::conflict(reason)
}

fn full() -> Refusal {
    let reason = Reason::new(
        ReasonCode::TooMany,
        "too many idempotency keys are kept; each is kept for 24 hours",
        "send the order without a key, or wait",
    )
    .then("nothing: the request changed nothing");
    Refusal::new(StatusCode::TOO_MANY_REQUESTS, reason)
}
