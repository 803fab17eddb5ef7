// SPDX-License-Identifier: Apache-2.0
//! What every finding means, by its code: what `hw-diag explain` prints.
//!
//! A finding's own sentences name the device and the figures; an entry here tells the reader who never met the finding
//! what it is, why it is judged so, and what to do. Each subject keeps its table in its own file; a test holds that every
//! code that a judgement can give has an entry.

mod disk;
mod load;
mod machine;
mod memory;

use groundstate_api::health::DeviceKind;

/// One finding, explained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The finding's stable code.
    pub code: &'static str,
    /// What kind of device it is about.
    pub kind: DeviceKind,
    /// The finding in a few words.
    pub title: &'static str,
    /// What it means, why it is judged as it is, and what it may be mistaken for.
    pub meaning: &'static str,
    /// What to do about it.
    pub to_do: &'static str,
}

/// Every subject's table.
const TABLES: &[&[Entry]] = &[
    disk::ENTRIES,
    load::ENTRIES,
    machine::ENTRIES,
    memory::ENTRIES,
];

/// Every entry.
pub fn all() -> impl Iterator<Item = &'static Entry> {
    TABLES.iter().copied().flatten()
}

/// The entry of a code.
#[must_use]
pub fn find(code: &str) -> Option<&'static Entry> {
    all().find(|entry| entry.code == code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_words_are_there() {
        let mut codes: Vec<&str> = all().map(|entry| entry.code).collect();
        codes.sort_unstable();
        let count = codes.len();
        codes.dedup();
        assert_eq!(codes.len(), count, "a code stands twice");
        for entry in all() {
            let kebab = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            assert!(entry.code.chars().all(kebab), "{}", entry.code);
            for text in [entry.title, entry.meaning, entry.to_do] {
                assert!(text.len() > 5, "{}: \"{text}\"", entry.code);
            }
            assert_eq!(find(entry.code), Some(entry));
        }
        assert_eq!(find("no-such-finding"), None);
    }
}
