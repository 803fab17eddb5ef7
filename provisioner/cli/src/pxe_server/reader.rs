// SPDX-License-Identifier: Apache-2.0
//! Reads TOML so that every fault is told at once, each with its line and the path of its field.
//!
//! A key that nobody asked for is refused, with the name that was probably meant.

use std::cell::RefCell;
use std::fmt::Display;
use std::ops::Range;
use std::str::FromStr;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A fault of the file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Fault {
    /// Its line, from 1.
    pub(super) line: usize,
    /// What is wrong, with the path of the field.
    pub(super) what: String,
}

/// Where faults are collected.
#[derive(Debug)]
pub(super) struct Faults<'t> {
    text: &'t str,
    broken: bool,
    found: RefCell<Vec<Fault>>,
}

impl<'t> Faults<'t> {
    /// Of this text; `broken` where it is no TOML in some place: what seems to be missing may only be hidden by that.
    pub(super) const fn of(text: &'t str, broken: bool) -> Self {
        Self {
            text,
            broken,
            found: RefCell::new(Vec::new()),
        }
    }

    /// Whether the text is no TOML in some place.
    pub(super) const fn is_broken(&self) -> bool {
        self.broken
    }

    /// The line that a byte is in.
    pub(super) fn line(&self, at: usize) -> usize {
        let above = self.text.get(..at).unwrap_or(self.text);
        above.matches('\n').count() + 1
    }

    /// Another fault.
    pub(super) fn add(&self, line: usize, what: impl Into<String>) {
        let what = what.into();
        self.found.borrow_mut().push(Fault { line, what });
    }

    /// All of them, in the order of the file.
    pub(super) fn all(self) -> Vec<Fault> {
        let mut found = self.found.into_inner();
        found.sort();
        found.dedup();
        found
    }
}

/// A value, and its line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct At<T> {
    pub(super) line: usize,
    pub(super) value: T,
}

/// A table that is being read.
pub(super) struct Section<'r, 't> {
    faults: &'r Faults<'t>,
    path: String,
    table: &'r DeTable<'t>,
    /// Its line.
    pub(super) line: usize,
    asked: RefCell<Vec<&'static str>>,
}

impl<'r, 't> Section<'r, 't> {
    /// The whole document.
    pub(super) fn document(faults: &'r Faults<'t>, table: &'r DeTable<'t>) -> Self {
        Self::new(faults, String::new(), table, 0)
    }

    fn new(faults: &'r Faults<'t>, path: String, table: &'r DeTable<'t>, at: usize) -> Self {
        Self {
            faults,
            path,
            table,
            line: faults.line(at),
            asked: RefCell::default(),
        }
    }

    /// A text that can be read as something.
    pub(super) fn parsed<T: FromStr<Err: Display>>(&self, key: &'static str) -> Option<At<T>> {
        let value = self.value(key)?;
        self.read(&self.at(key), value)
    }

    /// As [`Section::parsed`], by a function.
    pub(super) fn by<T, E: Display>(
        &self,
        key: &'static str,
        read: impl Fn(&str) -> Result<T, E>,
    ) -> Option<At<T>> {
        let value = self.value(key)?;
        self.read_by(&self.at(key), value, &read)
    }

    /// A list of such texts; one alone may stand without brackets.
    pub(super) fn all_by<T, E: Display>(
        &self,
        key: &'static str,
        read: impl Fn(&str) -> Result<T, E>,
    ) -> Vec<At<T>> {
        let Some(value) = self.value(key) else {
            return Vec::new();
        };
        let path = self.at(key);
        match value.get_ref() {
            DeValue::Array(list) => list
                .iter()
                .enumerate()
                .filter_map(|(n, each)| self.read_by(&format!("{path}[{n}]"), each, &read))
                .collect(),
            _ => self.read_by(&path, value, &read).into_iter().collect(),
        }
    }

    /// A list of texts that can be read as something.
    pub(super) fn all<T: FromStr<Err: Display>>(&self, key: &'static str) -> Vec<At<T>> {
        self.all_by(key, |text| text.parse::<T>())
    }

