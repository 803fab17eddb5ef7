// SPDX-License-Identifier: Apache-2.0
//! A running host is taken in over the wire: with a token that is good once, as the machine that it is, and let go again.

use crate::way::phase;
use crate::world::{Answer, Caller, Key, MAC_1, MAC_2, World, inventory, site, uuid};
use groundstate_api::inventory::Signature;
use groundstate_api::view::NodeReport;
use groundstate_api::{Digest, SCHEMA};
use serde_json::{Value, json};

const ADOPTED_BOOT: &str = "33333333-3333-3333-3333-333333333333";
const NODE_1: &str = "/v1/nodes/node-1/adopt";

fn token_of(world: &World, path: &str, token: &str, more: &Value) -> Answer {
    let mut order = json!({"token": Digest::of(token.as_bytes())});
    for (name, value) in more.as_object().unwrap() {
        order[name] = value.clone();
    }
    world.operator().post(path, &order)
}

/// What the machine of node `number` says.
fn host(number: u8, key: Option<&Key>) -> Value {
    let mac = groundstate_api::MacAddr([0x52, 0x54, 0, 0, 0, number]);
    let mut seen = inventory();
    for disk in &mut seen.disks {
        disk.contents = vec![Signature {
            at: "disk".into(),
            what: "LVM2 PV".into(),
            label: None,
        }];
    }
    json!({
        "schema": SCHEMA, "macs": [mac], "boot_mac": mac, "uuid": uuid(number), "serial": format!("GS{number}"),
        "boot_id": ADOPTED_BOOT, "uefi": true, "os": "Fedora 41\u{1b}[2J, Linux 6.11", "inventory": seen,
        "csr_pem": key.map(Key::csr),
    })
}

fn adopt(world: &World, token: &str, body: &Value) -> Answer {
    let bearer = format!("Bearer {token}");
    let headers = [
        ("authorization", bearer.as_str()),
        ("content-type", "application/json"),
    ];
    let caller = world.anyone();
    caller
        .call("POST", "/v1/adopt", &headers, &body.to_string())
        .0
}

fn adopted(world: &World, token: &str, key: &Key) -> (Value, Caller) {
    let reply = adopt(world, token, &host(1, Some(key))).ok();
    let caller = world.with(reply["certificate_pem"].as_str().unwrap(), key);
    (reply, caller)
}

fn register(reply: &Value, boot: &str) -> Value {
    json!({
        "schema": 1, "node": "node-1", "run": "adopted", "plan": reply["adoption"], "os": "Fedora 41", "kernel": "6.11",
        "boot_id": boot, "uptime_secs": 9, "disk_serials": [], "changes": [],
    })
}

