// SPDX-License-Identifier: Apache-2.0
//! The description of the API as what may be sent: operations with their parameters, and bodies that fit their schemas.

use crate::world::World;
use serde_json::{Map, Value, json};

/// One operation of the description.
pub(super) struct Operation {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) tag: String,
    pub(super) parameters: Vec<(String, String)>,
    pub(super) body: Option<Value>,
}

pub(super) struct Described {
    schemas: Map<String, Value>,
    pub(super) operations: Vec<Operation>,
}

impl Described {
    pub(super) fn of(world: &World) -> Self {
        let document = world.anyone().get("/openapi.json").ok();
        let schemas = document["components"]["schemas"]
            .as_object()
            .unwrap()
            .clone();
        let mut operations = Vec::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                let text = |value: &Value| value.as_str().unwrap().to_owned();
                let parameters = operation["parameters"].as_array().unwrap().iter();
                operations.push(Operation {
                    method: method.to_uppercase(),
                    path: path.clone(),
                    tag: text(&operation["tags"][0]),
                    parameters: parameters
                        .map(|one| (text(&one["in"]), text(&one["name"])))
                        .collect(),
                    body: operation["requestBody"]["content"]["application/json"]
                        .get("schema")
                        .cloned(),
                });
            }
        }
        // Images come from the composition, which is not here.
        operations.retain(|operation| operation.tag != "images");
        assert!(operations.len() > 45, "{}", operations.len());
        Self {
            schemas,
            operations,
        }
    }

    /// A value that fits a schema, as far as a schema says; `pick` chooses among what may stand for one another.
    pub(super) fn sample(&self, schema: &Value, pick: usize, depth: usize) -> Value {
        if let Some(reference) = schema["$ref"].as_str() {
            let name = reference.rsplit('/').next().unwrap();
            return self.sample(&self.schemas[name], pick, depth);
        }
        if let Some(value) = schema.get("const") {
            return value.clone();
        }
        for key in ["oneOf", "anyOf", "enum"] {
            let Some(several) = schema[key].as_array() else {
                continue;
            };
            let one = &several[pick % several.len()];
            return if key == "enum" {
                one.clone()
            } else {
                self.sample(one, pick, depth + 1)
            };
        }
        let kind = match &schema["type"] {
            Value::Array(kinds) => kinds[0].as_str().unwrap_or("string"),
            kind => kind.as_str().unwrap_or("object"),
        };
        match kind {
            "object" => {
                let mut value = Map::new();
                let properties = schema["properties"].as_object();
                let required = schema["required"].as_array().cloned().unwrap_or_default();
                for (name, property) in properties.into_iter().flatten() {
                    if depth < 8 || required.contains(&json!(name)) {
                        value.insert(name.clone(), self.sample(property, pick, depth + 1));
                    }
                }
                Value::Object(value)
            }
            "array" if depth >= 8 => json!([]),
            "array" => json!([self.sample(&schema["items"], pick, depth + 1)]),
            "integer" | "number" => schema.get("minimum").cloned().unwrap_or(json!(1)),
            "boolean" => json!(false),
            "null" => Value::Null,
            _ => json!(text_of(schema)),
        }
    }

    /// Several values that fit, for each of the ways in which it may be written.
    pub(super) fn samples(&self, schema: &Value) -> Vec<Value> {
        let mut all: Vec<Value> = Vec::new();
        for pick in 0..9 {
            let one = self.sample(schema, pick, 0);
            if !all.contains(&one) {
                all.push(one);
            }
        }
        all
    }
}

/// A text of this pattern or form.
fn text_of(schema: &Value) -> &'static str {
    let pattern = schema["pattern"].as_str().unwrap_or_default();
    let format = schema["format"].as_str().unwrap_or_default();
    match (format, pattern) {
        ("ip" | "ipv4", _) => "127.0.0.9",
        (_, p) if p.contains("([:-]") || p.contains("(:") => "52:54:00:00:00:09",
        (_, p) if p.starts_with("^sha256:") => {
            "sha256:0000000000000000000000000000000000000000000000000000000000000000"
        }
        (_, p) if p.contains("{64}") => {
            "0000000000000000000000000000000000000000000000000000000000000000"
        }
        (_, p) if p.contains("{8}-") => "11111111-1111-1111-1111-111111111111",
        _ => "x",
    }
}

/// Where every text of a value stands.
pub(super) fn texts(at: &str, value: &Value, out: &mut Vec<String>) {
    match value {
        Value::String(_) => out.push(at.to_owned()),
        Value::Array(values) => {
            for (index, value) in values.iter().enumerate() {
                texts(&format!("{at}/{index}"), value, out);
            }
        }
        Value::Object(fields) => {
            for (name, value) in fields {
                texts(&format!("{at}/{name}"), value, out);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
