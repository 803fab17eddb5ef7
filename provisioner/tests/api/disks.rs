// SPDX-License-Identifier: Apache-2.0
//! The plan before the order, disks that need a confirmation, and one disk that is made anew.

use crate::way::{handed_over, instruction, phase, progress, register};
use crate::world::{Caller, Key, World, inventory};
use groundstate_api::inventory::{
    Disk, FoundFileSystem, FoundLayout, FoundPartition, Inventory, Signature,
};
use groundstate_api::plan::{
    DECIDED_AT_THE_ORDER, DiskAction, Plan, PlanPreview, Role, Step, TablePlan,
};
use groundstate_api::run::Instruction;
use groundstate_api::{Bytes, ReasonCode};
use serde_json::json;

const PREVIEW: &str = "/v1/nodes/node-1/plan-preview";

/// What the node reports after the plan was carried out.
fn carried_out(plan: &Plan) -> Inventory {
    let mut inventory = inventory();
    for planned in &plan.disks {
        let mut disks = inventory.disks.iter_mut();
        let disk = disks.find(|disk| disk.serial == planned.serial);
        if let (DiskAction::Wipe { table, .. } | DiskAction::Keep { table }, Some(disk)) =
            (&planned.action, disk)
        {
            lay_out(disk, planned.role, table);
        }
    }
    inventory
}

/// The disk carries this table.
fn lay_out(disk: &mut Disk, role: Role, table: &TablePlan) {
    disk.contents = vec![Signature {
        at: "disk".into(),
        what: "gpt".into(),
        label: None,
    }];
    let partitions = table.partitions.iter().zip(1u32..);
    let partitions = partitions.map(|(one, number)| FoundPartition {
        number,
        name: one.name.clone(),
        type_guid: one.type_guid.clone(),
        guid: one.guid.clone(),
        start: one.start,
        length: one.length,
        file_system: one.holds.volume().map(|on| FoundFileSystem {
            what: on.fs.as_str().into(),
            uuid: Some(on.uuid.into()),
            label: Some(on.label.into()),
        }),
    });
    disk.layout = Some(FoundLayout {
        role,
        disk_guid: table.disk_guid.clone(),
        partition_guids: table
            .partitions
            .iter()
            .map(|one| one.guid.clone())
            .collect(),
        partitions: partitions.collect(),
    });
}

#[test]
fn a_preview_orders_nothing_and_is_the_plan_of_the_next_order() {
    let world = World::new();
    let reason = world.operator().get(PREVIEW).problem(404).reason;
    assert!(
        reason
            .next_step
            .contains("groundstate plan preview node-1 --site"),
        "{reason}"
    );
    {
        let world = World::new();
        let (node, run) = world.enrolled();
        let plan = plan_for(&node, &run, &inventory());
        let preview: PlanPreview = world.operator().get(PREVIEW).read();
        assert_eq!(preview.plan, mos_core::plan::without_identities(&plan));
        assert_eq!(preview.plan.run.as_str(), DECIDED_AT_THE_ORDER);
    }
    let (plan, host) = handed_over(&world);
    host.post("/v1/host/register", &register("node-1", &plan))
        .ok();
    let events = world.ours.follow();
    let preview: PlanPreview = world.operator().get(PREVIEW).read();
    assert!(!events.has_changed().unwrap());
    assert_eq!(preview.needs_confirm, []);
    // The last report is older than the host's plan: what that wrote is what would go now.
    let DiskAction::Wipe { goes, .. } = &preview.plan.disks[0].action else {
        panic!("{preview:?}")
    };
    assert_eq!(goes, &["gpt", "ext4 \"gs-data-1\" on partition 1"]);
    let rebuild = format!("{PREVIEW}?rebuild=DATA-1");
    let preview: PlanPreview = world.operator().get(&rebuild).read();
    assert_eq!(happens(&preview.plan), ["DATA-1 wiped", "OS-1 kept"]);
    for query in ["?serial=x", "?confirm=a%0Ab", "?rebuild="] {
        world
            .operator()
            .get(&format!("{PREVIEW}{query}"))
            .problem(400);
    }
    world
        .operator()
        .get(&format!("{PREVIEW}?rebuild=OS-1"))
        .problem(409);
    host.get(PREVIEW).problem(403);
    world.anyone().get(PREVIEW).problem(403);
}

