// SPDX-License-Identifier: Apache-2.0
//! The fleet in one answer, and the repair ticket as JSON and as a sheet.

use crate::world::{MAC_1, World, inventory, site};
use groundstate_api::fleet::FleetView;
use groundstate_api::site::Node;
use groundstate_api::site_parts::Slot;
use groundstate_api::ticket::Ticket;
use groundstate_api::view::Phase;
use groundstate_api::{MacAddr, Millis, ReasonCode};
use serde_json::json;
use std::sync::Arc;
use std::time::Instant;

/// Waits until what was cached has to be looked at again.
fn looked_at_again(world: &World, until: impl Fn(&FleetView) -> bool) -> FleetView {
    loop {
        let view: FleetView = world.operator().get("/v1/fleet").read();
        if until(&view) {
            return view;
        }
        std::thread::yield_now();
    }
}

/// node-1 in a rack, held because its disks are gone.
fn held() -> World {
    let mut site = site();
    let rack = json!({"name": "r2", "place": "hall B", "fault_domain": "feed-1"});
    site.racks = vec![serde_json::from_value(rack).unwrap()];
    site.nodes[0].slot = Some(Slot {
        rack: "r2".into(),
        unit: 7,
        height: 2,
        power: vec!["pdu-a/7".into()],
        port: Some("sw-1/Ethernet7".into()),
        bay: Some(1),
    });
    let mut cousin = site.nodes[0].clone();
    cousin.name = "node-3".parse().unwrap();
    cousin.mac = MacAddr([0x52, 0x54, 0, 0, 0, 3]);
    cousin.uuid = crate::world::uuid(3);
    if let Some(slot) = &mut cousin.slot {
        slot.bay = Some(2);
    }
    site.nodes.push(cousin);
    let world = World::with_site(site);
    let (node, run) = world.enrolled();
    let mut seen = inventory();
    seen.disks.clear();
    let report = json!({"run": run, "inventory": seen});
    node.post("/v1/run/inventory", &report).ok();
    while node.get("/v1/run/instruction").ok()["do"] != "hold" {
        std::thread::yield_now();
    }
    world
}

#[test]
fn the_fleet_says_who_is_where_and_who_needs_a_person() {
    let world = held();
    let view = looked_at_again(&world, |view| !view.needs.is_empty());
    assert_eq!(view.phases.get(&Phase::Held), Some(&1));
    assert_eq!(view.phases.get(&Phase::Enrolled), Some(&2));
    let [need] = view.needs.as_slice() else {
        panic!("{:?}", view.needs)
    };
    let reason = world.ours.view(&need.node).unwrap().reason.unwrap();
    assert_eq!((need.rack.as_deref(), need.unit), (Some("r2"), Some(7)));
    assert_eq!(
        (&need.what, &need.next_step),
        (&reason.what, &reason.next_step)
    );
    let names: Vec<&str> = view.racks.iter().map(|rack| rack.name.as_str()).collect();
    assert_eq!(names, ["r2", "-"]);
    let slot = &view.racks[0].slots[0];
    assert_eq!(
        (slot.unit, slot.height, slot.name.as_str()),
        (7, 2, "node-1")
    );
    assert_eq!(slot.why.as_deref(), Some(reason.what.as_str()));
    world.anyone().get("/v1/fleet").problem(403);
    let page = world.page("/");
    for says in [&reason.what, &reason.next_step] {
        assert!(page.contains(says.as_str()), "{says}: {page}");
    }
}

#[test]
fn who_needs_a_person_is_told_by_the_reason_that_is_shown() {
    let world = held();
    let order = world
        .operator()
        .post("/v1/nodes/node-2/provision", &json!({}));
    order.ok();
    let view = looked_at_again(&world, |view| view.needs.len() == 2);
    for need in &view.needs {
        let reason = world.ours.view(&need.node).unwrap().reason.unwrap();
        assert_eq!(need.next_step, reason.next_step);
        assert_eq!((need.code, &need.what), (reason.code, &reason.what));
    }
    assert_eq!(view.needs[1].code, ReasonCode::PowerNeeded);
}

#[test]
fn a_ticket_is_json_for_programs_and_a_sheet_for_people() {
    let world = held();
    let ticket: Ticket = world.operator().get("/v1/nodes/node-1/ticket").read();
    let reason = world.ours.view(&ticket.node).unwrap().reason.unwrap();
    assert_eq!(ticket.do_this, reason.next_step);
    assert_eq!(ticket.machine.mac, MAC_1);
    assert_eq!(ticket.machine.place, "hall B");
    assert_eq!(ticket.machine.power, ["pdu-a/7"]);
    assert_eq!(ticket.machine.bay, Some(1));
    assert!(
        ticket
            .leave_alone
            .iter()
            .any(|line| line == "The same chassis holds another machine: node-3 in bay 2."),
        "{:?}",
        ticket.leave_alone
    );
    let again = "groundstate node reprovision node-1";
    assert!(
        ticket.after.iter().any(|step| step.contains(again)),
        "{:?}",
        ticket.after
    );
    let accept = [("accept", "text/html,application/xhtml+xml,*/*;q=0.8")];
    let (sheet, headers) = world
        .operator()
        .call("GET", "/v1/nodes/node-1/ticket", &accept, "");
    let policy = headers["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"));
    let sheet = sheet.ok_text();
    assert!(
        sheet.contains("<style>") && sheet.contains("Do this") && sheet.contains("hall B"),
        "{sheet}"
    );
    assert!(!sheet.contains("<script") && !sheet.contains("href="));
    let well = world.operator().get("/v1/nodes/node-2/ticket").problem(404);
    assert_eq!(well.reason.code, ReasonCode::NothingOrdered);
    world.anyone().get("/v1/nodes/node-1/ticket").problem(403);
}

#[test]
fn ten_thousand_nodes_are_looked_at_once_for_all_who_ask() {
    let mut site = site();
    let node = |number: u16| {
        let [high, low] = number.to_be_bytes();
        let mut node: Node = site.nodes[0].clone();
        node.name = format!("n{number}").parse().unwrap();
        node.mac = MacAddr([0x52, 0x54, 1, 0, high, low]);
        node.uuid = crate::world::uuid(low);
        node.uuid.0[14] = high;
        node.serial = format!("S{number}");
        node.slot = Some(Slot {
            rack: format!("r{}", number / 40),
            unit: number % 40 + 1,
            height: 1,
            ..Slot::default()
        });
        node
    };
    site.nodes = (0..10_000).map(node).collect();
    let world = World::with_site(site);
    let began = Instant::now();
    let first = world.ours.fleet_view();
    let took = Millis(u64::try_from(began.elapsed().as_millis()).unwrap());
    println!("a look over 10,000 nodes took {took}");
    assert_eq!(first.phases.get(&Phase::Enrolled), Some(&10_000));
    assert_eq!(first.racks.len(), 250);
    assert_eq!(first.racks[2].name, "r2");
    for _ in 0..100 {
        assert!(Arc::ptr_eq(&first, &world.ours.fleet_view()));
    }
    let began = Instant::now();
    let page = world.page("/");
    println!(
        "the front page: {} KiB in {:?}",
        page.len() >> 10,
        began.elapsed()
    );
    // Racks are cards there, not a thousand cells each.
    assert!(
        page.len() < (1 << 20) && page.contains("/racks/r249"),
        "{}",
        page.len()
    );
}
