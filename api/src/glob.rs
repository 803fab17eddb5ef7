// SPDX-License-Identifier: Apache-2.0
//! Patterns in files that people write: `*` stands for any text, also none; everything else for itself. There is no
//! escape: no model, slot or serial number has a `*` in it.

/// Whether `text` is of the pattern. Letters must match in case.
#[must_use]
pub fn matches(pattern: &str, text: &str) -> bool {
    let mut pieces = pattern.split('*');
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    let Some(last) = pieces.next_back() else {
        // No star at all: the prefix must be the whole.
        return rest.is_empty();
    };
    for piece in pieces {
        let Some(at) = rest.find(piece) else {
            return false;
        };
        rest = rest.get(at + piece.len()..).unwrap_or_default();
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn a_star_stands_for_any_text() {
        for (pattern, text, fits) in [
            ("ST4000*", "ST4000NM0035", true),
            ("ST4000*", "XST4000", false),
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("a", "a", true),
            ("a*a", "a", false),
            ("a*a", "aa", true),
            ("*MZ7*", "SAMSUNG MZ7KM480", true),
            ("bay *-1", "bay 10-1", true),
            ("a*b*c", "a-c-b", false),
            ("a*b*c", "a-b-b-c", true),
            ("é*", "é1", true),
        ] {
            assert_eq!(matches(pattern, text), fits, "{pattern} on {text}");
        }
    }
}
