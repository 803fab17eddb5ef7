// SPDX-License-Identifier: Apache-2.0
//! Where nodes of open runs get the pieces of their image: the repository, and each other.

use crate::world::{Caller, Key, World, site};
use groundstate_api::Digest;
use groundstate_api::fan_out::{ImageRules, Rack, SourcesAnswer, peer_name};
use groundstate_api::paths::RUN_SOURCES;
use serde_json::{Value, json};

/// Orders a run of node 1 or 2 and enrols it: who calls, and the run.
fn enrolled(world: &World, number: u8) -> (Caller, String) {
    let path = format!("/v1/nodes/node-{number}/provision");
    world.operator().post(&path, &json!({})).ok();
    let key = Key::new();
    let reply = world.anyone().post("/v1/enrol", &key.request(number)).ok();
    let certificate = reply["certificate_pem"].as_str().unwrap();
    let der = {
        use rustls_pki_types::pem::PemObject as _;
        rustls_pki_types::CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()
    };
    let (_, parsed) = x509_parser::parse_x509_certificate(&der).unwrap();
    let names = parsed.subject_alternative_name().unwrap().unwrap();
    let name = peer_name(&format!("node-{number}").parse().unwrap());
    assert!(
        format!("{:?}", names.value).contains(&name),
        "other nodes know it by its name: {:?}",
        names.value
    );
    let run = reply["run"].as_str().unwrap().to_owned();
    (world.with(certificate, &key), run)
}

/// A question about an image of 16 chunks.
fn question(run: &str, have: &str, room: u32) -> Value {
    json!({
        "run": run, "image": Digest::of(b"manifest"), "chunks": 16, "port": 4_433, "disk": true,
        "have": have, "hot": have, "shelf": 8, "room": room,
    })
}

fn ask(caller: &Caller, question: &Value) -> SourcesAnswer {
    caller.post(RUN_SOURCES, question).read()
}

/// What the second node is told when the first has the first half.
fn second(world: &World) -> SourcesAnswer {
    let (one, run) = enrolled(world, 1);
    let first = ask(&one, &question(&run, "", 8));
    assert!(first.peers.is_empty());
    assert!(first.fetch.iter().all(|share| share.peer.is_none()));
    ask(&one, &question(&run, "ff", 0));
    let (two, run) = enrolled(world, 2);
    ask(&two, &question(&run, "", 16))
}

#[test]
fn a_node_is_sent_to_another_of_its_rack() {
    let answer = second(&World::new());
    assert_eq!(answer.peers.len(), 1);
    assert_eq!(answer.peers[0].node.as_str(), "node-1");
    assert_eq!(answer.peers[0].address.to_string(), "127.0.0.1:4433");
    let from_peer = answer.fetch.iter().filter(|share| share.peer == Some(0));
    assert!(from_peer.clone().count() > 0);
    assert!(from_peer.clone().all(|share| share.end <= 8), "{answer:?}");
}

#[test]
fn nobody_is_sent_into_another_rack_nor_where_peers_are_off() {
    let rack = |number: u8| Rack {
        name: format!("rack-{number}"),
        nodes: vec![format!("node-{number}").parse().unwrap()],
        network: None,
    };
    for images in [
        ImageRules {
            racks: vec![rack(1), rack(2)],
            ..ImageRules::default()
        },
        ImageRules {
            peers: false,
            ..ImageRules::default()
        },
    ] {
        let mut site = site();
        site.images = images;
        let answer = second(&World::with_site(site));
        assert!(answer.peers.is_empty(), "{answer:?}");
        assert!(!answer.fetch.is_empty());
    }
}

/// The rack where a node is mounted counts; what the rules for images say of it does not then.
#[test]
fn the_rack_of_the_slot_counts_before_the_rules_for_images() {
    let together = Rack {
        name: "together".to_owned(),
        nodes: vec!["node-1".parse().unwrap(), "node-2".parse().unwrap()],
        network: None,
    };
    let mut site = crate::world::racked_site();
    site.images.racks = vec![together];
    let apart = second(&World::with_site(site.clone()));
    assert!(apart.peers.is_empty(), "{apart:?}");
    for node in &mut site.nodes {
        node.slot.as_mut().unwrap().rack = "here".into();
    }
    site.nodes[1].slot.as_mut().unwrap().unit = 2;
    site.images.racks.clear();
    let beside = second(&World::with_site(site));
    assert_eq!(beside.peers.len(), 1, "{beside:?}");
}

#[test]
fn a_node_asks_for_its_own_open_run() {
    let world = World::new();
    let (one, run) = enrolled(&world, 1);
    let problem = one
        .post(RUN_SOURCES, &question("another", "", 8))
        .problem(403);
    assert!(problem.title.contains("own run"), "{}", problem.title);
    let mut large = question(&run, "", 8);
    large["chunks"] = json!(1_000_000);
    one.post(RUN_SOURCES, &large).problem(400);
    let mut bad = question(&run, "", 8);
    bad["have"] = json!("not a set");
    one.post(RUN_SOURCES, &bad).problem(400);
    world
        .operator()
        .post(RUN_SOURCES, &question(&run, "", 8))
        .problem(403);
    world
        .anyone()
        .post(RUN_SOURCES, &question(&run, "", 8))
        .problem(403);
}
