// SPDX-License-Identifier: Apache-2.0
//! The whole way over the wire: order, enrolment, inventory, plan, steps, host, Ready; and what stops it.

use crate::world::{Caller, Key, World, inventory};
use groundstate_api::event::Happened;
use groundstate_api::plan::{DiskAction, HandOver, OrderTerms, Plan, Step};
use groundstate_api::run::Instruction;
use groundstate_api::view::Phase;
use groundstate_api::{Millis, NodeId, Part, Reason, ReasonCode};
use serde_json::{Value, json};

/// Asks until the plan is there or the node is held.
pub(crate) fn instruction(node: &Caller) -> Instruction {
    loop {
        match node.get("/v1/run/instruction").read() {
            Instruction::Wait { .. } => std::thread::sleep(std::time::Duration::from_millis(10)),
            other => return other,
        }
    }
}

pub(crate) fn planned(node: &Caller, run: &str) -> Plan {
    node.post(
        "/v1/run/inventory",
        &json!({"run": run, "inventory": inventory()}),
    )
    .ok();
    match instruction(node) {
        Instruction::CarryOut { plan, .. } => *plan,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn progress(node: &Caller, run: &str, number: u64, step: Step, state: &Value) -> Value {
    let body = json!({"run": run, "number": number, "step": step, "state": state, "at": 1, "peak_memory": 40 << 20});
    node.post("/v1/run/progress", &body).ok()
}

pub(crate) fn register(node: &str, plan: &Plan) -> Value {
    json!({
        "schema": 1, "node": node, "run": plan.run, "plan": plan.id, "os": "Debian GNU/Linux 12", "kernel": "6.1",
        "boot_id": "22222222-2222-2222-2222-222222222222", "uptime_secs": 9, "disk_serials": [],
        "changes": [{"what": "host name", "before": "localhost", "after": "node-1"}],
    })
}

pub(crate) fn phase(world: &World) -> String {
    world.operator().get("/v1/nodes/node-1").ok()["view"]["phase"]
        .as_str()
        .unwrap()
        .to_owned()
}

/// Everything up to the host's first call.
pub(crate) fn handed_over(world: &World) -> (Plan, Caller) {
    let (node, run) = world.enrolled();
    let plan = planned(&node, &run);
    let key = Key::new();
    let credential = node
        .post(
            "/v1/run/host-credential",
            &json!({"run": run, "csr_pem": key.csr()}),
        )
        .ok();
    let other = Key::new();
    node.post(
        "/v1/run/host-credential",
        &json!({"run": run, "csr_pem": other.csr()}),
    )
    .problem(409);
    for (number, step) in (1u64..).step_by(2).zip(Step::ALL) {
        progress(&node, &run, number, step, &json!({"state": "started"}));
        progress(
            &node,
            &run,
            number + 1,
            step,
            &json!({"state": "done", "facts": ["as planned"]}),
        );
    }
    (
        plan,
        world.with(credential["certificate_pem"].as_str().unwrap(), &key),
    )
}

#[test]
fn from_order_to_ready_and_again_with_a_restart_between() {
    let world = World::new();
    let (plan, host) = handed_over(&world);
    assert_eq!(phase(&world), "handed-over");
    assert!(
        plan.disks
            .iter()
            .any(|d| matches!(d.action, DiskAction::Wipe { .. }))
    );
    assert_eq!(
        host.post("/v1/host/register", &register("node-1", &plan))
            .ok()["do"],
        "carry-on"
    );
    assert_eq!(phase(&world), "ready");
    let before = world.operator().get("/v1/nodes/node-1").ok();
    // What lies on a disk stands beside its report: a technician sees what is lost with it.
    let hardware = before["hardware"].as_array().unwrap();
    let os = hardware
        .iter()
        .find(|report| report["place"]["serial"] == "OS-1");
    let affects = os.unwrap()["affects"].to_string();
    assert!(affects.contains("the host's root"), "{affects}");
    assert!(
        hardware
            .iter()
            .any(|report| report["affects"].to_string().contains("volume ")),
        "{hardware:?}"
    );
    drop(host);

    let world = world.restart();
    let after = world.operator().get("/v1/nodes/node-1").ok();
    for field in [
        "plan",
        "timings",
        "facts",
        "host",
        "findings",
        "peak_memory",
    ] {
        assert_eq!(before[field], after[field], "{field}");
    }
    assert_eq!(phase(&world), "ready");
    let stored: Plan = world.operator().get("/v1/nodes/node-1/plan").read();
    assert_eq!(stored, plan);
    let reply = world
        .anyone()
        .post("/v1/enrol", &Key::new().request(1))
        .ok();
    assert_eq!(reply["answer"], "boot-local", "{reply}");
    assert_eq!(reply["disk_serial"], "OS-1");

    world
        .operator()
        .post("/v1/nodes/node-1/provision", &json!({}))
        .problem(409);
    world
        .operator()
        .post(
            "/v1/nodes/node-1/reprovision",
            &json!({"hand_over": "reboot"}),
        )
        .ok();
    assert_eq!(phase(&world), "ordered");
    world
        .operator()
        .post(
            "/v1/nodes/node-1/reprovision",
            &json!({"handover": "reboot"}),
        )
        .problem(400);
}

#[test]
fn the_host_of_an_ordered_node_restarts_into_the_network() {
    let world = World::new();
    let (plan, host) = handed_over(&world);
    host.post("/v1/host/register", &register("node-1", &plan))
        .ok();
    let beat = json!({"node": "node-1", "plan": plan.id, "boot_id": "22222222-2222-2222-2222-222222222222", "number": 1, "uptime_secs": 14});
    assert_eq!(
        host.post("/v1/host/heartbeat", &beat).ok()["do"],
        "carry-on"
    );
    world
        .operator()
        .post("/v1/nodes/node-1/reprovision", &json!({}))
        .ok();
    assert_eq!(
        host.post("/v1/host/heartbeat", &beat).ok()["do"],
        "reboot-to-network"
    );
}

#[test]
fn a_corrupt_image_is_found_before_any_plan() {
    let reason = Reason::new(
        ReasonCode::ChunkCorrupt,
        "a chunk is not what the manifest says",
        "import again",
    )
    .about(Part::Image {
        image: "debian-host 12.1".into(),
        digest: None,
    });
    let world = World::with_image(Err(reason.clone()));
    let (node, run) = world.enrolled();
    node.post(
        "/v1/run/inventory",
        &json!({"run": run, "inventory": inventory()}),
    )
    .ok();
    let Instruction::Hold { reason: told } = instruction(&node) else {
        panic!()
    };
    assert_eq!((told.code, told.part), (reason.code, reason.part));
    assert_eq!(phase(&world), "held");
    world.operator().get("/v1/nodes/node-1/plan").problem(404);
}

#[test]
fn a_failed_step_holds_the_node_and_its_log_is_kept() {
    let world = World::new();
    let (node, run) = world.enrolled();
    planned(&node, &run);
    let reason = Reason::new(ReasonCode::DiskError, "cannot write", "replace the disk");
    let told = progress(
        &node,
        &run,
        1,
        Step::Wipe,
        &json!({"state": "failed", "reason": reason}),
    );
    assert_eq!(told["do"], "hold");
    assert_eq!(phase(&world), "held");
    for (offset, text) in [(0, "one\n"), (4, "two\n"), (0, "one\n")] {
        let answer = node.post(
            "/v1/run/log",
            &json!({"run": run, "offset": offset, "text": text}),
        );
        assert_eq!(answer.status, 204);
    }
    node.post(
        "/v1/run/log",
        &json!({"run": run, "offset": 8, "text": "x".repeat(64 * 1024 + 1)}),
    )
    .problem(413);
    assert_eq!(
        world.operator().get("/v1/nodes/node-1/log").text,
        "one\ntwo\n"
    );
    assert_eq!(
        world
            .operator()
            .get(&format!("/v1/nodes/node-1/log?run={run}"))
            .text,
        "one\ntwo\n"
    );
    world
        .operator()
        .get(&format!("/v1/nodes/node-2/log?run={run}"))
        .problem(404);
}

#[test]
fn the_page_shows_what_the_api_says_and_runs_no_script_of_a_disk() {
    let world = World::new();
    let (plan, host) = handed_over(&world);
    host.post("/v1/host/register", &register("node-1", &plan))
        .ok();
    let list = world.page("/");
    assert!(
        list.contains("node-1") && list.contains("ready") && list.contains("lab &#60;b&#62;&#38;"),
        "{list}"
    );
    let page = world.page("/nodes/node-1");
    // The page has one script, its own file's, and no machine's.
    assert_eq!(page.matches("<script").count(), 1, "{page}");
    assert!(page.contains("<script src=\"/page.js\" defer></script>"));
    for wants in [
        "&#60;script&#62;",
        "OS-1",
        "gs-root",
        plan.id.as_str(),
        "host name",
        "as planned",
    ] {
        assert!(page.contains(wants), "{wants}: {page}");
    }
}

#[test]
fn vhds_that_do_not_fit_hold_the_node_before_anything_is_written() {
    let mut site = crate::world::site();
    site.policy.vhds = vec![groundstate_api::site::VhdPolicy {
        name: "vm".into(),
        size: "3GiB".into(),
        count: 3,
        ..groundstate_api::site::VhdPolicy::default()
    }];
    let world = World::with_site(site);
    let (node, run) = world.enrolled();
    node.post(
        "/v1/run/inventory",
        &json!({"run": run, "inventory": inventory()}),
    )
    .ok();
    let Instruction::Hold { reason } = instruction(&node) else {
        panic!()
    };
    assert_eq!(reason.code, ReasonCode::DiskFull);
    let Some(Part::Disk { serial, .. }) = &reason.part else {
        panic!("{reason}")
    };
    assert_eq!(serial, "DATA-1");
    let seen = reason.evidence.join("\n");
    assert!(
        seen.contains("3 VHDs need 9") && seen.contains("for files"),
        "{seen}"
    );
    assert_eq!(phase(&world), "held");
    world.operator().get("/v1/nodes/node-1/plan").problem(404);
    let events = world.operator().get("/v1/events").text;
    assert!(!events.contains("step-moved"), "{events}");
}

#[test]
fn a_long_report_is_taken_and_a_hostile_text_is_not_shown() {
    let world = World::new();
    let (node, run) = world.enrolled();
    planned(&node, &run);
    let reason = Reason::new(
        ReasonCode::DiskError,
        "cannot write\u{1b}[2J",
        "x".repeat(5_000),
    );
    let mut reason = serde_json::to_value(reason).unwrap();
    reason["evidence"] = json!(vec!["\u{9b}31m".repeat(100); 3_000]);
    let state = json!({"state": "failed", "reason": reason});
    // One MiB and more: a refused report would leave the run open.
    assert!(state.to_string().len() > 1 << 20);
    assert_eq!(progress(&node, &run, 1, Step::Wipe, &state)["do"], "hold");
    let body = json!({"run": run, "offset": 0, "text": "one\n\u{1b}[2Jtwo\n"});
    assert_eq!(node.post("/v1/run/log", &body).status, 204);
    let operator = world.operator();
    let report = operator.get("/v1/nodes/node-1").ok();
    let next = report["view"]["reason"]["next_step"].as_str().unwrap();
    assert_eq!(next.chars().count(), 1_024);
    for path in ["/v1/nodes/node-1", "/v1/events", "/v1/nodes/node-1/log"] {
        let text = operator.get(path).text;
        let steers = |c: char| c.is_control() && c != '\n';
        assert!(
            !text.contains(steers) && !text.contains("\\u001b"),
            "{path}"
        );
    }
    assert!(!world.page("/nodes/node-1").contains('\u{1b}'));
    assert_eq!(operator.get("/v1/nodes/node-1/log").text, "one\n?[2Jtwo\n");
}

/// What brings a node to a phase, with a run whose window never closes.
pub(crate) fn to_phase(node: &NodeId, phase: Phase) -> Vec<(NodeId, Happened)> {
    let mut happened = Vec::new();
    let mut add = |what| happened.push((node.clone(), what));
    if phase != Phase::Enrolled {
        add(Happened::RunOrdered {
            run: format!("{node}-1").parse().unwrap(),
            hand_over: HandOver::Kexec,
            window_closes: Millis(u64::MAX / 4),
            terms: OrderTerms::default(),
        });
        add(Happened::PhaseChanged {
            from: Phase::Enrolled,
            to: phase,
            reason: None,
        });
    }
    happened
}
