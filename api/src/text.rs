// SPDX-License-Identifier: Apache-2.0
//! Text that comes from outside, made harmless for whoever shows it. It refuses nothing and decodes nothing: it only takes
//! out what would steer a terminal, turn a line around or hide in it.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use core::fmt::Display;

/// Stands for what was taken out.
pub const REPLACED: char = '\u{fffd}';

/// Whether a character may be shown: it steers no terminal, does not turn the line around and can be seen.
#[must_use]
pub fn printable(c: char) -> bool {
    let hides = matches!(
        c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
    );
    !c.is_control() && !hides
}

/// The text as one line that may be shown: each character that may not be stands as [`REPLACED`].
#[must_use]
pub fn inert(text: &str) -> Cow<'_, str> {
    if text.chars().all(printable) {
        return Cow::Borrowed(text);
    }
    let shown = text
        .chars()
        .map(|c| if printable(c) { c } else { REPLACED });
    Cow::Owned(shown.collect::<String>())
}

/// `1 node`, `2 nodes`, `0 addresses`: a number with its noun, which is given for one.
#[must_use]
pub fn counted<N: Display + PartialEq + From<u8>>(count: N, noun: &str) -> String {
    let hisses = ["s", "x", "ch", "sh"].iter().any(|end| noun.ends_with(end));
    let ending = match (count == N::from(1), hisses) {
        (true, _) => "",
        (false, true) => "es",
        (false, false) => "s",
    };
    format!("{count} {noun}{ending}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_not_many() {
        let said = [0_u32, 1, 2].map(|count| counted(count, "node"));
        assert_eq!(said, ["0 nodes", "1 node", "2 nodes"]);
        assert_eq!(counted(3_u8, "address"), "3 addresses");
    }

    #[test]
    fn what_steers_or_hides_is_taken_out_and_the_rest_stays() {
        assert!(matches!(inert("Größe 4 GiB – 東京"), Cow::Borrowed(_)));
        assert_eq!(
            inert("a\x1b[2Jb\nc\u{9b}d\u{202e}e\u{e0041}"),
            "a\u{fffd}[2Jb\u{fffd}c\u{fffd}d\u{fffd}e\u{fffd}"
        );
    }
}
