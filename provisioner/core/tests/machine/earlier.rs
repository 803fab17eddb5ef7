// SPDX-License-Identifier: Apache-2.0
//! What is remembered of a node's disks from one run to the next.

use crate::world::*;
use groundstate_api::plan::{DiskAction, DiskPlan, EarlierDisks, Role, TablePlan};
use prov_core::Earlier;
use std::collections::BTreeSet;

#[test]
fn what_earlier_plans_made_of_the_disks_is_remembered_across_runs() {
    let planned = |serial: &str, role: Role, action: DiskAction| DiskPlan {
        serial: serial.into(),
        wwn: None,
        slot: "bay".into(),
        model: "m".into(),
        size: Bytes::gib(4),
        logical_sector: 512,
        role,
        because: "because".into(),
        named: false,
        action,
    };
    let wipe = || DiskAction::Wipe {
        goes: vec!["nothing".into()],
        table: TablePlan {
            disk_guid: "3E585EE0-CD53-82C6-894D-C33E8226957A".into(),
            partitions: vec![],
        },
    };
    let mut world = World::new();
    let run = run_id(1);
    world.put(ordered(1, false));
    world.put(enrol(BOOT_A, "key-1"));
    world.put(Input::InventoryReceived {
        run: run.clone(),
        inventory: Box::new(inventory()),
        findings: vec![],
    });
    assert_eq!(world.node().earlier.get(), EarlierDisks::default());
    let mut first = plan(&run);
    first.disks = vec![
        planned("OS-1", Role::Os, wipe()),
        planned("DATA-1", Role::Data, wipe()),
        planned("STICK", Role::Spare, DiskAction::LeaveAlone),
    ];
    world.put(Input::PlanMade {
        run: run.clone(),
        plan: Ok(Box::new(first)),
    });
    let serials = |set: &BTreeSet<String>| set.iter().cloned().collect::<Vec<_>>();
    assert_eq!(
        serials(&world.node().earlier.get().used),
        ["DATA-1", "OS-1"]
    );
    world.put(progress(&run, 1, Step::Volumes, StepState::Started));
    assert!(world.node().earlier.get().data.is_empty());
    let done = StepState::Done { facts: vec![] };
    world.put(progress(&run, 2, Step::Volumes, done));
    assert_eq!(serials(&world.node().earlier.get().data), ["DATA-1"]);
    let reason = Reason::new(ReasonCode::DiskError, "a VHD did not fit", "look");
    world.put(progress(&run, 3, Step::Vhds, StepState::Failed { reason }));
    assert_eq!(world.phase(), Phase::Held);
    world.deploy(2, true);
    assert_eq!(
        serials(&world.node().earlier.get().used),
        ["DATA-1", "OS-1"]
    );
    assert_eq!(serials(&world.node().earlier.get().data), ["DATA-1"]);
    world.check_replay();
}

#[test]
fn what_happened_to_the_disks_means_the_same_however_much_of_it_there_is() {
    let table = |n: u32| TablePlan {
        disk_guid: format!("3E585EE0-CD53-82C6-894D-{n:012X}"),
        partitions: vec![],
    };
    let mut world = World::new();
    for number in 1..=9 {
        let made = world.deploy(number, number > 1);
        world.hand_over(&made);
        world.put(register(&made, BOOT_B));
        assert_eq!(world.phase(), Phase::Ready);
        world.check_replay();
    }
    let earlier = world.node().earlier.get();
    assert_eq!(earlier, Earlier::of(&earlier).get());
    let mut disks = earlier;
    disks.tables.insert("X".into(), vec![table(1)]);
    assert_eq!(Earlier::of(&disks).get(), disks);
}
