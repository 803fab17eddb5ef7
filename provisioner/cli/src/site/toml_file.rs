// SPDX-License-Identifier: Apache-2.0
//! A site file in TOML as a document with the line of each field. What is no TOML in one place does not hide the rest.

use super::lines::{Counter, Lines};
use prov_core::site_check::Fault;
use serde_json::{Map, Value};
use toml::de::{DeTable, DeValue};

/// The document as far as it can be read, and what is no TOML in it.
pub(super) fn read(text: &str, lines: &mut Lines) -> (Value, Vec<(usize, String)>) {
    let counter = Counter::of(text);
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut faults: Vec<(usize, String)> = errors
        .iter()
        .map(|error| {
            let line = error.span().map_or(1, |span| counter.line(span.start));
            (line, error.message().to_owned())
        })
        .collect();
    let mut odd = Vec::new();
    let value = object(table.get_ref(), "", &counter, lines, &mut odd);
    faults.extend(odd.iter().map(|fault| {
        let line = lines.of(&fault.path).unwrap_or(1);
        (line, fault.to_string())
    }));
    (value, faults)
}

fn object(
    table: &DeTable<'_>,
    path: &str,
    counter: &Counter,
    lines: &mut Lines,
    odd: &mut Vec<Fault>,
) -> Value {
    let mut fields = Map::new();
    for (key, value) in table {
        let name = key.get_ref().as_ref();
        let path = if path.is_empty() {
            name.to_owned()
        } else {
            format!("{path}.{name}")
        };
        lines.put(&path, counter.line(key.span().start));
        fields.insert(
            name.to_owned(),
            read_value(value.get_ref(), &path, counter, lines, odd),
        );
    }
    Value::Object(fields)
}

fn read_value(
    value: &DeValue<'_>,
    path: &str,
    counter: &Counter,
    lines: &mut Lines,
    odd: &mut Vec<Fault>,
) -> Value {
    let mut none = |should: &str| {
        odd.push(Fault {
            path: path.to_owned(),
            should: should.to_owned(),
        });
        Value::Null
    };
    match value {
        DeValue::String(text) => Value::String(text.clone().into_owned()),
        DeValue::Boolean(truth) => Value::Bool(*truth),
        DeValue::Integer(number) => {
            let digits = number.as_str().trim_start_matches('+').replace('_', "");
            match i64::from_str_radix(&digits, number.radix()) {
                Ok(number) => Value::from(number),
                Err(_) => none("this number is too large"),
            }
        }
        DeValue::Float(_) => none("a site has whole numbers only"),
        DeValue::Datetime(_) => none("a site has no dates; a text stands in double quotes"),
        DeValue::Array(values) => {
            let values = values.iter().enumerate().map(|(index, value)| {
                let path = format!("{path}[{index}]");
                lines.put(&path, counter.line(value.span().start));
                read_value(value.get_ref(), &path, counter, lines, odd)
            });
            Value::Array(values.collect())
        }
        DeValue::Table(table) => object(table, path, counter, lines, odd),
    }
}
