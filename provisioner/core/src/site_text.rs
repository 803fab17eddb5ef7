// SPDX-License-Identifier: Apache-2.0
//! Checks every text of a site, whatever its field: what a person typed is shown on terminals, pages and nodes' screens, and
//! some of it ends up in scripts. Refused by name is what steers, hides, spans lines, names a variable, or is too long.
//! Texts that become files of hosts are no such text: `custom_check` has them.

use crate::site_limits::{KEY_MAX, TEXT_MAX};
use alloc::format;
use alloc::string::{String, ToString};
use groundstate_api::text::printable;
use serde_json::Value;

/// Names every fault of a text through `add`: its path, and what it should be.
pub(crate) fn check(value: &Value, add: &mut dyn FnMut(String, String)) {
    walk(&mut String::new(), value, add);
}

fn walk(path: &mut String, value: &Value, add: &mut dyn FnMut(String, String)) {
    let length = path.len();
    match value {
        // Texts of hosts' files have lines and dollar signs; they are checked with their file.
        Value::String(_) if is_of_file(path) => {}
        Value::String(text) => {
            let most = if path.starts_with("rescue.keys") {
                KEY_MAX
            } else {
                TEXT_MAX
            };
            if let Some(should) = fault_of(text, most) {
                add(path.clone(), should);
            }
        }
        Value::Array(values) => {
            for (index, value) in values.iter().enumerate() {
                path.push_str(&format!("[{index}]"));
                walk(path, value, add);
                path.truncate(length);
            }
        }
        Value::Object(fields) => {
            for (key, value) in fields {
                if !path.is_empty() {
                    path.push('.');
                }
                path.push_str(key);
                walk(path, value, add);
                path.truncate(length);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn is_of_file(path: &str) -> bool {
    let own = path.strip_prefix("policy.").or_else(|| {
        let rest = path.strip_prefix("node[")?;
        Some(rest.split_once("].")?.1)
    });
    let is_text = path.ends_with(".content") || path.ends_with(".template");
    is_text
        && own.is_some_and(|own| {
            ["file[", "nocloud.", "unattend."]
                .iter()
                .any(|begin| own.starts_with(begin))
        })
}

/// What is wrong with a text of a site; `None` where nothing is.
#[must_use]
pub fn fault_of(text: &str, most: usize) -> Option<String> {
    if text.len() > most {
        return Some(format!("{} bytes; {most} is the most", text.len()));
    }
    if let Some(c) = text.chars().find(|c| !printable(*c)) {
        return Some(format!(
            "it holds U+{:04X}; it should be one line of characters that can be seen",
            u32::from(c)
        ));
    }
    let variable = "it holds ${, which scripts read as a variable; it should be plain text";
    text.contains("${").then(|| variable.to_string())
}
