// SPDX-License-Identifier: Apache-2.0
//! Followers: cursors, long polls, one node's events.

use crate::world::{World, site};
use groundstate_api::event::Happened;
use groundstate_api::view::EventPage;
use serde_json::json;

/// More events than are looked at for one answer.
const MANY: usize = 20_300;

#[test]
fn a_long_poll_returns_with_the_event_it_waited_for() {
    let world = World::new();
    let page: EventPage = world.operator().get("/v1/events").read();
    let added = |event: &&groundstate_api::event::Event| matches!(event.what, Happened::NodeAdded);
    let added = page.events.iter().filter(added).count();
    assert_eq!(added, 2, "two nodes were added");
    let after = page.next_after;
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            let path = format!("/v1/events?after={after}&node=node-2&wait_ms=30000");
            world.operator().get(&path).read::<EventPage>()
        });
        // Another node's events must not wake it for good.
        world
            .operator()
            .post("/v1/nodes/node-1/provision", &json!({}))
            .ok();
        world
            .operator()
            .post("/v1/nodes/node-2/provision", &json!({}))
            .ok();
        let page = waiting.join().unwrap();
        assert!(matches!(page.events[0].what, Happened::RunOrdered { .. }));
        assert!(
            page.events
                .iter()
                .all(|e| e.node.as_ref().unwrap().as_str() == "node-2")
        );
    });
    // Whoever waits behind a number that was never given would miss what comes until then.
    let newest: EventPage = world.operator().get("/v1/events?newest=true").read();
    let newest = newest.next_after;
    let empty: EventPage = world
        .operator()
        .get(&format!("/v1/events?after={newest}"))
        .read();
    assert!(empty.events.is_empty());
    let beyond = world.operator().get("/v1/events?after=99999").problem(400);
    let said = beyond.reason.to_string();
    for wants in ["there is no event 99999 yet", &format!("after={newest}")] {
        assert!(said.contains(wants), "{wants}: {said}");
    }
    assert!(!said.contains("for example"), "{said}");
    world.operator().get("/v1/events?after=x").problem(400);
    world.operator().get("/v1/events?node=nobody").problem(404);
}

#[test]
fn a_page_of_which_nothing_is_shown_ends_somewhere_and_its_link_goes_on() {
    let remark = Happened::Remarked {
        by: "operator:ana".into(),
        text: "looked at it".into(),
    };
    let node: groundstate_api::NodeId = "node-1".parse().unwrap();
    let world = World::new().after(site(), vec![(node, remark); MANY]);
    world
        .operator()
        .post("/v1/nodes/node-2/provision", &json!({}))
        .ok();
    let newest = *world.ours.follow().borrow();
    let operator = world.operator();
    let mut path = "/v1/events?limit=1&phase=ordered".to_owned();
    let (mut pages, mut shown) = (0, Vec::new());
    loop {
        let (answer, headers) = operator.call("GET", &path, &[], "");
        let page: EventPage = answer.read();
        pages += 1;
        shown.extend(page.events);
        let Some(link) = headers.get("link") else {
            assert_eq!(page.next_after, newest);
            break;
        };
        let link = link.to_str().unwrap();
        path = link[1..link.find('>').unwrap()].to_owned();
    }
    assert_eq!((pages, shown.len()), (2, 1), "{shown:?}");
    // Small pages of a narrow view hide nothing and show nothing twice.
    let one_by_one = |query: &str| -> Vec<u64> {
        let (mut after, mut numbers) = (newest - 4, Vec::new());
        loop {
            let path = format!("/v1/events?limit=1&after={after}{query}");
            let page: EventPage = operator.get(&path).read();
            let Some(event) = page.events.first() else {
                return numbers;
            };
            numbers.push(event.number);
            after = page.next_after;
        }
    };
    let all: EventPage = operator
        .get(&format!("/v1/events?after={}", newest - 4))
        .read();
    let of_node = |event: &&groundstate_api::event::Event| event.node.is_some();
    let mine: Vec<u64> = all
        .events
        .iter()
        .filter(of_node)
        .map(|event| event.number)
        .collect();
    assert_eq!(
        one_by_one(""),
        all.events
            .iter()
            .map(|event| event.number)
            .collect::<Vec<_>>()
    );
    assert_eq!(one_by_one("&node=node-2"), mine[mine.len() - 2..]);
}

#[test]
fn a_stream_goes_on_behind_a_number_and_not_from_the_newest() {
    let world = World::new();
    let stream = [("accept", "text/event-stream")];
    let (answer, _) = world
        .operator()
        .call("GET", "/v1/events?newest=true", &stream, "");
    let reason = answer.problem(400).reason;
    assert!(reason.what.contains("Last-Event-ID"), "{reason}");
}
