// SPDX-License-Identifier: Apache-2.0
//! What a Redfish error says, in words: `@Message.ExtendedInfo` (DSP0266, 8.6).

use crate::answer::{Answer, Part};
use crate::text::inert_within;
use alloc::string::String;
use alloc::vec::Vec;

/// The most messages that are shown.
const MESSAGES_MAX: usize = 4;
/// The longest sum of them, in characters.
const WORDS_MAX: usize = 600;

/// The words of an error's body; `None` where it holds none.
#[must_use]
pub fn of(answer: &Answer) -> Option<String> {
    let messages = messages(answer.top());
    if !messages.is_empty() {
        return Some(inert_within(&messages.join(" "), WORDS_MAX));
    }
    let error = answer.top().at("error");
    error.text("message").or_else(|| error.text("code"))
}

/// The ids of the messages without registry and version: `PropertyNotWriteable`.
#[must_use]
pub fn ids(answer: &Answer) -> Vec<String> {
    let top = answer.top();
    let mut ids: Vec<String> = infos(top)
        .iter()
        .filter_map(|info| info.text("MessageId"))
        .collect();
    ids.extend(top.at("error").text("code"));
    ids.iter()
        .map(|id| id.rsplit('.').next().unwrap_or(id).into())
        .collect()
}

/// The messages of a task.
#[must_use]
pub fn of_task(task: Part<'_>) -> Option<String> {
    let said: Vec<String> = task
        .list("Messages")
        .into_iter()
        .filter_map(sentence)
        .take(MESSAGES_MAX)
        .collect();
    (!said.is_empty()).then(|| inert_within(&said.join(" "), WORDS_MAX))
}

fn infos(top: Part<'_>) -> Vec<Part<'_>> {
    let inside = top.at("error").list("@Message.ExtendedInfo");
    // Some services leave `error` out.
    if inside.is_empty() {
        top.list("@Message.ExtendedInfo")
    } else {
        inside
    }
}

fn messages(top: Part<'_>) -> Vec<String> {
    infos(top)
        .into_iter()
        .filter_map(sentence)
        .take(MESSAGES_MAX)
        .collect()
}

fn sentence(info: Part<'_>) -> Option<String> {
    let id = info.text("MessageId");
    let Some(message) = info.text("Message") else {
        return id;
    };
    let args = info.words("MessageArgs").unwrap_or_default();
    Some(filled(&message, &args))
}

/// Some services send the registry's text with its places still open: `Property %1 is read only.` They are filled in one pass, so that
/// an argument that holds places itself does not grow without end.
fn filled(message: &str, args: &[String]) -> String {
    let mut pieces = message.split('%');
    let mut text = String::from(pieces.next().unwrap_or_default());
    for piece in pieces {
        let digit = piece.chars().next().and_then(|c| c.to_digit(10));
        let index = digit.and_then(|digit| usize::try_from(digit).ok()?.checked_sub(1));
        match index.and_then(|index| args.get(index)) {
            Some(arg) if text.len() <= WORDS_MAX => {
                text.push_str(arg);
                text.push_str(piece.get(1..).unwrap_or_default());
            }
            _ => {
                text.push('%');
                text.push_str(piece);
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    fn check(body: &str, expected: Expect) {
        let answer = Answer::read(body.as_bytes(), "GET /x", "h").unwrap();
        expected.assert_eq(&format!("{:?} {:?}", of(&answer), ids(&answer)));
    }

    #[test]
    fn errors_are_told_in_words() {
        check(
            r#"{"error":{"code":"Base.1.0.GeneralError","message":"See ExtendedInfo","@Message.ExtendedInfo":[
                {"MessageId":"Base.1.0.PropertyNotWriteable","Message":"Property %1 is read only.","MessageArgs":["SKU"]},
                {"MessageId":"iLO.2.14.UnableToModifyDuringSystemPOST"}]}}"#,
            expect![[
                r#"Some("Property SKU is read only. iLO.2.14.UnableToModifyDuringSystemPOST") ["PropertyNotWriteable", "UnableToModifyDuringSystemPOST", "GeneralError"]"#
            ]],
        );
        check(
            r#"{"error":{"@Message.ExtendedInfo":{"MessageId":"Base.1.5.GeneralError","Message":"one object"}}}"#,
            expect![[r#"Some("one object") ["GeneralError"]"#]],
        );
        check(
            r#"{"error":{"code":"X","message":"only this\u001b[2J"}}"#,
            expect![[r#"Some("only this�[2J") ["X"]"#]],
        );
        check(r#"{"Detail":"other"}"#, expect!["None []"]);
    }

    #[test]
    fn arguments_cannot_grow_without_end() {
        let arg = "%1%2".repeat(100);
        let body = format!(
            r#"{{"@Message.ExtendedInfo":[{{"Message":"%1%2%1%2","MessageArgs":["{arg}","{arg}"]}}]}}"#
        );
        let answer = Answer::read(body.as_bytes(), "GET /x", "h").unwrap();
        assert!(of(&answer).unwrap().chars().count() <= WORDS_MAX);
    }
}
