// SPDX-License-Identifier: Apache-2.0
//! Orders about a node's life over the API, in every phase: what leads on, what is refused with which reason, who may say it,
//! and that the same order twice is one.

use crate::way::{handed_over, register, to_phase};
use crate::world::{Answer, Caller, World, racked_site, site};
use groundstate_api::event::Happened;
use groundstate_api::site::Site;
use groundstate_api::site_parts::Role;
use groundstate_api::view::{EventPage, NodeView, Phase};
use groundstate_api::{MacAddr, NodeId, ReasonCode};
use prov_core::LifeOrder;
use serde_json::json;

const JSON: (&str, &str) = ("content-type", "application/json");
const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBcVJBMR9H9V1gLqqpZOQOm0UFZOJeBvkOrXXNvxDKd5 ana";

/// The node of a phase for an order.
fn name(phase: Phase, order: LifeOrder) -> NodeId {
    format!("{}-{}", phase.as_str(), order.as_str())
        .parse()
        .unwrap()
}

/// A site with a node for every phase and order, each in its phase.
fn every_phase() -> World {
    let mut all = site();
    all.rescue.keys = vec![KEY.into()];
    let one = all.nodes.remove(0);
    all.nodes.clear();
    let mut happened = Vec::new();
    for (number, phase) in (0u8..).zip(Phase::ALL) {
        for (at, order) in (0u8..).zip(LifeOrder::ALL) {
            let mut node = one.clone();
            node.name = name(phase, order);
            node.mac = MacAddr([0x52, 0x54, 0, 1, number, at]);
            node.uuid.0[..2].copy_from_slice(&[number, at]);
            node.serial = format!("S-{number}-{at}");
            happened.extend(to_phase(&node.name, phase));
            all.nodes.push(node);
        }
    }
    World::with_site(all.clone()).after(all, happened)
}

fn send(caller: &Caller, node: &NodeId, order: LifeOrder, why: &str) -> Answer {
    let path = format!("/v1/nodes/{node}/{}", order.as_str());
    caller.post(&path, &json!({"why": why}))
}

fn view(world: &World, node: &NodeId) -> NodeView {
    let shown = world.operator().get(&format!("/v1/nodes/{node}")).ok();
    serde_json::from_value(shown["view"].clone()).unwrap()
}

#[test]
fn every_order_in_every_phase_leads_where_the_table_says_or_is_refused_with_its_reason() {
    let world = every_phase();
    let operator = world.operator();
    let mut refused = 0;
    for phase in Phase::ALL {
        for order in LifeOrder::ALL {
            let node = name(phase, order);
            // What a deadline may have moved on meanwhile is judged by where it is.
            let before = view(&world, &node);
            let answer = send(&operator, &node, order, "of this test");
            let leads = order.leads_to(before.phase);
            let what = format!("{order:?} from {}", before.phase.as_str());
            match leads.filter(|_| order != LifeOrder::Drain) {
                Some(to) => {
                    let after: NodeView = answer.read();
                    // None of them has a host: what is given back begins anew.
                    let to = if order == LifeOrder::Release {
                        Phase::Enrolled
                    } else {
                        to
                    };
                    assert_eq!(after.phase, to, "{what}");
                    let Some(reason) = after.reason else {
                        assert_eq!(order, LifeOrder::Release, "{what}");
                        continue;
                    };
                    let said = reason.to_string();
                    assert!(said.contains("of this test"), "{what}: {said}");
                    assert!(said.contains("admin:local"), "{what}: {said}");
                    assert!(!reason.next_step.is_empty(), "{what}");
                }
                None => {
                    let problem = answer.problem(409);
                    let code = problem.reason.code;
                    let no_host = order == LifeOrder::Drain && leads.is_some();
                    let wants = if no_host {
                        ReasonCode::HostSilent
                    } else {
                        ReasonCode::PlanRefused
                    };
                    assert_eq!(code, wants, "{what}");
                    assert!(!problem.reason.next_step.is_empty(), "{what}");
                    let same = view(&world, &node);
                    assert_eq!((same.phase, same.version), (before.phase, before.version));
                    refused += 1;
                }
            }
        }
    }
    assert!(refused > 30, "{refused}");
}

#[test]
fn a_rescue_without_keys_is_refused_and_says_where_keys_are_written() {
    let world = World::new();
    let problem = world.operator().post("/v1/nodes/node-1/rescue", &json!({}));
    let reason = problem.problem(409).reason;
    assert!(reason.to_string().contains("[rescue]"), "{reason}");
}

#[test]
fn a_host_at_work_is_drained_and_given_back() {
    let world = World::new();
    let (plan, host) = handed_over(&world);
    host.post("/v1/host/register", &register("node-1", &plan))
        .ok();
    let fabric = world.client(Role::Fabric, "fc");
    let drained = fabric.post("/v1/nodes/node-1/drain", &json!({"why": "new kernel"}));
    assert_eq!(drained.ok()["phase"], "draining");
    // Once more is another order, and refused.
    fabric
        .post("/v1/nodes/node-1/drain", &json!({}))
        .problem(409);
    // It is the host's agent that is asked, once.
    let actions = world
        .operator()
        .get("/v1/actions?node=node-1&open=true")
        .ok();
    let acts = actions["actions"].as_array().unwrap();
    assert_eq!(acts.len(), 1, "{actions}");
    assert_eq!(acts[0]["action"]["act"]["act"], "drain");
    let back = fabric.post("/v1/nodes/node-1/release", &json!({"why": "done"}));
    assert_eq!(back.ok()["phase"], "suspect", "until its host has called");
    let open = world
        .operator()
        .get("/v1/actions?node=node-1&open=true")
        .ok();
    assert_eq!(
        open["actions"],
        json!([]),
        "what was asked of the host ended"
    );
}

