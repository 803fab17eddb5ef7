// SPDX-License-Identifier: Apache-2.0
//! Pieces of a line: numbers as smartctl writes them in any language, columns, and what stands after a column.

use crate::capture::words::SEPARATORS;
use alloc::string::String;
use alloc::vec::Vec;

/// More digits than a count of 64 bits has.
const DIGITS_MAX: usize = 24;

/// The count with which a text begins: `1,000,204,886,016 bytes`, `89.878.440 [46 TB]`, `100%`, `1 234`. `None` where it
/// begins with none or it does not fit.
pub(super) fn number(text: &str) -> Option<u64> {
    let mut digits = String::new();
    let mut rest = text.trim_start();
    loop {
        let run = rest
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(rest.len());
        // After a separator stand three digits; `7 4` are two numbers.
        if run == 0 || !digits.is_empty() && run != 3 {
            break;
        }
        let (head, after) = rest.split_at(run);
        if digits.len() > DIGITS_MAX {
            return None;
        }
        digits.push_str(head);
        let mut next = after.chars();
        match next.next() {
            Some(c) if SEPARATORS.contains(&c) => rest = next.as_str(),
            Some(_) | None => break,
        }
    }
    digits.parse().ok()
}

/// A count that fits another type.
pub(super) fn small<T: TryFrom<u64>>(text: &str) -> Option<T> {
    T::try_from(number(text)?).ok()
}

/// A number with a sign, without separators.
pub(super) fn degrees(text: &str) -> Option<i16> {
    let text = text.trim_start();
    let (sign, text) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text),
    };
    let value: i16 = small(text)?;
    value.checked_mul(sign)
}

/// `0x1f` or `31`.
pub(super) fn any_base<T: TryFrom<u64>>(text: &str) -> Option<T> {
    let text = text.trim();
    let value = match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).ok()?,
        None => text.parse().ok()?,
    };
    T::try_from(value).ok()
}

/// The number in the first brackets: `(  127) minutes`.
pub(super) fn bracketed(text: &str) -> Option<u64> {
    let (_, inside) = text.split_once('(')?;
    let (inside, _) = inside.split_once(')')?;
    any_base(inside)
}

/// The first `N` words and what stands after them.
pub(super) fn words<const N: usize>(line: &str) -> Option<([&str; N], &str)> {
    let mut rest = line.trim_start();
    let mut out = [""; N];
    for slot in &mut out {
        if rest.is_empty() {
            return None;
        }
        let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        *slot = word;
        rest = after.trim_start();
    }
    Some((out, rest))
}

/// Columns that stand two or more blanks apart.
pub(super) fn columns(line: &str) -> Vec<&str> {
    line.split("  ")
        .map(str::trim)
        .filter(|column| !column.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_in_any_language() {
        assert_eq!(
            number("1,000,204,886,016 bytes [1.00 TB]"),
            Some(1_000_204_886_016)
        );
        assert_eq!(number("89.878.440 [46,0 TB]"), Some(89_878_440));
        assert_eq!(number("1\u{202f}234 [x]"), Some(1_234));
        assert_eq!(number("1 234 567 [x]"), Some(1_234_567));
        assert_eq!(number("100%"), Some(100));
        assert_eq!(number("37 Celsius"), Some(37));
        assert_eq!(number("? Celsius"), None);
        assert_eq!(number("7 40 3"), Some(7));
        assert_eq!(number("-"), None);
        assert_eq!(number("99999999999999999999999"), None);
        assert_eq!(degrees("-5 C"), Some(-5));
        assert_eq!(degrees("-32768"), None);
        assert_eq!(bracketed(" \t (   2) minutes."), Some(2));
        assert_eq!(any_base::<u8>("0x04"), Some(4));
        assert_eq!(any_base::<u8>("0x104"), None);
        let (head, rest) = words::<2>("  5 Name   PO--CK 100").unwrap();
        assert_eq!((head, rest), (["5", "Name"], "PO--CK 100"));
        assert_eq!(words::<3>("one two"), None);
    }
}