#[test]
#[allow(clippy::too_many_lines, reason = "one story, in its order")]
fn a_running_host_becomes_a_node_that_is_ready_says_so_and_is_let_go() {
    let world = World::new();
    let (key, token) = (Key::new(), "gs-adopt-1");
    let view = token_of(&world, NODE_1, token, &json!({})).ok();
    assert_eq!(view["new"], false, "{view}");
    let ca = world.anyone().get("/v1/ca").ok_text();
    assert_eq!(ca, world.ours.pki().ca_pem());
    let mut dry = host(1, Some(&key));
    dry["dry_run"] = json!(true);
    let before = *world.ours.follow().borrow();
    let would = adopt(&world, token, &dry).ok();
    assert_eq!(
        (&would["node"], &would["new"]),
        (&json!("node-1"), &json!(false))
    );
    assert_eq!(
        *world.ours.follow().borrow(),
        before,
        "a dry run changes nothing"
    );
    let (reply, agent) = adopted(&world, token, &key);
    assert_eq!(phase(&world), "suspect");
    let registered = agent.post("/v1/host/register", &register(&reply, ADOPTED_BOOT));
    assert_eq!(registered.ok()["do"], "carry-on");
    let report: NodeReport = world.operator().get("/v1/nodes/node-1").read();
    let reason = report.view.reason.clone().unwrap();
    assert_eq!(
        (report.view.phase.as_str(), reason.code.as_str()),
        ("ready", "adopted")
    );
    assert!(reason.what.contains("its image is unknown"), "{reason}");
    assert!(
        reason
            .next_step
            .contains("groundstate node reprovision node-1")
    );
    assert!(report.plan.is_none() && report.view.run.is_none());
    assert!(report.host.unwrap().adopted.is_some());
    let page = world.page("/nodes/node-1");
    assert!(
        page.contains("its image is unknown") && !page.contains("host&#39;s plan"),
        "{page}"
    );
    let events = world.operator().get("/v1/events").ok_text();
    assert!(
        events.contains("adopt-token-made") && !events.contains(token),
        "{events}"
    );
    assert!(!events.contains("\\u001b"), "{events}");

    // The answer may be lost: the same key hears it again. Another one does not, and the token is over.
    let again = adopt(&world, token, &host(1, Some(&key))).ok();
    assert_eq!(again["adoption"], reply["adoption"]);
    assert_eq!(phase(&world), "ready");
    let said = adopt(&world, token, &host(1, Some(&Key::new()))).problem(401);
    assert!(
        said.reason.next_step.contains("adopt-token"),
        "{}",
        said.reason
    );

    let world = world.restart();
    let agent = world.with(reply["certificate_pem"].as_str().unwrap(), &key);
    let later = "44444444-4444-4444-4444-444444444444";
    agent
        .post("/v1/host/register", &register(&reply, later))
        .ok();
    assert_eq!(phase(&world), "ready");
    world.anyone().delete(NODE_1).problem(403);
    let operator = world.operator();
    assert_eq!(operator.delete(NODE_1).ok()["phase"], "enrolled");
    let said = agent
        .post("/v1/host/register", &register(&reply, later))
        .problem(409);
    assert!(said.reason.what.contains("let go"), "{}", said.reason);
    let report: NodeReport = operator.get("/v1/nodes/node-1").read();
    assert!(report.alarms.is_empty(), "who was let go is no ghost");
    operator.delete(NODE_1).problem(409);
}

#[test]
fn a_machine_that_is_another_node_is_refused_with_that_nodes_name_and_nothing_changes() {
    let world = World::new();
    let key = Key::new();
    token_of(&world, NODE_1, "t", &json!({})).ok();
    let change = |field: &str, value: Value| {
        let mut body = host(1, Some(&key));
        body[field] = value;
        body
    };
    for (body, status, says) in [
        (host(2, Some(&key)), 409, "node-2"),
        (
            change("macs", json!([MAC_1, MAC_2])),
            409,
            "MAC 52:54:00:00:00:02 belongs to node-2",
        ),
        (change("uuid", json!(uuid(2))), 409, "belongs to node-2"),
        (
            change("serial", json!("GS2")),
            409,
            "\"GS2\" belongs to node-2",
        ),
        (change("serial", json!("X-9")), 409, "X-9"),
        (change("uuid", json!(uuid(9))), 409, "UUID"),
        (change("uuid", Value::Null), 409, "UUID"),
        (change("serial", json!("  ")), 409, "serial number"),
        (change("csr_pem", json!("no request")), 400, "csr_pem"),
        (change("schema", json!(99)), 400, "schema"),
        (change("colour", json!("red")), 400, "colour"),
    ] {
        let problem = adopt(&world, "t", &body).problem(status);
        let said = format!("{} {:?}", problem.reason, problem.reason);
        assert!(said.contains(says), "{says}: {said}");
    }
    for token in ["", "t2", "t\u{7f}"] {
        let bearer = format!("Bearer {token}");
        if bearer.parse::<ureq::http::HeaderValue>().is_ok() {
            adopt(&world, token, &host(1, Some(&key))).problem(401);
        }
    }
    world
        .anyone()
        .post("/v1/adopt", &host(1, Some(&key)))
        .problem(401);
    assert_eq!(phase(&world), "enrolled");
    // A host that a run made is not adopted over, and neither is a run.
    let run = World::new();
    token_of(&run, NODE_1, "t", &json!({})).ok();
    run.enrolled();
    let problem = adopt(&run, "t", &host(1, Some(&key))).problem(409);
    assert!(
        problem.reason.what.contains("a run is at it"),
        "{}",
        problem.reason
    );
    for (more, field) in [
        (json!({"minutes": 0}), "minutes"),
        (json!({"minutes": 1_441}), "minutes"),
        (json!({"serial": "a\nb"}), "serial"),
    ] {
        let problem = token_of(&world, NODE_1, "u", &more).problem(400);
        assert!(
            problem.reason.to_string().contains(field),
            "{}",
            problem.reason
        );
    }
}

