// SPDX-License-Identifier: Apache-2.0
//! Measures and the brake over the API: wanted, approved, vetoed, each by who may and once; plans that wait for approval.

use crate::way::{handed_over, phase, register};
use crate::world::{Caller, World, inventory, racked_site, site};
use groundstate_api::Part;
use groundstate_api::healing::BrakeView;
use groundstate_api::site::Site;
use groundstate_api::site_parts::Role;
use serde_json::{Value, json};

/// A site whose policy asks the fabric controller before each measure.
fn asking(mut site: Site) -> Site {
    site.healing = toml::from_str("enabled = true\nask_fabric = true").unwrap();
    site
}

/// node-1 with a host that calls.
fn ready(site: Site) -> (World, Caller) {
    let world = World::with_site(site);
    let (plan, host) = handed_over(&world);
    host.post("/v1/host/register", &register("node-1", &plan))
        .ok();
    assert_eq!(phase(&world), "ready");
    // With the brake on nothing begins by itself: what is wanted waits for the words of the test.
    braked(&world, true);
    (world, host)
}

fn braked(world: &World, on: bool) {
    let order = json!({"on": on, "why": "of this test"});
    world.operator().post("/v1/brake", &order).ok();
}

fn wanted(caller: &Caller, measure: &str) -> u64 {
    let body = json!({"act": "heal", "measure": measure});
    let action = caller.post("/v1/nodes/node-1/actions", &body).ok();
    action["action"]["id"].as_u64().unwrap()
}

fn shown(world: &World, id: u64) -> Value {
    let list = world.operator().get("/v1/actions?node=node-1").ok();
    let mut all = list["actions"].as_array().unwrap().iter();
    let is_it = |view: &&Value| view["action"]["id"] == json!(id);
    all.find(is_it).unwrap().clone()
}

#[test]
fn a_measure_that_is_vetoed_is_over_and_says_who_and_why() {
    let (world, _host) = ready(asking(site()));
    let fabric = world.client(Role::Fabric, "fc");
    let id = wanted(&fabric, "collect-diagnostics");
    let path = format!("/v1/actions/{id}/veto");
    let vetoed = fabric
        .post(&path, &json!({"why": "its guests move first"}))
        .ok();
    let outcome = vetoed["outcome"].to_string();
    for says in ["vetoed", "fabric:fc", "its guests move first"] {
        assert!(outcome.contains(says), "{says}: {vetoed}");
    }
    assert_eq!(shown(&world, id), vetoed);
    // It waits for nobody any more: neither word is taken, and each refusal says so.
    for word in ["veto", "approve"] {
        let path = format!("/v1/actions/{id}/{word}");
        let reason = fabric.post(&path, &json!({})).problem(409).reason;
        assert!(
            !reason.next_step.is_empty() && reason.to_string().contains("node-1"),
            "{reason}"
        );
    }
    assert_eq!(
        shown(&world, id),
        vetoed,
        "what was refused changed nothing"
    );
    // The next one is free.
    assert!(wanted(&fabric, "watch") > id);
}

#[test]
fn a_measure_that_waits_is_approved_once_and_goes_on_by_itself() {
    let (world, host) = ready(asking(site()));
    let fabric = world.client(Role::Fabric, "fc");
    let id = wanted(&fabric, "restart-services");
    // A second one for the same node is refused while it waits, and says which is under way.
    let body = json!({"act": "heal", "measure": "reboot"});
    let reason = fabric
        .post("/v1/nodes/node-1/actions", &body)
        .problem(409)
        .reason;
    assert!(
        reason.to_string().contains("restart the host's services"),
        "{reason}"
    );
    let path = format!("/v1/actions/{id}/approve");
    let keyed = [
        ("content-type", "application/json"),
        ("idempotency-key", "yes-1"),
    ];
    let (first, _) = fabric.call("POST", &path, &keyed, "{}");
    let (again, _) = fabric.call("POST", &path, &keyed, "{}");
    assert_eq!(
        (first.status, &first.text),
        (200, &again.text),
        "{}",
        first.text
    );
    let waits = shown(&world, id);
    assert!(waits["ended"].is_null(), "the brake keeps it: {waits}");
    braked(&world, false);
    // The agent is told with one of its next calls.
    let node: groundstate_api::NodeId = "node-1".parse().unwrap();
    let plan = world.operator().get("/v1/nodes/node-1/plan").ok();
    for number in 1u64.. {
        let beat = json!({"node": node, "plan": plan["id"], "boot_id": "22222222-2222-2222-2222-222222222222", "number": number, "uptime_secs": 14});
        let told = host.post("/v1/host/heartbeat", &beat).ok().to_string();
        if told.contains("restart-services") {
            break;
        }
        assert!(
            shown(&world, id)["ended"].is_null(),
            "{}",
            shown(&world, id)
        );
        std::thread::yield_now();
    }
    // It has begun: it is vetoed no more.
    fabric
        .post(&format!("/v1/actions/{id}/veto"), &json!({}))
        .problem(409);
}

#[test]
fn words_about_actions_are_of_those_who_may_and_of_actions_that_are() {
    let (world, _host) = ready(asking(racked_site()));
    let id = wanted(&world.client(Role::Fabric, "fc"), "watch");
    for (role, name, status) in [
        (Role::Viewer, "ana", 403),
        (Role::Technician, "ana", 403),
        (Role::Operator, "ana", 200),
    ] {
        let path = format!("/v1/actions/{id}/approve");
        let answer = world.client(role, name).post(&path, &json!({}));
        assert_eq!(answer.status, status, "{}: {}", role.as_str(), answer.text);
    }
    let operator = world.operator();
    for id in [
        "0",
        "999999",
        "18446744073709551616",
        "-1",
        "x",
        "%0a",
        "1%2f2",
    ] {
        for word in ["veto", "approve"] {
            let answer = operator.post(&format!("/v1/actions/{id}/{word}"), &json!({}));
            assert_eq!(answer.status, 404, "{id}: {}", answer.text);
        }
    }
    for body in [
        json!({"act": "heal"}),
        json!({"act": "heal", "measure": "explode"}),
        json!({"act": "bang"}),
        json!({}),
    ] {
        operator
            .post("/v1/nodes/node-1/actions", &body)
            .problem(400);
    }
}

