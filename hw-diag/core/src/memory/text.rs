// SPDX-License-Identifier: Apache-2.0
//! The text that `dmidecode` prints, from version 2.0 to today's: types 16, 17, 19 and 20 of it.
//!
//! A structure begins with `Handle 0x…` and ends at an empty line; what stands between structures (comments, warnings,
//! the words of whoever pasted it) is passed over. One file may hold several reports, as `dmidecode -t 16; dmidecode -t 17`
//! gives them: they are taken for pieces of one machine as long as no handle says two things, and refused otherwise.
//! Refuses text without a single structure, and text that is too large to be of one machine.

mod fields;

use super::assemble::count;
use super::{Dimms, Found, assemble};
use crate::fields::clean;
use crate::smbios::STRUCTURES_MAX;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// The most text read, in bytes: the largest of 2,049 real reports has 300 kB.
pub const TEXT_MAX_BYTES: usize = 8 << 20;
/// The longest line read, in bytes. Strings of SMBIOS end at 255 bytes in practice; a longer line is passed over.
pub const LINE_MAX: usize = 4_096;
/// The most fields kept of one structure: a memory device of SMBIOS 3.7 has 41.
const FIELDS_MAX: usize = 64;
/// Lines of one structure are looked at up to here; lists of other types may be longer, and nobody reads those.
const LINES_MAX: usize = 512;

/// Why a text is not a report.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// It is too large to be one machine's.
    #[error(
        "it has {bytes} bytes, more than the {TEXT_MAX_BYTES} that a report of one machine can have"
    )]
    TooLarge {
        /// How many it has.
        bytes: usize,
    },
    /// There is no `Handle 0x…` line in it.
    #[error(
        "no line begins with `Handle 0x`, so it is not the text of dmidecode; run dmidecode without --quiet"
    )]
    NoStructure,
    /// It holds reports of different machines.
    #[error(
        "it holds {reports} reports, and the handle {handle:#06x} says different things in them: one machine at a time"
    )]
    SeveralMachines {
        /// How many.
        reports: usize,
        /// The first handle that differs.
        handle: u16,
    },
}

/// One structure of the text: only what a memory type needs is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Said<'a> {
    handle: u16,
    kind: Option<u8>,
    /// `Memory Device`; empty where nothing stands there.
    title: &'a [u8],
    /// Names and values as they stand.
    fields: Vec<(&'a [u8], &'a [u8])>,
}

impl Said<'_> {
    /// The value of a field; `None` where it is missing.
    fn field(&self, name: &str) -> Option<String> {
        let mut named = self.fields.iter().filter(|(n, _)| *n == name.as_bytes());
        named.next().map(|(_, value)| clean(value))
    }
}

/// The slots in the text of `dmidecode`.
///
/// # Errors
/// The text is too large, has no structure, or is of several machines.
pub fn from_dmidecode_text(bytes: &[u8]) -> Result<Dimms, TextError> {
    if bytes.len() > TEXT_MAX_BYTES {
        return Err(TextError::TooLarge { bytes: bytes.len() });
    }
    let mut reader = Reader::default();
    for line in bytes.split(|byte| *byte == b'\n') {
        reader.line(line);
    }
    let (said, mut notes) = reader.done()?;
    let found = found(&said, &mut notes);
    let (slots, details) = assemble(found, &mut notes);
    Ok(count(slots, details, notes))
}

/// Gathers structures from lines.
#[derive(Default)]
struct Reader<'a> {
    said: Vec<Said<'a>>,
    /// Where each further report begins in `said`.
    starts: Vec<usize>,
    /// Whether lines belong to the last structure.
    inside: bool,
    lines: usize,
    too_long: usize,
    full: bool,
}

impl<'a> Reader<'a> {
    fn line(&mut self, line: &'a [u8]) {
        let line = line.trim_ascii_end();
        if line.len() > LINE_MAX {
            self.too_long += 1;
            return;
        }
        let text = line.trim_ascii_start();
        let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
        if let Some((handle, kind)) = heading(text) {
            self.inside = self.said.len() < STRUCTURES_MAX;
            self.full |= !self.inside;
            self.lines = 0;
            if self.inside {
                self.said.push(Said {
                    handle,
                    kind,
                    title: b"",
                    fields: Vec::new(),
                });
            }
        } else if text.is_empty() {
            self.inside = false;
        } else if text.starts_with(b"# dmidecode ") {
            self.inside = false;
            if self.starts.last() != Some(&self.said.len()) && !self.said.is_empty() {
                self.starts.push(self.said.len());
            }
        } else if self.inside {
            self.body(text);
        }
    }

