// SPDX-License-Identifier: Apache-2.0
//! The waiting room over the wire: a machine of no node is shown, taken into the site or sent away; a flood takes nobody's place.

use crate::world::{BOOT, Caller, Key, MAC_1, World, site};
use groundstate_api::fleet::FleetView;
use groundstate_api::machine::{Machine, MachineList};
use groundstate_api::site::Site;
use groundstate_api::site_parts::{Role, Slot};
use groundstate_api::{MacAddr, SCHEMA};
use prov_core::waiting_room::OF_ADDRESS_MAX;
use serde_json::{Value, json};

const STRANGER: &str = "02:00:00:00:00:99";

/// Takes strangers in as far as the waiting room; has a rack, and a profile for the strangers' model.
fn open_site() -> Site {
    let mut site = site();
    site.policy.closed = false;
    site.racks = vec![serde_json::from_value(json!({"name": "r2"})).unwrap()];
    let profile = json!({"name": "r640", "model": "*R640*", "hardware": {}});
    site.profiles = vec![serde_json::from_value(profile).unwrap()];
    site
}

fn request(csr: &str, mac: &str) -> Value {
    let digits = mac.replace(':', "");
    json!({
        "schema": SCHEMA, "macs": [mac], "boot_mac": mac, "uuid": format!("564d1234-5678-9abc-def0-{digits}"),
        "serial": format!("GS-{digits}"), "model": "Dell Inc. PowerEdge R640", "boot_id": BOOT, "uefi": true, "csr_pem": csr,
    })
}

fn enrol(world: &World, key: &Key, mac: &str) -> Value {
    let request = request(&key.csr(), mac);
    world.anyone().post("/v1/enrol", &request).ok()
}

fn waiting(caller: &Caller) -> Vec<Machine> {
    caller.get("/v1/machines").read::<MachineList>().machines
}

fn accept(caller: &Caller, mac: &str, body: &Value) -> crate::world::Answer {
    caller.post(&format!("/v1/machines/{mac}/accept"), body)
}

#[test]
fn a_stranger_waits_is_accepted_and_is_a_node_that_can_be_provisioned() {
    let world = World::with_site(open_site());
    let (operator, key) = (world.operator(), Key::new());
    let reply = enrol(&world, &key, STRANGER);
    assert_eq!(reply["reason"]["code"], "unknown-machine", "{reply}");
    let next = reply["reason"]["next_step"].as_str().unwrap();
    assert!(next.contains(STRANGER), "{next}");
    let [machine] = &waiting(&operator)[..] else {
        panic!("{:?}", waiting(&operator));
    };
    assert_eq!(machine.mac.to_string(), STRANGER);
    assert_eq!(machine.profile.as_deref(), Some("r640"));
    assert_eq!(machine.address.as_deref(), Some("127.0.0.1"));
    let before = world.ours.site_version();
    let place = json!({"name": "node-9", "rack": "r2", "unit": 7});
    let view = accept(&operator, STRANGER, &place).ok();
    assert_eq!(
        (&view["node"], &view["phase"]),
        (&json!("node-9"), &json!("enrolled"))
    );
    assert_eq!(world.ours.site_version(), before + 1);
    assert!(waiting(&operator).is_empty());
    let now: Site = operator.get("/v1/site").read();
    let node = now.nodes.last().unwrap();
    assert_eq!(node.name.as_str(), "node-9");
    assert_eq!(node.serial, "GS-020000000099");
    assert_eq!(node.profile.as_deref(), Some("r640"));
    let slot = Slot {
        rack: "r2".into(),
        unit: 7,
        height: 1,
        ..Slot::default()
    };
    assert_eq!(node.slot, Some(slot));
    // It is known, and nobody has ordered anything.
    let reply = enrol(&world, &key, STRANGER);
    assert_eq!(reply["reason"]["code"], "nothing-ordered", "{reply}");
    assert!(waiting(&operator).is_empty());
    operator.post("/v1/nodes/node-9/provision", &json!({})).ok();
    let reply = enrol(&world, &key, STRANGER);
    assert_eq!(
        (&reply["answer"], &reply["node"]),
        (&json!("enrolled"), &json!("node-9"))
    );
    // The journal says who took it in, and the site outlasts a restart with the file that knows nothing of it.
    let events = operator.get("/v1/events").ok_text();
    assert!(
        events.contains("machine-left") && events.contains("admin:local"),
        "{events}"
    );
    let world = world.restart_as(open_site());
    assert_eq!(world.operator().get("/v1/site").read::<Site>(), now);
    assert!(waiting(&world.operator()).is_empty());
}

