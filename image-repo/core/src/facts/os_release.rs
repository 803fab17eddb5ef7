// SPDX-License-Identifier: Apache-2.0
//! Reads os-release (freedesktop.org, os-release(5)): shell assignments, without running a shell.

use super::tree::printable;
use alloc::string::String;

/// The longest file that is read, in bytes; those that exist are under 2 KiB.
pub(super) const OS_RELEASE_MAX: usize = 16 * 1024;
/// The longest value that is kept, in characters.
const VALUE_MAX: usize = 128;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct OsRelease {
    pub(super) id: String,
    pub(super) version: String,
    pub(super) name: String,
}

/// `None` where it names no system.
pub(super) fn parse(bytes: &[u8]) -> Option<OsRelease> {
    let text = String::from_utf8_lossy(bytes);
    let mut found = OsRelease::default();
    let mut plain_name = String::new();
    for line in text.lines() {
        let Some((key, value)) = line.trim().split_once('=') else {
            continue;
        };
        let place = match key {
            "ID" => &mut found.id,
            "VERSION_ID" => &mut found.version,
            "PRETTY_NAME" => &mut found.name,
            "NAME" => &mut plain_name,
            _ => continue,
        };
        *place = value_of(value);
    }
    if found.name.is_empty() {
        found.name = plain_name;
    }
    (!found.id.is_empty() || !found.name.is_empty()).then_some(found)
}

fn value_of(text: &str) -> String {
    let quoted = ['"', '\''].into_iter().find_map(|quote| {
        let inner = text.strip_prefix(quote)?;
        Some(inner.strip_suffix(quote).unwrap_or(inner))
    });
    let mut plain = String::new();
    let mut is_escaped = false;
    for c in quoted.unwrap_or(text).chars() {
        if c == '\\' && !is_escaped {
            is_escaped = true;
        } else {
            plain.push(c);
            is_escaped = false;
        }
    }
    printable(&plain, VALUE_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_escapes_and_nonsense() {
        let text =
            b"# note\nID=debian\nVERSION_ID=\"12\"\nPRETTY_NAME='A \\\"B\\\" \x1b[31m'\nrubbish\n";
        let found = parse(text).unwrap();
        assert_eq!(
            (found.id.as_str(), found.version.as_str()),
            ("debian", "12")
        );
        assert_eq!(found.name, "A \"B\" ?[31m");
        assert_eq!(parse(b"NAME=Arch\n").unwrap().name, "Arch");
        assert_eq!(parse(b"\xff\xfe\n=\n"), None);
    }
}
