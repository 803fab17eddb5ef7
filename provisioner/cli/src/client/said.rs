// SPDX-License-Identifier: Apache-2.0
//! The only way of the client to a terminal: whatever a server said, nothing but text, line ends and our own colours get out.

use super::paper::own_sequence;
use crate::out;
use crate::refusal::Failed;
use anyhow::Result;
use groundstate_api::text::{REPLACED, printable};
use std::fmt::Write as _;
use std::io::{BufRead as _, IsTerminal as _, Write as _};

/// Prints a page of text, which ends with one line end.
pub(crate) fn say(text: &str) -> Result<()> {
    print(&format!("{}\n", text.trim_end_matches('\n')))
}

/// The same with its line ends as they are.
pub(crate) fn print(text: &str) -> Result<()> {
    out::write(harmless(text).as_bytes())
}

/// The same, beside the answer.
pub(crate) fn tell(text: &str) {
    // Where nobody hears it, there is nobody to tell.
    let _unheard = writeln!(std::io::stderr().lock(), "{}", harmless(text));
}

/// Asks on the terminal for a line, and says what was typed without the blanks around it.
///
/// # Errors
/// There is no terminal to ask on, or it is gone.
pub(crate) fn ask(prompt: &str) -> Result<String> {
    if !std::io::stdin().is_terminal() {
        return Err(Failed::nobody_to_ask().into());
    }
    let mut err = std::io::stderr().lock();
    write!(err, "{}", harmless(prompt))?;
    err.flush()?;
    let mut typed = String::new();
    if std::io::stdin().lock().read_line(&mut typed)? == 0 {
        // Ctrl-D leaves the cursor behind the question.
        writeln!(err)?;
    }
    Ok(typed.trim().to_owned())
}

/// An error with its causes, each said once: many name the system's error in their own sentence already.
pub(crate) fn causes(error: &anyhow::Error) -> String {
    let mut told = String::new();
    for cause in error.chain() {
        let cause = cause.to_string();
        if told.is_empty() {
            told = cause;
        } else if !told.contains(&cause) {
            told.push_str(": ");
            told.push_str(&cause);
        }
    }
    told
}

/// Prints a server's JSON document as it is: only set out in lines, and with what a terminal might obey written as `\u....`.
pub(crate) fn document(json: &str) -> Result<()> {
    out::write(format!("{}\n", set_out(json)).as_bytes())
}

/// The same in one line: one document of several.
pub(crate) fn document_line(json: &str) -> Result<()> {
    let line = escaped(&json.replace(['\n', '\r'], ""));
    out::write(format!("{line}\n").as_bytes())
}

/// The text with everything replaced that is neither printable, a tab, a line end nor a colour of ours.
pub(crate) fn harmless(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if let Some(length) = own_sequence(rest) {
            let (own, after) = rest.split_at(length);
            kept.push_str(own);
            rest = after;
            continue;
        }
        kept.push(if printable(c) || matches!(c, '\n' | '\t') {
            c
        } else {
            REPLACED
        });
        rest = rest.get(c.len_utf8()..).unwrap_or_default();
    }
    kept
}

/// What a terminal might obey can stand in JSON only within strings, and there `\u....` means the same.
fn escaped(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        push_json(&mut text, c);
    }
    text
}

fn push_json(text: &mut String, c: char) {
    if printable(c) || matches!(c, '\n' | '\t') {
        text.push(c);
    } else {
        for unit in c.encode_utf16(&mut [0; 2]) {
            // Writing to a string cannot fail.
            let _written = write!(text, "\\u{unit:04x}");
        }
    }
}

