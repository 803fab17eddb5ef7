// SPDX-License-Identifier: Apache-2.0
//! Walks the structures of a raw table: a header of type, length and handle, the formatted area, then strings, each
//! ended by NUL, the set ended by one more NUL (DSP0134, 6.1).

use crate::fields::{byte, clean, le16};
use alloc::format;
use alloc::string::String;

/// Type, length and handle.
const HEADER: usize = 4;
/// The structure that ends the table.
const END_OF_TABLE: u8 = 127;

/// One structure, whole.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Structure<'a> {
    pub(crate) kind: u8,
    pub(crate) handle: u16,
    /// The formatted area with its header, so that offsets are the specification's.
    pub(crate) formatted: &'a [u8],
    strings: &'a [u8],
}

impl Structure<'_> {
    /// The string whose number stands at `at`; empty when there is none.
    pub(crate) fn string_at(&self, at: usize) -> String {
        let number = byte(self.formatted, at).unwrap_or(0);
        let Some(index) = usize::from(number).checked_sub(1) else {
            return String::new();
        };
        self.strings
            .split(|b| *b == 0)
            .nth(index)
            .map(clean)
            .unwrap_or_default()
    }
}

/// Walks a table and remembers why it stopped.
pub(crate) struct Walk<'a> {
    table: &'a [u8],
    at: usize,
    /// How many structures the entry point announces; `None` where only the table's end mark ends it.
    announced: Option<u16>,
    ended: bool,
    fault: Option<String>,
}

impl<'a> Walk<'a> {
    /// An SMBIOS 2 entry point announces how many structures there are, and then the end mark ends nothing, as
    /// `dmidecode` has it; without a number the end mark ends the table.
    pub(crate) fn new(table: &'a [u8], announced: Option<u16>) -> Self {
        Self {
            table,
            at: 0,
            announced,
            ended: false,
            fault: None,
        }
    }
    /// Why the walk stopped before the table's end, if it did.
    pub(crate) fn fault(&self) -> Option<String> {
        self.fault.clone()
    }
    fn stop(&mut self, why: &str) -> Option<Structure<'a>> {
        self.ended = true;
        let (at, length) = (self.at, self.table.len());
        self.fault = Some(format!(
            "SMBIOS table: {why} at byte {at} of {length}; the rest was not read"
        ));
        None
    }
}

impl<'a> Iterator for Walk<'a> {
    type Item = Structure<'a>;

    fn next(&mut self) -> Option<Structure<'a>> {
        if self.ended {
            return None;
        }
        let rest = self.table.get(self.at..).unwrap_or_default();
        if rest.is_empty() || self.announced == Some(0) {
            self.ended = true;
            return None;
        }
        let (Some(kind), Some(length), Some(handle)) =
            (byte(rest, 0), byte(rest, 1), le16(rest, 2))
        else {
            return self.stop("a header is cut off");
        };
        let length = usize::from(length);
        if length < HEADER {
            return self.stop("a structure is shorter than its header");
        }
        let Some((formatted, tail)) = rest.split_at_checked(length) else {
            return self.stop("a structure is cut off");
        };
        let Some(strings) = tail.windows(2).position(|pair| pair == [0, 0]) else {
            // An end mark without its two zeros still ends the table, and nothing of it is missing.
            if kind != END_OF_TABLE {
                return self.stop("the strings of a structure are cut off");
            }
            self.ended = true;
            return None;
        };
        self.at += length + strings + 2;
        if let Some(left) = &mut self.announced {
            *left -= 1;
        } else if kind == END_OF_TABLE {
            self.ended = true;
            return None;
        }
        Some(Structure {
            kind,
            handle,
            formatted,
            strings: tail.get(..strings).unwrap_or_default(),
        })
    }
}
