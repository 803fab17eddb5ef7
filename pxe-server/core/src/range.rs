// SPDX-License-Identifier: Apache-2.0
//! The HTTP `Range` header of one file (RFC 9110 section 14).
//!
//! One range is served. Several at once are a way to make a server send more than the file; such a header is ignored,
//! which the RFC allows, and the whole file is sent.

use core::ops::Range;

/// What part of a file to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// All of it.
    Whole,
    /// These bytes.
    Bytes(Range<u64>),
    /// The range begins behind the end: status 416.
    Unsatisfiable,
}

/// Reads the header's value for a file of `length` bytes.
#[must_use]
pub fn read_range(value: &str, length: u64) -> Part {
    // The unit's name is the same in capitals (section 14.1).
    let Some((first, last)) = value
        .split_once('=')
        .filter(|(unit, _)| unit.eq_ignore_ascii_case("bytes"))
        .and_then(|(_, range)| range.trim().split_once('-'))
    else {
        return Part::Whole;
    };
    // A number of more digits than any file has bytes lies behind its end.
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| text.parse::<u64>().unwrap_or(u64::MAX))
    };
    match (number(first), number(last)) {
        (Some(first), _) if first >= length && (last.is_empty() || number(last).is_some()) => {
            Part::Unsatisfiable
        }
        (Some(first), None) if last.is_empty() => Part::Bytes(first..length),
        (Some(first), Some(last)) if first <= last => {
            Part::Bytes(first..last.saturating_add(1).min(length))
        }
        (None, Some(0)) if first.is_empty() => Part::Unsatisfiable,
        (None, Some(count)) if first.is_empty() && length > 0 => {
            Part::Bytes(length.saturating_sub(count)..length)
        }
        (None | Some(_), None | Some(_)) => Part::Whole,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_a_ten_byte_file() {
        for (value, part) in [
            ("bytes=0-", Part::Bytes(0..10)),
            ("bytes=2-4", Part::Bytes(2..5)),
            ("bytes=9-18446744073709551615", Part::Bytes(9..10)),
            ("bytes=-3", Part::Bytes(7..10)),
            ("bytes=-99", Part::Bytes(0..10)),
            ("bytes=10-", Part::Unsatisfiable),
            ("bytes=-0", Part::Unsatisfiable),
            ("Bytes=2-4", Part::Bytes(2..5)),
            ("bytes=18446744073709551616-", Part::Unsatisfiable),
            ("bytes=8-99999999999999999999999", Part::Bytes(8..10)),
            ("bytes=-99999999999999999999999", Part::Bytes(0..10)),
            ("bytes = 2-4", Part::Whole),
            ("bytes=4-2", Part::Whole),
            ("bytes=0-1,2-3", Part::Whole),
            ("bytes=a-", Part::Whole),
            ("lines=1-2", Part::Whole),
            ("", Part::Whole),
        ] {
            assert_eq!(read_range(value, 10), part, "{value}");
        }
    }

    proptest::proptest! {
        #[test]
        fn a_range_lies_in_the_file(value in "bytes=[0-9]{0,20}-[0-9]{0,20}|.{0,30}", length in 0u64..100) {
            if let Part::Bytes(range) = read_range(&value, length) {
                proptest::prop_assert!(range.start < range.end && range.end <= length);
            }
        }
    }
}
