// SPDX-License-Identifier: Apache-2.0
//! `docs/openapi.json` is what the table of routes and the types of the bodies say. `UPDATE_EXPECT=1` writes it.

#![allow(
    clippy::unwrap_used,
    reason = "a test that unwraps what is not there has failed"
)]
#![allow(clippy::too_many_lines, reason = "tables of operations")]

mod describe;
mod operations;

use describe::document;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::PathBuf;

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/openapi.json")
}

#[test]
fn the_description_is_what_the_routes_and_types_say() {
    let text = serde_json::to_string_pretty(&document()).unwrap() + "\n";
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(path(), text).unwrap();
        return;
    }
    let said = std::fs::read_to_string(path()).unwrap();
    let differs = said.lines().zip(text.lines()).position(|(a, b)| a != b);
    assert!(
        said == text,
        "docs/openapi.json, line {differs:?}: UPDATE_EXPECT=1 cargo test -p provisioner --test openapi"
    );
}

#[test]
fn the_guide_has_every_kind_of_event_once_and_no_other() {
    let guide = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/api.md");
    let guide = std::fs::read_to_string(guide).unwrap();
    let table = guide
        .lines()
        .skip_while(|line| !line.starts_with("| `happened` |"));
    let kinds: Vec<&str> = table
        .skip(2)
        .map_while(|line| line.strip_prefix("| `")?.split('`').next())
        .collect();
    assert_eq!(kinds, groundstate_api::event::KINDS);
}

#[test]
fn every_route_is_described_once_and_nothing_else_is() {
    let rows: BTreeSet<(String, String)> = prov_core::Route::ALL
        .iter()
        .map(|row| (row.path.to_owned(), row.method.to_lowercase()))
        .collect();
    let mut described = BTreeSet::new();
    let document = document();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            assert!(operation["summary"].as_str().unwrap().len() > 10, "{path}");
            assert!(operation["responses"]["default"].is_object(), "{path}");
            described.insert((path.clone(), method.clone()));
        }
    }
    assert_eq!(described, rows);
}

#[test]
fn every_reference_leads_somewhere_and_every_name_is_used_once() {
    let document = document();
    let mut references = BTreeSet::new();
    gather(&document, &mut references);
    let schemas = document["components"]["schemas"].as_object().unwrap();
    for reference in &references {
        let name = reference.strip_prefix("#/components/schemas/").unwrap();
        assert!(schemas.contains_key(name), "{reference}");
    }
    let mut ids = BTreeSet::new();
    for item in document["paths"].as_object().unwrap().values() {
        for operation in item.as_object().unwrap().values() {
            let id = operation["operationId"].as_str().unwrap();
            assert!(ids.insert(id.to_owned()), "{id} stands twice");
        }
    }
}

fn gather(value: &Value, references: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            if let Some(Value::String(reference)) = fields.get("$ref") {
                references.insert(reference.clone());
            }
            fields.values().for_each(|value| gather(value, references));
        }
        Value::Array(values) => values.iter().for_each(|value| gather(value, references)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
