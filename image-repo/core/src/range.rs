// SPDX-License-Identifier: Apache-2.0
//! RFC 9110 section 14: which bytes a GET asks for. One range; several at once are answered with the whole, as section
//! 14.2 allows ("A server MAY ignore the Range header field").

/// Which bytes to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// All of them, with status 200.
    Whole,
    /// From `first` to `last`, both included, with status 206.
    Part {
        /// First byte.
        first: u64,
        /// Last byte.
        last: u64,
    },
    /// None of them is there: status 416.
    Unsatisfiable,
}

/// Reads `Range` and `If-Range` for a representation of `length` bytes with the strong validator `etag` (with quotes).
///
/// RFC 9110 section 13.1.5: where `If-Range` does not match by strong comparison, `Range` is ignored. A date never
/// matches, because our representations have none.
#[must_use]
pub fn wanted(range: Option<&str>, if_range: Option<&str>, length: u64, etag: &str) -> Wanted {
    let Some(range) = range else {
        return Wanted::Whole;
    };
    if if_range.is_some_and(|validator| validator.trim() != etag) {
        return Wanted::Whole;
    }
    let spec = range
        .trim()
        .split_once('=')
        .filter(|(unit, _)| unit.trim().eq_ignore_ascii_case("bytes"))
        .map(|(_, spec)| spec.trim());
    let Some((first, last)) = spec.and_then(|spec| spec.split_once('-')) else {
        return Wanted::Whole;
    };
    match (number(first), number(last)) {
        (Number::None, Number::Some(0)) => Wanted::Unsatisfiable,
        (Number::None, Number::Some(suffix)) if length > 0 => Wanted::Part {
            first: length.saturating_sub(suffix),
            last: length - 1,
        },
        (Number::None, Number::Some(_)) => Wanted::Unsatisfiable,
        (Number::Some(first), Number::Some(last)) if last < first => Wanted::Whole,
        (Number::Some(first), _) if first >= length => match number(last) {
            Number::Bad => Wanted::Whole,
            Number::None | Number::Some(_) => Wanted::Unsatisfiable,
        },
        (Number::Some(first), Number::Some(last)) => Wanted::Part {
            first,
            last: last.min(length - 1),
        },
        (Number::Some(first), Number::None) => Wanted::Part {
            first,
            last: length - 1,
        },
        (Number::None, Number::None) | (Number::Bad, _) | (_, Number::Bad) => Wanted::Whole,
    }
}

enum Number {
    None,
    Some(u64),
    Bad,
}

/// Digits only: `+5` and ` 5` are not what RFC 9110 calls a position.
fn number(text: &str) -> Number {
    if text.is_empty() {
        return Number::None;
    }
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Number::Bad;
    }
    text.parse().map_or(Number::Some(u64::MAX), Number::Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_as_the_rfc_has_them() {
        let part = |first, last| Wanted::Part { first, last };
        for (text, length, meaning) in [
            ("bytes=0-499", 10_000, part(0, 499)),
            ("bytes=500-", 10_000, part(500, 9_999)),
            ("bytes=-500", 10_000, part(9_500, 9_999)),
            ("bytes=-50000", 10_000, part(0, 9_999)),
            ("bytes=9999-20000", 10_000, part(9_999, 9_999)),
            ("BYTES=0-0", 1, part(0, 0)),
            ("bytes=10000-", 10_000, Wanted::Unsatisfiable),
            ("bytes=99999999999999999999999-", 10, Wanted::Unsatisfiable),
            ("bytes=-0", 10_000, Wanted::Unsatisfiable),
            ("bytes=-5", 0, Wanted::Unsatisfiable),
            ("bytes=0-", 0, Wanted::Unsatisfiable),
            ("bytes=5-4", 10, Wanted::Whole),
            ("bytes=0-1,4-5", 10, Wanted::Whole),
            ("bytes=a-b", 10, Wanted::Whole),
            ("bytes=20-x", 10, Wanted::Whole),
            ("bytes=-", 10, Wanted::Whole),
            ("bytes=+1-2", 10, Wanted::Whole),
            ("lines=1-2", 10, Wanted::Whole),
            ("", 10, Wanted::Whole),
        ] {
            assert_eq!(
                wanted(Some(text), None, length, "\"a\""),
                meaning,
                "{text:?} of {length}"
            );
        }
        assert_eq!(
            wanted(Some("bytes=1-2"), Some("\"a\""), 10, "\"a\""),
            part(1, 2)
        );
        for other in ["\"b\"", "W/\"a\"", "Sun, 22 Nov 2026 00:00:00 GMT", ""] {
            assert_eq!(
                wanted(Some("bytes=1-2"), Some(other), 10, "\"a\""),
                Wanted::Whole,
                "{other}"
            );
        }
        assert_eq!(wanted(None, Some("\"a\""), 10, "\"a\""), Wanted::Whole);
    }

    proptest::proptest! {
        #[test]
        fn a_part_lies_inside(text in "bytes=[0-9]{0,4}-[0-9]{0,4}", length in 0u64..10_000) {
            if let Wanted::Part { first, last } = wanted(Some(&text), None, length, "") {
                assert!(first <= last && last < length);
            }
        }
    }
}
