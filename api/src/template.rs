// SPDX-License-Identifier: Apache-2.0
//! A text with fields that are filled in for each node: a closed set of names, and nothing is computed.
//!
//! A value is put in as it is and never looked at again: what a machine says of itself opens no field.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

macro_rules! fields {
    ($($variant:ident $name:literal $says:literal;)*) => {
        /// What can be filled in.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Field {
            $(#[doc = $says] $variant,)*
        }

        impl Field {
            /// Every field.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// As it stands between `${` and `}`.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

fields! {
    NodeName "node.name" "The node's name.";
    NodeMac "node.mac" "The MAC address that it boots from.";
    NodeUuid "node.uuid" "Its UUID.";
    NodeSerial "node.serial" "Its serial number.";
    NodeRack "node.rack" "Its rack.";
    NodeUnit "node.unit" "Its lowest unit.";
    NodeBay "node.bay" "Its bay.";
    NodePort "node.port" "Its switch port.";
    NodeProfile "node.profile" "Its hardware profile.";
    BmcAddress "node.bmc.address" "Where its BMC is.";
    SiteName "site.name" "The site's name.";
    NetworkAddress "network.address" "The provisioner's address.";
    NetworkPrefix "network.prefix" "The length of the network's prefix.";
    NetworkRouter "network.router" "The default gateway.";
    NetworkDns "network.dns" "The name servers, with a comma between two.";
    ImageName "image.name" "The image's name.";
    ImageVersion "image.version" "Its version.";
    Run "run.id" "The run, another one for each installation.";
}

/// A text and what is filled in between its pieces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(Vec<Piece>);

/// A piece of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Field(Field),
}

/// Why a text is no template. Lines count from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TemplateError {
    /// There is no such field.
    Unknown {
        /// As it was given, shortened.
        field: String,
        /// Where.
        line: usize,
    },
    /// A field does not end in its line.
    Open {
        /// Where.
        line: usize,
    },
}

/// A field that has no value for this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoValue(pub Field);

/// The longest piece of an unknown field that is shown, in characters.
const SHOWN_MAX: usize = 40;

impl Template {
    /// Reads a text: `${node.name}` is a field, `$${` is `${` itself.
    ///
    /// # Errors
    /// A field is not known, or does not end.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let mut pieces = Vec::new();
        let mut plain = String::new();
        let (mut rest, mut line) = (text, 1);
        while let Some((before, after)) = rest.split_once("${") {
            line += before.matches('\n').count();
            if let Some(before) = before.strip_suffix('$') {
                plain.push_str(before);
                plain.push_str("${");
                rest = after;
                continue;
            }
            plain.push_str(before);
            let (name, after) = after.split_once('}').ok_or(TemplateError::Open { line })?;
            if name.contains('\n') {
                return Err(TemplateError::Open { line });
            }
            let known = Field::ALL.iter().find(|field| field.as_str() == name);
            let field = *known.ok_or_else(|| TemplateError::Unknown {
                field: name.chars().take(SHOWN_MAX).collect(),
                line,
            })?;
            if !plain.is_empty() {
                pieces.push(Piece::Text(core::mem::take(&mut plain)));
            }
            pieces.push(Piece::Field(field));
            rest = after;
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            pieces.push(Piece::Text(plain));
        }
        Ok(Self(pieces))
    }

    /// The fields in it, as often as they stand there.
    pub fn fields(&self) -> impl Iterator<Item = Field> + '_ {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Text(_) => None,
            Piece::Field(field) => Some(*field),
        })
    }

    /// The text with every field filled in.
    ///
    /// # Errors
    /// The first field that `value` has nothing for.
    pub fn render(&self, value: &dyn Fn(Field) -> Option<String>) -> Result<String, NoValue> {
        let mut out = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Field(field) => out.push_str(&value(*field).ok_or(NoValue(*field))?),
            }
        }
        Ok(out)
    }
}

impl fmt::Display for TemplateError {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown { field, line } => {
                write!(
                    to,
                    "line {line} of the template: there is no field {field:?}; there are: "
                )?;
                for (index, field) in Field::ALL.iter().enumerate() {
                    let between = if index == 0 { "" } else { ", " };
                    write!(to, "{between}{}", field.as_str())?;
                }
                to.write_str("; $${ stands for ${ itself")
            }
            Self::Open { line } => write!(
                to,
                "line {line} of the template: a field that begins with ${{ does not end with }}; $${{ stands for ${{ itself"
            ),
        }
    }
}

impl core::error::Error for TemplateError {}

impl fmt::Display for NoValue {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            to,
            "${{{}}} is filled in, and the node has none",
            self.0.as_str()
        )
    }
}

impl core::error::Error for NoValue {}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::string::ToString as _;

    fn rendered(text: &str) -> String {
        let template = Template::parse(text).unwrap();
        let value = |field| match field {
            Field::NodeName => Some("web-1".to_string()),
            Field::NodeSerial => Some("${node.uuid}".to_string()),
            Field::NodeRack => None,
            other => Some(other.as_str().to_string()),
        };
        template
            .render(&value)
            .unwrap_or_else(|error| error.to_string())
    }

    #[test]
    fn every_field_is_filled_in_once_and_no_other_is_taken() {
        assert_eq!(rendered("a ${node.name} b\n"), "a web-1 b\n");
        assert_eq!(rendered("${node.serial}"), "${node.uuid}");
        assert_eq!(rendered("$${node.name} $x $ }"), "${node.name} $x $ }");
        assert_eq!(rendered(""), "");
        assert_eq!(
            rendered("${node.rack}"),
            "${node.rack} is filled in, and the node has none"
        );
        for field in Field::ALL {
            let template = Template::parse(&format!("x${{{}}}y", field.as_str())).unwrap();
            assert_eq!(template.fields().collect::<Vec<_>>(), [*field]);
        }
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        let unknown = Template::parse("a\nb ${node.secret}\n").unwrap_err();
        assert!(
            matches!(&unknown, TemplateError::Unknown { field, line: 2 } if field == "node.secret")
        );
        assert!(unknown.to_string().contains("node.mac"), "{unknown}");
        for (text, line) in [
            ("${node.name", 1),
            ("\n${", 2),
            ("$${ok}\n\n${node.name\n}", 3),
        ] {
            assert_eq!(
                Template::parse(text),
                Err(TemplateError::Open { line }),
                "{text:?}"
            );
        }
        for text in ["${}", "${node.name }", "${NODE.NAME}", "${env:HOME}"] {
            assert!(
                matches!(Template::parse(text), Err(TemplateError::Unknown { .. })),
                "{text}"
            );
        }
    }
}
