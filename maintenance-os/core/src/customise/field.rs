// SPDX-License-Identifier: Apache-2.0
//! Fields that are filled in for each node: a closed set, and nothing is computed.

use super::refusal::CustomiseRefusal;
use alloc::string::String;

/// All fields.
pub const FIELDS: [&str; 7] = [
    "node.name",
    "node.serial",
    "node.uuid",
    "node.mac",
    "site.name",
    "image.name",
    "image.version",
];

/// What they are of one node.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // Each is the field of its name.
pub struct Fields {
    pub node_name: String,
    pub node_serial: String,
    pub node_uuid: String,
    pub node_mac: String,
    pub site_name: String,
    pub image_name: String,
    pub image_version: String,
}

impl Fields {
    fn get(&self, field: &str) -> Option<&str> {
        let value = match field {
            "node.name" => &self.node_name,
            "node.serial" => &self.node_serial,
            "node.uuid" => &self.node_uuid,
            "node.mac" => &self.node_mac,
            "site.name" => &self.site_name,
            "image.name" => &self.image_name,
            "image.version" => &self.image_version,
            _ => return None,
        };
        Some(value)
    }
}

/// Fills in `${…}`; `$${` is `${` itself. A value is never looked at again.
///
/// # Errors
/// A field is not known or does not end.
pub fn render(text: &str, fields: &Fields) -> Result<String, CustomiseRefusal> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        if let Some(before) = before.strip_suffix('$') {
            out.push_str(before);
            out.push_str("${");
            rest = after;
            continue;
        }
        let (field, after) = after.split_once('}').ok_or(CustomiseRefusal::OpenField)?;
        let value = fields.get(field).ok_or_else(|| CustomiseRefusal::Field {
            field: field.chars().take(40).collect(),
        })?;
        out.push_str(before);
        out.push_str(value);
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString as _;

    fn fields() -> Fields {
        let text = |text: &str| text.to_string();
        Fields {
            node_name: text("web-1"),
            node_serial: text("${node.uuid}"),
            node_uuid: text("uuid"),
            node_mac: text("mac"),
            site_name: text("site"),
            image_name: text("image"),
            image_version: text("version"),
        }
    }

    #[test]
    fn every_field_is_filled_in_once_and_no_other_is_taken() {
        let render = |text: &str| render(text, &fields());
        assert_eq!(render("a ${node.name} b").unwrap(), "a web-1 b");
        assert_eq!(render("${node.serial}").unwrap(), "${node.uuid}");
        assert_eq!(render("$${node.name} $x $").unwrap(), "${node.name} $x $");
        assert_eq!(render("").unwrap(), "");
        for field in FIELDS {
            assert!(render(&alloc::format!("${{{field}}}")).is_ok(), "{field}");
        }
        assert_eq!(render("${node.name"), Err(CustomiseRefusal::OpenField));
        let unknown = render("${node.secret}").unwrap_err().to_string();
        assert!(
            unknown.contains("node.secret") && unknown.contains("node.mac"),
            "{unknown}"
        );
    }
}
