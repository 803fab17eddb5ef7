// SPDX-License-Identifier: Apache-2.0
//! Who gets a certificate, and who does not.

use crate::world::{Key, MAC_1, MAC_2, World, site, uuid};
use groundstate_api::Millis;
use groundstate_api::event::{Event, Happened};
use groundstate_api::plan::HandOver;
use groundstate_api::view::Phase;
use prov_core::Peer;
use provisioner::journal::{Journal as _, SqliteJournal};
use provisioner::pki::ProvenKey;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use serde_json::{Value, json};

fn enrol(world: &World, request: &Value) -> Value {
    world.anyone().post("/v1/enrol", request).ok()
}

fn refused(reply: &Value) -> &str {
    assert_eq!(reply["answer"], "refused", "{reply}");
    reply["reason"]["code"].as_str().unwrap()
}

fn order(world: &World) {
    world
        .operator()
        .post("/v1/nodes/node-1/provision", &json!({}))
        .ok();
}

#[test]
fn the_first_key_is_enrolled_under_our_name_and_a_second_one_raises_an_alarm() {
    let world = World::new();
    let (first, second) = (Key::new(), Key::new());
    assert_eq!(
        refused(&enrol(&world, &first.request(1))),
        "nothing-ordered"
    );
    order(&world);
    let reply = enrol(&world, &first.request(1));
    assert_eq!(reply["answer"], "enrolled", "{reply}");
    let pem = reply["certificate_pem"].as_str().unwrap();
    let certificate = CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
    let run = reply["run"].as_str().unwrap().parse().unwrap();
    // The request asked for operator:evil.
    assert_eq!(
        provisioner::pki::peer_of(&certificate),
        Some(Peer::Node {
            node: "node-1".parse().unwrap(),
            run,
            key: ProvenKey::from_csr(&first.csr()).unwrap().digest(),
        })
    );
    assert_eq!(
        enrol(&world, &first.request(1))["answer"],
        "enrolled",
        "a retry"
    );
    assert_eq!(refused(&enrol(&world, &second.request(1))), "second-key");
    let report = world.operator().get("/v1/nodes/node-1").ok();
    assert_eq!(report["alarms"][0]["code"], "second-key", "{report}");
    assert_eq!(report["view"]["phase"], "checking");
}

#[test]
fn a_stranger_and_an_impostor_get_nothing() {
    let world = World::new();
    order(&world);
    let key = Key::new();
    let mut stranger = key.request(1);
    stranger["boot_mac"] = json!("02:00:00:00:00:99");
    stranger["macs"] = json!(["02:00:00:00:00:99"]);
    assert_eq!(refused(&enrol(&world, &stranger)), "unknown-machine");
    for (field, value) in [
        ("serial", json!("GS2")),
        ("uuid", json!(uuid(2))),
        ("uuid", Value::Null),
        ("macs", json!([MAC_2])),
    ] {
        let mut impostor = key.request(1);
        impostor[field] = value;
        assert_eq!(
            refused(&enrol(&world, &impostor)),
            "identity-mismatch",
            "{field}"
        );
    }
    let mut cousin = key.request(2);
    cousin["boot_mac"] = json!(MAC_1);
    assert_eq!(refused(&enrol(&world, &cousin)), "identity-mismatch");
    let mut both = key.request(1);
    both["macs"] = json!([MAC_1, MAC_2]);
    assert_eq!(refused(&enrol(&world, &both)), "identity-mismatch");
    let report = world.operator().get("/v1/nodes/node-1").ok();
    assert!(!report["alarms"].as_array().unwrap().is_empty());
    assert_eq!(report["view"]["phase"], "ordered");
    let events = world.operator().get("/v1/events").text;
    assert!(events.contains("unknown-machine"), "{events}");
}

