// SPDX-License-Identifier: Apache-2.0
//! A place in a JSON report that may not be there, or hold something else than it should.
//!
//! What is absent is `None` without a word; what is there and makes no sense is `None` with a line about it. Nothing here
//! panics, and numbers are never cut to fit.

use crate::capture::MISSED_MAX;
use crate::capture::words::{decisive, safe};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::RefCell;
use serde_json::Value;

/// The lines about what made no sense, and those of them that are about counters that decide.
#[derive(Default)]
pub(super) struct Missed(RefCell<Vec<String>>, RefCell<Vec<String>>);

impl Missed {
    fn push(&self, line: String) {
        let mut lines = self.0.borrow_mut();
        if lines.len() < MISSED_MAX && !lines.contains(&line) {
            lines.push(line);
        }
    }

    /// The lines about what made no sense, then those about counters that decide.
    pub(super) fn lines(self) -> (Vec<String>, Vec<String>) {
        (self.0.into_inner(), self.1.into_inner())
    }
}

/// A place in the report.
#[derive(Clone, Copy)]
pub(super) struct Node<'a> {
    value: Option<&'a Value>,
    /// The names of the two fields that lead here.
    path: (&'static str, &'static str),
    missed: &'a Missed,
}

impl<'a> Node<'a> {
    pub(super) fn root(value: &'a Value, missed: &'a Missed) -> Self {
        Self {
            value: Some(value),
            path: ("", ""),
            missed,
        }
    }

    /// The field of this name. A place that holds no object has none.
    pub(super) fn at(self, name: &'static str) -> Self {
        let value = self.value.and_then(|value| value.get(name));
        Self {
            value: value.filter(|value| !value.is_null()),
            path: (self.path.1, name),
            missed: self.missed,
        }
    }

    /// The field of a name that is made up at run time.
    pub(super) fn numbered(self, family: &'static str, name: &str) -> Self {
        let value = self.value.and_then(|value| value.get(name));
        Self {
            value: value.filter(|value| !value.is_null()),
            path: (self.path.1, family),
            missed: self.missed,
        }
    }

    pub(super) fn is_there(self) -> bool {
        self.value.is_some()
    }

