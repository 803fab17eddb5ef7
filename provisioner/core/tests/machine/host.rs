// SPDX-License-Identifier: Apache-2.0
//! The host: who makes a node Ready, and who comes back.

use crate::world::*;
use prov_core::deadline::*;

#[test]
fn only_the_agent_of_this_plan_makes_a_node_ready() {
    let (mut world, ours) = World::deploying(1);
    assert!(
        matches!(world.put(register(&ours, BOOT_B)), Some(Reply::Conflict(_))),
        "too early"
    );
    world.hand_over(&ours);
    let other = plan(&run_id(9));
    assert!(matches!(
        world.put(register(&other, BOOT_B)),
        Some(Reply::Conflict(_))
    ));
    let mut wrong_run = ours.clone();
    wrong_run.run = run_id(9);
    assert!(matches!(
        world.put(register(&wrong_run, BOOT_B)),
        Some(Reply::Conflict(_))
    ));
    assert!(
        matches!(world.put(beat(&ours.id, BOOT_B)), Some(Reply::Conflict(_))),
        "not registered"
    );
    assert_eq!(world.phase(), Phase::HandedOver);
    assert_eq!(
        world.put(register(&ours, BOOT_B)),
        Some(Reply::Host(HostInstruction::CarryOn))
    );
    assert_eq!(world.phase(), Phase::Ready);
}

#[test]
fn a_host_speaks_for_a_hand_over_that_was_not_heard() {
    let (mut world, plan) = World::deploying(1);
    let done = StepState::Done { facts: vec![] };
    world.credential(&plan.run);
    world.put(progress(&plan.run, 1, Step::BootEntry, StepState::Started));
    assert!(matches!(
        world.put(register(&plan, BOOT_B)),
        Some(Reply::Conflict(_))
    ));
    // A hand-over that begins before the boot entry is done is not one that was to start this host.
    world.put(progress(&plan.run, 2, Step::HandOver, StepState::Started));
    assert!(matches!(
        world.put(register(&plan, BOOT_B)),
        Some(Reply::Conflict(_))
    ));
    world.put(progress(&plan.run, 3, Step::BootEntry, done));
    assert!(matches!(
        world.put(register(&plan, BOOT_B)),
        Some(Reply::Conflict(_))
    ));
    world.put(progress(&plan.run, 4, Step::HandOver, StepState::Started));
    world.put(register(&plan, BOOT_B));
    assert_eq!(world.phase(), Phase::Ready);
    world.check_replay();
}

#[test]
fn again_replaces_the_host_and_the_old_one_is_refused() {
    let (mut world, first) = World::ready();
    assert!(
        matches!(world.put(ordered(2, false)), Some(Reply::Conflict(_))),
        "provision replaces no host"
    );
    assert_eq!(world.put(ordered(2, true)), Some(Reply::Accepted));
    world.later(Millis(4 * HEARTBEAT.0));
    assert_eq!(
        world.phase(),
        Phase::Ordered,
        "an order that waits is not silence"
    );
    assert_eq!(
        world.put(beat(&first.id, BOOT_B)),
        Some(Reply::Host(HostInstruction::RebootToNetwork))
    );
    assert!(
        matches!(world.put(ordered(3, true)), Some(Reply::Conflict(_))),
        "a run is under way"
    );
    assert!(matches!(
        world.put(enrol(BOOT_A, "key-2")),
        Some(Reply::Enrolled { .. })
    ));
    world.put(Input::InventoryReceived {
        run: run_id(2),
        inventory: Box::new(inventory()),
        findings: vec![],
    });
    let second = plan(&run_id(2));
    world.put(Input::PlanMade {
        run: run_id(2),
        plan: Ok(Box::new(second.clone())),
    });
    world.hand_over(&second);
    assert!(matches!(
        world.put(register(&first, BOOT_B)),
        Some(Reply::Conflict(_))
    ));
    world.put(register(&second, BOOT_B));
    assert_eq!(world.phase(), Phase::Ready);
    world.check_replay();
}

#[test]
fn an_order_that_lapsed_leaves_the_host_in_its_place() {
    for firmware in [Firmware::Bios, Firmware::UefiPxe, Firmware::UefiHttp] {
        let lapsed = || {
            let (mut world, plan) = World::ready();
            world.later(READY_SILENCE_MAX);
            assert_eq!(world.phase(), Phase::Suspect);
            world.put(ordered(2, true));
            world.later(ENROLMENT_WINDOW_MAX);
            assert_eq!(
                (world.phase(), world.code()),
                (Phase::Held, Some(ReasonCode::EnrolmentExpired))
            );
            (world, plan)
        };
        let (mut world, plan) = lapsed();
        let host = if firmware.is_uefi() {
            BootAnswer::LOCAL_DISK
        } else {
            BootAnswer::MaintenanceOs
        };
        assert_eq!(world.boot(firmware), host);
        let mut asks = request(BOOT_A);
        asks.uefi = firmware.is_uefi();
        let asks = Input::EnrolAsked {
            request: Box::new(asks),
            key: "k".into(),
        };
        assert_eq!(
            world.put(asks),
            Some(Reply::BootLocal(Box::new(plan.clone())))
        );
        assert_eq!(world.phase(), Phase::Held, "its host has not called");
        let again = "33333333-3333-3333-3333-333333333333";
        assert_eq!(
            world.put(register(&plan, again)),
            Some(Reply::Host(HostInstruction::CarryOn))
        );
        assert_eq!(world.phase(), Phase::Ready);
        assert!(world.reason().what.contains("the order has lapsed"));
        assert_eq!(world.node().report().plan, Some(plan));
        world.check_replay();

        // The host that never went away: its next report is enough.
        let (mut world, plan) = lapsed();
        world.put(beat(&plan.id, BOOT_B));
        assert_eq!(world.phase(), Phase::Ready);
        world.later(READY_SILENCE_MAX);
        assert_eq!(world.phase(), Phase::Suspect);
    }
    // Held for anything else, a host's report changes nothing.
    let (mut world, plan) = World::ready();
    world.put(ordered(2, true));
    world.put(enrol(BOOT_A, "k"));
    world.later(CHECKING_SILENCE_MAX);
    world.put(beat(&plan.id, BOOT_B));
    assert_eq!(world.phase(), Phase::Held);
}
