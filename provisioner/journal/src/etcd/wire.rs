// SPDX-License-Identifier: Apache-2.0
//! The few messages of etcd's v3 JSON gateway that we speak. Bytes are base64 and 64-bit numbers are strings there.

use base64ct::{Base64, Encoding as _};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub(super) fn b64(bytes: &[u8]) -> String {
    Base64::encode_string(bytes)
}

pub(super) fn un64(text: &str) -> Option<Vec<u8>> {
    Base64::decode_vec(text).ok()
}

/// A 64-bit number as the gateway writes it; it leaves zero out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Int(pub(super) i64);

impl<'de> Deserialize<'de> for Int {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        match Value::deserialize(from)? {
            Value::String(text) => text.parse().map(Self).map_err(serde::de::Error::custom),
            Value::Number(number) => number
                .as_i64()
                .map(Self)
                .ok_or_else(|| serde::de::Error::custom("no 64-bit number")),
            _ => Err(serde::de::Error::custom("no number")),
        }
    }
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Header {
    #[serde(default)]
    pub(super) revision: Int,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct KeyValue {
    #[serde(default)]
    key: String,
    #[serde(default)]
    value: String,
    #[serde(default)]
    pub(super) create_revision: Int,
    #[serde(default)]
    pub(super) mod_revision: Int,
}

impl KeyValue {
    pub(super) fn key(&self) -> Option<String> {
        String::from_utf8(un64(&self.key)?).ok()
    }

    pub(super) fn value(&self) -> Option<Vec<u8>> {
        un64(&self.value)
    }
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct RangeAnswer {
    #[serde(default)]
    pub(super) header: Header,
    #[serde(default)]
    pub(super) kvs: Vec<KeyValue>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct OpAnswer {
    #[serde(default)]
    pub(super) response_range: Option<RangeAnswer>,
}

#[derive(Debug, Deserialize)]
pub(super) struct TxnAnswer {
    #[serde(default)]
    pub(super) header: Header,
    #[serde(default)]
    pub(super) succeeded: bool,
    #[serde(default)]
    pub(super) responses: Vec<OpAnswer>,
}

/// The values of the gets of a transaction, those that are there.
pub(super) fn values(answer: &TxnAnswer) -> impl Iterator<Item = Vec<u8>> + '_ {
    let kvs = answer
        .responses
        .iter()
        .filter_map(|op| op.response_range.as_ref());
    kvs.filter_map(|range| range.kvs.first()?.value())
}

#[derive(Debug, Deserialize)]
pub(super) struct LeaseAnswer {
    #[serde(default, rename = "ID")]
    pub(super) id: Int,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Alive {
    #[serde(default, rename = "TTL")]
    pub(super) ttl: Int,
}

/// An answer of a stream.
#[derive(Debug, Deserialize)]
pub(super) struct Streamed<T> {
    pub(super) result: T,
}

#[derive(Debug, Deserialize)]
pub(super) struct LoginAnswer {
    pub(super) token: String,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Problem {
    #[serde(default)]
    pub(super) error: Value,
    #[serde(default)]
    pub(super) message: String,
}

/// The keys of a range: from `first` up to but without `end`.
pub(super) fn range(first: &str, end: &str, limit: usize, newest_first: bool) -> Value {
    let order = if newest_first { "DESCEND" } else { "ASCEND" };
    json!({
        "key": b64(first.as_bytes()), "range_end": b64(end.as_bytes()), "limit": limit.to_string(),
        "sort_order": order, "sort_target": "KEY",
    })
}

/// Only the keys of a range.
pub(super) fn keys_of(mut range: Value) -> Value {
    range["keys_only"] = true.into();
    range
}

pub(super) fn one(key: &str) -> Value {
    json!({"key": b64(key.as_bytes())})
}

pub(super) fn get(key: &str) -> Value {
    json!({"request_range": one(key)})
}

pub(super) fn put(key: &str, value: &[u8]) -> Value {
    json!({"request_put": {"key": b64(key.as_bytes()), "value": b64(value)}})
}

/// Changes that count as one operation of the transaction that they are part of: etcd limits each level for itself.
pub(super) fn within(changes: &[Value]) -> Value {
    json!({"request_txn": {"success": changes}})
}

pub(super) fn put_leased(key: &str, value: &[u8], lease: i64) -> Value {
    json!({"request_put": {
        "key": b64(key.as_bytes()), "value": b64(value), "lease": lease.to_string(),
    }})
}

pub(super) fn delete(first: &str, end: &str) -> Value {
    json!({"request_delete_range": {
        "key": b64(first.as_bytes()), "range_end": b64(end.as_bytes()),
    }})
}

/// The key was made in this revision; 0: it is not there.
pub(super) fn made_in(key: &str, revision: u64) -> Value {
    json!({
        "key": b64(key.as_bytes()), "target": "CREATE", "result": "EQUAL",
        "create_revision": revision.to_string(),
    })
}

/// The key was last changed in this revision; 0: it is not there.
pub(super) fn changed_in(key: &str, revision: i64) -> Value {
    json!({
        "key": b64(key.as_bytes()), "target": "MOD", "result": "EQUAL",
        "mod_revision": revision.to_string(),
    })
}

pub(super) fn txn(compare: &[Value], success: &[Value], failure: &[Value]) -> Value {
    json!({"compare": compare, "success": success, "failure": failure})
}
