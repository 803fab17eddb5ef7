// SPDX-License-Identifier: Apache-2.0
//! Every text field of every body, every query and every header that the description of the API names, with what nobody would
//! send in good faith: never a 5xx, never shown as it came, and what a person typed is refused with its field.

mod described;

use crate::way::{handed_over, register};
use crate::world::{Answer, Caller, Key, World, racked_site};
use described::{Described, Operation, texts};
use groundstate_api::site_parts::Role;
use groundstate_api::text::printable;
use groundstate_api::view::Problem;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

const JSON: (&str, &str) = ("content-type", "application/json");
/// The longest answer to any of it: nobody's 64 KiB come back.
const ANSWER_MAX: usize = 32 * 1024;

/// What steers, hides, spans lines or is too long; and what is only read as something else by somebody.
fn hostile() -> Vec<(String, bool)> {
    let mut all: Vec<(String, bool)> = [
        ("a\nb", true),
        ("a\0b", true),
        ("\u{1b}[2Jx", true),
        ("a\u{202e}b", true),
        ("\u{feff}a", true),
        ("<script>alert(1)</script>", false),
        ("${IFS}'\"`;--", false),
    ]
    .map(|(text, is_bad)| (text.to_owned(), is_bad))
    .to_vec();
    all.push(("x".repeat(64 * 1024), true));
    all
}

/// The callers of one world: who may come through where.
struct Callers {
    anyone: Caller,
    node: Caller,
    host: Caller,
    operator: Caller,
}

impl Callers {
    /// node-1 has a host; node-2 is in its run. So everybody's calls come to their handlers.
    fn of(world: &World) -> Self {
        let (plan, host) = handed_over(world);
        host.post("/v1/host/register", &register("node-1", &plan))
            .ok();
        let operator = world.operator();
        operator.post("/v1/nodes/node-2/provision", &json!({})).ok();
        let key = Key::new();
        let mut request = key.request(2);
        request["boot_id"] = json!("33333333-3333-3333-3333-333333333333");
        let reply = world.anyone().post("/v1/enrol", &request).ok();
        let node = world.with(reply["certificate_pem"].as_str().unwrap(), &key);
        Self {
            anyone: world.anyone(),
            node,
            host,
            operator,
        }
    }

    fn who(&self, operation: &Operation) -> &Caller {
        match operation.path.as_str() {
            "/v1/enrol" => &self.anyone,
            path if path.starts_with("/v1/run/") => &self.node,
            path if path.starts_with("/v1/host/") => &self.host,
            _ => &self.operator,
        }
    }
}

/// Whether a person or a program of the site typed the body.
fn is_typed(operation: &Operation) -> bool {
    operation.tag != "machines" && operation.path != "/v1/boot-reports"
}

fn path_of(operation: &Operation) -> String {
    let path = operation.path.replace("{node}", "node-1");
    let path = path
        .replace("{action}", "1")
        .replace("{mac}", "52:54:00:00:00:99");
    match path.as_str() {
        "/v1/site" if operation.method == "PUT" => "/v1/site?dry_run=true".to_owned(),
        _ => path.replace("{digest}", &"0".repeat(64)),
    }
}

/// What holds of every answer, whatever was sent.
fn judge(what: &str, answer: &Answer) {
    assert!(
        answer.status < 500,
        "{what}: {} {}",
        answer.status,
        answer.text
    );
    assert!(
        answer.text.len() < ANSWER_MAX || answer.status == 200,
        "{what}: {} bytes",
        answer.text.len()
    );
    if answer.status >= 400 {
        let problem: Problem = serde_json::from_str(&answer.text)
            .unwrap_or_else(|error| panic!("{what}: {error}: {}", answer.text));
        let said = serde_json::to_value(&problem).unwrap();
        is_inert(what, &said);
        assert!(!problem.reason.next_step.is_empty(), "{what}");
        // The API's words, and none of what reads its requests.
        for words in [
            "missing field `",
            "unknown field `",
            "unknown variant",
            "invalid type",
            "deserialize",
            " at line ",
        ] {
            assert!(!problem.title.contains(words), "{what}: {}", problem.title);
        }
    }
}

