// SPDX-License-Identifier: Apache-2.0
//! Makes the texts of a BMC inert: they are shown on terminals and pages, and stay in journals.

use alloc::string::String;

/// The longest text of a BMC that is kept, in characters: messages with a resolution have about 400.
pub const TEXT_MAX: usize = 600;
/// Stands for what was taken out.
const REPLACED: char = '\u{fffd}';
/// Stands at the end of what was cut off.
const CUT: char = '\u{2026}';

/// Whether a character may be shown: it steers no terminal and does not turn the line around.
fn printable(c: char) -> bool {
    let turns = matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    !c.is_control() && !turns
}

/// One line of at most [`TEXT_MAX`] characters without anything that steers a terminal; white space at its ends goes.
#[must_use]
pub fn inert(text: &str) -> String {
    inert_within(text, TEXT_MAX)
}

/// Like [`inert`], with another limit in characters.
#[must_use]
pub fn inert_within(text: &str, max: usize) -> String {
    // White space is looked for at the ends of a bounded piece only: a text may be megabytes of blanks.
    let text = text.trim();
    let long = text.chars().nth(max).is_some();
    let kept = if long { max.saturating_sub(1) } else { max };
    let shown = text.chars().take(kept).map(|c| match c {
        '\n' | '\r' | '\t' => ' ',
        c if printable(c) => c,
        _ => REPLACED,
    });
    shown.chain(long.then_some(CUT)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_steers_a_terminal() {
        assert_eq!(
            inert(" a\u{1b}[2J\nb\u{202e}c\0 "),
            "a\u{fffd}[2J b\u{fffd}c\u{fffd}"
        );
        assert_eq!(inert_within("abcdef", 4), "abc\u{2026}");
        assert_eq!(inert_within("abcd", 4), "abcd");
        assert_eq!(inert(&"x".repeat(10_000)).chars().count(), TEXT_MAX);
    }
}
