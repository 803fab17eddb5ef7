// SPDX-License-Identifier: Apache-2.0
//! A machine that lost power in the middle of its run comes back, and the run goes on by itself.

use crate::world::*;
use groundstate_api::erase::{EraseClass, EraseTerms};
use groundstate_api::plan::OrderTerms;
use prov_core::deadline::*;

const BOOT_C: &str = "33333333-3333-3333-3333-333333333333";

fn boot_number(number: u32) -> String {
    format!("44444444-4444-4444-4444-{number:012}")
}

fn done() -> StepState {
    StepState::Done {
        facts: vec!["done".into()],
    }
}

/// Deploying, in the middle of the image, with the host's key already issued.
fn in_the_image() -> (World, Plan) {
    let (mut world, plan) = World::deploying(1);
    for (number, step) in (1..).step_by(2).zip(Step::ALL) {
        world.put(progress(&plan.run, number, step, StepState::Started));
        if step == Step::Image {
            break;
        }
        world.put(progress(&plan.run, number + 1, step, done()));
    }
    (world, plan)
}

/// The machine comes back after its first key has been silent for as long as must be.
fn comes_back(world: &mut World, boot: &str, key: &str) {
    world.later(FIRST_KEY_QUIET);
    let reply = world.put(enrol(boot, key));
    assert!(matches!(reply, Some(Reply::Enrolled { .. })), "{reply:?}");
}

#[test]
fn a_run_goes_on_in_the_next_boot_with_the_same_plan_from_its_first_step() {
    let (mut world, plan) = in_the_image();
    world.later(FIRST_KEY_QUIET);
    assert_eq!(
        world.boot(Firmware::UefiHttp),
        BootAnswer::MaintenanceOs,
        "the machine finds its way back"
    );
    assert_eq!(
        world.put(enrol(BOOT_B, "key-b")),
        Some(Reply::Enrolled {
            run: plan.run.clone(),
            firmware: None,
            boot: 2
        })
    );
    let same = Instruction::CarryOut {
        plan: Box::new(plan.clone()),
        image_begun: true,
    };
    assert_eq!(world.node().instruction(&plan.run), same);
    let plans = world.plans_asked;
    let mut looked = inventory();
    looked.boot_id = BOOT_B.parse().unwrap();
    world.put(Input::InventoryReceived {
        run: plan.run.clone(),
        inventory: Box::new(looked),
        findings: vec![],
    });
    assert_eq!(world.node().instruction(&plan.run), same);
    assert_eq!(world.plans_asked, plans, "nothing is planned again");

    // It is seen: in the journal, among the alarms, in the report.
    let came_back = world.journal.iter().rev().find(
        |event| matches!(&event.what, Happened::CameBack { boot: 2, key, .. } if key == "key-b"),
    );
    let line = groundstate_api::headline::headline(&came_back.unwrap().what);
    assert_eq!(
        line,
        "ALARM: node came back after power loss, 2nd boot of this run"
    );
    let alarms = world.node().report().alarms;
    assert!(
        alarms
            .iter()
            .any(|alarm| alarm.code == ReasonCode::PowerLost),
        "{alarms:?}"
    );
    let report = world.node().report();
    assert!(
        report.facts.is_empty(),
        "what the boot before said of its steps holds no more: {:?}",
        report.facts
    );

    // Reports count from 1 again, and the run comes to its end.
    world.hand_over(&plan);
    world.put(register(&plan, BOOT_C));
    assert_eq!(world.phase(), Phase::Ready);
    let timings = world.node().report().timings;
    let images = timings.iter().filter(|span| span.what == "image").count();
    assert_eq!(images, 1, "{timings:?}");
    assert!(timings.iter().any(|span| span.what == "checks, boot 2"));
    assert!(
        timings.iter().all(|span| span.took.is_some()),
        "{timings:?}"
    );
    world.check_replay();
}

#[test]
fn a_machine_that_lost_power_before_its_inventory_or_its_plan_goes_on_too() {
    let mut world = World::checking();
    comes_back(&mut world, BOOT_B, "key-b");
    assert_eq!(
        world.node().instruction(&run_id(1)),
        Instruction::SendInventory
    );
    world.take_inventory();
    comes_back(&mut world, BOOT_C, "key-c");
    assert!(matches!(
        world.node().instruction(&run_id(1)),
        Instruction::Wait { .. }
    ));
    let plan = plan(&run_id(1));
    world.put(Input::PlanMade {
        run: run_id(1),
        plan: Ok(Box::new(plan.clone())),
    });
    assert_eq!(
        world.node().instruction(&run_id(1)),
        Instruction::CarryOut {
            plan: Box::new(plan),
            image_begun: false,
        }
    );
    world.check_replay();
}

