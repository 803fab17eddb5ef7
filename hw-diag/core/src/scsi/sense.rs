// SPDX-License-Identifier: Apache-2.0
//! Sense data (SPC-5, 4.4): why a command did not go well, and how far a self-test is.

use crate::fields::{be16, byte};
use core::fmt;

/// Sense key, additional sense code and its qualifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sense {
    /// Sense key.
    pub key: u8,
    /// Additional sense code.
    pub code: u8,
    /// Additional sense code qualifier.
    pub qualifier: u8,
    /// Progress of what runs, of 65,536; `None` where the sense data have none.
    pub progress: Option<u16>,
}

/// Sense key RECOVERED ERROR: the command went well all the same.
pub const RECOVERED: u8 = 1;
/// Additional sense code and qualifier: LOGICAL UNIT NOT READY, SELF-TEST IN PROGRESS.
const SELF_TEST_RUNS: (u8, u8) = (0x04, 0x09);
/// Sense key specific descriptor in descriptor form.
const SENSE_KEY_SPECIFIC: u8 = 2;

impl Sense {
    /// Reads sense data of either form; `None` when they are short or of no known form.
    #[must_use]
    pub fn read(sense: &[u8]) -> Option<Self> {
        let nibble = |at| byte(sense, at).map(|b| b & 0x0f);
        match byte(sense, 0)? & 0x7f {
            0x70 | 0x71 => Some(Self {
                key: nibble(2)?,
                code: byte(sense, 12).unwrap_or(0),
                qualifier: byte(sense, 13).unwrap_or(0),
                progress: progress(sense, 15),
            }),
            0x72 | 0x73 => Some(Self {
                key: nibble(1)?,
                code: byte(sense, 2)?,
                qualifier: byte(sense, 3)?,
                progress: descriptor(sense, SENSE_KEY_SPECIFIC)
                    .and_then(|at| progress(sense, at + 4)),
            }),
            _ => None,
        }
    }
    /// Percent that remain of a self-test that runs in the background; `None` when none runs.
    #[must_use]
    pub fn self_test_remaining(&self) -> Option<u8> {
        if (self.code, self.qualifier) != SELF_TEST_RUNS {
            return None;
        }
        let done = u32::from(self.progress.unwrap_or(0)) * 100 / 65_536;
        u8::try_from(100 - done.min(100)).ok()
    }
}

/// Where the first descriptor of a type begins.
fn descriptor(sense: &[u8], kind: u8) -> Option<usize> {
    let mut at = 8usize;
    loop {
        let (found, length) = (byte(sense, at)?, byte(sense, at + 1)?);
        if found == kind {
            return Some(at);
        }
        at = at.checked_add(2 + usize::from(length))?;
    }
}

/// Sense key specific bytes: valid when bit 7 of the first is set.
fn progress(sense: &[u8], at: usize) -> Option<u16> {
    (byte(sense, at)? & 0x80 != 0)
        .then(|| be16(sense, at + 1))
        .flatten()
}

/// `illegal request (5/20/00)`.
impl fmt::Display for Sense {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = match self.key {
            0 => "no sense",
            1 => "recovered error",
            2 => "not ready",
            3 => "medium error",
            4 => "hardware error",
            5 => "illegal request",
            6 => "unit attention",
            7 => "data protect",
            0xb => "aborted command",
            _ => "sense key",
        };
        let Self {
            key: number,
            code,
            qualifier,
            ..
        } = self;
        write!(out, "{key} ({number:x}/{code:02x}/{qualifier:02x})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_say_the_same() {
        let mut fixed = [0u8; 18];
        (fixed[0], fixed[2], fixed[12], fixed[13]) = (0x70, 0x02, 0x04, 0x09);
        fixed[15..18].copy_from_slice(&[0x80, 0x40, 0]);
        let seen = Sense::read(&fixed).unwrap();
        assert_eq!(seen.to_string(), "not ready (2/04/09)");
        assert_eq!(seen.self_test_remaining(), Some(75));
        let descriptor = [
            0x72, 2, 4, 9, 0, 0, 0, 10, 0, 0, 2, 6, 0, 0, 0x80, 0x40, 0, 0,
        ];
        assert_eq!(Sense::read(&descriptor), Some(seen));
        let other = Sense::read(&[0x72, 5, 0x20, 0]).unwrap();
        assert_eq!(other.self_test_remaining(), None);
        assert_eq!(other.to_string(), "illegal request (5/20/00)");
        assert_eq!(Sense::read(&[]), None);
        assert_eq!(Sense::read(&[0; 18]), None);
        // Descriptors without a length never end the search too late.
        assert!(Sense::read(&[0x72; 300]).is_some());
    }
}
