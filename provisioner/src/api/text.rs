// SPDX-License-Identifier: Apache-2.0
//! Texts of nodes and hosts: no control character gets in, and none is longer than a person reads. They are shown on
//! terminals and pages, and stay in the journal.

use groundstate_api::text::REPLACED;
pub(crate) use groundstate_api::text::printable;
use serde_json::Value;

/// The longest text that a node may say, in characters: the longest line of evidence has about 300.
pub(crate) const TEXT_MAX: usize = 1_024;
/// Stands at the end of what was cut off.
const CUT: char = '\u{2026}';

/// Cleans every text of a document. Its shape stays; the names of fields are ours or are refused later.
pub(crate) fn clean(value: &mut Value) {
    match value {
        Value::String(text) => clean_text(text),
        Value::Array(values) => values.iter_mut().for_each(clean),
        Value::Object(fields) => fields.values_mut().for_each(clean),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn clean_text(text: &mut String) {
    let long = text.chars().nth(TEXT_MAX).is_some();
    if !long && text.chars().all(printable) {
        return;
    }
    let kept = if long { TEXT_MAX - 1 } else { TEXT_MAX };
    let shown = text.chars().take(kept);
    let shown = shown.map(|c| if printable(c) { c } else { REPLACED });
    *text = shown.chain(long.then_some(CUT)).collect();
}

/// Cleans a piece of a log. Lines and tabs stay, and so does the length in bytes: pieces are put together by offsets.
pub(crate) fn clean_log(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    for c in text.chars() {
        if printable(c) || matches!(c, '\n' | '\t') {
            clean.push(c);
        } else {
            (0..c.len_utf8()).for_each(|_| clean.push('?'));
        }
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn nothing_steers_a_terminal_and_nothing_is_longer_than_a_person_reads() {
        let mut value = json!({
            "os": "Debian\u{1b}[2J", "n": 1, "changes": [{"what": "a\nb\u{9b}c\u{202e}d"}], "long": "x".repeat(5_000),
        });
        clean(&mut value);
        assert_eq!(value["os"], "Debian\u{fffd}[2J");
        assert_eq!(value["changes"][0]["what"], "a\u{fffd}b\u{fffd}c\u{fffd}d");
        let long = value["long"].as_str().unwrap();
        assert_eq!(
            (long.chars().count(), long.ends_with(CUT)),
            (TEXT_MAX, true)
        );
        let mut just = json!("\u{e4}".repeat(TEXT_MAX));
        let before = just.clone();
        clean(&mut just);
        assert_eq!(just, before);
    }

    #[test]
    fn a_log_keeps_its_lines_and_its_length() {
        let said = "one\ttwo\r\n\u{1b}[31mred\u{9b}\u{202e}\n";
        let clean = clean_log(said);
        assert_eq!(clean, "one\ttwo?\n?[31mred?????\n");
        assert_eq!(clean.len(), said.len());
    }
}
