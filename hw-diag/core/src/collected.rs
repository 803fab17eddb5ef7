// SPDX-License-Identifier: Apache-2.0
//! A capture of everything that was read of one machine, so that it can be judged anywhere and later.
//!
//! Serial numbers, World Wide Names, MAC addresses and UUIDs are replaced unless the caller keeps them: the same value by
//! the same word within one capture, so that two disks with one serial number still have one. What is replaced is not
//! judged differently.

use crate::disk::DiskFacts;
use crate::machine::MachineFacts;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use groundstate_api::inventory::Inventory;
use groundstate_api::{Digest, MacAddr, SCHEMA, SystemUuid};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;

/// The largest capture that is read, in bytes. One of a server with 100 disks has about 3 MiB; read, a capture takes some
/// six times its length.
pub const COLLECTED_MAX: usize = 16 << 20;
/// Shorter values are not replaced: `1`, `N/A` and the like are no serial numbers, and stand in other words too.
const SECRET_MIN: usize = 4;
/// What firmware writes where it has no serial number.
const NOT_SECRET: [&str; 8] = [
    "none",
    "unknown",
    "not specified",
    "to be filled by o.e.m.",
    "default string",
    "system serial number",
    "0123456789",
    "00000000",
];

/// Everything that was read of one machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Collected {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The version of the tool that collected.
    pub tool: String,
    /// Whether serial numbers and addresses were replaced.
    pub redacted: bool,
    /// When, in seconds since 1970 by the machine's own clock.
    pub taken_at: i64,
    /// The inventory.
    pub inventory: Inventory,
    /// What each disk said, in the inventory's order.
    pub disks: Vec<DiskFacts>,
    /// Everything else.
    pub machine: MachineFacts,
}

/// Why bytes are not a capture.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CollectedError {
    /// Too long to be read.
    #[error("the capture has {0} bytes; at most {COLLECTED_MAX} are read")]
    TooLarge(usize),
    /// Not the document.
    #[error(
        "not a capture of `hw-diag collect` ({0}); what smartctl printed goes to --smartctl-json or --smartctl-text"
    )]
    Malformed(String),
    /// Another version.
    #[error(
        "the capture has schema {0}; this program reads schema {SCHEMA}: use the version that wrote it, or collect again"
    )]
    Schema(u64),
}

impl Collected {
    /// Reads a capture.
    ///
    /// # Errors
    /// [`CollectedError`], with the place of the fault where it is malformed.
    pub fn parse(bytes: &[u8]) -> Result<Self, CollectedError> {
        #[derive(Deserialize)]
        struct Version {
            schema: u64,
        }
        if bytes.len() > COLLECTED_MAX {
            return Err(CollectedError::TooLarge(bytes.len()));
        }
        let malformed = |error: serde_json::Error| CollectedError::Malformed(error.to_string());
        let version: Version = serde_json::from_slice(bytes).map_err(malformed)?;
        if version.schema != u64::from(SCHEMA) {
            return Err(CollectedError::Schema(version.schema));
        }
        serde_json::from_slice(bytes).map_err(malformed)
    }

    /// The same capture without what identifies the machine; `salt` makes its words differ from other captures'.
    ///
    /// # Errors
    /// [`CollectedError::Malformed`] where a replaced value no longer fits its field: then nothing is given out.
    pub fn redact(&self, salt: &[u8]) -> Result<Self, CollectedError> {
        let malformed = |error: serde_json::Error| CollectedError::Malformed(error.to_string());
        let mut value = serde_json::to_value(self).map_err(malformed)?;
        let words = words(&value, salt);
        replace(&mut value, &words);
        let mut redacted: Self = serde_json::from_value(value).map_err(malformed)?;
        redacted.redacted = true;
        Ok(redacted)
    }
}

/// Fields that identify a machine or its neighbours, whatever document they stand in.
const SECRET_FIELDS: [&str; 10] = [
    "serial",
    "wwn",
    "asset_tag",
    "mac",
    "uuid",
    "boot_id",
    "host_name",
    "system_name",
    "chassis_id",
    "guid",
];

/// What stands for each identifying value, the longest value first.
fn words(document: &Value, salt: &[u8]) -> Vec<(String, String)> {
    let mut secrets = BTreeSet::new();
    gather(document, &mut secrets);
    let mut words = BTreeMap::new();
    for secret in secrets {
        if secret.parse::<MacAddr>().is_ok() {
            let word = mac(&digits(salt, &secret, 10));
            words.insert(secret, word);
        } else if secret.parse::<SystemUuid>().is_ok() {
            let word = uuid(&digits(salt, &secret.to_lowercase(), 32));
            words.insert(secret.to_uppercase(), word.to_uppercase());
            words.insert(secret.to_lowercase(), word);
        } else {
            let word = format!("redacted-{}", digits(salt, &secret, 10));
            words.insert(secret, word);
        }
    }
    let mut words: Vec<(String, String)> = words.into_iter().collect();
    words.sort_by_key(|(text, _)| core::cmp::Reverse(text.len()));
    words
}

