// SPDX-License-Identifier: Apache-2.0
//! Captures that other tools made: `smartctl --json` ([`smartctl_json`]) and the text of `smartctl -x` ([`smartctl_text`]).
//!
//! Both give the same [`DiskFacts`] as a probe of the live disk, so the same judgement holds. The caller says which format
//! it is; a capture in another one is refused with what to use instead, never guessed at. What a capture does not say is
//! `None`; what it says in a way that makes no sense is `None` and a line in `missed`. Nothing here judges.

mod derive;
#[cfg(test)]
mod doubts;
mod json;
mod text;
mod words;

use crate::disk::DiskFacts;
use alloc::string::String;

/// The longest capture that is read, in bytes. The longest of `smartctl --json -x` with full logs is under 1 MiB.
pub const CAPTURE_BYTES_MAX: usize = 8 << 20;
/// The most values in a JSON capture; a full one has some 10,000. It bounds memory: a value takes some 40 bytes.
const JSON_VALUES_MAX: usize = 200_000;
/// The most objects in a JSON capture; a full one has some 2,000. An object of one field takes some 700 bytes.
const JSON_OBJECTS_MAX: usize = 20_000;
/// Lines about what could not be read, for one disk.
const MISSED_MAX: usize = 32;
/// Attributes of one disk; the table of the standard has 30.
const ATTRIBUTES_MAX: usize = 255;
/// Attributes that count what cannot be read: uncorrectable errors, pending sectors, offline uncorrectable sectors.
const DECISIVE: [u8; 3] = [187, 197, 198];
/// Error log entries that are kept.
const ERRORS_MAX: usize = 32;
/// Self-test log entries that are kept; the longest log (extended, 19 per page) seen has 21.
const SELF_TESTS_MAX: usize = 64;
/// Device statistics that are kept; the standard defines under 100.
const STATISTICS_MAX: usize = 512;

/// Why a capture was not read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CaptureError {
    /// There is nothing in it.
    #[error("{name} is empty: there is no smartctl report in it")]
    Empty {
        /// The capture.
        name: String,
    },
    /// It is longer than any report.
    #[error(
        "{name} has {bytes} bytes, and a smartctl report has at most {CAPTURE_BYTES_MAX}: it is something else, or several files in one"
    )]
    TooLong {
        /// The capture.
        name: String,
        /// Its length.
        bytes: usize,
    },
    /// It has more values than any report.
    #[error(
        "{name} has more than {limit} JSON {what}, which no report of one disk has: read one report at a time"
    )]
    TooMany {
        /// The capture.
        name: String,
        /// Values or objects.
        what: &'static str,
        /// How many are read at most.
        limit: usize,
    },
    /// Text where JSON should be.
    #[error(
        "{name} is the text of smartctl, not its JSON: give it to --smartctl-text, or capture it with smartctl --json -x"
    )]
    TextGiven {
        /// The capture.
        name: String,
    },
    /// JSON where text should be.
    #[error("{name} is JSON, not the text of smartctl: give it to --smartctl-json")]
    JsonGiven {
        /// The capture.
        name: String,
    },
    /// Not JSON.
    #[error("{name} is not JSON ({why}): capture it again with smartctl --json -x DEVICE")]
    NotJson {
        /// The capture.
        name: String,
        /// What the parser says, with line and column.
        why: String,
    },
    /// A list of devices.
    #[error(
        "{name} is a list of devices (smartctl --scan), not the report of one: run smartctl --json -x on each of its devices"
    )]
    Scan {
        /// The capture.
        name: String,
    },
    /// Nothing of smartctl in it.
    #[error(
        "{name} holds no smartctl report: none of the fields or lines that one begins with is there"
    )]
    NotAReport {
        /// The capture.
        name: String,
    },
    /// More than one report.
    #[error("{name} holds {count} smartctl reports or more: split it, one disk to a file")]
    Several {
        /// The capture.
        name: String,
        /// How many were found before reading stopped.
        count: usize,
    },
}

/// Reads the output of `smartctl --json` (7.0 and later, any set of sections) of one disk. `name` is what the disk will be
/// called.
///
/// # Errors
///
/// When it is not the JSON report of one disk; [`CaptureError`] says what it is instead.
pub fn smartctl_json(bytes: &[u8], name: &str) -> Result<DiskFacts, CaptureError> {
    json::read(checked(bytes, name)?, name)
}

/// Reads the text of `smartctl -x`, `-a` or less (5.x to 7.x) of one disk. `name` is what the disk will be called.
///
/// # Errors
///
/// When it is not the text report of one disk; [`CaptureError`] says what it is instead.
pub fn smartctl_text(bytes: &[u8], name: &str) -> Result<DiskFacts, CaptureError> {
    text::read(checked(bytes, name)?, name)
}

/// The bytes without a byte order mark, if there are some and not too many.
fn checked<'a>(bytes: &'a [u8], name: &str) -> Result<&'a [u8], CaptureError> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    if bytes.len() > CAPTURE_BYTES_MAX {
        let (name, bytes) = (name.into(), bytes.len());
        return Err(CaptureError::TooLong { name, bytes });
    }
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(CaptureError::Empty { name: name.into() });
    }
    Ok(bytes)
}

/// Whether it begins as JSON does.
fn looks_like_json(bytes: &[u8]) -> bool {
    let first = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
    matches!(first, Some(b'{' | b'['))
}

/// Whether it has lines that every text of smartctl has.
fn looks_like_text(bytes: &[u8]) -> bool {
    [&b"=== START OF "[..], b"SMART", b"smartctl "]
        .iter()
        .any(|mark| bytes.windows(mark.len()).any(|window| window == *mark))
}
