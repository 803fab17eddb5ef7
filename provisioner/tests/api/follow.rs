// SPDX-License-Identifier: Apache-2.0
//! Followers: cursors, long polls, one node's events.

use crate::world::World;
use groundstate_api::event::Happened;
use groundstate_api::view::EventPage;
use serde_json::json;

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
    let empty: EventPage = world.operator().get("/v1/events?after=99999").read();
    assert!(empty.events.is_empty());
    world.operator().get("/v1/events?after=x").problem(400);
    world.operator().get("/v1/events?node=nobody").problem(404);
}
