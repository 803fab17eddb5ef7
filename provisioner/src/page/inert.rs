// SPDX-License-Identifier: Apache-2.0
//! Texts on the page: escaped for HTML, in elements and in quoted attributes, and harmless to read.

use askama::filters::{Escaper, Html};
use groundstate_api::text;
use std::fmt::{self, Write};

/// The escaper of every template: what a machine said in its name, its serial number or its evidence stays text.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Inert;

impl Escaper for Inert {
    fn write_escaped_str<W: Write>(&self, dest: W, string: &str) -> fmt::Result {
        Html.write_escaped_str(dest, &text::inert(string))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_stays_a_text() {
        let mut out = String::new();
        let said = "<script>\"'&\u{1b}[2J\u{202e}\0\n";
        Inert.write_escaped_str(&mut out, said).unwrap();
        assert_eq!(
            out,
            "&#60;script&#62;&#34;&#39;&#38;\u{fffd}[2J\u{fffd}\u{fffd}\u{fffd}"
        );
    }
}