#[test]
fn a_foreign_disk_is_wiped_only_when_its_serial_number_was_confirmed() {
    let world = World::new();
    let mut seen = inventory();
    seen.disks[0].contents = vec![Signature {
        at: "disk".into(),
        what: "LVM2 PV".into(),
        label: None,
    }];
    let (node, run) = world.enrolled();
    let report = json!({"run": run, "inventory": seen});
    node.post("/v1/run/inventory", &report).ok();
    let Instruction::Hold { reason } = instruction(&node) else {
        panic!("it must be held")
    };
    assert_eq!(reason.code, ReasonCode::DiskInUse);
    assert!(
        reason
            .next_step
            .contains("groundstate node provision node-1 --confirm DATA-1"),
        "{reason}"
    );
    let preview: PlanPreview = world.operator().get(PREVIEW).read();
    assert_eq!(preview.needs_confirm[0].serial, "DATA-1");
    let preview: PlanPreview = world
        .operator()
        .get(&format!("{PREVIEW}?confirm=DATA-1,X"))
        .read();
    assert_eq!(preview.needs_confirm, []);
    let order = |serial: &str| {
        let body = json!({"confirm_wipe": [serial]});
        world.operator().post("/v1/nodes/node-1/provision", &body)
    };
    order("").problem(400);
    // Another disk's number is no confirmation.
    for (serial, goes_on) in [("DATA-2", false), ("DATA-1", true)] {
        order(serial).ok();
        let (node, run) = world.enrol(&Key::new());
        let report = json!({"run": run, "inventory": seen});
        node.post("/v1/run/inventory", &report).ok();
        match instruction(&node) {
            Instruction::CarryOut { plan, .. } if goes_on => {
                let DiskAction::Wipe { goes, .. } = &plan.disks[0].action else {
                    panic!("{plan:?}")
                };
                assert_eq!(goes, &["LVM2 PV"]);
            }
            Instruction::Hold { reason } if !goes_on => {
                assert_eq!(reason.code, ReasonCode::DiskInUse)
            }
            other => panic!("{serial}: {other:?}"),
        }
    }
}

/// What the node reports when DATA-1 was taken out and NEW-1 put in.
fn replaced(first: &Plan) -> Inventory {
    let mut seen = carried_out(first);
    let old = seen.disks[0].clone();
    seen.disks[0] = Disk {
        serial: "NEW-1".into(),
        contents: Vec::new(),
        layout: None,
        size: Bytes::gib(9),
        ..old
    };
    seen
}

fn happens(plan: &Plan) -> Vec<String> {
    let disks = plan.disks.iter();
    let disks = disks.map(|disk| match disk.action {
        DiskAction::Wipe { .. } => format!("{} wiped", disk.serial),
        DiskAction::Keep { .. } => format!("{} kept", disk.serial),
        DiskAction::Erase { .. } => format!("{} erased", disk.serial),
        DiskAction::Renew { .. } => format!("{} renewed", disk.serial),
        DiskAction::LeaveAlone => format!("{} left alone", disk.serial),
    });
    disks.collect()
}

/// The plan of the host that is known of node-1.
fn host_plan(world: &World) -> Option<String> {
    let report = world.operator().get("/v1/nodes/node-1").ok();
    report["host"]["plan"].as_str().map(str::to_owned)
}

