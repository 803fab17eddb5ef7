// SPDX-License-Identifier: Apache-2.0
//! The newest events of a node without its history, and orders found by caller and node.

use crate::world::World;
use groundstate_api::event::{Event, Happened};
use groundstate_api::site_parts::Role;
use groundstate_api::view::EventPage;
use serde_json::json;

fn numbers(page: &EventPage) -> Vec<u64> {
    page.events.iter().map(|event| event.number).collect()
}

#[test]
fn the_newest_events_are_those_at_the_end_of_the_history() {
    let world = World::new();
    for text in ["one", "two", "three"] {
        let path = "/v1/nodes/node-1/remarks";
        world.operator().post(path, &json!({"text": text})).ok();
    }
    let all: EventPage = world.operator().get("/v1/events?node=node-1").read();
    let newest: EventPage = world
        .operator()
        .get("/v1/events?node=node-1&newest=true&limit=2")
        .read();
    let all_numbers = numbers(&all);
    assert_eq!(numbers(&newest), all_numbers[all_numbers.len() - 2..]);
    let said =
        |event: &Event| matches!(&event.what, Happened::Remarked { text, .. } if text == "three");
    assert!(newest.events.last().is_some_and(said));
    // Who goes on behind it hears of everything that comes.
    assert!(newest.next_after >= *all_numbers.last().unwrap());
    let more: EventPage = world
        .operator()
        .get("/v1/events?node=node-1&newest=true")
        .read();
    assert_eq!(numbers(&more), all_numbers);
    let none: EventPage = world
        .operator()
        .get("/v1/events?node=node-2&newest=true&limit=1")
        .read();
    assert_eq!(none.events.len(), 1);
    world
        .operator()
        .get("/v1/events?node=nobody&newest=true")
        .problem(404);
}

#[test]
fn orders_are_found_by_caller_and_node() {
    let world = World::new();
    let ben = world.client(Role::Operator, "ben");
    for node in ["node-1", "node-2"] {
        let path = format!("/v1/nodes/{node}/remarks");
        world
            .operator()
            .post(&path, &json!({"text": "looked"}))
            .ok();
        ben.post(&path, &json!({"text": "looked too"})).ok();
    }
    let did = |query: &str| -> Vec<(String, String)> {
        let page: EventPage = world.operator().get(&format!("/v1/audit?{query}")).read();
        let audit = |event: &Event| match &event.what {
            Happened::Audited { audit } => (audit.by.clone(), audit.did.clone()),
            other => panic!("{other:?} is no order"),
        };
        page.events.iter().map(audit).collect()
    };
    assert_eq!(did("").len(), 4);
    let of_ben = did("by=operator:ben&node=node-2");
    assert_eq!(
        of_ben,
        [(
            "operator:ben".to_owned(),
            "POST /v1/nodes/node-2/remarks".to_owned()
        )]
    );
    assert_eq!(did("node=node-1").len(), 2);
    assert!(did("node=node-3").is_empty() && did("by=nobody").is_empty());
    world.operator().get("/v1/audit?node=NO_NODE").problem(400);
}