    pub(super) fn keys(self) -> impl Iterator<Item = &'a str> {
        let fields = self.value.and_then(Value::as_object);
        fields.into_iter().flatten().map(|(key, _)| key.as_str())
    }

    /// A count. Floats without a fraction and digits in text count too: some versions write large numbers so.
    pub(super) fn number(self) -> Option<u64> {
        let value = self.value?;
        let found = match value {
            Value::Number(number) => number.as_u64().or_else(|| whole(number.as_f64()?)),
            Value::String(text) => text.trim().parse().ok(),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
        };
        if found.is_none() {
            self.odd("a count");
        }
        found
    }

    /// A counter that decides. Where it is there and is no count, a line says that it could not be read.
    pub(super) fn decisive(self) -> Option<u64> {
        let found = self.saturating();
        if found.is_none() && self.is_there() {
            self.unreadable("holds no count");
        }
        found
    }

    /// A count, of which one too large to hold is held as the largest.
    pub(super) fn saturating(self) -> Option<u64> {
        let found = match self.value? {
            Value::Number(number) if number.as_u64().is_none() => {
                number.as_f64().and_then(|number| {
                    let too_large = number.is_finite() && number > EXACT;
                    whole(number).or(too_large.then_some(u64::MAX))
                })
            }
            Value::String(text) => decisive(text),
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::Array(_)
            | Value::Object(_) => self.value.and_then(Value::as_u64),
        };
        if found.is_none() {
            self.odd("a count");
        }
        found
    }

    /// A counter that decides and fits one byte.
    pub(super) fn decisive_byte(self) -> Option<u8> {
        let number = self.decisive()?;
        let found = u8::try_from(number).ok();
        if found.is_none() {
            self.odd("a number from 0 to 255");
            self.unreadable("is beyond 255");
        }
        found
    }

    /// A line that this place, which decides, could not be read.
    pub(super) fn unreadable(self, why: &str) {
        let line = format!("{} {why}", self.name());
        let mut lines = self.missed.1.borrow_mut();
        if lines.len() < MISSED_MAX && !lines.contains(&line) {
            lines.push(line);
        }
    }

    /// A count that fits one byte.
    pub(super) fn small(self) -> Option<u8> {
        let number = self.number()?;
        let found = u8::try_from(number).ok();
        if found.is_none() {
            self.odd("a number from 0 to 255");
        }
        found
    }

    /// A number with a sign.
    pub(super) fn signed(self) -> Option<i64> {
        let value = self.value?;
        let found = value.as_i64().or_else(|| {
            let count = whole(value.as_f64()?)?;
            i64::try_from(count).ok()
        });
        if found.is_none() {
            self.odd("a number");
        }
        found
    }

    /// Text, made safe; `None` when empty.
    pub(super) fn text(self) -> Option<String> {
        match self.value? {
            Value::String(text) => Some(safe(text)).filter(|text| !text.is_empty()),
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::Array(_)
            | Value::Object(_) => {
                self.odd("text");
                None
            }
        }
    }

    pub(super) fn boolean(self) -> Option<bool> {
        let found = self.value?.as_bool();
        if found.is_none() {
            self.odd("true or false");
        }
        found
    }

    /// Whether this place holds true or false; says nothing where it holds something else.
    pub(super) fn is_boolean(self) -> bool {
        self.value.is_some_and(Value::is_boolean)
    }

    pub(super) fn is_text(self) -> bool {
        self.value.is_some_and(Value::is_string)
    }

    /// The items of a list, as many as are asked for.
    pub(super) fn items(self, limit: usize) -> Vec<Self> {
        let Some(value) = self.value else {
            return Vec::new();
        };
        let Some(items) = value.as_array() else {
            self.odd("a list");
            return Vec::new();
        };
        if items.len() > limit {
            let name = self.name();
            self.missed(format!(
                "{name} has {} entries; {limit} were read",
                items.len()
            ));
        }
        let of = |value| Self {
            value: Some(value),
            ..self
        };
        items.iter().take(limit).map(of).collect()
    }

    /// The first item of a list, or a place that is not there.
    pub(super) fn first(self) -> Self {
        let items = self.value.and_then(Value::as_array);
        Self {
            value: items.and_then(|items| items.first()),
            ..self
        }
    }

    /// How many items a list has.
    pub(super) fn count(self) -> Option<u64> {
        let items = self.value?.as_array()?;
        u64::try_from(items.len()).ok()
    }

    /// A line about what could not be read.
    pub(super) fn missed(self, line: String) {
        self.missed.push(line);
    }

    fn name(self) -> String {
        match self.path {
            ("", name) => name.into(),
            (parent, name) => format!("{parent}.{name}"),
        }
    }

    fn odd(self, wanted: &str) {
        let kind = match self.value {
            None | Some(Value::Null) => "nothing",
            Some(Value::Bool(_)) => "true or false",
            Some(Value::Number(_)) => "another number",
            Some(Value::String(_)) => "text",
            Some(Value::Array(_)) => "a list",
            Some(Value::Object(_)) => "an object",
        };
        let name = self.name();
        self.missed(format!("{name} should be {wanted} and is {kind}"));
    }
}

/// 2^53: a float up to here was not rounded.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// A float that is a whole number, so that nothing was rounded.
fn whole(number: f64) -> Option<u64> {
    if !(0.0..=EXACT).contains(&number) {
        return None;
    }
    let text = format!("{number:.0}");
    let whole: u64 = text.parse().ok()?;
    // A fraction would have been rounded away.
    let back: f64 = text.parse().ok()?;
    ((back - number).abs() < f64::EPSILON).then_some(whole)
}
