// SPDX-License-Identifier: Apache-2.0
//! What is wrong with a field of a request, in the API's own words: which field, what should stand there, and an example. The
//! words of whatever read the request do not get out.

use super::problem::Refusal;
use crate::site::words;
use axum::extract::rejection::QueryRejection;
use serde_json::error::Category;

/// How a body may be written for each field that a person or a program of the site types, as JSON.
const FIELDS: [(&str, &str); 33] = [
    ("act", r#""power""#),
    ("action", "1234"),
    ("approve", "true"),
    ("boot_id", r#""ade06cf7-7165-47a7-bff5-40846e66f02e""#),
    ("boot_mac", r#""52:54:00:12:34:56""#),
    ("code", r#""host-trouble""#),
    ("confirm_wipe", r#"["S6CKNE0W400101"]"#),
    ("evidence", r#"["3 of 8 fans stand still"]"#),
    ("hand_over", r#""kexec""#),
    ("kind", r#""service""#),
    ("level", r#""purge""#),
    ("mac", r#""52:54:00:12:34:56""#),
    ("macs", r#"["52:54:00:12:34:56"]"#),
    ("measure", r#""watch""#),
    ("minutes", "60"),
    ("model", r#""PowerEdge R650""#),
    ("name", r#""r1-07""#),
    ("on", "true"),
    ("profile", r#""storage""#),
    ("rack", r#""r1""#),
    ("run", r#""r1-07-001-6b0258d8""#),
    ("schema", "1"),
    ("serial", r#""S6CKNE0W400101""#),
    ("serials", r#"["S6CKNE0W400101"]"#),
    ("text", r#""the fan in front is loud""#),
    ("to", r#""on""#),
    (
        "token",
        r#""sha256:6c87f683a5d9a1f0c26f9c1d9a30f0a7f9b1c0a3c1b8f6f0d1a2b3c4d5e6f708""#,
    ),
    ("trouble", r#""other""#),
    (
        "troubles",
        r#"[{"kind": "service", "what": "nginx does not run"}]"#,
    ),
    ("unit", "7"),
    ("uuid", r#""4c4c4544-0042-3010-8044-b4c04f4d3132""#),
    ("what", r#""the host answers slowly""#),
    ("why", r#""the fan in front is loud""#),
];
/// The same for what stands in a query.
const ASKS: [(&str, &str); 19] = [
    ("action", "1234"),
    ("after", "0"),
    ("at_event", "1234"),
    ("by", "operator:ana"),
    ("confirm", "S6CKNE0W400101"),
    ("dry_run", "true"),
    ("dry_runs", "false"),
    ("limit", "100"),
    ("mac", "52:54:00:12:34:56"),
    ("newest", "true"),
    ("node", "r1-07"),
    ("open", "true"),
    ("phase", "held"),
    ("rack", "r1"),
    ("rebuild", "S6CKNE0W400101"),
    ("run", "r1-07-001-6b0258d8"),
    ("since", "1795315930380"),
    ("until", "1795315930380"),
    ("wait_ms", "30000"),
];

/// What to do, before the example.
const AGAIN: &str = "send the request again with that field corrected";

/// Something wrong with a field.
struct Wrong {
    path: String,
    what: String,
    /// What is wanted in words, where the field's name says nothing of it.
    wanted: String,
    /// There is no such field, so that nothing can stand there.
    unknown: bool,
}

/// 400 for a body that is read as something.
pub(crate) fn body(error: &serde_path_to_error::Error<serde_json::Error>) -> Refusal {
    let inner = error.inner();
    match inner.classify() {
        Category::Data => {
            let at = error.path().to_string();
            let wrong = field(if at == "." { "" } else { &at }, bare(&inner.to_string()));
            refusal(&wrong, &FIELDS, |name, value| {
                format!("{}: {value}", serde_json::Value::from(name))
            })
        }
        Category::Syntax | Category::Eof | Category::Io => no_json(inner),
    }
}

/// 400 for a body that is no JSON.
pub(crate) fn no_json(error: &serde_json::Error) -> Refusal {
    let what = match (error.classify(), error.line(), error.column()) {
        (Category::Eof, ..) => "the body is no JSON: it ends before its object does".to_owned(),
        (_, line, column) => format!("the body is no JSON: line {line}, column {column}"),
    };
    example(
        Refusal::field(".", what),
        "send one JSON object, for example {}",
    )
}

/// 400 for a body that is no object.
pub(crate) fn no_object() -> Refusal {
    let refusal = Refusal::field(".", "the body should be a JSON object");
    example(refusal, "send one JSON object, for example {}")
}

/// 400 for what is asked with.
pub(crate) fn query(error: &QueryRejection) -> Refusal {
    let said = error.body_text();
    let said = said
        .strip_prefix("Failed to deserialize query string: ")
        .unwrap_or(&said);
    let name = said.split_once(": ").filter(|(name, _)| {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
        !name.is_empty() && name.bytes().all(plain)
    });
    // What names a field itself says it better than the words before it, which may be anything that was sent.
    let own = ["unknown field `", "duplicate field `", "missing field `"];
    let own = own.iter().find_map(|words| said.get(said.find(words)?..));
    let (at, message) = own.map_or_else(|| name.unwrap_or(("", said)), |own| ("", own));
    let mut wrong = field(at, message);
    if wrong.path == "." {
        "query".clone_into(&mut wrong.path);
    }
    refusal(&wrong, &ASKS, |name, value| format!("{name}={value}"))
}

fn refusal(
    wrong: &Wrong,
    examples: &[(&str, &str)],
    written: impl Fn(&str, &str) -> String,
) -> Refusal {
    let place = if wrong.path == "." {
        "the body"
    } else {
        &wrong.path
    };
    let refusal = Refusal::field(&wrong.path, format!("{place}: {}", wrong.what));
    if wrong.unknown {
        return example(
            refusal,
            "send the request again without it, or with the name that was meant",
        );
    }
    let name = wrong.path.rsplit('.').next().unwrap_or_default();
    let (name, _) = name.split_once('[').unwrap_or((name, ""));
    let known = examples.iter().find(|(field, _)| *field == name);
    let value = match known {
        Some((_, value)) => Some((*value).to_owned()),
        None => first_known(&wrong.what).or_else(|| of_kind(&wrong.wanted).map(str::to_owned)),
    };
    let value = value.map(|value| match name {
        "" => value,
        name => written(name, &value),
    });
    match value {
        Some(value) => example(refusal, &format!("{AGAIN}, for example {value}")),
        None => example(refusal, AGAIN),
    }
}

fn example(mut refusal: Refusal, next_step: &str) -> Refusal {
    next_step.clone_into(&mut refusal.reason.next_step);
    refusal
}

/// What to do about a field, for who says in words of its own what is wrong with it: with an example, where one is known.
pub(super) fn next_step(path: &str) -> String {
    let name = path.rsplit('.').next().unwrap_or_default();
    let name = name.split('[').next().unwrap_or_default();
    let mut all = FIELDS.iter().chain(&ASKS);
    match all.find(|(field, _)| *field == name) {
        Some((_, value)) => format!("{AGAIN}, for example {value}"),
        None => AGAIN.to_owned(),
    }
}

/// The first of the values that there are, where the sentence lists them.
fn first_known(what: &str) -> Option<String> {
    let (_, known) = what.rsplit_once("; there are: ")?;
    let first = known.split(", ").next()?;
    Some(serde_json::Value::from(first).to_string())
}

/// Something of this kind, in JSON; of a text nobody knows what it should say.
fn of_kind(wanted: &str) -> Option<&'static str> {
    match wanted {
        "true or false" => Some("true"),
        "a list" => Some("[]"),
        "an object" => Some("{}"),
        number if number.contains("number") => Some("1"),
        _ => None,
    }
}

/// What the reader says of a field at a path; the path is empty for the whole.
fn field(at: &str, message: &str) -> Wrong {
    let quoted = |words: &str| {
        let rest = message.strip_prefix(words)?.strip_prefix('`')?;
        rest.split_once('`')
    };
    let within = |name: &str| match at {
        "" => name.to_owned(),
        // The path may name the field itself, or only what it stands in.
        at if at == name || at.ends_with(&format!(".{name}")) => at.to_owned(),
        at => format!("{at}.{name}"),
    };
    let wrong = |path: String, what: String, wanted: &str| Wrong {
        path,
        what,
        wanted: wanted.to_owned(),
        unknown: false,
    };
    if let Some((name, _)) = quoted("missing field ") {
        return wrong(
            within(name),
            "it is missing, and should be there".to_owned(),
            "",
        );
    }
    if let Some((name, _)) = quoted("duplicate field ") {
        return wrong(within(name), "it stands there twice".to_owned(), "");
    }
    if let Some((name, known)) = quoted("unknown field ") {
        let known = known.trim_start_matches(", expected ");
        let known = known.trim_start_matches("one of ").replace('`', "");
        let known = known.replace(" or ", ", ");
        let what = match known.as_str() {
            "" | ", there are no fields" => {
                "there is no such field; nothing can be said here".to_owned()
            }
            known => words::no_such_key(name, known).replace("no such key", "no such field"),
        };
        return Wrong {
            unknown: true,
            ..wrong(within(name), what, "")
        };
    }
    let path = if at.is_empty() { "." } else { at }.to_owned();
    let what = said(message);
    let wanted = what
        .rsplit_once("should be ")
        .map_or("", |(_, wanted)| wanted);
    let wanted = wanted.to_owned();
    wrong(path, what, &wanted)
}

/// The reader's sentence in words of the API.
fn said(message: &str) -> String {
    match message {
        "invalid digit found in string" => "should be a whole number".to_owned(),
        "cannot parse integer from empty string" => {
            "nothing stands there; should be a whole number".to_owned()
        }
        "number too large to fit in target type" => "this number is too large".to_owned(),
        "provided string was not `true` or `false`" => "should be true or false".to_owned(),
        other if other.starts_with("data did not match any variant") => {
            "it is of no form that is known here".to_owned()
        }
        other => words::plain(other)
            .replace("a table should be", "an object should be")
            .replace("should be a table", "should be an object"),
    }
}

/// The message without the place in the text, which the path says better.
fn bare(message: &str) -> &str {
    let Some((bare, place)) = message.rsplit_once(" at line ") else {
        return message;
    };
    let number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match place.split_once(" column ") {
        Some((line, column)) if number(line) && number(column) => bare,
        Some(_) | None => message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use groundstate_api::action::Act;
    use groundstate_api::healing::BrakeOrder;
    use groundstate_api::view::Order;
    use serde::de::DeserializeOwned;

    fn of<T: DeserializeOwned + std::fmt::Debug>(text: &str) -> (String, String) {
        let mut reader = serde_json::Deserializer::from_str(text);
        let read: Result<T, _> = serde_path_to_error::deserialize(&mut reader);
        let reason = body(&read.unwrap_err()).reason;
        (reason.what, reason.next_step)
    }

    #[test]
    fn a_field_is_named_with_what_should_stand_there_and_an_example() {
        let again = |example: &str| {
            format!("send the request again with that field corrected, for example {example}")
        };
        for (text, what, next) in [
            (
                "{}",
                "on: it is missing, and should be there",
                again(r#""on": true"#),
            ),
            (
                r#"{"on": true, "why": 7}"#,
                "why: 7 should be a text",
                again(r#""why": "the fan in front is loud""#),
            ),
        ] {
            assert_eq!(of::<BrakeOrder>(text), (what.to_owned(), next));
        }
        for (text, what, next) in [
            (
                r#"{"hand_over": "jump"}"#,
                "hand_over: \"jump\" is not known; there are: kexec, reboot",
                again(r#""hand_over": "kexec""#),
            ),
            (
                r#"{"confirm_wipe": ["a", {}]}"#,
                "confirm_wipe[1]: an object should be a text",
                again(r#""confirm_wipe": ["S6CKNE0W400101"]"#),
            ),
            (
                r#"{"approve": "yes"}"#,
                "approve: \"yes\" should be true or false",
                again(r#""approve": true"#),
            ),
        ] {
            assert_eq!(of::<Order>(text), (what.to_owned(), next), "{text}");
        }
        // What is told apart by one of its fields is read as a whole, and its path is lost.
        let (what, next) = of::<Act>(r#"{"act": "power", "to": "up"}"#);
        assert!(
            what.starts_with("the body: \"up\" is not known; there are: on, off"),
            "{what}"
        );
        assert_eq!(next, again("\"on\""));
        let (what, next) = of::<Order>(r#"{"hand_ovre": "kexec"}"#);
        assert!(
            what.starts_with("hand_ovre: there is no such field (is hand_over meant?)"),
            "{what}"
        );
        assert!(next.contains("the name that was meant"), "{next}");
        for text in ["{", r#"{"approve": tru}"#] {
            let (what, next) = of::<Order>(text);
            assert!(what.starts_with("the body is no JSON: "), "{what}");
            assert!(next.ends_with("{}"), "{next}");
        }
    }

    #[test]
    fn the_place_in_the_text_is_left_out_and_nothing_else() {
        for (message, kept) in [
            ("missing field `x` at line 1 column 2", "missing field `x`"),
            ("it stood at line 7", "it stood at line 7"),
            ("at line a column b", "at line a column b"),
            ("plain", "plain"),
        ] {
            assert_eq!(bare(message), kept);
        }
    }

    #[test]
    fn examples_stand_once_and_in_order() {
        for list in [&FIELDS[..], &ASKS[..]] {
            assert!(list.is_sorted_by(|one, next| one.0 <= next.0), "{list:?}");
        }
        for (name, value) in FIELDS {
            let read: Result<serde_json::Value, _> = serde_json::from_str(value);
            assert!(read.is_ok(), "{name}: {value}");
        }
    }
}
