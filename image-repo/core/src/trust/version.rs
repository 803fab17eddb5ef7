// SPDX-License-Identifier: Apache-2.0
//! Which of two versions is the newer one.

use core::cmp::Ordering;

/// Compares versions run by run: digits by their number, everything else by its bytes, and what ends first is older.
/// `12.9` comes before `12.10`, `12.10` before `12.10-1`.
#[must_use]
pub fn compare(left: &str, right: &str) -> Ordering {
    let (mut left, mut right) = (left, right);
    loop {
        match (left.is_empty(), right.is_empty()) {
            (true, true) => return Ordering::Equal,
            (true, false) => return Ordering::Less,
            (false, true) => return Ordering::Greater,
            (false, false) => {}
        }
        let ((a, more_left), (b, more_right)) = (run(left), run(right));
        let order = match (is_number(a), is_number(b)) {
            (true, true) => number(a, b),
            (false, false) | (true, false) | (false, true) => a.cmp(b),
        };
        if order.is_ne() {
            return order;
        }
        (left, right) = (more_left, more_right);
    }
}

/// The first run of digits or of anything else, and what follows.
fn run(text: &str) -> (&str, &str) {
    let digits = is_number(text);
    let end = text
        .find(|c: char| c.is_ascii_digit() != digits)
        .unwrap_or(text.len());
    text.split_at(end)
}

fn is_number(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit())
}

/// Numbers of any length; `01` and `1` are the same one.
fn number(a: &str, b: &str) -> Ordering {
    let (a, b) = (a.trim_start_matches('0'), b.trim_start_matches('0'));
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn versions_have_the_order_that_people_expect() {
        let rising = [
            "1", "1.2", "1.10", "1.10-1", "1.10-2", "1.10-10", "2", "12.9", "12.11-1", "20261122",
        ];
        for (older, newer) in rising.iter().zip(rising.iter().skip(1)) {
            assert_eq!(compare(older, newer), Ordering::Less, "{older} {newer}");
        }
        assert_eq!(compare("1.02", "1.2"), Ordering::Equal);
        assert_eq!(
            compare("99999999999999999999999", "100000000000000000000000"),
            Ordering::Less
        );
    }

    proptest! {
        #[test]
        fn the_order_is_one(a in "[a-z0-9.-]{0,12}", b in "[a-z0-9.-]{0,12}", c in "[a-z0-9.-]{0,12}") {
            prop_assert_eq!(compare(&a, &b), compare(&b, &a).reverse());
            if compare(&a, &b).is_le() && compare(&b, &c).is_le() {
                prop_assert!(compare(&a, &c).is_le());
            }
        }
    }
}