    fn body(&mut self, text: &'a [u8]) {
        self.lines += 1;
        let Some(last) = self.said.last_mut().filter(|_| self.lines <= LINES_MAX) else {
            return;
        };
        if last.kind.is_none() && last.title.is_empty() {
            // Before dmidecode 2.7 the type stood on a line of its own: `DMI type 17, 27 bytes.`
            last.kind = kind(text);
            if last.kind.is_some() {
                return;
            }
        }
        if last.title.is_empty() {
            last.title = text;
        } else if let Some(colon) = text.iter().position(|byte| *byte == b':')
            && last.fields.len() < FIELDS_MAX
            && is_memory(last.kind)
        {
            let (name, value) = text.split_at(colon);
            let value = value.get(1..).unwrap_or_default().trim_ascii();
            last.fields.push((name.trim_ascii_end(), value));
        }
    }

    fn done(self) -> Result<(Vec<Said<'a>>, Vec<String>), TextError> {
        if self.said.is_empty() {
            return Err(TextError::NoStructure);
        }
        let mut notes = Vec::new();
        if self.too_long > 0 {
            let count = self.too_long;
            notes.push(format!(
                "{count} lines are longer than {LINE_MAX} bytes; they were passed over"
            ));
        }
        if self.full {
            notes.push(format!(
                "the text has more than {STRUCTURES_MAX} structures; the rest was not read"
            ));
        }
        let said = merged(self.said, &self.starts)?;
        Ok((said, notes))
    }
}

fn is_memory(kind: Option<u8>) -> bool {
    matches!(kind, Some(16 | 17 | 19 | 20))
}

/// Several reports are one machine's pieces: a structure that stands in an earlier report already is counted once.
/// Handles that repeat within one report are the firmware's own doing and all stay.
fn merged<'a>(said: Vec<Said<'a>>, starts: &[usize]) -> Result<Vec<Said<'a>>, TextError> {
    if starts.is_empty() {
        return Ok(said);
    }
    let mut earlier: BTreeMap<u16, Vec<usize>> = BTreeMap::new();
    let mut kept: Vec<Said<'a>> = Vec::new();
    let mut fresh = 0;
    for (index, one) in said.into_iter().enumerate() {
        if starts.contains(&index) {
            for (at, before) in kept.iter().enumerate().skip(fresh) {
                earlier.entry(before.handle).or_default().push(at);
            }
            fresh = kept.len();
        }
        match earlier.get(&one.handle) {
            None => kept.push(one),
            Some(before) if before.iter().any(|at| kept.get(*at) == Some(&one)) => {}
            Some(_) => {
                return Err(TextError::SeveralMachines {
                    reports: starts.len() + 1,
                    handle: one.handle,
                });
            }
        }
    }
    Ok(kept)
}

/// `Handle 0x0011, DMI type 17, 84 bytes`; before dmidecode 2.7 `Handle 0x0011` alone.
fn heading(text: &[u8]) -> Option<(u16, Option<u8>)> {
    let rest = text.strip_prefix(b"Handle 0x")?;
    let digits = rest
        .iter()
        .position(|byte| !byte.is_ascii_hexdigit())
        .unwrap_or(rest.len());
    let (digits, rest) = rest.split_at(digits);
    let handle = u16::from_str_radix(core::str::from_utf8(digits).ok()?, 16).ok()?;
    if rest.is_empty() {
        return Some((handle, None));
    }
    Some((handle, Some(kind(rest.strip_prefix(b",")?)?)))
}

/// `DMI type 17, 84 bytes`.
fn kind(text: &[u8]) -> Option<u8> {
    let rest = text.trim_ascii_start().strip_prefix(b"DMI type ")?;
    let number = rest.split(|byte| *byte == b',').next()?;
    core::str::from_utf8(number).ok()?.trim().parse().ok()
}

fn found(said: &[Said<'_>], notes: &mut Vec<String>) -> Found {
    let mut found = Found {
        devices_only: said.iter().all(|one| matches!(one.kind, Some(17 | 127))),
        ..Found::default()
    };
    for one in said {
        match one.kind {
            Some(16) => found.arrays.push(fields::array(one)),
            Some(17) => match fields::device(one) {
                Some((device, odd)) => {
                    notes.extend(odd);
                    found.devices.push(device);
                }
                None => notes.push(format!(
                    "SMBIOS memory device {:#06x} is too short to be read",
                    one.handle
                )),
            },
            Some(19) => found.ranges.extend(fields::range(one, false)),
            Some(20) => found.ranges.extend(fields::range(one, true)),
            Some(_) | None => {}
        }
    }
    found
}

#[cfg(test)]
mod tests;
