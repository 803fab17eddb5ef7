// SPDX-License-Identifier: Apache-2.0
//! Reads a site from a document, and names every fault at once: what its types do not take, and what they cannot say.
//!
//! A fault of one node does not hide those of another. What is missing or wrong is told once; in its place something stands
//! that is right, so that the rest can be looked at. A site with a fault is never given out.

pub(crate) mod words;

use super::lax::Lax;
use groundstate_api::site::{Node, Site};
use prov_core::site_check::{Fault, check};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use serde_path_to_error::{Path, Segment};
use std::collections::{BTreeMap, BTreeSet};

/// Faults that are told of one document. A file with more was not written by hand.
pub const FAULTS_MAX: usize = 1_000;
/// Faults that are told of one resource.
const OF_ONE_MAX: usize = 64;
/// The sections of a site, in its order.
const SECTIONS: [&str; 14] = [
    "name", "network", "policy", "boot", "images", "healing", "rescue", "rack", "switch", "pdu",
    "profile", "access", "webhook", "node",
];

/// Where the network's addresses stand.
const ADDRESSES: [&str; 6] = [
    "network",
    "network.address",
    "network.prefix",
    "network.pool_first",
    "network.pool_last",
    "network.router",
];
/// What is known by a name elsewhere in the site, and where those names stand.
const NAMED: [(&str, &str); 6] = [
    ("rack", "rack"),
    ("switch", "switch"),
    ("pdu", "pdu"),
    ("profile", "profile"),
    ("node", "node"),
    ("recipe", "boot.recipe"),
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
    match look(document, kinds) {
        (Some(site), faults) if faults.is_empty() => Ok(site),
        (_, faults) => Err(faults),
    }
}

/// What begins a name that nobody wrote: it stands where one is missing or wrong.
pub const STAND_IN: &str = "stand-in-";

/// The site as far as it can be read, and all that is wrong with it. Where there is a fault the site is for looking at what else
/// is wrong, and for nothing more: names that begin with [`STAND_IN`], and other things, stand in for what is not there.
#[must_use]
pub fn look(document: Value, kinds: Kinds) -> (Option<Site>, Vec<Fault>) {
    let mut reader = Reader {
        kinds,
        faults: Vec::new(),
        stood_in: BTreeSet::new(),
        taken_out: BTreeMap::new(),
        count: 0,
    };
    let Value::Object(mut sections) = document else {
        return (
            None,
            vec![fault(".", "a site should be a table of sections")],
        );
    };
    for key in sections
        .keys()
        .filter(|key| !SECTIONS.contains(&key.as_str()))
    {
        reader.told(key, words::no_such_key(key, &SECTIONS.join(", ")));
    }
    sections.retain(|key, _| SECTIONS.contains(&key.as_str()));
    let site = reader.site(&mut sections);
    let mut faults = reader.faults;
    if let Some(site) = &site {
        let spoiled = |fault: &Fault| reader.stood_in.iter().any(|at| spoils(at, fault));
        let more = check(site).into_iter();
        faults.extend(more.filter(|fault| !spoiled(fault)));
    }
    let more = faults.len().saturating_sub(FAULTS_MAX);
    faults.truncate(FAULTS_MAX);
    if more > 0 {
        faults.push(fault(".", &format!("and {more} more faults")));
    }
    (site, faults)
}

/// Whether what stands in at a path makes a fault meaningless: itself and what is below it; of the network's addresses, all that
/// is compared with them; and of a name, that nothing has the name that somebody else uses.
fn spoils(at: &str, fault: &Fault) -> bool {
    let path = fault.path.as_str();
    let below = path
        .strip_prefix(at)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']));
    let compared = is_of_network(path) || fault.should.contains("the pool");
    below || (is_of_network(at) && compared) || hides_names(at, &fault.should)
}

/// What stands in the network is compared with each other, and nodes and racks with it.
fn is_of_network(path: &str) -> bool {
    ADDRESSES.contains(&path) || path == "network.pool" || path.starts_with("network.pool[")
}

/// Whether something may be there although no name that was read says so.
fn hides_names(at: &str, should: &str) -> bool {
    let missed = NAMED.iter().find(|(kind, _)| {
        let rest = should.strip_prefix("there is no ");
        rest.is_some_and(|rest| rest.starts_with(&format!("{kind} ")))
    });
    missed.is_some_and(|(_, list)| {
        let rest = at.strip_prefix(list);
        rest.is_some_and(|rest| rest.is_empty() || rest.ends_with(".name") || rest.ends_with(']'))
    })
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
    /// Of lists of values: the places, as the file counts them, of what was taken out.
    taken_out: BTreeMap<String, Vec<usize>>,
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
            self.told(&full, words::no_such_key(name, &known));
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
        if let Some((Key::Index(index), within)) = keys.split_last()
            && let Some(list) = list_at(value, within)
        {
            return self.take_out(joined(at, within), list, *index, message);
        }
        let full = joined(at, &keys);
        let is_new = self.stood_in.insert(full.clone());
        if !is_new {
            return false;
        }
        self.told(&full, words::plain(message));
        // One thing that stands for a list of one.
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

    /// Tells a fault of one value of a list, and takes it out; the others are told by where they stand in the file. What is said
    /// of the rest of that list would count anew.
    fn take_out(&mut self, at: String, list: &mut Vec<Value>, index: usize, message: &str) -> bool {
        let out = self.taken_out.entry(at.clone()).or_default();
        let place = out
            .iter()
            .fold(index, |place, gone| place + usize::from(*gone <= place));
        let before = out.partition_point(|gone| *gone < place);
        out.insert(before, place);
        self.told(&format!("{at}[{place}]"), words::plain(message));
        self.stood_in.insert(at);
        let is_there = index < list.len();
        if is_there {
            list.remove(index);
        }
        is_there
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

fn list_at<'a>(value: &'a mut Value, keys: &[Key]) -> Option<&'a mut Vec<Value>> {
    let mut here = value;
    for key in keys {
        here = match (key, here) {
            (Key::Name(name), Value::Object(fields)) => fields.get_mut(name)?,
            (Key::Index(index), Value::Array(values)) => values.get_mut(*index)?,
            (Key::Name(_) | Key::Index(_), _) => return None,
        };
    }
    here.as_array_mut()
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
            json!(format!("{STAND_IN}{number}"))
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