#[test]
fn the_boot_before_opens_nothing_more() {
    let (mut world, plan) = in_the_image();
    world.credential(&plan.run);
    assert!(world.node().is_bound_to(&plan.run, "key-1"));
    assert_eq!(world.node().withdrawn(&plan.run, "key-1"), None);
    comes_back(&mut world, BOOT_B, "key-b");
    let node = world.node();
    assert!(!node.is_bound_to(&plan.run, "key-1"));
    assert!(node.is_bound_to(&plan.run, "key-b"));
    assert_eq!(node.withdrawn(&plan.run, "key-b"), None);
    let reason = node.withdrawn(&plan.run, "key-1").unwrap();
    assert_eq!(reason.code, ReasonCode::NotAllowed);
    assert!(reason.what.contains("withdrawn"), "{reason}");
    // Its key does not enrol again either, whatever boot it says it is in.
    assert_eq!(world.refused(enrol(BOOT_A, "key-1")), ReasonCode::SecondKey);
    // Nor does the host that it had a certificate for, in this run and after it.
    world.later(Millis::secs(1));
    world.put(Input::Spoke {
        run: plan.run.clone(),
    });
    let old_host = || register_with(&plan, BOOT_C, "old-host-key");
    assert!(matches!(world.put(old_host()), Some(Reply::Conflict(_))));
    world.hand_over(&plan);
    assert!(matches!(world.put(old_host()), Some(Reply::Conflict(_))));
    world.put(register(&plan, BOOT_C));
    assert_eq!(world.phase(), Phase::Ready);
    assert!(matches!(world.put(old_host()), Some(Reply::Conflict(_))));
    world.check_replay();
}

/// In its run, with the key heard now: checking, then deploying.
fn in_its_run() -> [World; 2] {
    [World::checking(), World::deploying(1).0]
}

#[test]
fn a_machine_that_restarted_quickly_waits_and_comes_in_by_itself() {
    for mut world in in_its_run() {
        world.put(Input::Spoke { run: run_id(1) });
        for _ in 0..5 {
            let reply = world.put(enrol(BOOT_B, "key-b"));
            let Some(Reply::NotEnrolled { reason, retry }) = reply else {
                panic!("{reply:?}")
            };
            assert_eq!(reason.code, ReasonCode::SecondKey);
            assert!(reason.what.contains("heard a moment ago"), "{reason}");
            assert!(reason.next_step.contains("no action needed"), "{reason}");
            assert_eq!(retry, ENROL_RETRY);
            world.later(retry);
        }
        let mut alarms = world.node().alarms.iter();
        let first = alarms.next().unwrap();
        assert_eq!((first.code, alarms.next()), (ReasonCode::SecondKey, None));
        comes_back(&mut world, BOOT_B, "key-b");
        assert_eq!(world.node().run.as_ref().unwrap().boots, 2);
        world.check_replay();
    }
}

#[test]
fn while_the_key_speaks_another_boot_waits_and_from_then_on_a_person_decides() {
    for mut world in in_its_run() {
        // It asks, and the key speaks after that: there are two machines.
        for _ in 0..20 {
            world.later(Millis::secs(1));
            assert_eq!(world.refused(enrol(BOOT_B, "new")), ReasonCode::SecondKey);
            assert!(matches!(
                world.put(ordered(2, true)),
                Some(Reply::Conflict(_))
            ));
            world.put(Input::Spoke { run: run_id(1) });
        }
        world.later(FIRST_KEY_QUIET);
        assert!(
            matches!(world.put(ordered(2, true)), Some(Reply::Conflict(_))),
            "quiet, but no other boot has asked since"
        );
        let reply = world.put(enrol(BOOT_B, "new"));
        let Some(Reply::NotEnrolled { reason, retry }) = reply else {
            panic!("{reply:?}")
        };
        assert!(reason.what.contains("two machines"), "{reason}");
        assert_eq!(retry, ENROL_RETRY_SLOW);
        assert_eq!(world.node().run.as_ref().unwrap().boots, 1);
        assert!(
            matches!(world.put(ordered(2, false)), Some(Reply::Conflict(_))),
            "provision begins nothing anew"
        );
        assert_eq!(world.put(ordered(2, true)), Some(Reply::Accepted));
        assert_eq!(world.phase(), Phase::Ordered);
        let closed = world.journal.iter().any(|event| {
            matches!(&event.what, Happened::PhaseChanged { to: Phase::Held, reason: Some(reason), .. }
                if reason.code == ReasonCode::SecondKey)
        });
        assert!(closed, "the old run's end is in the journal");
        let reply = world.put(enrol(BOOT_B, "new"));
        assert!(matches!(reply, Some(Reply::Enrolled { boot: 1, .. })));
        world.check_replay();
    }
}

