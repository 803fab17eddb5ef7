// SPDX-License-Identifier: Apache-2.0
//! What is remembered of a node's disks from one run to the next.

use crate::world::*;
use groundstate_api::plan::{DiskAction, DiskPlan, EarlierDisks, Role, TablePlan};
use prov_core::Earlier;
use std::collections::{BTreeMap, BTreeSet};

const DISKS: u64 = 24;

fn planned(serial: &str, role: Role, action: DiskAction) -> DiskPlan {
    DiskPlan {
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
    }
}

#[test]
fn what_earlier_plans_made_of_the_disks_is_remembered_across_runs() {
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

/// What the probes of a machine with many disks see before its run of this number: what counts hours counts on, the rest stands.
fn seen(number: u64) -> Inventory {
    let disk = |at: u64| {
        let still = (0..20).map(|name| (format!("attribute_{name}_of_the_log"), 100));
        let mut figures: BTreeMap<String, u64> = still.collect();
        figures.insert("power_on_hours".into(), 9_000 + 700 * number + 13 * at);
        serde_json::json!({
            "kernel_name": format!("sd{at}"), "slot": format!("bay {at}"), "serial": format!("PHYF{at:08}"), "wwn": null,
            "model": "EXAMPLE MG10ACA20TE", "revision": "0103", "size": 20_000_588_955_648u64, "logical_sector": 512,
            "physical_sector": 4_096, "transport": "ata", "rotational": true, "removable": false, "read_only": false,
            "contents": [], "layout": null,
            "health": {"verdict": "ok", "source": "ATA SMART", "evidence": [], "temperature_c": 31, "power_on_hours": 1, "figures": figures},
        })
    };
    let disks: Vec<_> = (0..DISKS).map(disk).collect();
    Inventory {
        disks: serde_json::from_value(disks.into()).unwrap(),
        ..inventory()
    }
}

/// Provisions the node with a plan that makes every disk anew.
fn provisioned(world: &mut World, number: u64) {
    let run = run_id(number);
    world.put(ordered(number, number > 1));
    world.put(enrol(BOOT_A, &format!("key-{number}")));
    world.put(Input::InventoryReceived {
        run: run.clone(),
        inventory: Box::new(seen(number)),
        findings: vec![],
    });
    let disk = |at: u64| {
        // GUIDs follow from the run, and from nothing that two runs have in common.
        let guid = Digest::of(format!("{run} {at}").as_bytes()).hex();
        let table = TablePlan {
            disk_guid: guid[..36].into(),
            partitions: vec![],
        };
        let goes = vec!["GPT, ext4 gs-data on partition 1".into()];
        let role = if at == 0 { Role::Os } else { Role::Data };
        planned(
            &format!("PHYF{at:08}"),
            role,
            DiskAction::Wipe { goes, table },
        )
    };
    let mut plan = plan(&run);
    plan.disks = (0..DISKS).map(disk).collect();
    world.put(Input::PlanMade {
        run,
        plan: Ok(Box::new(plan.clone())),
    });
    world.hand_over(&plan);
    world.put(register(&plan, BOOT_B));
    assert_eq!(world.phase(), Phase::Ready);
}

/// Bytes of what is kept of the node, each long value once.
fn kept(world: &World) -> usize {
    let taken = world.fleet.take();
    taken.chunks().map(|bytes| bytes.unwrap().len()).sum()
}

#[test]
fn a_run_that_is_over_takes_hardly_any_room() {
    let mut world = World::new();
    let mut sizes = Vec::new();
    for number in 1..=14 {
        provisioned(&mut world, number);
        sizes.push(kept(&world));
    }
    println!("bytes kept after each run: {sizes:?}");
    let (first, second) = (sizes[0], sizes[1]);
    assert!(second < first + first / 20, "{sizes:?}");
    // A year of runs, and no more after that: the middle inventories' counts go.
    assert!(sizes[11] < first + first / 3, "{sizes:?}");
    assert!(sizes[13] < sizes[11] + first / 50, "{sizes:?}");
    let earlier = world.node().earlier.get();
    assert_eq!(earlier.used.len(), 24);
    assert_eq!(earlier.tables.len(), 24);
    assert!(earlier.tables.values().all(|tables| tables.len() == 1));
    assert_eq!((earlier.os.len(), earlier.data.len()), (1, 23));
    let counted = world.node().figures.get();
    assert_eq!(counted.len(), 12);
    let hours = |at: usize| counted[at].disks["PHYF00000003"]["power_on_hours"];
    assert_eq!(
        (hours(0), hours(1), hours(11)),
        (9_739, 9_000 + 700 * 4 + 39, 9_000 + 700 * 14 + 39)
    );
    world.check_replay();
}