#[test]
fn who_waits_outlasts_a_restart_and_is_sent_away_until_it_asks_again() {
    let world = World::with_site(open_site());
    let key = Key::new();
    enrol(&world, &key, STRANGER);
    let before = waiting(&world.operator());
    let world = world.restart_as(open_site());
    let operator = world.operator();
    assert_eq!(waiting(&operator), before);
    let path = format!("/v1/machines/{STRANGER}");
    assert_eq!(operator.delete(&path).status, 204);
    assert!(waiting(&operator).is_empty());
    let problem = operator.delete(&path).problem(404);
    assert!(
        problem.reason.next_step.contains("machine ls"),
        "{}",
        problem.reason
    );
    enrol(&world, &key, STRANGER);
    assert_eq!(waiting(&operator).len(), 1);
}

#[test]
fn what_cannot_be_accepted_is_refused_with_the_reason_and_goes_on_waiting() {
    let world = World::with_site(open_site());
    let operator = world.operator();
    enrol(&world, &Key::new(), STRANGER);
    for (body, status, says) in [
        (json!({"name": "node-1"}), 400, "node-1"),
        (json!({"name": "node-9", "rack": "r2"}), 400, "unit"),
        (json!({"name": "node-9", "unit": 7}), 400, "rack"),
        (
            json!({"name": "node-9", "rack": "r9", "unit": 7}),
            400,
            "r9",
        ),
        (
            json!({"name": "node-9", "rack": "r2", "unit": 99}),
            400,
            "99",
        ),
        (json!({"name": "node-9", "profile": "none"}), 400, "none"),
        (json!({"name": "Node 9"}), 400, "name"),
        (json!({"name": "node-9", "colour": "red"}), 400, "colour"),
        (json!({}), 400, "name"),
    ] {
        let problem = accept(&operator, STRANGER, &body).problem(status);
        let said = format!("{} {:?}", problem.reason, problem.reason);
        assert!(said.contains(says), "{body}: {said}");
    }
    accept(&operator, "02:00:00:00:00:98", &json!({"name": "node-9"})).problem(404);
    accept(&operator, "nowhere", &json!({"name": "node-9"})).problem(400);
    assert_eq!(world.ours.site_version(), 1);
    assert_eq!(waiting(&operator).len(), 1);
    // A machine that did not say by what it is known.
    let mut silent = request(&Key::new().csr(), "02:00:00:00:00:97");
    silent["uuid"] = Value::Null;
    world.anyone().post("/v1/enrol", &silent).ok();
    let problem = accept(&operator, "02:00:00:00:00:97", &json!({"name": "node-9"})).problem(409);
    assert!(problem.reason.what.contains("UUID"), "{}", problem.reason);
}

#[test]
fn a_flood_of_invented_machines_stays_within_bounds_and_nodes_are_served() {
    let world = World::with_site(open_site());
    let (key, caller) = (Key::new(), world.anyone());
    let csr = key.csr();
    for number in 0..5_000u32 {
        let [a, b, c, d] = number.to_be_bytes();
        let mac = MacAddr([2, 9, a, b, c, d]).to_string();
        let reply = caller.post("/v1/enrol", &request(&csr, &mac)).ok();
        assert_eq!(reply["answer"], "refused");
    }
    // All come from one address.
    assert_eq!(waiting(&world.operator()).len(), OF_ADDRESS_MAX);
    assert!(*world.ours.follow().borrow() < 2_000);
    let (_, run) = world.enrolled();
    assert!(!run.is_empty());
}

#[test]
fn technicians_take_machines_in_viewers_look_and_others_see_nothing() {
    let world = World::with_site(open_site());
    enrol(&world, &Key::new(), STRANGER);
    let (viewer, technician) = (
        world.client(Role::Viewer, "vera"),
        world.client(Role::Technician, "tom"),
    );
    assert_eq!(waiting(&viewer).len(), 1);
    let body = json!({"name": "node-9"});
    let path = format!("/v1/machines/{STRANGER}");
    let (node, _) = world.enrolled();
    for caller in [&node, &world.anyone()] {
        caller.get("/v1/machines").problem(403);
    }
    for caller in [&viewer, &node, &world.anyone()] {
        accept(caller, STRANGER, &body).problem(403);
        caller.delete(&path).problem(403);
    }
    accept(&technician, STRANGER, &body).ok();
    let events = world.operator().get("/v1/events").ok_text();
    assert!(events.contains("technician:tom"), "{events}");
}

#[test]
fn the_page_and_the_fleet_say_who_waits() {
    let world = World::with_site(open_site());
    let mut hostile = request(&Key::new().csr(), STRANGER);
    hostile["model"] = json!("<script>alert(1)</script>");
    world.anyone().post("/v1/enrol", &hostile).ok();
    let page = world.page("/machines");
    assert!(
        page.contains(STRANGER) && page.contains("GS-020000000099"),
        "{page}"
    );
    assert!(!page.contains("<script>alert"), "{page}");
    loop {
        let view: FleetView = world.operator().get("/v1/fleet").read();
        if view.machines == 1 {
            break;
        }
        std::thread::yield_now();
    }
    assert!(world.page("/").contains("/machines"));
    // A machine of a node does not wait.
    world.enrolled();
    assert!(
        waiting(&world.operator())
            .iter()
            .all(|machine| machine.mac != MAC_1)
    );
}
