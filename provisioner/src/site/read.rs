// SPDX-License-Identifier: Apache-2.0
//! Reads a site from a document, and names every fault at once: what its types do not take, and what they cannot say.
//!
//! A fault of one node does not hide those of another. What is missing or wrong is told once; in its place something stands
//! that is right, so that the rest can be looked at. A site with a fault is never given out.

use super::lax::Lax;
use groundstate_api::site::{Node, Site};
use prov_core::site_check::{Fault, check};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use serde_path_to_error::{Path, Segment};
use std::collections::BTreeSet;

/// Faults that are told of one document. A file with more was not written by hand.
pub const FAULTS_MAX: usize = 1_000;
/// Faults that are told of one resource.
const OF_ONE_MAX: usize = 64;
/// The sections of a site, in its order.
const SECTIONS: [&str; 14] = [
    "name", "network", "policy", "boot", "images", "healing", "rescue", "rack", "switch", "pdu",
    "profile", "access", "webhook", "node",
];

/// How strictly values are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kinds {
    /// A number is a number: JSON, TOML.
    Strict,
    /// All are texts, and one thing may stand for a list of one: XML.
    Texts,
}

/// Reads a site.
///
/// # Errors
/// All that is wrong with it, each with its path.
pub fn read(document: Value, kinds: Kinds) -> Result<Site, Vec<Fault>> {
    let mut reader = Reader {
        kinds,
        faults: Vec::new(),
        stood_in: BTreeSet::new(),
        count: 0,
    };
    let Value::Object(mut sections) = document else {
        return Err(vec![fault(".", "a site should be a table of sections")]);
    };
    for key in sections
        .keys()
        .filter(|key| !SECTIONS.contains(&key.as_str()))
    {
        let should = format!("there is no such key; there are: {}", SECTIONS.join(", "));
        reader.told(key, should);
    }
    sections.retain(|key, _| SECTIONS.contains(&key.as_str()));
    let site = reader.site(&mut sections);
    let mut faults = reader.faults;
    if let Some(site) = site {
        let of_types = !faults.is_empty();
        let spoiled = |path: &str| reader.stood_in.iter().any(|at| spoils(at, path));
        let more = check(&site)
            .into_iter()
            .filter(|fault| !spoiled(&fault.path));
        faults.extend(more.filter(|fault| !of_types || !fault.should.starts_with("there is no ")));
        if faults.is_empty() {
            return Ok(site);
        }
    }
    let more = faults.len().saturating_sub(FAULTS_MAX);
    faults.truncate(FAULTS_MAX);
    if more > 0 {
        faults.push(fault(".", &format!("and {more} more faults")));
    }
    Err(faults)
}

/// Whether what stands in at a path makes what is said of another one meaningless: itself, what is below it, and, in the
/// network, all that is compared with it.
fn spoils(at: &str, path: &str) -> bool {
    let below = path
        .strip_prefix(at)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']));
    below || (at.starts_with("network.") && path.starts_with("network."))
}

fn fault(path: &str, should: &str) -> Fault {
    Fault {
        path: path.to_owned(),
        should: groundstate_api::text::inert(should).into_owned(),
    }
}

struct Reader {
    kinds: Kinds,
    faults: Vec<Fault>,
    /// Paths at which something stands that nobody wrote.
    stood_in: BTreeSet<String>,
    /// How many things stand in: each is another one.
    count: u32,
}

impl Reader {
    fn told(&mut self, path: &str, should: impl AsRef<str>) {
        self.faults.push(fault(path, should.as_ref()));
    }