#[test]
fn who_may_give_a_node_back_depends_on_where_it_is() {
    use Role::{Admin, Fabric, Operator, Technician};
    for (phase, may) in [
        (Phase::Draining, &[Operator, Fabric, Admin][..]),
        (Phase::Quarantined, &[Operator, Fabric, Admin]),
        (Phase::InRepair, &[Technician, Operator, Fabric, Admin]),
        (Phase::Rescue, &[Operator, Fabric, Admin]),
        (Phase::Retired, &[Admin]),
    ] {
        let mut all = site();
        let one = all.nodes.remove(0);
        all.nodes.clear();
        let mut happened = Vec::new();
        for (number, role) in (1u8..).zip(Role::ALL) {
            let mut node = one.clone();
            node.name = format!("of-{}", role.as_str()).parse().unwrap();
            node.mac.0[4] = number;
            node.uuid.0[0] = number;
            node.serial = format!("S{number}");
            happened.extend(to_phase(&node.name, phase));
            all.nodes.push(node);
        }
        let world = World::with_site(all.clone()).after(all, happened);
        for role in Role::ALL {
            let caller = world.client(role, "ana");
            let path = format!("/v1/nodes/of-{}/release", role.as_str());
            let answer = caller.post(&path, &json!({}));
            let what = format!("{} gives back from {}", role.as_str(), phase.as_str());
            if may.contains(&role) {
                assert_eq!(answer.ok()["phase"], "enrolled", "{what}");
            } else {
                assert_eq!(answer.status, 403, "{what}: {}", answer.text);
                let node = format!("of-{}", role.as_str()).parse().unwrap();
                assert_eq!(view(&world, &node).phase, phase, "{what}");
            }
        }
    }
}

#[test]
fn an_order_twice_with_its_key_is_one_and_a_stale_tag_is_refused() {
    let world = World::new();
    let operator = world.operator();
    let path = "/v1/nodes/node-1/quarantine";
    let (_, headers) = operator.call("GET", "/v1/nodes/node-1", &[], "");
    let tag = headers["etag"].to_str().unwrap().to_owned();
    let body = r#"{"why": "a smell of burning"}"#;
    let keyed = [JSON, ("idempotency-key", "q-1"), ("if-match", tag.as_str())];
    let (first, _) = operator.call("POST", path, &keyed, body);
    assert_eq!(first.status, 200, "{}", first.text);
    // Without the tag it was carried out, and its answer is the same.
    let (again, headers) = operator.call("POST", path, &keyed[..2], body);
    assert_eq!((again.status, &again.text), (200, &first.text));
    assert_eq!(headers["idempotent-replayed"], "true");
    // The tag is that of the node before it.
    let stale = [JSON, ("if-match", tag.as_str())];
    let (answer, _) = operator.call("POST", "/v1/nodes/node-1/release", &stale, "{}");
    answer.problem(412);
    assert_eq!(
        view(&world, &"node-1".parse().unwrap()).phase,
        Phase::Quarantined
    );
    let page: EventPage = operator.get("/v1/events?node=node-1").read();
    let quarantined = |what: &Happened| {
        matches!(
            what,
            Happened::PhaseChanged {
                to: Phase::Quarantined,
                ..
            }
        )
    };
    let count = page.events.iter().filter(|event| quarantined(&event.what));
    assert_eq!(count.count(), 1);
}

#[test]
fn who_is_bound_to_a_rack_orders_nothing_elsewhere() {
    let mut all: Site = racked_site();
    all.rescue.keys = vec![KEY.into()];
    let world = World::with_site(all);
    let bound = world.client(Role::Admin, "bound");
    for order in LifeOrder::ALL {
        let theirs = "node-2".parse().unwrap();
        send(&bound, &theirs, order, "").problem(403);
        let before = view(&world, &theirs);
        assert_eq!(before.phase, Phase::Enrolled);
    }
    assert_eq!(
        send(
            &bound,
            &"node-1".parse().unwrap(),
            LifeOrder::Quarantine,
            ""
        )
        .status,
        200
    );
    bound
        .post("/v1/brake", &json!({"on": true, "why": "x"}))
        .problem(403);
}

#[test]
fn a_reason_that_cannot_be_shown_is_refused_with_its_field_and_changes_nothing() {
    let world = World::new();
    let operator = world.operator();
    for why in [
        "a\nb",
        "\u{1b}[31m",
        "\u{202e}x",
        "a\0",
        &"x".repeat(513),
        "\u{200b}",
    ] {
        for order in LifeOrder::ALL {
            let path = format!("/v1/nodes/node-1/{}", order.as_str());
            let problem = operator.post(&path, &json!({"why": why})).problem(400);
            let part = serde_json::to_string(&problem.reason.part).unwrap();
            assert!(part.contains("why"), "{part}");
        }
    }
    assert_eq!(
        view(&world, &"node-1".parse().unwrap()).phase,
        Phase::Enrolled
    );
    let unknown = operator.post("/v1/nodes/node-1/quarantine", &json!({"wy": "x"}));
    unknown.problem(400);
}
