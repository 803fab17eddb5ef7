// SPDX-License-Identifier: Apache-2.0
//! A JSON document of a BMC, read with limits, and asked leniently: what has another type than it should have is absent.

use crate::link::Link;
use crate::text::inert;
use crate::trouble::Trouble;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use groundstate_api::Bytes;
use serde_json::Value;

/// The largest answer that is read: a collection of 300 expanded log entries has under 1 MiB.
pub const ANSWER_MAX: Bytes = Bytes::mib(4);
/// The deepest nesting: real answers have under 12.
pub const DEPTH_MAX: usize = 32;
/// The most values in one answer; a value in memory is some hundred bytes.
pub const VALUES_MAX: usize = 100_000;
/// The most members of one list that are looked at: DIMMs, drives, log entries of one page.
pub const MEMBERS_MAX: usize = 512;

/// A document.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    value: Value,
    host: String,
}

/// A part of a document: an object, or nothing.
#[derive(Clone, Copy, Debug)]
pub struct Part<'a> {
    value: Option<&'a Value>,
    host: &'a str,
}

impl Answer {
    /// Reads bytes that `what` answered; `host` is the BMC's authority, which links may name.
    ///
    /// # Errors
    /// [`Trouble::TooLarge`], or [`Trouble::Odd`] for what is no JSON object within the limits.
    pub fn read(bytes: &[u8], what: &str, host: &str) -> Result<Self, Trouble> {
        let limit = usize::try_from(ANSWER_MAX.0).unwrap_or(usize::MAX);
        if bytes.len() > limit {
            return Err(Trouble::TooLarge {
                what: inert(what),
                limit: ANSWER_MAX,
            });
        }
        let odd = |why: &str| Trouble::Odd {
            what: format!("{}: {why}", inert(what)),
        };
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        weigh(bytes).map_err(odd)?;
        let value: Value = serde_json::from_slice(bytes)
            .map_err(|error| odd(&format!("is no JSON ({})", inert(&format!("{error}")))))?;
        if !value.is_object() {
            return Err(odd("is no JSON object"));
        }
        Ok(Self {
            value,
            host: host.into(),
        })
    }

    /// The whole document as a part.
    #[must_use]
    pub fn top(&self) -> Part<'_> {
        Part {
            value: Some(&self.value),
            host: &self.host,
        }
    }
}

/// Counts depth and values before anything is allocated.
fn weigh(bytes: &[u8]) -> Result<(), &'static str> {
    let (mut depth, mut values, mut text, mut escaped) = (0usize, 0usize, false, false);
    for byte in bytes {
        if text {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => text = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => text = true,
            b'{' | b'[' => {
                depth += 1;
                values += 1;
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            b',' | b':' => values += 1,
            _ => {}
        }
        if depth > DEPTH_MAX {
            return Err("is nested too deeply");
        }
        if values > VALUES_MAX {
            return Err("holds too many values");
        }
    }
    Ok(())
}

