// SPDX-License-Identifier: Apache-2.0
//! Orders that take something away for good are told as that, wherever the machine stands before it; and what ends a run.

use crate::world::*;
use groundstate_api::erase::{EraseClass, EraseTerms};
use groundstate_api::headline::headline;
use groundstate_api::plan::OrderTerms;
use prov_core::{site_diff, ticket};

fn erase() -> Input {
    Input::Ordered {
        run: run_id(1),
        hand_over: None,
        again: true,
        terms: OrderTerms {
            erase: Some(EraseTerms {
                level: EraseClass::Clear,
                serials: vec!["S-DATA".into()],
                ordered_by: "admin:local".into(),
            }),
            by: "admin:local".into(),
            ..OrderTerms::default()
        },
    }
}

/// What a person reads of the node now.
fn told(world: &World) -> Reason {
    world.node().view().reason.unwrap()
}

#[test]
fn who_powers_a_machine_on_reads_that_its_disk_is_erased() {
    const WHAT: &str = "an ERASE of disk S-DATA, by admin:local";
    let mut world = World::new();
    // A node that was never provisioned is erased, too: what a person orders of it is no second run.
    world.put(erase());
    assert_eq!(world.phase(), Phase::Ordered);
    let history: Vec<String> = world.journal.iter().map(|e| headline(&e.what)).collect();
    assert!(history.contains(&format!("run {} ordered: {WHAT}", run_id(1))));
    let moved = format!("enrolled -> ordered: {WHAT}: waiting for the machine to boot");
    assert!(history.iter().any(|line| line.starts_with(&moved)));

    let reason = told(&world);
    assert_eq!(reason.code, ReasonCode::PowerNeeded);
    assert_eq!(
        reason.what,
        format!("{WHAT}: waiting for the machine to boot from the network")
    );
    let stop = format!(
        "to stop what is ordered before it begins: groundstate node quarantine {}",
        node()
    );
    assert!(reason.next_step.starts_with("power the machine on"));
    assert!(reason.next_step.ends_with(&stop), "{reason}");
    let sheet = ticket::ticket(world.node(), &world.site, &[], world.now).unwrap();
    assert_eq!(sheet.what, reason.what);
    assert_eq!(
        sheet.after[0],
        format!("Switch the machine on; what was ordered goes on by itself: {WHAT}.")
    );

    // The machine boots, and looks at its disks: its own screen has the same words.
    world.put(Input::Sighted(BootSighting::Leased {
        address: "10.20.0.100".parse().unwrap(),
        firmware: Some(Firmware::UefiPxe),
    }));
    assert_eq!(world.phase(), Phase::Booting);
    assert_eq!(
        told(&world).what,
        format!("{WHAT}: the machine boots; waiting for its maintenance OS to enrol")
    );
    world.put(enrol(BOOT_A, "key-1"));
    world.take_inventory();
    let Instruction::Wait { reason } = world.node().instruction(&run_id(1)) else {
        panic!("{:?}", world.node().instruction(&run_id(1)));
    };
    assert!(reason.what.starts_with(WHAT), "{reason}");
    world.check_replay();

    // What stops it stops it.
    let mut world = World::new();
    world.put(erase());
    world.life(LifeOrder::Quarantine);
    assert!(!world.node().run_is_open());
}

#[test]
fn an_erase_whose_window_closes_is_ordered_again_as_an_erase() {
    let again = |order: Input| {
        let mut world = World::new();
        world.put(order);
        world.later(ENROLMENT_WINDOW_MAX);
        assert_eq!(world.phase(), Phase::Held);
        let next = told(&world).next_step;
        let sheet = ticket::ticket(world.node(), &world.site, &[], world.now).unwrap();
        let (_, command) = next.split_once("order again: ").unwrap();
        assert_eq!(sheet.after[1], format!("Order the run again: {command}"));
        next
    };
    let said = again(erase());
    let wants = format!(
        "order again: groundstate node erase {} --confirm S-DATA",
        node()
    );
    assert!(said.ends_with(&wants), "{said}");
    let said = again(ordered(1, false));
    let wants = format!("order again: groundstate node reprovision {}", node());
    assert!(said.ends_with(&wants), "{said}");
}

#[test]
fn any_other_run_is_told_as_before() {
    let mut world = World::new();
    world.put(ordered(1, false));
    let reason = told(&world);
    assert_eq!(
        reason.what,
        "waiting for the machine to boot from the network"
    );
    assert!(!reason.next_step.contains("quarantine"), "{reason}");
    let sheet = ticket::ticket(world.node(), &world.site, &[], world.now).unwrap();
    assert_eq!(
        sheet.after[0],
        "Switch the machine on; what was ordered goes on by itself."
    );
}

#[test]
fn a_node_under_way_leaves_the_site_by_the_orders_that_its_refusal_names() {
    let mut world = World::new();
    world.put(ordered(1, false));
    let mut without = world.site.clone();
    without.nodes.clear();
    let refused = |world: &World| {
        let plan = site_diff::plan(Some((1, &world.site)), &without, Some(&world.fleet)).unwrap();
        plan.changes
            .iter()
            .find_map(|change| change.refused.clone())
    };
    let said = refused(&world).unwrap();
    for order in [LifeOrder::Quarantine, LifeOrder::Retire] {
        let command = format!("groundstate node {} {}", order.as_str(), node());
        assert!(said.contains(&command), "{said}");
        assert!(refused(&world).is_some());
        world.life(order);
    }
    assert_eq!(refused(&world), None);
    assert_eq!(world.phase(), Phase::Retired);
}

#[test]
fn another_mac_address_is_taken_once_the_order_that_its_refusal_names_has_ended_the_run() {
    let mut world = World::new();
    world.put(ordered(1, false));
    let mut other = world.site.clone();
    other.nodes[0].mac.0[5] ^= 1;
    let refused = |world: &World| {
        let plan = site_diff::plan(Some((1, &world.site)), &other, Some(&world.fleet)).unwrap();
        plan.changes
            .iter()
            .find_map(|change| change.refused.clone())
    };
    let said = refused(&world).unwrap();
    let command = format!("groundstate node quarantine {}", node());
    assert!(said.contains(&command), "{said}");
    world.life(LifeOrder::Quarantine);
    assert_eq!(refused(&world), None);
}