#[test]
fn what_a_bound_caller_may_not_see_it_may_not_decide() {
    // `bound` sees rack `here`, which is node-1's; the site is turned round so that it is the other one's.
    let mut site = asking(racked_site());
    site.access[0].racks = vec!["there".into()];
    let (world, _host) = ready(site);
    let id = wanted(&world.client(Role::Fabric, "fc"), "watch");
    let bound = world.client(Role::Operator, "bound");
    for word in ["veto", "approve"] {
        bound
            .post(&format!("/v1/actions/{id}/{word}"), &json!({}))
            .problem(403);
    }
    assert_eq!(bound.get("/v1/actions").ok()["actions"], json!([]));
    let act = json!({"act": "heal", "measure": "watch"});
    bound.post("/v1/nodes/node-1/actions", &act).problem(403);
    bound
        .post("/v1/nodes/node-1/remarks", &json!({"text": "x"}))
        .problem(403);
}

#[test]
fn a_technician_lights_leds_and_orders_nothing_else() {
    let world = World::new();
    let hands = world.client(Role::Technician, "ana");
    let path = "/v1/nodes/node-1/actions";
    for act in [
        json!({"act": "power", "to": "cycle"}),
        json!({"act": "boot-next", "to": "network"}),
        json!({"act": "heal", "measure": "reboot"}),
        json!({"act": "reboot-host"}),
    ] {
        hands.post(path, &act).problem(403);
    }
    // There is no BMC: the LED is a person's to find, and the reason says so.
    let reason = hands
        .post(path, &json!({"act": "identify", "on": true}))
        .problem(409)
        .reason;
    assert!(reason.to_string().contains("LED"), "{reason}");
}

#[test]
fn the_brake_is_set_and_let_go_by_hand_and_says_by_whom() {
    let world = World::with_site(asking(site()));
    let fabric = world.client(Role::Fabric, "fc");
    let brake = |body: Value| fabric.post("/v1/brake", &body);
    let set: BrakeView = brake(json!({"on": true, "why": "the hall is hot"})).read();
    let reason = set.reason.clone().unwrap();
    assert!(
        set.on && reason.to_string().contains("the hall is hot"),
        "{reason}"
    );
    assert!(reason.to_string().contains("fabric:fc"), "{reason}");
    let seen: BrakeView = world.client(Role::Viewer, "ana").get("/v1/brake").read();
    assert_eq!(seen, set);
    // Again is no other brake: who set it first stands there.
    let again: BrakeView = world
        .operator()
        .post("/v1/brake", &json!({"on": true, "why": "me too"}))
        .read();
    assert!(again.on);
    let world = world.restart_as(asking(site()));
    let kept: BrakeView = world.operator().get("/v1/brake").read();
    assert!(kept.on && kept.reason.is_some(), "it is in the journal");
    let off: BrakeView = world
        .operator()
        .post("/v1/brake", &json!({"on": false, "why": "it is cool"}))
        .read();
    assert!(!off.on && off.reason.is_none(), "{off:?}");
    for (body, field) in [
        (json!({}), "on"),
        (json!({"on": "yes"}), "on"),
        (json!({"on": true, "why": "a\u{1b}[2Jb"}), "why"),
        (json!({"on": true, "because": "x"}), "because"),
    ] {
        let problem = world.operator().post("/v1/brake", &body).problem(400);
        let Some(Part::Field { path }) = problem.reason.part else {
            panic!("{:?}", problem.reason)
        };
        assert!(
            path.contains(field) || problem.title.contains(field),
            "{body}: {path}"
        );
    }
    assert!(
        !world.operator().get("/v1/brake").ok()["on"]
            .as_bool()
            .unwrap()
    );
}

#[test]
fn a_plan_that_waits_is_approved_for_its_own_run_and_once() {
    let world = World::new();
    let operator = world.operator();
    operator
        .post("/v1/nodes/node-1/provision", &json!({"approve": true}))
        .ok();
    let key = crate::world::Key::new();
    let (node, run) = world.enrol(&key);
    let approve = |run: &str| operator.post("/v1/nodes/node-1/approve", &json!({"run": run}));
    let early = approve(&run).problem(409).reason;
    assert!(!early.next_step.is_empty(), "{early}");
    node.post(
        "/v1/run/inventory",
        &json!({"run": run, "inventory": inventory()}),
    )
    .ok();
    while phase(&world) != "planned" {
        std::thread::yield_now();
    }
    let waits = node.get("/v1/run/instruction").ok();
    assert_eq!(
        waits["do"], "wait",
        "nothing is written before it is approved"
    );
    approve("another-run").problem(409);
    assert_eq!(phase(&world), "planned");
    for role in [Role::Viewer, Role::Technician] {
        let caller = world.client(role, "ana");
        let answer = caller.post("/v1/nodes/node-1/approve", &json!({"run": run}));
        assert_eq!(answer.status, 403, "{}", answer.text);
    }
    assert_eq!(approve(&run).ok()["phase"], "provisioning");
    approve(&run).problem(409);
    for body in [
        json!({}),
        json!({"run": 1}),
        json!({"run": "a\nb"}),
        json!({"run": ""}),
    ] {
        let answer = operator.post("/v1/nodes/node-1/approve", &body);
        answer.problem(400);
    }
}