/// Sends the inventory and gives the plan.
fn plan_for(node: &Caller, run: &str, seen: &Inventory) -> Plan {
    let report = json!({"run": run, "inventory": seen});
    node.post("/v1/run/inventory", &report).ok();
    match instruction(node) {
        Instruction::CarryOut { plan, .. } => *plan,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_replaced_disk_is_rebuilt_and_the_host_stays() {
    let world = World::new();
    let rebuild = |confirm: bool| {
        let body = json!({"serial": "NEW-1", "confirm_wipe": confirm});
        world
            .operator()
            .post("/v1/nodes/node-1/rebuild-disk", &body)
    };
    let reason = rebuild(true).problem(409).reason;
    assert!(reason.what.contains("has no host"), "{reason}");
    let (first, host) = handed_over(&world);
    host.post("/v1/host/register", &register("node-1", &first))
        .ok();
    assert_eq!(phase(&world), "ready");
    // Nobody has reported or named this number: a running host is not restarted for what may be mistyped.
    let reason = rebuild(false).problem(409).reason;
    assert!(reason.what.contains("no disk NEW-1 is known"), "{reason}");
    assert!(
        reason.next_step.contains("node-1 NEW-1 --confirm"),
        "{reason}"
    );
    let erase = json!({"level": "clear", "serials": ["DATA-1", "NEW-1"]});
    let reason = world
        .operator()
        .post("/v1/nodes/node-1/erase", &erase)
        .problem(409)
        .reason;
    assert!(reason.what.contains("no disk NEW-1 is known"), "{reason}");
    assert_eq!(phase(&world), "ready");
    rebuild(true).ok();
    assert_eq!(phase(&world), "ordered");

    let (node, run) = world.enrol(&Key::new());
    let seen = replaced(&first);
    let plan = plan_for(&node, &run, &seen);
    assert_eq!(plan.rebuild.as_deref(), Some("NEW-1"));
    assert_eq!(happens(&plan), ["NEW-1 wiped", "OS-1 kept"]);
    let passed = mos_core::guard::guard(&plan, &seen.disks, Some(plan.machine));
    assert_eq!(passed, Ok(()));

    // The host is still known while its disk is not touched, and is the new plan's once its data was renewed.
    let key = Key::new();
    let asked = json!({"run": run, "csr_pem": key.csr()});
    let credential = node.post("/v1/run/host-credential", &asked).ok();
    for (number, step) in (1u64..).step_by(2).zip(Step::ALL) {
        progress(&node, &run, number, step, &json!({"state": "started"}));
        if step == Step::Vhds {
            assert_eq!(host_plan(&world).as_deref(), Some(first.id.as_str()));
        }
        let done = json!({"state": "done", "facts": []});
        progress(&node, &run, number + 1, step, &done);
    }
    assert_eq!(phase(&world), "handed-over");
    let host = world.with(credential["certificate_pem"].as_str().unwrap(), &key);
    host.post("/v1/host/register", &register("node-1", &plan))
        .ok();
    assert_eq!(phase(&world), "ready");
    assert_eq!(host_plan(&world).as_deref(), Some(plan.id.as_str()));
    next_run_knows_every_table(world.restart(), seen, &plan);
}

/// The next whole run needs no confirmation for what is this node's.
fn next_run_knows_every_table(world: World, mut seen: Inventory, plan: &Plan) {
    let body = json!({});
    world
        .operator()
        .post("/v1/nodes/node-1/reprovision", &body)
        .ok();
    let (node, run) = world.enrol(&Key::new());
    for planned in &plan.disks {
        if let DiskAction::Wipe { table, .. } | DiskAction::Keep { table } = &planned.action {
            let mut disks = seen.disks.iter_mut();
            let disk = disks.find(|disk| disk.serial == planned.serial).unwrap();
            lay_out(disk, planned.role, table);
        }
    }
    let again = plan_for(&node, &run, &seen);
    assert_eq!(again.rebuild, None);
    assert_eq!(happens(&again), ["NEW-1 wiped", "OS-1 wiped"]);
    // The host's image lies where the next one goes, and a disk that was rebuilt has not changed that.
    assert_eq!(again.previous.as_ref(), Some(&plan.image));
    assert_eq!(plan.previous, None);
}

#[test]
fn a_rebuild_that_fails_leaves_the_host_known() {
    let world = World::new();
    let (first, host) = handed_over(&world);
    host.post("/v1/host/register", &register("node-1", &first))
        .ok();
    let body = json!({"serial": "DATA-1", "confirm_wipe": true});
    world
        .operator()
        .post("/v1/nodes/node-1/rebuild-disk", &body)
        .ok();
    let (node, run) = world.enrol(&Key::new());
    let report = json!({"run": run, "inventory": carried_out(&first)});
    node.post("/v1/run/inventory", &report).ok();
    assert!(matches!(instruction(&node), Instruction::CarryOut { .. }));
    progress(&node, &run, 1, Step::Wipe, &json!({"state": "started"}));
    let reason = json!({
        "code": "disk-error", "part": null, "what": "the disk does not write", "evidence": [], "since": null,
        "deadline": null, "next_automatic": "nothing", "next_step": "replace it",
    });
    progress(
        &node,
        &run,
        2,
        Step::Wipe,
        &json!({"state": "failed", "reason": reason}),
    );
    assert_eq!(phase(&world), "held");
    let report = world.operator().get("/v1/nodes/node-1").ok();
    assert_eq!(report["host"]["plan"].as_str(), Some(first.id.as_str()));
    // It can be ordered again at once.
    world
        .operator()
        .post("/v1/nodes/node-1/rebuild-disk", &body)
        .ok();
}