    /// A whole number within bounds.
    pub(super) fn number<T>(&self, key: &'static str, within: Range<u64>) -> Option<At<T>>
    where
        T: TryFrom<u64>,
    {
        let value = self.value(key)?;
        let line = self.faults.line(value.span().start);
        let number = match value.get_ref() {
            DeValue::Integer(digits) => u64::from_str_radix(digits.as_str(), digits.radix()).ok(),
            _ => None,
        };
        let number = number
            .filter(|n| within.contains(n))
            .and_then(|n| T::try_from(n).ok());
        if number.is_none() {
            let (least, most) = (within.start, within.end.saturating_sub(1));
            let what = format!(
                "{}: should be a whole number from {least} to {most}",
                self.at(key)
            );
            self.faults.add(line, what);
        }
        number.map(|value| At { line, value })
    }

    /// `true` or `false`.
    pub(super) fn flag(&self, key: &'static str) -> Option<bool> {
        let value = self.value(key)?;
        if let DeValue::Boolean(flag) = value.get_ref() {
            return Some(*flag);
        }
        self.wrong(&self.at(key), value, "true or false");
        None
    }

    /// Whether anything stands there, be it right or wrong.
    pub(super) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// How many of these are there, be they right or wrong.
    pub(super) fn count(&self, keys: &[&str]) -> usize {
        keys.iter().filter(|key| self.has(key)).count()
    }

    /// Whether `true` or `false` stands there.
    pub(super) fn is_flag(&self, key: &'static str) -> bool {
        matches!(
            self.table.get(key).map(Spanned::get_ref),
            Some(DeValue::Boolean(_))
        )
    }

    /// A table within.
    pub(super) fn table(&self, key: &'static str) -> Option<Section<'r, 't>> {
        let value = self.value(key)?;
        self.section(self.at(key), value)
    }

    /// A list of tables within.
    pub(super) fn tables(&self, key: &'static str) -> Vec<Section<'r, 't>> {
        let Some(value) = self.value(key) else {
            return Vec::new();
        };
        let path = self.at(key);
        let DeValue::Array(list) = value.get_ref() else {
            self.wrong(&path, value, &format!("a list: [[{path}]]"));
            return Vec::new();
        };
        list.iter()
            .enumerate()
            .filter_map(|(n, each)| self.section(format!("{path}[{n}]"), each))
            .collect()
    }

    /// Something that this table lacks, or has in too many ways; not said of a text that is broken elsewhere.
    pub(super) fn fault(&self, what: &str) {
        if self.faults.is_broken() {
            return;
        }
        let path = if self.path.is_empty() {
            "the file"
        } else {
            &self.path
        };
        self.faults.add(self.line, format!("{path}: {what}"));
    }

    /// Refuses every key that was not asked for.
    pub(super) fn end(self) {
        let asked = self.asked.borrow();
        for (key, _) in self.table.iter() {
            let name = key.get_ref().as_ref();
            if asked.contains(&name) {
                continue;
            }
            let near = near(name, &asked).map_or_else(
                || format!("there are {}", asked.join(", ")),
                |near| format!("{near} is probably meant"),
            );
            let line = self.faults.line(key.span().start);
            let path = self.path_of(name);
            self.faults
                .add(line, format!("{path}: there is no such key; {near}"));
        }
    }

    fn at(&self, key: &str) -> String {
        self.path_of(key)
    }

    fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        }
    }

    fn value(&self, key: &'static str) -> Option<&'r Spanned<DeValue<'t>>> {
        self.asked.borrow_mut().push(key);
        self.table.get(key)
    }

    fn section(&self, path: String, value: &'r Spanned<DeValue<'t>>) -> Option<Section<'r, 't>> {
        if let DeValue::Table(table) = value.get_ref() {
            return Some(Section::new(self.faults, path, table, value.span().start));
        }
        self.wrong(&path, value, "a table");
        None
    }

    fn read<T: FromStr<Err: Display>>(
        &self,
        path: &str,
        value: &Spanned<DeValue<'_>>,
    ) -> Option<At<T>> {
        self.read_by(path, value, &|text: &str| text.parse::<T>())
    }

    fn read_by<T, E: Display>(
        &self,
        path: &str,
        value: &Spanned<DeValue<'_>>,
        read: &dyn Fn(&str) -> Result<T, E>,
    ) -> Option<At<T>> {
        let DeValue::String(text) = value.get_ref() else {
            self.wrong(path, value, "a text in quotation marks");
            return None;
        };
        let line = self.faults.line(value.span().start);
        match read(text) {
            Ok(value) => Some(At { line, value }),
            Err(why) => {
                self.faults.add(line, format!("{path}: {text:?}: {why}"));
                None
            }
        }
    }

    fn wrong(&self, path: &str, value: &Spanned<DeValue<'_>>, should: &str) {
        let line = self.faults.line(value.span().start);
        let is = value.get_ref().type_str();
        self.faults.add(
            line,
            format!("{path}: should be {should}, and is of type {is}"),
        );
    }
}

/// The name that was probably meant.
fn near<'n>(written: &str, names: &[&'n str]) -> Option<&'n str> {
    let plain = |text: &str| text.to_ascii_lowercase().replace('-', "_");
    let written = plain(written);
    let far = |name: &&'n str| distance(&plain(name), &written);
    let nearest = names.iter().copied().min_by_key(|name| far(name))?;
    (far(&nearest) <= 1 + written.len() / 4).then_some(nearest)
}

/// Letters to change, add or leave out (Levenshtein).
fn distance(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.chars().count()).collect();
    for (n, a) in one.chars().enumerate() {
        let mut before = n;
        let mut left = n + 1;
        for (cell, b) in row.iter_mut().skip(1).zip(other.chars()) {
            let change = before + usize::from(a != b);
            before = *cell;
            left = change.min(before + 1).min(left + 1);
            *cell = left;
        }
        if let Some(first) = row.first_mut() {
            *first = n + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_that_was_meant_is_near() {
        for (one, other, far) in [
            ("", "", 0),
            ("pool", "pools", 1),
            ("dsn", "dns", 2),
            ("abc", "", 3),
        ] {
            assert_eq!(distance(one, other), far, "{one} {other}");
        }
        let names = ["interface", "pools", "boot_dir", "dns"];
        assert_eq!(near("interfaec", &names), Some("interface"));
        assert_eq!(near("boot-dir", &names), Some("boot_dir"));
        assert_eq!(near("pool", &names), Some("pools"));
        assert_eq!(near("colour", &names), None);
    }
}
