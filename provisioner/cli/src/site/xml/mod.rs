// SPDX-License-Identifier: Apache-2.0
//! A site as XML: racks with what stands in them, then the rest. What is plain TOML keys are attributes here, tables are
//! elements; `pool_first` is `poolFirst`, `[[rack]]` is `<Rack>`.

mod read;
mod write;

pub(super) use read::read;
pub(super) use write::write;

/// The element that all stands in.
const ROOT: &str = "Datacenter";
/// The number that a reader must know.
const SCHEMA: &str = "1";
/// What stands within a rack.
const IN_RACKS: [&str; 3] = ["switch", "pdu", "node"];

/// `pool_first` is `poolFirst`.
fn camel(key: &str) -> String {
    let mut name = String::with_capacity(key.len());
    let mut up = false;
    for c in key.chars() {
        if c == '_' {
            up = true;
        } else if up {
            name.push(c.to_ascii_uppercase());
            up = false;
        } else {
            name.push(c);
        }
    }
    name
}

/// `pool_first` is `PoolFirst`.
fn pascal(key: &str) -> String {
    let camel = camel(key);
    let mut chars = camel.chars();
    chars.next().map_or_else(String::new, |first| {
        first.to_ascii_uppercase().to_string() + chars.as_str()
    })
}

/// `poolFirst` and `PoolFirst` are `pool_first`.
fn snake(name: &str) -> String {
    let mut key = String::with_capacity(name.len() + 4);
    for (at, c) in name.chars().enumerate() {
        if c.is_ascii_uppercase() && at > 0 {
            key.push('_');
        }
        key.push(c.to_ascii_lowercase());
    }
    key
}

#[cfg(test)]
mod pools;
#[cfg(test)]
mod tests;