#[test]
fn only_the_whole_identity_in_another_boot_with_another_key_comes_back() {
    type Change = fn(&mut EnrolRequest);
    let changes: [Change; 3] = [
        |r| r.uuid = None,
        |r| r.serial = "GS2".into(),
        |r| r.macs = vec![MacAddr([2, 0, 0, 0, 0, 9])],
    ];
    let (mut world, _) = in_the_image();
    world.later(FIRST_KEY_QUIET);
    for change in changes {
        let mut request = request(BOOT_B);
        change(&mut request);
        let input = Input::EnrolAsked {
            request: Box::new(request),
            key: "key-b".into(),
        };
        assert_eq!(world.refused(input), ReasonCode::IdentityMismatch);
    }
    // The same boot with another key, and the same key in another boot, are no restarts.
    assert_eq!(world.refused(enrol(BOOT_A, "key-b")), ReasonCode::SecondKey);
    assert_eq!(world.refused(enrol(BOOT_B, "key-1")), ReasonCode::SecondKey);
    assert_eq!(world.node().run.as_ref().unwrap().boots, 1);
}

#[test]
fn a_machine_that_comes_back_too_often_is_held() {
    let (mut world, plan) = in_the_image();
    for number in 0..RETURNS_MAX {
        comes_back(&mut world, &boot_number(number), &format!("key-{number}b"));
        world.put(progress(&plan.run, 1, Step::Guard, StepState::Started));
        assert_eq!(world.phase(), Phase::Provisioning);
    }
    world.later(FIRST_KEY_QUIET);
    let last = enrol(&boot_number(99), "key-99");
    assert_eq!(world.refused(last.clone()), ReasonCode::PowerLost);
    assert_eq!(
        (world.phase(), world.code()),
        (Phase::Held, Some(ReasonCode::PowerLost))
    );
    assert!(
        world.reason().next_step.contains("reprovision"),
        "{}",
        world.reason()
    );
    // Held is held: nothing goes on by itself, and an order begins anew.
    assert_eq!(world.refused(last), ReasonCode::NothingOrdered);
    assert_eq!(world.put(ordered(2, true)), Some(Reply::Accepted));
    world.check_replay();
}

#[test]
fn a_run_that_is_over_or_held_does_not_go_on_by_itself() {
    let (mut world, plan) = in_the_image();
    let reason = Reason::new(ReasonCode::DiskError, "broken", "replace it");
    world.put(progress(
        &plan.run,
        99,
        Step::Image,
        StepState::Failed { reason },
    ));
    world.later(FIRST_KEY_QUIET);
    assert_eq!(
        world.refused(enrol(BOOT_B, "key-b")),
        ReasonCode::NothingOrdered
    );
    assert_eq!(world.phase(), Phase::Held);
    // After the hand-over the machine is the host's.
    let (mut world, plan) = World::deploying(1);
    world.hand_over(&plan);
    world.later(FIRST_KEY_QUIET);
    assert_eq!(world.boot(Firmware::UefiHttp), BootAnswer::LOCAL_DISK);
    assert_eq!(
        world.put(enrol(BOOT_B, "key-b")),
        Some(Reply::BootLocal(Box::new(plan)))
    );
    assert_eq!(world.phase(), Phase::HandedOver);
}

#[test]
fn a_machine_that_boots_from_the_network_is_not_silent_for_ever_and_not_called_silent_too_soon() {
    let (mut world, plan) = in_the_image();
    world.later(Millis(DEPLOYING_SILENCE_MAX.0 - 1_000));
    assert_eq!(world.phase(), Phase::Provisioning);
    world.put(Input::Sighted(BootSighting::Leased {
        address: "10.77.0.100".into(),
        firmware: Some(Firmware::UefiHttp),
    }));
    world.later(Millis::secs(60));
    assert_eq!(
        world.phase(),
        Phase::Provisioning,
        "its firmware took its time, and it is on its way"
    );
    comes_back(&mut world, BOOT_B, "key-b");
    assert_eq!(
        world.node().instruction(&plan.run),
        Instruction::CarryOut {
            plan: Box::new(plan),
            image_begun: true,
        }
    );
    // Signs without an enrolment do not keep a run open for ever.
    let (mut world, _) = in_the_image();
    for number in 0..100 {
        world.put(Input::Sighted(BootSighting::FileSent {
            file: format!("{number}"),
            length: Bytes(1),
            by: "http".into(),
        }));
        world.later(Millis::secs(60));
    }
    assert_eq!(world.phase(), Phase::Held);
}