impl<'a> Part<'a> {
    fn field(self, name: &str) -> Option<&'a Value> {
        self.value?.as_object()?.get(name)
    }

    /// The part below a field; nothing where it is absent.
    #[must_use]
    pub fn at(self, name: &str) -> Self {
        Self {
            value: self.field(name),
            host: self.host,
        }
    }

    /// Whether there is anything but `null`.
    #[must_use]
    pub fn is_there(self) -> bool {
        self.value.is_some_and(|value| !value.is_null())
    }

    /// A text, made inert; `None` where it is empty.
    #[must_use]
    pub fn text(self, name: &str) -> Option<String> {
        let text = inert(self.field(name)?.as_str()?);
        (!text.is_empty()).then_some(text)
    }

    /// A text as it stands, for comparing with words that are known.
    #[must_use]
    pub fn word(self, name: &str) -> Option<&'a str> {
        self.field(name)?.as_str()
    }

    /// A whole number that is not negative; some services write it as a float or a text.
    #[must_use]
    pub fn number(self, name: &str) -> Option<u64> {
        match self.field(name)? {
            Value::Number(number) => number.as_u64().or_else(|| whole(number.as_f64()?)),
            Value::String(text) => text.trim().parse().ok(),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
        }
    }

    /// A number as it stands, where it may have a fraction (`TotalSystemMemoryGiB`: 31.5).
    #[must_use]
    pub fn fraction(self, name: &str) -> Option<f64> {
        self.field(name)?.as_f64()
    }

    /// Yes or no.
    #[must_use]
    pub fn flag(self, name: &str) -> Option<bool> {
        self.field(name)?.as_bool()
    }

    /// Whether the object has a field of this name, `null` included: the service knows the property.
    #[must_use]
    pub fn knows(self, name: &str) -> bool {
        self.field(name).is_some()
    }

    /// The link of a field: `{"@odata.id": "…"}` or the text itself.
    #[must_use]
    pub fn link(self, name: &str) -> Option<Link> {
        let value = self.field(name)?;
        let text = match value {
            Value::String(text) => text,
            Value::Object(fields) => fields.get("@odata.id")?.as_str()?,
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => return None,
        };
        Link::parse(text, self.host)
    }

    /// The members of a list, [`MEMBERS_MAX`] at most; a single object counts as a list of one (as some services write it).
    #[must_use]
    pub fn list(self, name: &str) -> Vec<Self> {
        let part = |value| Self {
            value: Some(value),
            host: self.host,
        };
        match self.field(name) {
            Some(Value::Array(values)) => values.iter().take(MEMBERS_MAX).map(part).collect(),
            Some(object @ Value::Object(_)) => alloc::vec![part(object)],
            Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) | None => {
                Vec::new()
            }
        }
    }

    /// The links of a list of references.
    #[must_use]
    pub fn links(self, name: &str) -> Vec<Link> {
        let members = self.list(name);
        members
            .into_iter()
            .filter_map(|member| member.link("@odata.id"))
            .collect()
    }

    /// The texts of a list; `None` where there is no list.
    #[must_use]
    pub fn words(self, name: &str) -> Option<Vec<String>> {
        let list = self.field(name)?.as_array()?;
        let words = list.iter().take(MEMBERS_MAX).filter_map(Value::as_str);
        Some(words.map(inert).collect())
    }

    /// The text itself, where this part is one.
    #[must_use]
    pub fn itself(self) -> Option<&'a str> {
        self.value?.as_str()
    }

    /// The fields' names with their parts.
    #[must_use]
    pub fn fields(self) -> Vec<(&'a str, Self)> {
        let Some(Value::Object(fields)) = self.value else {
            return Vec::new();
        };
        let part = |value| Self {
            value: Some(value),
            host: self.host,
        };
        let fields = fields.iter().take(MEMBERS_MAX);
        fields
            .map(|(name, value)| (name.as_str(), part(value)))
            .collect()
    }
}

/// A float without a fraction and within 2^53, as a whole number.
fn whole(number: f64) -> Option<u64> {
    if !(0.0..=9_007_199_254_740_992.0).contains(&number) {
        return None;
    }
    let text = format!("{number:.0}");
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Answer, Trouble> {
        Answer::read(text.as_bytes(), "GET /x", "h")
    }

    #[test]
    fn limits_hold() {
        for bad in [
            "",
            "[]",
            "null",
            "{",
            "<html>",
            "{\"a\":1}x",
            "\u{0}",
            &"[".repeat(1_000_000),
            &format!("{{\"a\":[{}1]}}", "1,".repeat(VALUES_MAX)),
            &format!("{{\"a\":\"{}\"}}", "x".repeat(5 << 20)),
        ] {
            let error = read(bad).unwrap_err();
            assert!(
                matches!(error, Trouble::Odd { .. } | Trouble::TooLarge { .. }),
                "{error:?}"
            );
        }
        // What looks like depth inside a text is none.
        assert!(read(&format!("{{\"a\":\"{}\\\"[\"}}", "[{".repeat(200))).is_ok());
        assert!(read("\u{feff}{\"a\":1}").is_ok());
    }

    #[test]
    fn wrong_types_are_absent() {
        let answer = read(
            r#"{"n": 2.0, "t": "7", "s": {"@odata.id": "/x"}, "l": "/y", "m": {"@odata.id": 5}, "list": [{"@odata.id":"/1"}, 3],
                "one": {"@odata.id": "/2"}, "neg": -1, "half": 0.5, "w": ["a", 1, "b"]}"#,
        )
        .unwrap();
        let top = answer.top();
        assert_eq!((top.number("n"), top.number("t")), (Some(2), Some(7)));
        assert_eq!((top.number("neg"), top.number("l")), (None, None));
        assert_eq!(top.link("s"), Link::parse("/x", "h"));
        assert_eq!(top.link("l"), Link::parse("/y", "h"));
        assert_eq!(
            (top.link("m"), top.text("n"), top.flag("n")),
            (None, None, None)
        );
        assert_eq!((top.links("list").len(), top.links("one").len()), (1, 1));
        assert_eq!(top.words("w").unwrap(), ["a", "b"]);
        assert_eq!(top.at("no").at("where").text("x"), None);
    }
}