#[test]
fn a_machine_that_the_site_does_not_know_becomes_a_node_of_it() {
    let world = World::new();
    let (key, path) = (Key::new(), "/v1/nodes/node-9/adopt");
    let bound = json!({"mac": "52:54:00:00:00:09", "serial": "GS9", "minutes": 5});
    assert_eq!(token_of(&world, path, "t", &bound).ok()["new"], true);
    let mut other = host(8, Some(&key));
    other["serial"] = json!("GS8");
    let problem = adopt(&world, "t", &other).problem(409);
    assert!(
        problem.reason.what.contains("another machine"),
        "{}",
        problem.reason
    );
    let mut dry = host(9, Some(&key));
    dry["dry_run"] = json!(true);
    assert_eq!(adopt(&world, "t", &dry).ok()["new"], true);
    assert_eq!(*world.ours.site(), site(), "a dry run changes nothing");
    let reply = adopt(&world, "t", &host(9, Some(&key))).ok();
    assert_eq!(reply["network_boot"]["mac"], "52:54:00:00:00:09");
    let now = world.ours.site();
    let node = now.nodes.last().unwrap();
    assert_eq!(
        (node.name.as_str(), node.serial.as_str()),
        ("node-9", "GS9")
    );
    // Without an agent nobody hears of it, and it says so.
    token_of(&world, "/v1/nodes/node-2/adopt", "n", &json!({})).ok();
    let reply = adopt(&world, "n", &host(2, None)).ok();
    assert!(reply["certificate_pem"].is_null(), "{reply}");
    let view = world.operator().get("/v1/nodes/node-2").ok();
    assert_eq!(view["view"]["phase"], "enrolled");
    let what = view["view"]["reason"]["what"].as_str().unwrap();
    assert!(what.contains("without an agent"), "{what}");
    assert!(view["inventory"]["disks"][0]["contents"][0]["what"] == "LVM2 PV");
}

#[test]
fn a_run_of_an_adopted_node_is_an_ordinary_one_and_its_disks_are_nobodys_to_wipe() {
    let world = World::new();
    let key = Key::new();
    token_of(&world, NODE_1, "t", &json!({})).ok();
    let (reply, agent) = adopted(&world, "t", &key);
    agent
        .post("/v1/host/register", &register(&reply, ADOPTED_BOOT))
        .ok();
    let operator = world.operator();
    operator
        .post("/v1/nodes/node-1/provision", &json!({}))
        .problem(409);
    let rebuild = json!({"serial": "DATA-1"});
    operator
        .post("/v1/nodes/node-1/rebuild-disk", &rebuild)
        .problem(409);
    operator
        .post("/v1/nodes/node-1/reprovision", &json!({}))
        .ok();
    let beat = json!({"node": "node-1", "plan": reply["adoption"], "boot_id": ADOPTED_BOOT, "number": 1, "uptime_secs": 14});
    assert_eq!(
        agent.post("/v1/host/heartbeat", &beat).ok()["do"],
        "reboot-to-network"
    );
    let boot = Key::new();
    let (node, run) = world.enrol(&boot);
    let seen = host(1, None)["inventory"].clone();
    let body = json!({"schema": SCHEMA, "run": run, "inventory": seen});
    node.post("/v1/run/inventory", &body).ok();
    let reason = loop {
        let view = operator.get("/v1/nodes/node-1").ok()["view"].clone();
        if view["phase"] == "held" {
            break view["reason"].clone();
        }
        std::thread::yield_now();
    };
    assert_eq!(reason["code"], "disk-in-use", "{reason}");
    assert!(reason.to_string().contains("LVM2 PV"), "{reason}");
}
