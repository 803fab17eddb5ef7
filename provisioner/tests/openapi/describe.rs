// SPDX-License-Identifier: Apache-2.0
//! Puts the document together: paths from the table of routes, schemas from the types.

use crate::operations::{Content, Operation, of};
use groundstate_api::site_parts::Role;
use groundstate_api::view::Problem;
use prov_core::access::Object;
use prov_core::{Route, Who};
use schemars::generate::SchemaSettings;
use schemars::{SchemaGenerator, generate::Contract};
use serde_json::{Map, Value, json};

/// The name of the scheme: a client certificate of the site's authority.
const MUTUAL: &str = "mutualTLS";

pub(crate) type Schema = fn(&mut SchemaGenerator) -> Value;

/// The schema of a type, for [`Operation`].
pub(crate) fn schema<T: schemars::JsonSchema>(generator: &mut SchemaGenerator) -> Value {
    generator.subschema_for::<T>().to_value()
}

fn generator(contract: Contract) -> SchemaGenerator {
    let mut settings = SchemaSettings::draft2020_12();
    settings.definitions_path = "/components/schemas".into();
    settings.meta_schema = None;
    settings.contract = contract;
    settings.into_generator()
}

pub(crate) fn document() -> Value {
    let mut taken = generator(Contract::Deserialize);
    let mut given = generator(Contract::Serialize);
    let problem = schema::<Problem>(&mut given);
    let mut paths: Map<String, Value> = Map::new();
    for row in Route::ALL {
        let operation = of(row);
        let described = describe(row, &operation, &problem, &mut taken, &mut given);
        let item = paths.entry(row.path).or_insert_with(|| json!({}));
        item[row.method.to_lowercase()] = described;
    }
    let mut schemas: Map<String, Value> = given.take_definitions(true);
    // What is taken may leave out what is given back: each type has two schemas.
    let in_names = |value: &Value| -> Value {
        let text = value.to_string();
        serde_json::from_str(&text.replace("#/components/schemas/", "#/components/schemas/In."))
            .unwrap()
    };
    for (name, value) in taken.take_definitions(true) {
        schemas.insert(format!("In.{name}"), in_names(&value));
    }
    for item in paths.values_mut() {
        for operation in item.as_object_mut().unwrap().values_mut() {
            if let Some(body) = operation.get_mut("requestBody") {
                *body = in_names(body);
            }
        }
    }
    schemas.sort_keys();
    paths.sort_keys();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Groundstate",
            "version": "1",
            "summary": "The provisioner's API.",
            "description": "Brings bare-metal servers to a known ground state. The guide is docs/api.md.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "https://127.0.0.1:8443", "description": "The provisioner's own machine."}],
        "paths": paths,
        "components": {
            "securitySchemes": {MUTUAL: {
                "type": "mutualTLS",
                "description": "A certificate of the site's authority, with a role: groundstate access issue.",
            }},
            "schemas": schemas,
        },
    })
}

fn describe(
    row: &Route,
    operation: &Operation,
    problem: &Value,
    taken: &mut SchemaGenerator,
    given: &mut SchemaGenerator,
) -> Value {
    let mut responses = json!({
        "default": {
            "description": "Refused, with the reason.",
            "content": {"application/problem+json": {"schema": problem}},
        },
    });
    let mut content = Map::new();
    for answer in operation.answers {
        match answer {
            Content::Json(schema) => {
                content.insert("application/json".into(), json!({"schema": schema(given)}));
            }
            Content::Kind(kind) => {
                content.insert((*kind).into(), json!({}));
            }
        }
    }
    let mut good = json!({"description": operation.says});
    if !content.is_empty() {
        good["content"] = Value::Object(content);
    }
    responses[operation.status.to_string()] = good;
    if operation.tagged {
        responses["304"] = json!({"description": "It is the one that If-None-Match names."});
    }
    let mut described = json!({
        "operationId": operation.id,
        "summary": operation.summary,
        "tags": [operation.tag],
        "parameters": parameters(row, operation),
        "responses": responses,
    });
    if let Some(body) = operation.body {
        let content = match body {
            Content::Json(schema) => json!({"application/json": {"schema": schema(taken)}}),
            Content::Kind(kind) => json!({kind: {}}),
        };
        described["requestBody"] = json!({"required": operation.body_required, "content": content});
    }
    if let Some(security) = security(row) {
        described["security"] = security;
    }
    described
}

fn security(row: &Route) -> Option<Value> {
    let roles: Vec<&str> = Role::ALL
        .into_iter()
        .filter(|role| row.who.roles().has(*role))
        .map(Role::as_str)
        .collect();
    let names: Vec<&str> = match row.who {
        Who::Anyone => return None,
        Who::Node => vec!["node"],
        Who::Host => vec!["host"],
        Who::Roles(_) => roles,
        Who::NodeOr(_) => ["node"].into_iter().chain(roles).collect(),
    };
    Some(json!([{MUTUAL: names}]))
}

fn parameters(row: &Route, operation: &Operation) -> Value {
    let mut all = Vec::new();
    let mut add = |place: &str, name: &str, says: &str, schema: Value| {
        all.push(json!({
            "in": place, "name": name, "description": says, "required": place == "path", "schema": schema,
        }));
    };
    let text = || json!({"type": "string"});
    for part in row.path.split('/') {
        let Some(name) = part
            .strip_prefix('{')
            .and_then(|part| part.strip_suffix('}'))
        else {
            continue;
        };
        let (says, schema) = match name {
            "node" => (
                "The node's name.",
                json!({"type": "string", "pattern": "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"}),
            ),
            "digest" => (
                "64 hexadecimal digits.",
                json!({"type": "string", "pattern": "^[0-9a-f]{64}$"}),
            ),
            "mac" => (
                "The MAC address that it booted from.",
                json!({"type": "string", "pattern": "^[0-9a-f]{2}(:[0-9a-f]{2}){5}$"}),
            ),
            "action" => (
                "The action's number.",
                json!({"type": "integer", "minimum": 1}),
            ),
            _ => ("1, 2, 3, …", json!({"type": "integer", "minimum": 1})),
        };
        add("path", name, says, schema);
    }
    for (name, says, schema) in operation.query {
        add("query", name, says, serde_json::from_str(schema).unwrap());
    }
    let is_order = matches!(row.who, Who::Roles(_)) && row.changes();
    if is_order {
        let key = json!({"type": "string", "pattern": "^[!-~]{1,128}$"});
        add(
            "header",
            "Idempotency-Key",
            "Chosen by the caller for one order: sent again with it, the order is carried out once and answered the same for 24 hours.",
            key,
        );
    }
    if row.changes() && (row.object == Object::Node && is_order || operation.id == "putSite") {
        add(
            "header",
            "If-Match",
            "The entity tag that the caller has seen: 412 where it is another one now.",
            text(),
        );
    }
    if operation.tagged {
        add(
            "header",
            "If-None-Match",
            "The entity tag that the caller has: 304 where it is the same.",
            text(),
        );
    }
    Value::Array(all)
}