/// JSON in lines with two spaces for each level. Names, order and values stay as they are.
pub(crate) fn set_out(json: &str) -> String {
    let mut text = String::with_capacity(json.len() * 2);
    let (mut depth, mut in_string, mut after_escape) = (0_usize, false, false);
    let mut chars = json.chars().peekable();
    let line = |text: &mut String, depth: usize| {
        text.push('\n');
        text.push_str(&"  ".repeat(depth));
    };
    while let Some(c) = chars.next() {
        if in_string {
            push_json(&mut text, c);
            in_string = after_escape || c != '"';
            after_escape = c == '\\' && !after_escape;
            continue;
        }
        match c {
            ' ' | '\t' | '\n' | '\r' => {}
            '{' | '[' => {
                text.push(c);
                while chars.peek().is_some_and(|c| c.is_ascii_whitespace()) {
                    chars.next();
                }
                if let Some(end) = chars.next_if(|c| matches!(c, '}' | ']')) {
                    text.push(end);
                } else {
                    depth += 1;
                    line(&mut text, depth);
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                line(&mut text, depth);
                text.push(c);
            }
            ',' => {
                text.push(c);
                line(&mut text, depth);
            }
            ':' => text.push_str(": "),
            '"' => {
                text.push(c);
                in_string = true;
            }
            other => push_json(&mut text, other),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::paper::Tone;
    use proptest::prelude::*;

    /// Texts with what terminals obey in them.
    pub(super) fn hostile() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            any::<char>().prop_map(String::from),
            "\\PC{0,8}",
            prop::sample::select(vec![
                "\x1b[2J",
                "\x1b]0;title\x07",
                "\x1b]52;c;ZWNobw==\x1b\\",
                "\x1bP+q\x1b\\",
                "\u{9b}31m",
                "\r\n",
                "\0",
                "\u{202e}",
                "${HOME}",
                "`id`",
                "\u{7f}",
                "\x1b[6n",
                "\u{feff}",
                "\u{2066}",
            ])
            .prop_map(str::to_owned),
        ];
        prop::collection::vec(piece, 0..20).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn nothing_that_a_terminal_obeys_gets_out(text in hostile()) {
            let out = harmless(&text);
            let mut rest = out.as_str();
            while let Some(c) = rest.chars().next() {
                let step = own_sequence(rest).unwrap_or_else(|| {
                    assert!(printable(c) || matches!(c, '\n' | '\t'), "{c:?} of {text:?}");
                    c.len_utf8()
                });
                rest = &rest[step..];
            }
        }

        #[test]
        fn a_document_that_is_set_out_means_the_same(text in hostile(), number in any::<i64>()) {
            let value = serde_json::json!({
                "a": [text, {"b": number, "c": [], "d": {}}, null, true, 1.5], text.clone(): {"x": [[]]},
            });
            for json in [value.to_string(), serde_json::to_string_pretty(&value).unwrap()] {
                let out = set_out(&json);
                prop_assert_eq!(&serde_json::from_str::<serde_json::Value>(&out).unwrap(), &value);
                prop_assert!(out.chars().all(|c| printable(c) || c == '\n'), "{:?}", out);
                let line = escaped(&json.replace(['\n', '\r'], ""));
                prop_assert_eq!(&serde_json::from_str::<serde_json::Value>(&line).unwrap(), &value);
                prop_assert!(line.chars().all(printable), "{:?}", line);
            }
        }
    }

    #[test]
    fn a_cause_that_was_told_is_not_told_again() {
        let missing = || std::io::Error::from_raw_os_error(2);
        let once = "reading a: No such file or directory (os error 2)";
        let twice = anyhow::Error::new(missing()).context(once);
        assert_eq!(causes(&twice), once);
        assert_eq!(
            causes(&anyhow::Error::new(missing()).context("reading a")),
            once
        );
        let longer = anyhow::Error::new(missing()).context(format!("{once}; write it"));
        assert_eq!(causes(&longer), format!("{once}; write it"));
    }

    #[test]
    fn a_document_is_set_out_as_people_know_it_and_keeps_its_order() {
        let value = serde_json::json!({"a": [1, {"b": "x,{y}: \"z\" \\"}], "c": {}, "d": []});
        assert_eq!(
            set_out(&value.to_string()),
            serde_json::to_string_pretty(&value).unwrap()
        );
        assert_eq!(set_out(r#"{"z":1,"a":2}"#), "{\n  \"z\": 1,\n  \"a\": 2\n}");
        assert_eq!(
            harmless("a\u{9b}b\x1b[31mc\x1b[0m"),
            "a\u{fffd}b\x1b[31mc\x1b[0m"
        );
        assert!(Tone::ALL.len() > 1);
    }
}