    fn site(&mut self, sections: &mut Map<String, Value>) -> Option<Site> {
        let name = self.section(sections, "name", json!("stand-in"));
        let network = self.section(
            sections,
            "network",
            json!({"address": "10.0.0.1", "prefix": 24, "pool_first": "10.0.0.100", "pool_last": "10.0.0.200"}),
        );
        let policy = self.section(
            sections,
            "policy",
            json!({"image": "stand-in", "hand_over": "kexec"}),
        );
        let boot = self.optional(sections, "boot");
        let images = self.optional(sections, "images");
        let healing = self.optional(sections, "healing");
        let rescue = self.optional(sections, "rescue");
        let racks = self.list(sections, "rack");
        let switches = self.list(sections, "switch");
        let pdus = self.list(sections, "pdu");
        let profiles = self.list(sections, "profile");
        let access = self.list(sections, "access");
        let webhooks = self.list(sections, "webhook");
        let nodes: Option<Vec<Node>> = self.list(sections, "node");
        Some(Site {
            name: name?,
            network: network?,
            policy: policy?,
            boot,
            images,
            healing,
            rescue,
            racks: racks?,
            switches: switches?,
            pdus: pdus?,
            profiles: profiles?,
            access: access?,
            webhooks: webhooks?,
            nodes: nodes?,
        })
    }

    /// A section that must be there.
    fn section<T: DeserializeOwned>(
        &mut self,
        sections: &mut Map<String, Value>,
        key: &str,
        instead: Value,
    ) -> Option<T> {
        match sections.remove(key) {
            None => self.told(key, "should be there"),
            Some(value) => {
                if let Some(read) = self.mended(key, value) {
                    return Some(read);
                }
            }
        }
        self.stood_in.insert(key.to_owned());
        self.mended(key, instead)
    }

    /// A section that may be left out.
    fn optional<T: DeserializeOwned + Default>(
        &mut self,
        sections: &mut Map<String, Value>,
        key: &str,
    ) -> T {
        let Some(value) = sections.remove(key) else {
            return T::default();
        };
        self.mended(key, value).unwrap_or_else(|| {
            self.stood_in.insert(key.to_owned());
            T::default()
        })
    }

    /// A list of things: each is read for itself.
    fn list<T: DeserializeOwned>(
        &mut self,
        sections: &mut Map<String, Value>,
        key: &str,
    ) -> Option<Vec<T>> {
        let values = match (sections.remove(key), self.kinds) {
            (None, _) => return Some(Vec::new()),
            (Some(Value::Array(values)), _) => values,
            (Some(one @ (Value::Object(_) | Value::String(_))), Kinds::Texts) => vec![one],
            (Some(_), _) => {
                self.told(key, format!("should be a list of tables, [[{key}]]"));
                return None;
            }
        };
        let mut all = Some(Vec::with_capacity(values.len()));
        for (index, value) in values.into_iter().enumerate() {
            let one = self.mended(&format!("{key}[{index}]"), value);
            match (one, &mut all) {
                (Some(one), Some(all)) => all.push(one),
                (None, _) => all = None,
                (Some(_), None) => {}
            }
        }
        all
    }

    /// Reads one thing; where a value of it is wrong, that is told, and the rest is read with something else in its place.
    fn mended<T: DeserializeOwned>(&mut self, at: &str, mut value: Value) -> Option<T> {
        for _ in 0..OF_ONE_MAX {
            let read = match self.kinds {
                Kinds::Strict => serde_path_to_error::deserialize(&value),
                Kinds::Texts => {
                    let mut track = serde_path_to_error::Track::new();
                    let reader = serde_path_to_error::Deserializer::new(Lax(&value), &mut track);
                    T::deserialize(reader)
                        .map_err(|error| serde_path_to_error::Error::new(track.path(), error))
                }
            };
            match read {
                Ok(read) => return Some(read),
                Err(error) => {
                    let message = error.inner().to_string();
                    if !self.mend(at, &mut value, error.path(), &message) {
                        return None;
                    }
                }
            }
        }
        None
    }

