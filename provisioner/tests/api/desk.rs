// SPDX-License-Identifier: Apache-2.0
//! Orders as the desk takes them in: keys, entity tags, kinds of body, the audit trail; lists in pages; hostile fields.

use crate::way::{planned, progress};
use crate::world::{Caller, World, racked_site};
use groundstate_api::event::Happened;
use groundstate_api::plan::Step;
use groundstate_api::site_parts::Role;
use groundstate_api::view::{EventPage, NodeList, NodeView};
use serde_json::{Value, json};

const JSON: (&str, &str) = ("content-type", "application/json");
const PROVISION: &str = "/v1/nodes/node-1/provision";

fn orders(world: &World) -> usize {
    let page: EventPage = world.operator().get("/v1/events").read();
    let ordered =
        |event: &&groundstate_api::event::Event| matches!(event.what, Happened::RunOrdered { .. });
    page.events.iter().filter(ordered).count()
}

#[test]
fn an_order_with_a_key_is_carried_out_once_and_answered_the_same_also_after_a_restart() {
    let world = World::new();
    let headers = [JSON, ("idempotency-key", "key-1")];
    let (first, _) = world.operator().call("POST", PROVISION, &headers, "{}");
    assert_eq!(first.status, 200, "{}", first.text);
    let (again, said) = world.operator().call("POST", PROVISION, &headers, "{}");
    assert_eq!((again.status, &again.text), (200, &first.text));
    assert_eq!(said["idempotent-replayed"], "true");
    // Another caller's key of the same name is another key: its order is refused, for a run is under way.
    let other = world.client(Role::Operator, "other");
    assert_eq!(other.call("POST", PROVISION, &headers, "{}").0.status, 409);
    // A refusal is answered the same too.
    assert_eq!(other.call("POST", PROVISION, &headers, "{}").0.status, 409);
    let elsewhere = "/v1/nodes/node-2/provision";
    let problem = world.operator().call("POST", elsewhere, &headers, "{}").0;
    assert_eq!(
        problem.problem(422).kind,
        "urn:groundstate:reason:key-reused"
    );
    let body = r#"{"confirm_wipe":["X"]}"#;
    let problem = world.operator().call("POST", PROVISION, &headers, body).0;
    problem.problem(422);
    let world = world.restart();
    let (later, _) = world.operator().call("POST", PROVISION, &headers, "{}");
    assert_eq!((later.status, &later.text), (200, &first.text));
    assert_eq!(orders(&world), 1);
    for bad in ["", "a b", &"x".repeat(129)] {
        let headers = [JSON, ("idempotency-key", bad)];
        let answer = world.operator().call("POST", PROVISION, &headers, "{}").0;
        answer.problem(400);
    }
}

#[test]
fn one_key_sent_many_times_at_once_is_one_order() {
    let world = World::new();
    let answers: Vec<(u16, String)> = std::thread::scope(|scope| {
        let send = |_| {
            scope.spawn(|| {
                let headers = [JSON, ("idempotency-key", "together")];
                let (answer, _) = world.operator().call("POST", PROVISION, &headers, "{}");
                (answer.status, answer.text)
            })
        };
        let sent: Vec<_> = (0..8).map(send).collect();
        sent.into_iter().map(|sent| sent.join().unwrap()).collect()
    });
    for answer in &answers {
        assert_eq!(answer, &answers[0]);
    }
    assert_eq!((answers[0].0, orders(&world)), (200, 1));
}

#[test]
fn an_order_for_a_node_that_has_moved_on_is_refused() {
    let world = World::new();
    let operator = world.operator();
    let (_, headers) = operator.call("GET", "/v1/nodes/node-1", &[], "");
    let tag = headers["etag"].to_str().unwrap().to_owned();
    let (same, _) = operator.call("GET", "/v1/nodes/node-1", &[("if-none-match", &tag)], "");
    assert_eq!((same.status, same.text.as_str()), (304, ""));
    let tagged = |tag: &str| {
        operator
            .call("POST", PROVISION, &[JSON, ("if-match", tag)], "{}")
            .0
    };
    assert_eq!(tagged(&tag).status, 200);
    let problem = tagged(&tag).problem(412);
    assert_eq!(problem.kind, "urn:groundstate:reason:precondition");
    // The name may be written in another way; it is the same node.
    let escaped = "/v1/nodes/%6eode-1/provision";
    let (answer, _) = operator.call("POST", escaped, &[JSON, ("if-match", &tag)], "{}");
    answer.problem(412);
    let (list, headers) = operator.call("GET", "/v1/nodes", &[], "");
    assert_eq!(list.status, 200);
    let tag = headers["etag"].to_str().unwrap().to_owned();
    let again = || {
        operator
            .call("GET", "/v1/nodes", &[("if-none-match", &tag)], "")
            .0
    };
    assert_eq!(again().status, 304);
    let path = "/v1/nodes/node-2/provision";
    operator.post(path, &json!({})).ok();
    assert_eq!(again().status, 200);
}