#[test]
fn what_broke_while_the_power_was_off_holds_the_node() {
    for (code, holds) in [
        (ReasonCode::DimmMissing, true),
        (ReasonCode::DiskFailing, true),
        // What is on the disks in the middle of a run is the guard's matter.
        (ReasonCode::DiskInUse, false),
    ] {
        let (mut world, plan) = in_the_image();
        comes_back(&mut world, BOOT_B, "key-b");
        let findings = vec![Finding {
            gravity: Gravity::Stop,
            reason: Reason::new(code, "w", "n"),
        }];
        let looked = |boot: &str| {
            let mut inventory = inventory();
            inventory.boot_id = boot.parse().unwrap();
            Input::InventoryReceived {
                run: plan.run.clone(),
                inventory: Box::new(inventory),
                findings: findings.clone(),
            }
        };
        world.put(looked(BOOT_A));
        assert_eq!(
            world.phase(),
            Phase::Provisioning,
            "a retry of the first boot"
        );
        world.put(looked(BOOT_B));
        assert_eq!(world.phase() == Phase::Held, holds, "{code}");
        world.check_replay();
    }
}

#[test]
fn a_host_that_firmware_starts_in_the_middle_of_a_run_brings_the_machine_back() {
    // The old host, before anything was wiped: firmware boots from disk, and nobody is there to choose the network.
    let (mut world, first) = World::ready();
    world.put(ordered(2, true));
    world.put(enrol(BOOT_A, "key-2"));
    world.later(Millis::secs(5));
    assert_eq!(
        world.put(register(&first, BOOT_C)),
        Some(Reply::Host(HostInstruction::CarryOn)),
        "the maintenance OS may be there still"
    );
    world.later(FIRST_KEY_QUIET);
    assert_eq!(
        world.put(beat(&first.id, BOOT_C)),
        Some(Reply::Host(HostInstruction::RebootToNetwork))
    );
    assert_eq!(world.phase(), Phase::Checking);
    comes_back(&mut world, BOOT_B, "key-b");
    world.check_replay();

    // The new host, before its first-boot data was reported: it is made anew.
    let (mut world, plan) = in_the_image();
    world.credential(&plan.run);
    assert!(matches!(
        world.put(register(&plan, BOOT_C)),
        Some(Reply::Conflict(_))
    ));
    world.later(FIRST_KEY_QUIET);
    assert_eq!(
        world.put(register(&plan, BOOT_C)),
        Some(Reply::Host(HostInstruction::RebootToNetwork))
    );
    assert_eq!(world.phase(), Phase::Provisioning);
    comes_back(&mut world, BOOT_B, "key-b");
    world.hand_over(&plan);
    world.check_replay();
}

#[test]
fn a_host_speaks_for_a_run_whose_machine_lost_power_with_everything_in_place() {
    let everything_in_place = || {
        let (mut world, plan) = in_the_image();
        world.credential(&plan.run);
        for (number, step) in (100..).zip([Step::Image, Step::ReadBack, Step::FirstBoot]) {
            world.put(progress(&plan.run, number, step, done()));
        }
        let starts = StepState::Started;
        world.put(progress(&plan.run, 200, Step::BootEntry, starts));
        (world, plan)
    };
    let (mut world, plan) = everything_in_place();
    assert!(
        matches!(world.put(register(&plan, BOOT_C)), Some(Reply::Conflict(_))),
        "the maintenance OS speaks"
    );
    world.later(FIRST_KEY_QUIET);
    assert_eq!(
        world.put(register_with(&plan, BOOT_C, "another-key")),
        Some(Reply::Host(HostInstruction::RebootToNetwork))
    );
    assert_eq!(
        world.put(register(&plan, BOOT_C)),
        Some(Reply::Host(HostInstruction::CarryOn))
    );
    assert_eq!(world.phase(), Phase::Ready);
    assert_eq!(world.boot(Firmware::UefiHttp), BootAnswer::LOCAL_DISK);
    world.check_replay();

    // In a later boot of the run, a host of an earlier one proves nothing.
    let (mut world, plan) = everything_in_place();
    comes_back(&mut world, BOOT_B, "key-b");
    world.later(FIRST_KEY_QUIET);
    assert_eq!(
        world.put(register(&plan, BOOT_C)),
        Some(Reply::Host(HostInstruction::RebootToNetwork))
    );
    assert_eq!(world.phase(), Phase::Provisioning);
    world.check_replay();
}

