// SPDX-License-Identifier: Apache-2.0
//! Writes a site as XML. Nodes, switches and PDUs stand within their racks.

use super::{IN_RACKS, ROOT, SCHEMA, camel, pascal};
use groundstate_api::site::Site;
use serde_json::{Map, Value};
use std::fmt::Write as _;

/// Blanks for each level.
const INDENT: usize = 2;

/// The site as XML, ending with a line end.
///
/// # Errors
/// Where the site cannot be written as JSON, which no site is.
pub(in super::super) fn write(site: &Site) -> Result<String, serde_json::Error> {
    let mut value = serde_json::to_value(site)?;
    if let Value::Object(fields) = &mut value {
        into_racks(fields);
        fields.insert("schema".to_owned(), Value::from(SCHEMA));
    }
    let mut out = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".to_owned();
    element(&mut out, ROOT, &value, 0);
    Ok(out)
}

/// Moves what says its rack into the rack.
fn into_racks(fields: &mut Map<String, Value>) {
    for kind in IN_RACKS {
        let Some(Value::Array(things)) = fields.remove(kind) else {
            continue;
        };
        let mut left = Vec::new();
        for mut thing in things {
            let place = if kind == "node" {
                thing.get_mut("slot")
            } else {
                Some(&mut thing)
            };
            let place = place.and_then(Value::as_object_mut);
            let rack = place.and_then(|place| place.remove("rack"));
            let racks = fields.get_mut("rack").and_then(Value::as_array_mut);
            let holder = racks.and_then(|racks| {
                racks
                    .iter_mut()
                    .find(|one| one.get("name") == rack.as_ref())
            });
            match holder.and_then(Value::as_object_mut) {
                Some(holder) => {
                    let there = holder
                        .entry(kind)
                        .or_insert_with(|| Value::Array(Vec::new()));
                    if let Value::Array(there) = there {
                        there.push(thing);
                    }
                }
                None => left.push(thing),
            }
        }
        if !left.is_empty() {
            fields.insert(kind.to_owned(), Value::Array(left));
        }
    }
}

fn element(out: &mut String, name: &str, value: &Value, depth: usize) {
    let pad = " ".repeat(depth * INDENT);
    out.push_str(&pad);
    // Writing into a text does not fail.
    let _ = write!(out, "<{name}");
    let Value::Object(fields) = value else {
        let text = scalar(value).unwrap_or_default();
        let _ = writeln!(out, ">{}</{name}>", escaped(&text));
        return;
    };
    let first = fields.get_key_value("name").into_iter();
    let others = fields.iter().filter(|(key, _)| *key != "name");
    let mut children = Vec::new();
    for (key, value) in first.chain(others) {
        match value {
            Value::Null => {}
            Value::Object(_) => children.push((pascal(key), value)),
            Value::Array(values) => {
                children.extend(values.iter().map(|value| (pascal(key), value)))
            }
            Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                let text = scalar(value).unwrap_or_default();
                let _ = write!(out, " {}=\"{}\"", camel(key), escaped(&text));
            }
        }
    }
    if children.is_empty() {
        out.push_str("/>\n");
        return;
    }
    out.push_str(">\n");
    for (name, value) in children {
        element(out, &name, value, depth + 1);
    }
    let _ = writeln!(out, "{pad}</{name}>");
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            // As they are, an attribute's reader makes blanks of them.
            '\n' => out.push_str("&#10;"),
            '\r' => out.push_str("&#13;"),
            '\t' => out.push_str("&#9;"),
            c => out.push(c),
        }
    }
    out
}
