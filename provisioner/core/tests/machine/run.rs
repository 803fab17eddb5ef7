// SPDX-License-Identifier: Apache-2.0
//! From order to hand-over, and what stops a run.

use crate::world::*;
use prov_core::deadline::*;

#[test]
fn the_happy_way_in_phases() {
    let (world, _) = World::ready();
    let phases: Vec<String> = world
        .journal
        .iter()
        .filter_map(|event| match &event.what {
            Happened::PhaseChanged { from, to, .. } => {
                Some(format!("{} -> {}", from.as_str(), to.as_str()))
            }
            _ => None,
        })
        .collect();
    expect_test::expect![[r#"
        enrolled -> ordered
        ordered -> checking
        checking -> provisioning
        provisioning -> handed-over
        handed-over -> ready"#]]
    .assert_eq(&phases.join("\n"));
    let report = world.node().report();
    assert_eq!(report.facts.len(), Step::ALL.len());
    assert!(
        report.timings.iter().all(|t| t.took.is_some()),
        "{:?}",
        report.timings
    );
    world.check_replay();
}

#[test]
fn a_stop_finding_holds_before_any_plan() {
    let mut world = World::new();
    world.put(ordered(1, false));
    world.put(enrol(BOOT_A, "k"));
    let reason = Reason::new(ReasonCode::DimmMissing, "gone", "put it back");
    let finding = Finding {
        gravity: Gravity::Stop,
        reason,
    };
    world.put(Input::InventoryReceived {
        run: run_id(1),
        inventory: Box::new(inventory()),
        findings: vec![finding],
    });
    assert_eq!(
        (world.phase(), world.code()),
        (Phase::Held, Some(ReasonCode::DimmMissing))
    );
    assert_eq!(world.plans_asked, 0);
    assert!(matches!(
        world.node().instruction(&run_id(1)),
        Instruction::Hold { .. }
    ));
    // A plan that comes late changes nothing.
    world.put(Input::PlanMade {
        run: run_id(1),
        plan: Ok(Box::new(plan(&run_id(1)))),
    });
    assert_eq!(world.phase(), Phase::Held);
    assert_eq!(world.node().last_good, None);
}

#[test]
fn a_failed_step_holds_and_an_older_run_is_told_to_stop() {
    let (mut world, plan) = World::deploying(1);
    let reason = Reason::new(ReasonCode::DiskError, "I/O", "replace");
    world.put(progress(
        &plan.run,
        1,
        Step::Wipe,
        StepState::Failed { reason },
    ));
    assert_eq!(
        (world.phase(), world.code()),
        (Phase::Held, Some(ReasonCode::DiskError))
    );
    world.put(progress(
        &plan.run,
        2,
        Step::HandOver,
        StepState::Done { facts: vec![] },
    ));
    assert_eq!(world.phase(), Phase::Held);
    assert_eq!(world.put(ordered(2, true)), Some(Reply::Accepted));
    assert_eq!(world.node().instruction(&plan.run), Instruction::EnrolAgain);
    world.put(enrol(BOOT_B, "another"));
    assert!(matches!(
        world.node().instruction(&plan.run),
        Instruction::Hold { .. }
    ));
    world.check_replay();
}

#[test]
fn running_figures_are_seen_and_not_journalled() {
    let (mut world, plan) = World::deploying(1);
    world.put(progress(&plan.run, 1, Step::Image, StepState::Started));
    let events = world.journal.len();
    for number in 2..500 {
        let state = StepState::Running {
            done: Bytes(number),
            total: Bytes(500),
        };
        world.put(progress(&plan.run, number, Step::Image, state));
    }
    assert_eq!(world.journal.len(), events);
    let state = StepState::Running {
        done: Bytes(499),
        total: Bytes(500),
    };
    assert_eq!(world.node().view().step, Some((Step::Image, state)));
    // An old number changes nothing; a new one does.
    world.put(progress(
        &plan.run,
        7,
        Step::Image,
        StepState::Done { facts: vec![] },
    ));
    assert_eq!(world.journal.len(), events);
    world.put(progress(
        &plan.run,
        500,
        Step::Image,
        StepState::Done { facts: vec![] },
    ));
    assert_eq!(world.journal.len(), events + 1);
}

#[test]
fn silence_ends_each_phase_in_its_own_way() {
    let (mut world, _) = World::deploying(1);
    world.later(Millis(DEPLOYING_SILENCE_MAX.0 - 1));
    assert_eq!(world.phase(), Phase::Provisioning);
    world.put(Input::Spoke { run: run_id(1) });
    world.later(Millis(DEPLOYING_SILENCE_MAX.0 - 1));
    assert_eq!(
        world.phase(),
        Phase::Provisioning,
        "a node that waits for us keeps its run"
    );
    world.later(Millis(1));
    assert_eq!(
        (world.phase(), world.code()),
        (Phase::Held, Some(ReasonCode::NodeSilent))
    );

    let (mut world, plan) = World::deploying(1);
    world.hand_over(&plan);
    world.later(HOST_START_MAX);
    assert_eq!(
        (world.phase(), world.code()),
        (Phase::Held, Some(ReasonCode::HostSilent))
    );
    world.put(register(&plan, BOOT_B));
    assert_eq!(
        world.phase(),
        Phase::Held,
        "a node never leaves quarantine by itself"
    );

    let (mut world, plan) = World::ready();
    world.later(Millis(3 * HEARTBEAT.0));
    assert_eq!(world.phase(), Phase::Suspect);
    world.put(beat(&plan.id, BOOT_B));
    assert_eq!(world.phase(), Phase::Ready);
}

#[test]
fn a_restart_asks_for_the_plan_that_was_not_made() {
    let mut world = World::new();
    world.put(ordered(1, false));
    world.put(enrol(BOOT_A, "k"));
    world.put(Input::InventoryReceived {
        run: run_id(1),
        inventory: Box::new(inventory()),
        findings: vec![],
    });
    assert_eq!(world.plans_asked, 1);
    world.put(Input::Restarted);
    assert_eq!(world.plans_asked, 2);
}

#[test]
fn checking_ends_however_often_the_machine_calls() {
    // The inventory never arrives: it is refused each time, or the node holds by itself.
    let mut world = World::checking();
    let began = world.now;
    while world.now < Millis(began.0 + CHECKING_MAX.0 - 60_000) {
        world.later(Millis::secs(60));
        assert_eq!(world.phase(), Phase::Checking);
        world.put(Input::Spoke { run: run_id(1) });
    }
    world.later(Millis::secs(60));
    assert_eq!(
        (world.phase(), world.code()),
        (Phase::Held, Some(ReasonCode::NodeSilent))
    );
    assert!(world.reason().what.contains("no inventory"));
    world.check_replay();
}

#[test]
fn a_plan_that_does_not_come_is_asked_for_again() {
    let mut world = World::checking();
    let began = world.now;
    world.take_inventory();
    assert_eq!(world.plans_asked, 1);
    let mut times = 0;
    while world.phase() == Phase::Checking {
        world.put(Input::Spoke { run: run_id(1) });
        world.later(Millis::secs(60));
        times += 1;
        assert!(times < 100);
    }
    // At once, then every five minutes until the absolute end.
    assert_eq!(world.plans_asked, 6);
    assert_eq!(world.now.since(began), CHECKING_MAX);
    assert_eq!(world.code(), Some(ReasonCode::Internal));
    // A machine that is silent too is told first.
    let mut world = World::checking();
    world.take_inventory();
    world.later(CHECKING_SILENCE_MAX);
    assert_eq!(world.code(), Some(ReasonCode::NodeSilent));
}

#[test]
fn a_plan_that_stands_still_ends_though_the_machine_calls() {
    let (mut world, plan) = World::deploying(1);
    let running = |done| StepState::Running {
        done: Bytes(done),
        total: Bytes(9),
    };
    world.put(progress(&plan.run, 1, Step::Image, StepState::Started));
    world.later(Millis::secs(300));
    world.put(progress(&plan.run, 2, Step::Image, running(1)));
    let moved = world.now;
    while world.phase() == Phase::Provisioning {
        world.later(Millis::secs(60));
        world.put(Input::Spoke { run: run_id(1) });
        // The same number again is acknowledged and is no step forward.
        world.put(progress(&plan.run, 2, Step::Image, running(1)));
    }
    assert_eq!(world.now.since(moved), DEPLOYING_STILL_MAX);
    assert_eq!(world.phase(), Phase::Held);
    assert!(world.reason().what.contains("no report"));
}

#[test]
fn a_machine_that_could_not_leave_is_held() {
    let (mut world, plan) = World::deploying(1);
    world.hand_over(&plan);
    let failed = |number| {
        let reason = Reason::new(ReasonCode::HandOverFailed, "kexec was refused", "reboot");
        progress(
            &plan.run,
            number,
            Step::HandOver,
            StepState::Failed { reason },
        )
    };
    world.put(failed(1));
    assert_eq!(world.phase(), Phase::HandedOver, "an old report");
    world.put(progress(&plan.run, 90, Step::Image, StepState::Started));
    assert_eq!(world.phase(), Phase::HandedOver, "the steps are over");
    world.put(failed(99));
    assert_eq!(
        (world.phase(), world.code()),
        (Phase::Held, Some(ReasonCode::HandOverFailed))
    );
    assert!(matches!(
        world.node().instruction(&plan.run),
        Instruction::Hold { reason } if reason.what == "kexec was refused"
    ));
    world.check_replay();
}
