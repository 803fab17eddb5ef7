// SPDX-License-Identifier: Apache-2.0
//! Finds where a disk names its own GUIDs: as text in loader entries and file system tables, in the bytes of a table in
//! boot databases.
//!
//! It reads bytes and knows no file system: what a compressed or encrypted file says, it does not see.

use crate::guid::Guid;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

/// What two pieces of a disk must have in common, so that a name across their border is found: all but one byte of one.
pub const OVERLAP: usize = TEXT - 1;
/// The length of a GUID as text.
const TEXT: usize = 36;
/// The length of a GUID as a table has it.
const BINARY: usize = 16;
/// One window in so many bytes is looked at: any name has one such window in it, whole.
const STRIDE: usize = 8;
/// A window.
const WINDOW: usize = 4;
/// Bits of the table that says which windows are worth a second look.
const BITS: usize = 1 << 16;
/// So many names of one disk are kept; where there are more, nothing is changed by them anyway.
pub const HITS_MAX: usize = 4_096;

/// How a GUID is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Form {
    /// As text in lower case, or mixed.
    Text,
    /// As text without a lower-case letter.
    UpperText,
    /// As sixteen bytes in a table's order.
    Binary,
}

/// A place that names a GUID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hit {
    /// The first byte.
    pub at: u64,
    /// What it names.
    pub guid: Guid,
    /// How.
    pub form: Form,
}

/// The GUIDs that are looked for.
#[derive(Clone, Debug)]
pub struct Needles {
    guids: Vec<(Guid, String, [u8; BINARY])>,
    worth: Vec<u64>,
    windows: BTreeMap<u32, Vec<Candidate>>,
}

#[derive(Clone, Copy, Debug)]
struct Candidate {
    guid: usize,
    /// How far into the name the window is.
    offset: usize,
    is_text: bool,
}

impl Needles {
    /// Looks for these. An unset GUID names nothing and is not looked for.
    #[must_use]
    pub fn new(guids: impl IntoIterator<Item = Guid>) -> Self {
        let mut needles = Self {
            guids: Vec::new(),
            worth: vec![0; BITS / 64],
            windows: BTreeMap::new(),
        };
        for guid in guids.into_iter().filter(|guid| guid.0 != [0; 16]) {
            let (text, binary) = (guid.lower(), guid.to_gpt());
            let index = needles.guids.len();
            for offset in 0..STRIDE {
                for (bytes, is_text) in [(text.as_bytes(), true), (binary.as_slice(), false)] {
                    if let Some(window) = window(bytes, offset) {
                        let key = if is_text { lower(window) } else { window };
                        needles.mark(key);
                        needles.windows.entry(key).or_default().push(Candidate {
                            guid: index,
                            offset,
                            is_text,
                        });
                    }
                }
            }
            needles.guids.push((guid, text, binary));
        }
        needles
    }

    fn mark(&mut self, key: u32) {
        let (word, bit) = slot(key);
        if let Some(word) = self.worth.get_mut(word) {
            *word |= 1 << bit;
        }
    }

    fn is_worth(&self, key: u32) -> bool {
        let (word, bit) = slot(key);
        self.worth
            .get(word)
            .is_some_and(|word| word & (1 << bit) != 0)
    }

    /// Finds every name that lies wholly in `bytes`, which begin at byte `at` of the disk.
    pub fn scan(&self, bytes: &[u8], at: u64, out: &mut Vec<Hit>) {
        let (mut offset, began) = (0, out.len());
        while let Some(found) = window(bytes, offset) {
            let low = lower(found);
            if self.is_worth(found) {
                self.check(found, bytes, offset, at, out);
            }
            if low != found && self.is_worth(low) {
                self.check(low, bytes, offset, at, out);
            }
            offset += STRIDE;
        }
        if let Some(new) = out.get_mut(began..) {
            new.sort_unstable();
        }
        out.dedup();
    }

    fn check(&self, key: u32, bytes: &[u8], offset: usize, at: u64, out: &mut Vec<Hit>) {
        for candidate in self.windows.get(&key).into_iter().flatten() {
            let Some(start) = offset.checked_sub(candidate.offset) else {
                continue;
            };
            let Some((guid, text, binary)) = self.guids.get(candidate.guid) else {
                continue;
            };
            let form = if candidate.is_text {
                bytes.get(start..start + TEXT).and_then(|found| {
                    found.eq_ignore_ascii_case(text.as_bytes()).then(|| {
                        let has_lower = found.iter().any(u8::is_ascii_lowercase);
                        if has_lower {
                            Form::Text
                        } else {
                            Form::UpperText
                        }
                    })
                })
            } else {
                let found = bytes.get(start..start + BINARY);
                (found == Some(binary.as_slice())).then_some(Form::Binary)
            };
            out.extend(form.map(|form| Hit {
                at: at + start as u64,
                guid: *guid,
                form,
            }));
        }
    }
}

fn window(bytes: &[u8], offset: usize) -> Option<u32> {
    let four: &[u8; WINDOW] = bytes.get(offset..)?.first_chunk()?;
    Some(u32::from_le_bytes(*four))
}

/// Letters in lower case; digits and `-` have that bit already.
const fn lower(window: u32) -> u32 {
    window | 0x2020_2020
}

const fn slot(key: u32) -> (usize, u32) {
    let hash = key.wrapping_mul(0x9e37_79b1) >> 16;
    ((hash / 64) as usize, hash % 64)
}

#[cfg(test)]
#[allow(clippy::indexing_slicing)] // A test may panic.
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn guid(byte: u8) -> Guid {
        let mut bytes = [byte; 16];
        bytes[0] = 0xab;
        bytes[15] = 0xcd;
        Guid(bytes)
    }

    fn found(needles: &Needles, bytes: &[u8]) -> Vec<Hit> {
        let mut hits = Vec::new();
        needles.scan(bytes, 1_000, &mut hits);
        hits
    }

    proptest! {
        #[test]
        fn a_name_is_found_wherever_it_stands(
            at in 0usize..200,
            behind in 0usize..40,
            noise in any::<u8>(),
            form in 0u8..3,
        ) {
            let guids = [guid(1), guid(0x5c)];
            let needles = Needles::new(guids);
            let (name, form) = match form {
                0 => (guids[1].lower().into_bytes(), Form::Text),
                1 => (guids[1].upper().into_bytes(), Form::UpperText),
                _ => (guids[1].to_gpt().to_vec(), Form::Binary),
            };
            let mut bytes = vec![noise; at];
            bytes.extend(&name);
            bytes.resize(bytes.len() + behind, noise);
            let hit = Hit { at: 1_000 + at as u64, guid: guids[1], form };
            prop_assert_eq!(found(&needles, &bytes), [hit]);
            // One byte short, or another: no name.
            let cut = &bytes[..at + name.len() - 1];
            prop_assert_eq!(found(&needles, cut), []);
            bytes[at + 9] ^= 0x40;
            prop_assert_eq!(found(&needles, &bytes), []);
        }
    }

    #[test]
    fn an_unset_guid_names_nothing() {
        assert_eq!(found(&Needles::new([Guid([0; 16])]), &[0; 4_096]), []);
    }
}
