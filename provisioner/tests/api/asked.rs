// SPDX-License-Identifier: Apache-2.0
//! What only asks: previews say what the order would be refused with, dry runs stand apart in the audit trail, and who has
//! changed something sees it.

use crate::way::{handed_over, register, to_phase};
use crate::world::{Answer, World, site};
use groundstate_api::audit::Audit;
use groundstate_api::event::Happened;
use groundstate_api::fleet::FleetView;
use groundstate_api::plan::PlanPreview;
use groundstate_api::view::{EventPage, Phase};
use groundstate_api::{MacAddr, NodeId, Reason};
use serde_json::json;

const JSON: (&str, &str) = ("content-type", "application/json");

/// A node in each phase, none of which has reported its hardware.
fn every_phase() -> (World, Vec<(NodeId, Phase)>) {
    let mut all = site();
    let one = all.nodes.remove(0);
    all.nodes.clear();
    let (mut happened, mut names) = (Vec::new(), Vec::new());
    for (number, phase) in (0u8..).zip(Phase::ALL) {
        let mut node = one.clone();
        node.name = format!("n-{}", phase.as_str()).parse().unwrap();
        node.mac = MacAddr([0x52, 0x54, 0, 2, 0, number]);
        node.uuid.0[0] = number;
        node.serial = format!("S-{number}");
        happened.extend(to_phase(&node.name, phase));
        names.push((node.name.clone(), phase));
        all.nodes.push(node);
    }
    (World::with_site(all.clone()).after(all, happened), names)
}

fn words(reason: &Reason) -> [&str; 3] {
    [reason.code.as_str(), &reason.what, &reason.next_step]
}

fn refusal(answer: Answer) -> Option<Reason> {
    (answer.status != 200).then(|| answer.problem(409).reason)
}

#[test]
fn a_preview_is_refused_in_every_phase_as_the_order_is() {
    let (world, names) = every_phase();
    let operator = world.operator();
    let mut refused = 0;
    for (node, phase) in names {
        let preview = operator.get(&format!("/v1/nodes/{node}/plan-preview"));
        let order = if phase == Phase::Enrolled {
            "provision"
        } else {
            "reprovision"
        };
        let order = operator.post(&format!("/v1/nodes/{node}/{order}"), &json!({}));
        match refusal(order) {
            Some(reason) => {
                let said = preview.problem(409).reason;
                assert_eq!(words(&said), words(&reason), "{phase:?}");
                refused += 1;
            }
            // It would be taken; there is only nothing to plan from.
            None => drop(preview.problem(404)),
        }
    }
    assert!(refused >= 10, "{refused}");
}

#[test]
fn a_preview_of_a_node_that_is_out_of_use_shows_its_plan_and_the_refusal() {
    let world = World::new();
    let (plan, host) = handed_over(&world);
    let body = register("node-1", &plan);
    host.post("/v1/host/register", &body).ok();
    let operator = world.operator();
    let preview = || -> PlanPreview { operator.get("/v1/nodes/node-1/plan-preview").read() };
    let before = preview();
    assert_eq!(before.refused, None);
    let why = json!({"why": "a fan"});
    for order in ["quarantine", "repair", "retire"] {
        operator
            .post(&format!("/v1/nodes/node-1/{order}"), &why)
            .ok();
        let shown = preview();
        let again = operator.post("/v1/nodes/node-1/reprovision", &json!({}));
        let reason = again.problem(409).reason;
        assert_eq!(words(&shown.refused.unwrap()), words(&reason), "{order}");
        assert_eq!(shown.plan, before.plan, "{order}");
        let rebuild: PlanPreview = operator
            .get("/v1/nodes/node-1/plan-preview?rebuild=DATA-1")
            .read();
        let order = json!({"serial": "DATA-1"});
        let reason = operator.post("/v1/nodes/node-1/rebuild-disk", &order);
        let reason = reason.problem(409).reason;
        assert_eq!(words(&rebuild.refused.unwrap()), words(&reason));
    }
    operator.post("/v1/nodes/node-1/release", &why).ok();
    assert_eq!(preview().refused, None);
}

fn audits(world: &World, query: &str) -> Vec<Audit> {
    let page: EventPage = world.operator().get(&format!("/v1/audit?{query}")).read();
    let audit = |event: groundstate_api::event::Event| match event.what {
        Happened::Audited { audit } => audit,
        other => panic!("{other:?} is no order"),
    };
    page.events.into_iter().map(audit).collect()
}

#[test]
fn what_only_asked_stands_apart_in_the_audit_trail() {
    let world = World::new();
    let admin = world.operator();
    let mut after = site();
    after.policy.closed = false;
    admin.put("/v1/site?dry_run=true", None, &after).ok();
    // Written otherwise, it is the same; and what was refused only asked too.
    admin.put("/v1/site?%64ry_run=true", None, &after).ok();
    let faulty = json!({"name": ""});
    admin
        .put("/v1/site?dry_run=true", None, &faulty)
        .problem(400);
    admin.put("/v1/site?dry_run=false", Some("*"), &after).ok();
    let all = audits(&world, "");
    let dry: Vec<bool> = all.iter().map(|audit| audit.dry_run).collect();
    assert_eq!(dry, [true, true, true, false]);
    assert_eq!(audits(&world, "dry_runs=true"), all);
    assert_eq!(audits(&world, "dry_runs=false"), all[3..]);
    let far = u64::MAX;
    assert_eq!(audits(&world, &format!("since=0&until={far}")), all);
    assert!(audits(&world, &format!("since={far}")).is_empty());
    assert!(audits(&world, "until=0").is_empty());
    for bad in ["since=yesterday", "since=-1", "dry_runs=maybe"] {
        admin.get(&format!("/v1/audit?{bad}")).problem(400);
    }
    // It is said where it is so, and nowhere else.
    let (answer, _) = admin.call("GET", "/v1/audit", &[], "");
    assert_eq!(answer.text.matches("dry_run").count(), 3);
}

#[test]
fn an_order_is_found_at_its_node_however_its_path_was_written() {
    let world = World::new();
    for path in ["/v1/nodes/node-1/remarks", "/v1/nodes/%6eode%2D1/remarks"] {
        let body = r#"{"text": "looked"}"#;
        world.operator().call("POST", path, &[JSON], body).0.ok();
    }
    let of_node = audits(&world, "node=node-1");
    assert_eq!(of_node.len(), 2);
    assert_eq!(of_node[0].did, of_node[1].did);
}

#[test]
fn whoever_has_changed_something_sees_it_in_the_next_answer() {
    let world = World::new();
    let operator = world.operator();
    for round in 0..20 {
        let on = round % 2 == 0;
        let order = json!({"on": on, "why": "a test"});
        operator.post("/v1/brake", &order).ok();
        let view: FleetView = operator.get("/v1/fleet").read();
        assert_eq!(view.brake.on, on, "round {round}");
    }
}