#[test]
fn a_rebuild_that_lost_power_goes_on_and_its_host_speaks_for_its_end() {
    let (mut world, first) = World::ready();
    let rebuild = Input::Ordered {
        run: run_id(2),
        hand_over: None,
        again: true,
        terms: OrderTerms {
            rebuild: Some("S-DATA".into()),
            ..OrderTerms::default()
        },
    };
    assert_eq!(world.put(rebuild), Some(Reply::Accepted));
    world.put(enrol(BOOT_A, "key-2"));
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
    world.put(progress(&second.run, 1, Step::Volumes, StepState::Started));
    // Its own disk is whole, so firmware starts the host as it was.
    world.later(FIRST_KEY_QUIET);
    assert_eq!(
        world.put(register(&first, BOOT_C)),
        Some(Reply::Host(HostInstruction::RebootToNetwork))
    );
    comes_back(&mut world, BOOT_B, "key-b");
    world.credential(&second.run);
    world.put(progress(&second.run, 1, Step::FirstBoot, done()));
    world.later(FIRST_KEY_QUIET);
    assert_eq!(
        world.put(register(&second, &boot_number(1))),
        Some(Reply::Host(HostInstruction::CarryOn))
    );
    assert_eq!(world.phase(), Phase::Ready);
    world.check_replay();
}

#[test]
fn an_erase_that_lost_power_goes_on_and_its_disks_stay_in_quarantine_until_proved() {
    let (mut world, first) = World::ready();
    let erase = Input::Ordered {
        run: run_id(2),
        hand_over: None,
        again: true,
        terms: OrderTerms {
            erase: Some(EraseTerms {
                level: EraseClass::Clear,
                serials: vec!["S-DATA".into()],
                ordered_by: "operator:local".into(),
            }),
            ..OrderTerms::default()
        },
    };
    assert_eq!(world.put(erase), Some(Reply::Accepted));
    world.put(enrol(BOOT_A, "key-2"));
    world.put(Input::InventoryReceived {
        run: run_id(2),
        inventory: Box::new(inventory()),
        findings: vec![],
    });
    let mut erases = plan(&run_id(2));
    erases.disks.push(groundstate_api::plan::DiskPlan {
        serial: "S-DATA".into(),
        wwn: None,
        slot: "slot".into(),
        model: "m".into(),
        size: Bytes::gib(1),
        logical_sector: 512,
        role: groundstate_api::plan::Role::Spare,
        because: "ordered".into(),
        named: false,
        action: groundstate_api::plan::DiskAction::Erase {
            goes: vec![],
            level: EraseClass::Clear,
        },
    });
    world.put(Input::PlanMade {
        run: run_id(2),
        plan: Ok(Box::new(erases.clone())),
    });
    world.put(progress(&erases.run, 1, Step::Erase, StepState::Started));
    let quarantined = |world: &World| world.node().quarantine.contains_key("S-DATA");
    assert!(quarantined(&world));
    // Another disk has the host, which firmware starts: it brings the machine back.
    world.later(FIRST_KEY_QUIET);
    assert_eq!(
        world.put(register(&first, BOOT_C)),
        Some(Reply::Host(HostInstruction::RebootToNetwork))
    );
    comes_back(&mut world, BOOT_B, "key-b");
    assert!(quarantined(&world));
    assert_eq!(
        world.node().instruction(&erases.run),
        Instruction::CarryOut {
            plan: Box::new(erases.clone()),
            image_begun: false,
        }
    );
    world.put(progress(&erases.run, 1, Step::Erase, StepState::Started));
    // Without a certificate the end of the step proves nothing.
    world.put(progress(&erases.run, 2, Step::Erase, done()));
    assert_eq!(
        (world.phase(), world.code()),
        (Phase::Held, Some(ReasonCode::EraseFailed))
    );
    assert!(quarantined(&world));
    world.check_replay();
}