    /// Tells a fault and takes it out of the way; `false` where that cannot be done.
    fn mend(&mut self, at: &str, value: &mut Value, path: &Path, message: &str) -> bool {
        let mut keys: Vec<Key> = path.iter().filter_map(key_of).collect();
        if let Some(name) = quoted(message, "unknown field ") {
            // The path may name the key itself, or only what it stands in.
            if keys.last() == Some(&Key::Name(name.to_owned())) {
                keys.pop();
            }
            let full = format!("{}.{name}", joined(at, &keys));
            let known = message
                .split_once("expected ")
                .map_or("", |(_, known)| known);
            let known = known.trim_start_matches("one of ").replace('`', "");
            self.told(&full, format!("there is no such key; there are: {known}"));
            return object_at(value, &keys).is_some_and(|fields| fields.remove(name).is_some());
        }
        if let Some(name) = quoted(message, "missing field ") {
            let full = format!("{}.{name}", joined(at, &keys));
            if self.stood_in.insert(full.clone()) {
                self.told(&full, "should be there");
            }
            self.count += 1;
            let Some(instead) = stand_in(name, self.count) else {
                return false;
            };
            let Some(fields) = object_at(value, &keys) else {
                return false;
            };
            return fields.insert(name.to_owned(), instead).is_none();
        }
        let full = joined(at, &keys);
        let is_new = self.stood_in.insert(full.clone());
        if !is_new {
            return false;
        }
        self.told(&full, message);
        // A list with something wrong in it is taken out whole: its other places would be counted anew.
        while let Some(Key::Index(_)) = keys.last() {
            keys.pop();
            self.stood_in.insert(joined(at, &keys));
        }
        match keys.pop() {
            Some(Key::Name(name)) => {
                object_at(value, &keys).is_some_and(|fields| fields.remove(&name).is_some())
            }
            Some(Key::Index(_)) | None => false,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Key {
    Name(String),
    Index(usize),
}

fn key_of(segment: &Segment) -> Option<Key> {
    match segment {
        Segment::Map { key } => Some(Key::Name(key.clone())),
        Segment::Seq { index } => Some(Key::Index(*index)),
        Segment::Enum { .. } | Segment::Unknown => None,
    }
}

fn joined(at: &str, keys: &[Key]) -> String {
    keys.iter().fold(at.to_owned(), |path, key| match key {
        Key::Name(name) => format!("{path}.{name}"),
        Key::Index(index) => format!("{path}[{index}]"),
    })
}

fn object_at<'a>(value: &'a mut Value, keys: &[Key]) -> Option<&'a mut Map<String, Value>> {
    let mut here = value;
    for key in keys {
        here = match (key, here) {
            (Key::Name(name), Value::Object(fields)) => fields.get_mut(name)?,
            (Key::Index(index), Value::Array(values)) => values.get_mut(*index)?,
            // One thing that stands for a list of one.
            (Key::Index(0), one) => one,
            (Key::Name(_) | Key::Index(_), _) => return None,
        };
    }
    if here.as_str() == Some("") {
        *here = Value::Object(Map::new());
    }
    here.as_object_mut()
}

/// What stands in back quotes after these words.
fn quoted<'a>(message: &'a str, words: &str) -> Option<&'a str> {
    let (name, _) = message
        .strip_prefix(words)?
        .strip_prefix('`')?
        .split_once('`')?;
    Some(name)
}

/// Something right for a key that must be there.
fn stand_in(key: &str, number: u32) -> Option<Value> {
    let [a, b, c, d] = number.to_be_bytes();
    Some(match key {
        "mac" => json!(format!("02:ff:{a:02x}:{b:02x}:{c:02x}:{d:02x}")),
        "uuid" => json!(format!("ffffffff-ffff-ffff-ffff-ffff{number:08x}")),
        "name" | "slot" | "serial" | "rack" | "image" | "credential" => {
            json!(format!("stand-in-{number}"))
        }
        "address" => json!("10.0.0.1"),
        "pool_first" | "first" => json!("10.0.0.100"),
        "pool_last" | "last" => json!("10.0.0.200"),
        "prefix" => json!(24),
        "unit" => json!(1),
        "hand_over" => json!("kexec"),
        "hardware" => json!({}),
        "url" => json!("https://localhost/"),
        "trouble" => json!("other"),
        "step" => json!([{"measure": "watch"}]),
        "measure" => json!("watch"),
        "size" => json!("1GiB"),
        "role" => json!("data"),
        "model" => json!("*"),
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