#[test]
fn a_window_that_closed_stays_closed() {
    let dir = tempfile::tempdir().unwrap();
    let node = site().nodes[0].name.clone();
    let what = [
        Happened::NodeAdded,
        Happened::RunOrdered {
            run: "old".parse().unwrap(),
            hand_over: HandOver::Kexec,
            window_closes: Millis(1_000 + 15 * 60_000),
            terms: groundstate_api::plan::OrderTerms::default(),
        },
        Happened::PhaseChanged {
            from: Phase::Enrolled,
            to: Phase::Ordered,
            reason: None,
        },
    ];
    let events: Vec<Event> = (1..)
        .zip(what)
        .map(|(number, what)| Event {
            number,
            at: Millis(1_000),
            node: Some(node.clone()),
            what,
        })
        .collect();
    SqliteJournal::open(&dir.path().join("journal.db"))
        .unwrap()
        .append(&events)
        .unwrap();
    let world = World::at(dir, Ok(()));
    assert_eq!(
        refused(&enrol(&world, &Key::new().request(1))),
        "enrolment-expired"
    );
    // A new order opens a new window. Whether the deadline was noticed before decides which order is the right one.
    while world.operator().get("/v1/nodes/node-1").ok()["view"]["phase"] != "held" {
        std::thread::yield_now();
    }
    world
        .operator()
        .post("/v1/nodes/node-1/reprovision", &json!({}))
        .ok();
    assert_eq!(enrol(&world, &Key::new().request(1))["answer"], "enrolled");
}

#[test]
fn a_request_that_is_wrong_is_told_which_field() {
    let world = World::new();
    let key = Key::new();
    let with = |field: &str, value: Value| {
        let mut request = key.request(1);
        request[field] = value;
        request
    };
    for (field, value) in [
        ("boot_mac", json!("zz")),
        ("schema", json!(7)),
        ("csr_pem", json!("-----BEGIN NOTHING-----")),
        ("surprise", json!(1)),
        ("serial", json!("x".repeat(129))),
        ("serial", json!("GS1\u{1b}[2J")),
        ("macs", json!(vec![MAC_1; 65])),
    ] {
        let problem = world
            .anyone()
            .post("/v1/enrol", &with(field, value))
            .problem(400);
        let text = format!("{} {:?}", problem.title, problem.reason.part);
        assert!(text.contains(field), "{field}: {text}");
    }
    // A proof of possession that was tampered with: the key of one request with the signature of another.
    let mut lines: Vec<String> = key.csr().lines().map(str::to_owned).collect();
    let middle = lines.len() / 2;
    lines[middle] = lines[middle].chars().rev().collect();
    world
        .anyone()
        .post("/v1/enrol", &with("csr_pem", json!(lines.join("\n"))))
        .problem(400);
    world
        .anyone()
        .post_text("/v1/enrol", &"[".repeat(100_000))
        .problem(400);
    world
        .anyone()
        .post_text("/v1/enrol", &" ".repeat(300 * 1024))
        .problem(413);
}

#[test]
fn a_machine_that_boots_from_another_of_its_cards_is_found_by_the_first() {
    let world = World::new();
    order(&world);
    let mut request = Key::new().request(1);
    request["boot_mac"] = json!("02:00:00:00:00:99");
    request["macs"] = json!(["02:00:00:00:00:99", MAC_1]);
    assert_eq!(enrol(&world, &request)["answer"], "enrolled");
}

#[test]
fn a_held_machine_that_is_still_there_goes_on_with_the_next_order() {
    let world = World::new();
    let key = Key::new();
    order(&world);
    let (node, run) = world.enrol(&key);
    // No disks: no plan can be made, and the node is held.
    let mut seen = crate::world::inventory();
    seen.disks.clear();
    node.post("/v1/run/inventory", &json!({"run": run, "inventory": seen}))
        .ok();
    while node.get("/v1/run/instruction").ok()["do"] != "hold" {
        std::thread::yield_now();
    }
    let view = world
        .operator()
        .post("/v1/nodes/node-1/reprovision", &json!({}))
        .ok();
    let next = view["reason"]["next_step"].as_str().unwrap();
    assert!(next.contains("goes on by itself"), "{next}");
    assert_eq!(node.get("/v1/run/instruction").ok()["do"], "enrol-again");
    let (again, second) = world.enrol(&key);
    assert_ne!(second, run);
    assert_eq!(
        again.get("/v1/run/instruction").ok()["do"],
        "send-inventory"
    );
    assert_eq!(node.get("/v1/run/instruction").ok()["do"], "hold");
}