fn gather(value: &Value, secrets: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value {
                    Value::String(text) if SECRET_FIELDS.contains(&name.as_str()) => {
                        if is_secret(text) {
                            secrets.insert(text.clone());
                        }
                    }
                    Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => {}
                    Value::Array(_) | Value::Object(_) => gather(value, secrets),
                }
            }
        }
        Value::Array(values) => values.iter().for_each(|value| gather(value, secrets)),
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn is_secret(text: &str) -> bool {
    let low = text.trim().to_lowercase();
    low.len() >= SECRET_MIN && !NOT_SECRET.contains(&low.as_str())
}

/// Hexadecimal digits that stand for `text`.
fn digits(salt: &[u8], text: &str, count: usize) -> String {
    let mut bytes = Vec::from(salt);
    bytes.extend_from_slice(text.as_bytes());
    let digest = Digest::of(&bytes).to_string();
    digest
        .rsplit(':')
        .next()
        .unwrap_or_default()
        .chars()
        .take(count)
        .collect()
}

/// A locally administered MAC address of ten digits.
fn mac(digits: &str) -> String {
    let mut mac = String::from("02");
    for (index, c) in digits.chars().enumerate() {
        if index % 2 == 0 {
            mac.push(':');
        }
        mac.push(c);
    }
    mac
}

/// A UUID of 32 digits.
fn uuid(digits: &str) -> String {
    let mut uuid = String::new();
    for (index, c) in digits.chars().enumerate() {
        if matches!(index, 8 | 12 | 16 | 20) {
            uuid.push('-');
        }
        uuid.push(c);
    }
    uuid
}

fn replace(value: &mut Value, words: &[(String, String)]) {
    match value {
        Value::String(text) => {
            for (plain, word) in words {
                if text.contains(plain.as_str()) {
                    *text = text.replace(plain.as_str(), word);
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(|value| replace(value, words)),
        Value::Object(fields) => fields.values_mut().for_each(|value| replace(value, words)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn collected() -> Collected {
        let json = include_str!("../../tests/golden/qemu-q35.json");
        let mut inventory: Inventory = serde_json::from_str(json).unwrap();
        inventory.system.serial = "SYS-SERIAL-1".into();
        inventory.disks[0].serial = "DISK-SERIAL-1".into();
        inventory.disks[1].serial = "DISK-SERIAL-1".into();
        inventory.disks[0]
            .health
            .evidence
            .push("DISK-SERIAL-1 is slow".into());
        Collected {
            schema: SCHEMA,
            tool: "test".into(),
            redacted: false,
            taken_at: 1,
            inventory,
            disks: Vec::new(),
            machine: MachineFacts::default(),
        }
    }

    #[test]
    fn nothing_that_identifies_stays_and_the_verdict_is_the_same() {
        let plain = collected();
        let redacted = plain.redact(b"salt").unwrap();
        let text = serde_json::to_string(&redacted).unwrap();
        let mac = plain.inventory.nics[0].mac.to_string();
        let boot = plain.inventory.boot_id.to_string();
        for secret in ["SYS-SERIAL", "DISK-SERIAL", &mac, &boot] {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
        let disks = &redacted.inventory.disks;
        assert_eq!(disks[0].serial, disks[1].serial);
        assert_ne!(disks[0].serial, disks[2].serial);
        let verdicts = |collected: &Collected| {
            crate::judge(None, None, &collected.inventory)
                .iter()
                .map(|finding| (finding.gravity, finding.reason.code))
                .collect::<Vec<_>>()
        };
        assert_eq!(verdicts(&plain), verdicts(&redacted));
        assert_ne!(plain.redact(b"other").unwrap(), redacted);
        let bytes = serde_json::to_vec(&redacted).unwrap();
        assert_eq!(Collected::parse(&bytes).unwrap(), redacted);
    }

    #[test]
    fn another_schema_is_refused_by_number() {
        assert_eq!(
            Collected::parse(b"{\"schema\": 9}"),
            Err(CollectedError::Schema(9))
        );
        assert!(matches!(
            Collected::parse(b"[]"),
            Err(CollectedError::Malformed(_))
        ));
        let deep = "[".repeat(100_000);
        assert!(matches!(
            Collected::parse(deep.as_bytes()),
            Err(CollectedError::Malformed(_))
        ));
    }
}