fn is_inert(what: &str, value: &Value) {
    match value {
        Value::String(text) => assert!(text.chars().all(printable), "{what}: {text:?}"),
        Value::Array(values) => values.iter().for_each(|value| is_inert(what, value)),
        Value::Object(fields) => fields.values().for_each(|value| is_inert(what, value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The name of the field that stands there.
fn field_of(pointer: &str) -> &str {
    let is_name = |part: &&str| part.parse::<usize>().is_err();
    pointer.rsplit('/').find(is_name).unwrap_or_default()
}

#[test]
fn every_text_of_every_body_is_refused_with_its_field_or_made_inert() {
    let world = World::with_site(racked_site());
    let callers = Callers::of(&world);
    let described = Described::of(&world);
    let (mut fields, mut refused) = (0, 0);
    for (number, operation) in described.operations.iter().enumerate() {
        let Some(schema) = &operation.body else {
            continue;
        };
        // Each operation by a caller of its own: an order's rate is counted by caller.
        let own = is_typed(operation).then(|| world.client(Role::Admin, &format!("a{number}")));
        let caller = own.as_ref().unwrap_or_else(|| callers.who(operation));
        let path = path_of(operation);
        let mut tried = std::collections::BTreeSet::new();
        for sample in described.samples(schema) {
            let mut all = Vec::new();
            texts("", &sample, &mut all);
            for pointer in all {
                if !tried.insert(pointer.clone()) {
                    continue;
                }
                fields += 1;
                // A site has hundreds of texts, each of which prov-core tries by itself: two of them for each here.
                let of_site = operation.path == "/v1/site";
                let mut kinds = hostile();
                if of_site {
                    kinds.rotate_left(fields % 8);
                    kinds.truncate(2);
                }
                for (text, is_bad) in kinds {
                    let mut body = sample.clone();
                    *body.pointer_mut(&pointer).unwrap() = json!(text);
                    let answer = caller
                        .call(&operation.method, &path, &[JSON], &body.to_string())
                        .0;
                    let shown: String = text.chars().take(12).collect();
                    let what = format!(
                        "{} {} {pointer} {shown:?}",
                        operation.method, operation.path
                    );
                    judge(&what, &answer);
                    if !(is_bad && is_typed(operation)) {
                        continue;
                    }
                    assert!(
                        (400..500).contains(&answer.status),
                        "{what}: {}",
                        answer.text
                    );
                    refused += 1;
                }
            }
        }
    }
    println!("{fields} fields, {refused} refusals");
    assert!(
        fields > 150 && refused > 200,
        "{fields} fields, {refused} refusals"
    );
    nothing_is_shown_as_it_came(&world);
}

/// Pages, lists, history, ticket, figures: all that shows texts.
fn nothing_is_shown_as_it_came(world: &World) {
    let operator = world.operator();
    for path in [
        "/v1/nodes",
        "/v1/nodes/node-1",
        "/v1/nodes/node-2",
        "/v1/events?limit=1000",
        "/v1/audit?limit=1000",
        "/v1/actions",
        "/v1/boots",
        "/v1/fleet",
        "/v1/machines",
        "/v1/brake",
    ] {
        is_inert(path, &operator.get(path).ok());
    }
    let mut pages = vec![operator.get("/metrics").ok_text()];
    for path in ["/", "/nodes/node-1", "/nodes/node-2"] {
        pages.push(world.page(path));
    }
    let accept = [("accept", "text/html")];
    let (sheet, _) = operator.call("GET", "/v1/nodes/node-2/ticket", &accept, "");
    pages.push(sheet.text);
    pages.push(operator.get("/v1/nodes/node-2/log").text);
    for page in pages {
        assert!(
            page.chars()
                .all(|c| printable(c) || matches!(c, '\n' | '\t')),
            "{page}"
        );
        assert!(!page.contains("<script>alert"), "{page}");
    }
}

#[test]
fn the_field_that_a_person_typed_wrong_is_named() {
    let world = World::with_site(racked_site());
    let operator = world.operator();
    for (method, path, body) in [
        ("POST", "/v1/nodes/node-1/quarantine", json!({"why": ""})),
        ("POST", "/v1/nodes/node-1/remarks", json!({"text": ""})),
        (
            "POST",
            "/v1/nodes/node-1/rebuild-disk",
            json!({"serial": ""}),
        ),
        (
            "POST",
            "/v1/nodes/node-1/provision",
            json!({"confirm_wipe": [""]}),
        ),
        (
            "POST",
            "/v1/nodes/node-1/reprovision",
            json!({"confirm_wipe": ["", ""]}),
        ),
        (
            "POST",
            "/v1/nodes/node-1/erase",
            json!({"serials": [""], "level": "clear"}),
        ),
        ("POST", "/v1/nodes/node-1/approve", json!({"run": ""})),
        (
            "POST",
            "/v1/nodes/node-1/troubles",
            json!({"troubles": [{"kind": "service", "what": "", "evidence": []}]}),
        ),
        (
            "POST",
            "/v1/nodes/node-1/troubles",
            json!({"troubles": [{"kind": "service", "what": "x", "evidence": [""]}]}),
        ),
        ("POST", "/v1/brake", json!({"on": true, "why": ""})),
    ] {
        let caller = match path {
            "/v1/nodes/node-1/troubles" => {
                world.client(Role::Fabric, &format!("f{}", body.to_string().len()))
            }
            _ => world.operator(),
        };
        let mut all = Vec::new();
        texts("", &body, &mut all);
        for pointer in all
            .iter()
            .filter(|pointer| body.pointer(pointer) == Some(&json!("")))
        {
            for (text, is_bad) in hostile() {
                let mut sent = body.clone();
                *sent.pointer_mut(pointer).unwrap() = json!(text);
                let answer = caller.call(method, path, &[JSON], &sent.to_string()).0;
                let what = format!(
                    "{path} {pointer} {:?}",
                    text.chars().take(9).collect::<String>()
                );
                judge(&what, &answer);
                if is_bad {
                    let part = answer.problem(400).reason.part;
                    let part = serde_json::to_string(&part).unwrap();
                    assert!(part.contains(field_of(pointer)), "{what}: {part}");
                }
            }
        }
    }
    is_inert("events", &operator.get("/v1/events").ok());
}

#[test]
fn bodies_that_are_no_documents_are_refused_in_words() {
    let world = World::with_site(racked_site());
    let callers = Callers::of(&world);
    let described = Described::of(&world);
    let deep = format!("{}1{}", "{\"a\":".repeat(3_000), "}".repeat(3_000));
    let lists = format!("{{\"why\":{}{}}}", "[".repeat(3_000), "]".repeat(3_000));
    let number = format!("{{\"number\":{}}}", "9".repeat(5_000));
    let keys = format!("{{{}\"z\":1}}", "\"why\":\"x\",".repeat(500));
    let odd = [
        "",
        " ",
        "null",
        "[]",
        "\"x\"",
        "1e999",
        "{",
        "{}{}",
        "{\"why\":\"\\ud800\"}",
        "{\"why\":\"\\udc00\\ud800\"}",
        "{\"why\":\"\\u0000\"}",
        "{\"why\":1e999}",
        "{\"why\":-0}",
        "{\"\\u0000\":1}",
        "{\"why\":null}",
        "\u{feff}{}",
        "{\"why\":\"\u{7f}\"}",
        "{why:1}",
        "{\"why\":NaN}",
        &deep,
        &lists,
        &number,
        &keys,
    ];
    for (number, operation) in described.operations.iter().enumerate() {
        if operation.body.is_none() {
            continue;
        }
        let own = is_typed(operation).then(|| world.client(Role::Viewer, &format!("v{number}")));
        let by_operator = callers.who(operation);
        for body in odd {
            let shown: String = body.chars().take(24).collect();
            let what = format!("{} {} {shown}", operation.method, operation.path);
            // Whoever may not call at all hears that, and nothing is read.
            if let Some(viewer) = &own {
                let answer = viewer
                    .call(&operation.method, &path_of(operation), &[JSON], body)
                    .0;
                judge(&what, &answer);
                assert_eq!(answer.status, 403, "{what}: {}", answer.text);
            }
            // An empty body is an order without terms, which may be carried out.
            if body.trim().is_empty() || body == "{\"why\":\"\u{7f}\"}" && !is_typed(operation) {
                continue;
            }
            judge(
                &what,
                &by_operator
                    .call(&operation.method, &path_of(operation), &[JSON], body)
                    .0,
            );
        }
    }
    nothing_is_shown_as_it_came(&world);
}

#[test]
fn what_is_missing_in_what_a_person_types_is_told_with_an_example() {
    let world = World::with_site(racked_site());
    let described = Described::of(&world);
    let mut tried = 0;
    for (number, operation) in described.operations.iter().enumerate() {
        let Some(schema) = operation.body.as_ref().filter(|_| is_typed(operation)) else {
            continue;
        };
        // What nodes and hosts say is not typed by anybody; a site's faults are listed each by itself.
        let of_machine = [
            "/v1/run/",
            "/v1/host/",
            "/v1/enrol",
            "/v1/adopt",
            "/v1/site",
        ];
        if of_machine
            .iter()
            .any(|path| operation.path.starts_with(path))
        {
            continue;
        }
        let caller = world.client(Role::Admin, &format!("m{number}"));
        for sample in described.samples(schema) {
            for name in sample.as_object().unwrap().keys() {
                let mut body = sample.clone();
                body.as_object_mut().unwrap().remove(name);
                let answer = caller
                    .call(
                        &operation.method,
                        &path_of(operation),
                        &[JSON],
                        &body.to_string(),
                    )
                    .0;
                if answer.status != 400 || !answer.text.contains("it is missing") {
                    continue;
                }
                tried += 1;
                let problem: Problem = serde_json::from_str(&answer.text).unwrap();
                let what = format!("{} {name}: {}", operation.path, problem.reason);
                assert!(problem.title.contains(name.as_str()), "{what}");
                assert!(problem.reason.next_step.contains("for example"), "{what}");
            }
        }
    }
    assert!(tried > 5, "{tried}");
}

/// A text as it stands in a query or a path.
fn escaped(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02x}")).collect()
}

#[test]
fn queries_headers_and_paths_are_refused_or_mean_nothing() {
    let world = World::with_site(racked_site());
    let callers = Callers::of(&world);
    let described = Described::of(&world);
    let mut tried = 0;
    for (number, operation) in described.operations.iter().enumerate() {
        let own = is_typed(operation).then(|| world.client(Role::Admin, &format!("q{number}")));
        let caller = own.as_ref().unwrap_or_else(|| callers.who(operation));
        let path = path_of(operation);
        let body = if operation.body.is_some() { "[]" } else { "" };
        let send = |path: &str, headers: &[(&str, &str)], what: &str| {
            let answer = caller.call(&operation.method, path, headers, body).0;
            judge(what, &answer);
        };
        for (place, name) in &operation.parameters {
            for (text, _) in hostile().iter().chain([
                &("18446744073709551616".to_owned(), true),
                &("-1".to_owned(), true),
                &(String::new(), true),
                &("\u{fffd}%".to_owned(), true),
            ]) {
                let text: String = text.chars().take(1_000).collect();
                let what = format!(
                    "{} {} {place} {name} {text:.20?}",
                    operation.method, operation.path
                );
                tried += 1;
                match place.as_str() {
                    "query" if name == "wait_ms" => {}
                    "query" => {
                        let sign = if path.contains('?') { '&' } else { '?' };
                        send(
                            &format!("{path}{sign}{name}={}", escaped(&text)),
                            &[JSON],
                            &what,
                        );
                    }
                    "path" => {
                        let path = operation
                            .path
                            .replace(&format!("{{{name}}}"), &escaped(&text));
                        send(&path, &[JSON], &what);
                    }
                    _ => {
                        // What a client library would not send either stays out; the rest of ASCII comes in.
                        let text: String = text.chars().filter(char::is_ascii_graphic).collect();
                        send(&path, &[JSON, (name, &text)], &what);
                    }
                }
            }
        }
        for bad in ["%ff", "%00", "%", "%zz"] {
            send(
                &format!("{path}?{bad}={bad}"),
                &[JSON],
                &format!("{} {path}?{bad}", operation.method),
            );
        }
    }
    assert!(tried > 500, "{tried}");
    nothing_is_shown_as_it_came(&world);
}

#[test]
fn texts_put_together_by_chance_do_no_more() {
    let world = World::with_site(racked_site());
    let callers = Callers::of(&world);
    let described = Described::of(&world);
    let with_body: Vec<&Operation> = described
        .operations
        .iter()
        .filter(|one| one.body.is_some())
        .collect();
    let piece = prop_oneof![
        any::<char>().prop_map(String::from),
        "[a-z0-9-]{0,6}",
        proptest::sample::select(hostile()).prop_map(|(text, _)| text.chars().take(300).collect()),
    ];
    let text = proptest::collection::vec(piece, 0..5).prop_map(|pieces| pieces.concat());
    let config = Config {
        cases: 300,
        failure_persistence: None,
        ..Config::default()
    };
    let which = (
        any::<prop::sample::Index>(),
        any::<prop::sample::Index>(),
        0usize..9,
        text,
    );
    let done = TestRunner::new(config).run(&which, |(operation, field, pick, text)| {
        let operation = with_body[operation.index(with_body.len())];
        let mut body = described.sample(operation.body.as_ref().unwrap(), pick, 0);
        let mut all = Vec::new();
        texts("", &body, &mut all);
        if !all.is_empty() {
            *body.pointer_mut(&all[field.index(all.len())]).unwrap() = json!(text);
        }
        let caller = callers.who(operation);
        let answer = caller
            .call(
                &operation.method,
                &path_of(operation),
                &[JSON],
                &body.to_string(),
            )
            .0;
        judge(
            &format!("{} {} {body:.200}", operation.method, operation.path),
            &answer,
        );
        Ok(())
    });
    done.unwrap();
    nothing_is_shown_as_it_came(&world);
}