#[test]
fn what_no_event_says_is_answered_anew_although_the_tag_is_the_same() {
    let world = World::new();
    let (node, run) = world.enrolled();
    planned(&node, &run);
    let started = json!({"state": "started"});
    progress(&node, &run, 1, Step::Image, &started);
    let operator = world.operator();
    for (number, path) in (2..).zip(["/v1/nodes/node-1", "/v1/nodes"]) {
        let tag = operator.get(path).tag.unwrap();
        let running = json!({"state": "running", "done": number * 1_111, "total": 9_999});
        progress(&node, &run, number, Step::Image, &running);
        let (again, headers) = operator.call("GET", path, &[("if-none-match", &tag)], "");
        assert_eq!(
            (again.status, headers["etag"].to_str().unwrap()),
            (200, tag.as_str())
        );
        let done = format!("\"done\":{}", number * 1_111);
        assert!(again.text.contains(&done), "{}", again.text);
    }
}

#[test]
fn an_order_that_is_sent_again_with_its_key_and_tag_is_answered_as_before() {
    let world = World::new();
    let operator = world.operator();
    let send = |path: &str, key: &str, tag: &str, body: &str| {
        let headers = [JSON, ("idempotency-key", key), ("if-match", tag)];
        operator.call("POST", path, &headers, body)
    };
    let tag = || operator.get("/v1/nodes/node-1").tag.unwrap();
    let seen = tag();
    let (first, _) = send(PROVISION, "key-1", &seen, "{}");
    assert_eq!(first.status, 200, "{}", first.text);
    // Its answer was lost on the way, and by this very order the node has another tag.
    let (again, said) = send(PROVISION, "key-1", &seen, "{}");
    assert_eq!((again.status, &again.text), (200, &first.text));
    assert_eq!(said["idempotent-replayed"], "true");
    assert_eq!(orders(&world), 1);
    // What named a state that is past was not done: its key is free for the state of now.
    let (remarks, body) = ("/v1/nodes/node-1/remarks", r#"{"text":"looked at it"}"#);
    for _ in 0..2 {
        send(remarks, "key-2", &seen, body).0.problem(412);
    }
    let (done, said) = send(remarks, "key-2", &tag(), body);
    assert_eq!(done.status, 200, "{}", done.text);
    assert!(!said.contains_key("idempotent-replayed"));
}

#[test]
fn an_entity_tag_counts_where_there_is_one_and_a_weak_one_is_none() {
    let world = World::new();
    let operator = world.operator();
    let headers = [JSON, ("if-match", "*")];
    for (method, path, body) in [
        ("POST", "/v1/brake", r#"{"on":true}"#),
        ("POST", "/v1/actions/1/veto", "{}"),
        (
            "POST",
            "/v1/machines/02:00:00:00:00:99/accept",
            r#"{"name":"n9"}"#,
        ),
        ("DELETE", "/v1/machines/02:00:00:00:00:99", ""),
    ] {
        let (answer, _) = operator.call(method, path, &headers, body);
        let reason = answer.problem(412).reason;
        assert!(
            reason.next_step.contains("without If-Match"),
            "{path}: {reason}"
        );
    }
    assert_eq!(operator.get("/v1/brake").ok()["on"], false);
    let site = crate::world::site();
    let tag = operator.get("/v1/site").tag.unwrap();
    let weak = format!("W/{tag}");
    operator.put("/v1/site", Some(&weak), &site).problem(412);
    operator
        .put("/v1/site", Some("\"nine\", x"), &site)
        .problem(412);
    operator
        .put("/v1/site", Some(&format!("\"0\", {tag}")), &site)
        .ok();
    let (same, _) = operator.call("GET", "/v1/site", &[("if-none-match", &weak)], "");
    assert_eq!(same.status, 304);
}

#[test]
fn every_refusal_is_a_problem() {
    let world = World::new();
    let operator = world.operator();
    let text = [("content-type", "text/plain")];
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let big = format!("{{\"confirm_wipe\":[\"{}\"]}}", "x".repeat(3 << 20));
    for (method, path, headers, body, status) in [
        ("POST", PROVISION, &text[..], "{}", 415),
        ("POST", PROVISION, &form[..], "a=b", 415),
        ("POST", PROVISION, &[JSON][..], "{", 400),
        ("POST", PROVISION, &[JSON][..], "[]", 400),
        ("POST", PROVISION, &[JSON][..], big.as_str(), 413),
        ("PUT", PROVISION, &[JSON][..], "{}", 405),
        ("PATCH", "/v1/nodes", &[JSON][..], "{}", 405),
        ("GET", "/v1/nothing", &[][..], "", 404),
        ("GET", "/v1/nodes/nobody", &[][..], "", 404),
        ("GET", "/v1/nodes?limit=0", &[][..], "", 400),
        ("GET", "/v1/nodes?phase=asleep", &[][..], "", 400),
        ("GET", "/v1/nodes?unknown=1", &[][..], "", 400),
        ("GET", "/v1/nodes?cursor=%0a", &[][..], "", 400),
        ("GET", "/v1/boots?cursor=x", &[][..], "", 400),
    ] {
        let (answer, headers) = operator.call(method, path, headers, body);
        let kind = headers["content-type"].to_str().unwrap();
        assert_eq!(kind, "application/problem+json", "{method} {path}");
        answer.problem(status);
        if status == 405 {
            assert!(headers.contains_key("allow"), "{method} {path}");
        }
    }
}

#[test]
fn lists_come_in_pages_and_by_phase_and_rack() {
    let world = World::with_site(racked_site());
    let operator = world.operator();
    let (page, headers) = operator.call("GET", "/v1/nodes?limit=1", &[], "");
    let link = headers["link"].to_str().unwrap().to_owned();
    assert_eq!(link, "</v1/nodes?limit=1&cursor=node-1>; rel=\"next\"");
    let names = |list: &NodeList| -> Vec<String> {
        let names = list.nodes.iter().map(|view| view.node.to_string());
        names.collect()
    };
    assert_eq!(names(&page.read()), ["node-1"]);
    let next = link.trim_start_matches('<').split('>').next().unwrap();
    let (page, headers) = operator.call("GET", next, &[], "");
    assert!(!headers.contains_key("link"));
    assert_eq!(names(&page.read()), ["node-2"]);
    operator.post(PROVISION, &json!({})).ok();
    let of = |query: &str| names(&operator.get(&format!("/v1/nodes?{query}")).read());
    assert_eq!(of("phase=ordered"), ["node-1"]);
    assert_eq!(of("phase=enrolled"), ["node-2"]);
    assert_eq!(of("rack=there"), ["node-2"]);
    assert_eq!(of("rack=there&phase=ordered"), Vec::<String>::new());
    let page: EventPage = operator.get("/v1/events?limit=1").read();
    assert_eq!(page.events.len(), 1);
    let (_, headers) = operator.call("GET", "/v1/events?limit=1", &[], "");
    let next = format!("after={}>", page.next_after);
    assert!(headers["link"].to_str().unwrap().contains(&next));
    let page: EventPage = operator.get("/v1/events?rack=there").read();
    let theirs = |event: &groundstate_api::event::Event| {
        event
            .node
            .as_ref()
            .is_some_and(|node| node.as_str() == "node-2")
    };
    assert!(!page.events.is_empty() && page.events.iter().all(theirs));
    let page: EventPage = operator.get("/v1/events?phase=ordered").read();
    assert_eq!(page.events.len(), 1, "{:?}", page.events);
}

#[test]
fn an_action_stands_in_the_audit_trail_with_what_it_is_and_an_order_whose_image_is_missing_says_so()
{
    let world = World::new();
    let admin = world.operator();
    let path = "/v1/nodes/node-1/actions";
    let acts = [
        json!({"act": "power", "to": "cycle"}),
        json!({"act": "identify", "on": true}),
        json!({"act": "power", "to": "up"}),
    ];
    for act in &acts {
        admin.post(path, act);
    }
    let page: EventPage = admin.get("/v1/audit").read();
    let said: Vec<Option<String>> = page
        .events
        .iter()
        .filter_map(|event| match &event.what {
            Happened::Audited { audit } if audit.did.ends_with("/actions") => {
                Some(audit.act.clone())
            }
            _ => None,
        })
        .collect();
    assert_eq!(said.len(), acts.len());
    assert_eq!(said[0].as_deref(), Some("power cycle"));
    assert_eq!(said[1].as_deref(), Some("light the locator LED"));
    assert_eq!(said[2], None, "what cannot be read is no action");

    let mut site = crate::world::site();
    site.policy.image = "nope".into();
    admin.put("/v1/site", Some("*"), &site).ok();
    let view: NodeView = admin.post("/v1/nodes/node-1/provision", &json!({})).read();
    let reason = view.reason.unwrap().to_string();
    for wants in [
        "the run will be held: the repository has no image \"nope\"",
        "--version VERSION --state-dir ",
        "; then power the machine on",
    ] {
        assert!(reason.contains(wants), "{wants}: {reason}");
    }
    // An erase needs no image.
    let erase = json!({"serials": ["S-1"]});
    let view: NodeView = admin.post("/v1/nodes/node-2/erase", &erase).read();
    let reason = view.reason.unwrap().to_string();
    assert!(!reason.contains("nope"), "{reason}");
    assert!(reason.contains("an ERASE of disk S-1, by "), "{reason}");
}

#[test]
fn every_order_stands_in_the_audit_trail_and_its_body_does_not() {
    let world = World::new();
    let fabric = world.client(Role::Fabric, "fc-1");
    let headers = [JSON, ("idempotency-key", "k-7")];
    let body = r#"{"confirm_wipe":["SECRET-SERIAL"]}"#;
    fabric.call("POST", PROVISION, &headers, body).0.ok();
    fabric.call("POST", PROVISION, &[JSON], body).0.problem(409);
    let (answer, _) = world.operator().call("GET", "/v1/audit", &[], "");
    assert!(!answer.text.contains("SECRET-SERIAL"));
    let page: EventPage = answer.read();
    let audits: Vec<_> = page
        .events
        .iter()
        .map(|event| match &event.what {
            Happened::Audited { audit } => audit.clone(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(audits.len(), 2);
    let did = format!("POST {PROVISION}");
    let first = &audits[0];
    assert_eq!((first.by.as_str(), &first.did), ("fabric:fc-1", &did));
    assert_eq!((first.status, first.key.as_deref()), (200, Some("k-7")));
    let digest = groundstate_api::Digest::of(body.as_bytes()).to_string();
    assert_eq!(
        (first.body.as_ref(), first.from.as_str()),
        (Some(&digest), "127.0.0.1")
    );
    assert_eq!((audits[1].status, audits[1].key.as_ref()), (409, None));
    let of = |by: &str| -> EventPage { world.operator().get(&format!("/v1/audit?by={by}")).read() };
    assert_eq!(of("fabric:fc-1").events.len(), 2);
    assert!(of("operator:nobody").events.is_empty());
    // Followers of events do not see it.
    let page: EventPage = world.operator().get("/v1/events").read();
    let audited =
        |event: &groundstate_api::event::Event| matches!(event.what, Happened::Audited { .. });
    assert!(!page.events.iter().any(audited));
}

#[test]
fn a_stream_goes_on_behind_the_last_event_that_was_seen() {
    let world = World::new();
    for node in ["node-1", "node-2"] {
        let path = format!("/v1/nodes/{node}/provision");
        world.operator().post(&path, &json!({})).ok();
    }
    let all: EventPage = world.operator().get("/v1/events").read();
    let stream = |more: &[&str]| -> Vec<u64> {
        let output = std::process::Command::new("curl")
            .args(["--silent", "--no-buffer", "--max-time", "2", "--cacert"])
            .arg(world.pki("operator/ca.crt"))
            .arg("--cert")
            .arg(world.pki("operator/operator.crt"))
            .arg("--key")
            .arg(world.pki("operator/operator.key"))
            .args(["--header", "Accept: text/event-stream"])
            .args(more)
            .arg(format!("https://localhost:{}/v1/events", world.port))
            .output()
            .unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        let ids = said.lines().filter_map(|line| line.strip_prefix("id: "));
        ids.map(|id| id.parse().unwrap()).collect()
    };
    let numbers: Vec<u64> = all.events.iter().map(|event| event.number).collect();
    assert_eq!(stream(&[]), numbers);
    for (n, seen) in numbers.iter().enumerate() {
        let header = format!("Last-Event-ID: {seen}");
        assert_eq!(stream(&["--header", &header]), numbers[n + 1..]);
    }
    let odd = [
        JSON,
        ("accept", "text/event-stream"),
        ("last-event-id", "x"),
    ];
    let (answer, _) = world.operator().call("GET", "/v1/events", &odd, "");
    answer.problem(400);
    // Nobody waits in silence for events that a journal without them would have to make up.
    for ahead in ["1000000", "18446744073709551615"] {
        let headers = [("accept", "text/event-stream"), ("last-event-id", ahead)];
        let (answer, _) = world.operator().call("GET", "/v1/events", &headers, "");
        let reason = answer.problem(400).reason;
        assert!(reason.what.contains("the newest is"), "{reason}");
    }
    let past = "Last-Event-ID: 0";
    assert_eq!(stream(&["--header", past]), numbers);
}

#[test]
fn what_is_measured_is_read_as_metrics() {
    let world = World::new();
    let operator = world.operator();
    operator.post(PROVISION, &json!({})).ok();
    let (answer, headers) = operator.call("GET", "/metrics", &[], "");
    assert!(
        headers["content-type"]
            .to_str()
            .unwrap()
            .starts_with("text/plain; version=0.0.4")
    );
    let text = answer.ok_text();
    for line in [
        "groundstate_nodes{phase=\"ordered\"} 1",
        "groundstate_nodes{phase=\"enrolled\"} 1",
        "groundstate_nodes{phase=\"held\"} 0",
        "groundstate_transitions_total{to=\"ordered\"} 1",
        "groundstate_api_answers_total{method=\"POST\",route=\"/v1/nodes/{node}/provision\",status=\"2xx\"} 1",
        "# TYPE groundstate_journal_write_seconds histogram",
    ] {
        assert!(text.lines().any(|said| said == line), "{line} in\n{text}");
    }
    for (name, _, _) in groundstate_api::metrics::PROVISIONER {
        assert!(text.contains(&format!("# TYPE {name} ")), "{name}");
    }
    assert!(!text.contains("node-1"), "no series names a node");
}

/// Texts that steer terminals, turn lines around, end strings, or are simply too long.
fn hostile() -> Vec<String> {
    let mut texts: Vec<String> = [
        "a\nb",
        "a\r\nInjected: 1",
        "${HOME}",
        "$(reboot)",
        "a\0b",
        "\u{202e}txt.exe",
        "\u{1b}[2J",
        "\u{9b}31m",
        "<script>alert(1)</script>",
        "{{7*7}}",
        "../../etc/passwd",
        "';DROP TABLE events;--",
        "%n%s",
        "\u{feff}a",
    ]
    .map(str::to_owned)
    .to_vec();
    texts.push("x".repeat(64 * 1024));
    texts
}

fn is_inert(value: &Value) -> bool {
    match value {
        Value::String(text) => {
            text.chars().all(groundstate_api::text::printable) && text.len() < 8_192
        }
        Value::Array(values) => values.iter().all(is_inert),
        Value::Object(fields) => fields.values().all(is_inert),
        Value::Null | Value::Bool(_) | Value::Number(_) => true,
    }
}

fn everything(operator: &Caller) -> Vec<Value> {
    [
        "/v1/nodes",
        "/v1/nodes/node-1",
        "/v1/events",
        "/v1/boots",
        "/v1/fleet",
        "/v1/audit",
    ]
    .into_iter()
    .map(|path| operator.get(path).ok())
    .collect()
}

#[test]
fn hostile_texts_of_machines_and_callers_are_refused_or_inert_wherever_they_are_shown() {
    let world = World::new();
    let (node, run) = world.enrolled();
    for text in hostile() {
        let mut inventory = serde_json::to_value(crate::world::inventory()).unwrap();
        for field in [
            "manufacturer",
            "product",
            "serial",
            "firmware_version",
            "cpu_model",
        ] {
            inventory["system"][field] = json!(text);
        }
        inventory["disks"][0]["model"] = json!(text);
        inventory["disks"][0]["slot"] = json!(text);
        let report = json!({"run": run, "inventory": inventory});
        let answer = node.post("/v1/run/inventory", &report);
        assert!(answer.status < 500, "{}", answer.text);
        let operator = world.operator();
        for (path, body) in [
            (
                "/v1/nodes/node-1/provision",
                json!({"confirm_wipe": [text]}),
            ),
            ("/v1/nodes/node-1/rebuild-disk", json!({"serial": text})),
            (
                "/v1/nodes/node-1/erase",
                json!({"level": "clear", "serials": [text]}),
            ),
            ("/v1/nodes/node-1/remarks", json!({"text": text})),
            ("/v1/nodes/node-1/quarantine", json!({"why": text})),
            ("/v1/brake", json!({"on": false, "why": text})),
        ] {
            let answer = operator.post(path, &body);
            assert!(answer.status < 500, "{path}: {}", answer.text);
            let said: Value = serde_json::from_str(&answer.text).unwrap();
            assert!(is_inert(&said), "{path} with {text:?}: {said}");
        }
        let mut request = crate::world::Key::new().request(2);
        request["serial"] = json!(text);
        let answer = world.anyone().post("/v1/enrol", &request);
        assert!(answer.status < 500, "{}", answer.text);
        let said: Value = serde_json::from_str(&answer.text).unwrap();
        assert!(is_inert(&said), "enrolment with {text:?}: {said}");
    }
    for shown in everything(&world.operator()) {
        assert!(is_inert(&shown), "{shown}");
    }
}
