// SPDX-License-Identifier: Apache-2.0
//! A node came back in its run after a power loss: what it had in the boot before opens nothing, over the wire.

use crate::way::{phase, planned, progress, register};
use crate::world::{Caller, Key, LATER_BOOT, World};
use groundstate_api::plan::{Plan, Step};
use groundstate_api::run::Instruction;
use serde_json::{Value, json};

fn enrolled(world: &World, key: &Key, boot: Option<&str>) -> Value {
    let mut request = key.request(1);
    if let Some(boot) = boot {
        request["boot_id"] = json!(boot);
    }
    world.anyone().post("/v1/enrol", &request).ok()
}

fn certificate(reply: &Value) -> String {
    assert_eq!(reply["answer"], "enrolled", "{reply}");
    reply["certificate_pem"].as_str().unwrap().to_owned()
}

#[test]
fn the_boot_before_is_refused_everywhere_and_the_later_one_carries_the_same_plan_out() {
    let world = World::new();
    world
        .operator()
        .post("/v1/nodes/node-1/provision", &json!({}))
        .ok();
    let (first, second) = (Key::new(), Key::new());
    let reply = enrolled(&world, &first, None);
    assert_eq!(reply["boot"], 1);
    let (before, run) = (
        certificate(&reply),
        reply["run"].as_str().unwrap().to_owned(),
    );
    let node = world.with(&before, &first);
    let plan = planned(&node, &run);
    let image = groundstate_api::paths::IMAGE_MANIFEST
        .replace("{name}", "a")
        .replace("{version}", "1");
    assert_eq!(node.get(&image).status, 200);
    let log = |offset: u64, text: &str| json!({"run": run, "offset": offset, "text": text});
    node.post("/v1/run/log", &log(0, "before\n"));
    let host_before = Key::new();
    let credential = node
        .post(
            "/v1/run/host-credential",
            &json!({"run": run, "csr_pem": host_before.csr()}),
        )
        .ok();
    let host_before_pem = credential["certificate_pem"].as_str().unwrap().to_owned();
    // While the key of the run speaks, another boot is told to wait.
    let reply = enrolled(&world, &second, Some(LATER_BOOT));
    assert_eq!(reply["answer"], "refused", "{reply}");
    assert_eq!(reply["reason"]["code"], "second-key");
    assert_eq!(reply["retry_ms"], 5_000);
    drop(node);

    let world = world.came_back(2, &second);
    nothing_is_heard_of(&world.with(&before, &first), &run, &image);
    let reply = enrolled(&world, &first, None);
    assert_eq!(reply["reason"]["code"], "second-key", "{reply}");

    let reply = enrolled(&world, &second, Some(LATER_BOOT));
    assert_eq!(reply["boot"], 2);
    let node = world.with(&certificate(&reply), &second);
    assert_eq!(node.get(&image).status, 200);
    let Instruction::CarryOut { plan: again, .. } = node.get("/v1/run/instruction").read() else {
        panic!("nothing is planned again")
    };
    assert_eq!(*again, plan);
    node.post("/v1/run/log", &log(0, "after\n"));
    let text = world
        .operator()
        .get(&format!("/v1/nodes/node-1/log?run={run}"));
    assert_eq!(
        text.text,
        "before\n[the machine came back after power loss: 2nd boot of this run]\nafter\n"
    );
    let report = world.operator().get("/v1/nodes/node-1").ok();
    let alarms = report["alarms"].to_string();
    assert!(alarms.contains("2nd boot of this run"), "{alarms}");
    the_host_of_the_later_boot_alone_is_heard(
        &world,
        &node,
        &plan,
        (&host_before_pem, &host_before),
    );
}

fn nothing_is_heard_of(node: &Caller, run: &str, image: &str) {
    let started = json!({"state": "started"});
    let report = json!({
        "run": run, "number": 1, "step": Step::Guard, "state": started, "at": 1, "peak_memory": 1,
    });
    let csr = json!({"run": run, "csr_pem": Key::new().csr()});
    let log = json!({"run": run, "offset": 7, "text": "lost"});
    for answer in [
        node.get("/v1/run/instruction"),
        node.post("/v1/run/progress", &report),
        node.post("/v1/run/log", &log),
        node.post("/v1/run/host-credential", &csr),
        node.get(image),
    ] {
        let problem = answer.problem(403);
        assert!(problem.title.contains("withdrawn"), "{problem:?}");
        assert!(!problem.reason.next_step.is_empty());
    }
}

fn the_host_of_the_later_boot_alone_is_heard(
    world: &World,
    node: &Caller,
    plan: &Plan,
    (before_pem, before): (&str, &Key),
) {
    let run = plan.run.as_str();
    let host = Key::new();
    let credential = node
        .post(
            "/v1/run/host-credential",
            &json!({"run": run, "csr_pem": host.csr()}),
        )
        .ok();
    for (number, step) in (1u64..).step_by(2).zip(Step::ALL) {
        progress(node, run, number, step, &json!({"state": "started"}));
        let done = json!({"state": "done", "facts": []});
        progress(node, run, number + 1, step, &done);
    }
    let old = world.with(before_pem, before);
    let registers = register("node-1", plan);
    old.post("/v1/host/register", &registers).problem(409);
    assert_eq!(phase(world), "handed-over");
    let new = world.with(credential["certificate_pem"].as_str().unwrap(), &host);
    assert_eq!(
        new.post("/v1/host/register", &registers).ok()["do"],
        "carry-on"
    );
    assert_eq!(phase(world), "ready");
}
