// SPDX-License-Identifier: Apache-2.0
//! A node's life beside its runs, actions, runs that are tried again.

use crate::world::*;
use groundstate_api::host::{HostAct, HostActed};
use groundstate_api::plan::OrderTerms;
use groundstate_api::site_parts::BmcSite;

/// The site with a BMC, and this many retries.
pub(crate) fn site_with_bmc(retries: u32) -> site::Site {
    let mut site = site();
    site.policy.retries = retries;
    site.nodes[0].bmc = Some(BmcSite {
        address: "10.0.0.9".into(),
        protocol: None,
        credential: "bmc".into(),
        certificate: None,
        system: None,
    });
    site
}

pub(crate) fn done() -> Outcome {
    Outcome::Done {
        by: "redfish-once".into(),
        facts: vec![],
    }
}

pub(crate) fn failed(code: ReasonCode) -> Outcome {
    Outcome::Failed {
        reason: Reason::new(code, "it did not work", "look at it"),
    }
}

impl World {
    /// The last action that the shell was to carry out.
    pub(crate) fn last_carried(&self) -> (ActionId, Act) {
        let action = self.carried.last().unwrap();
        (action.id, action.act.clone())
    }

    pub(crate) fn ends(&mut self, id: ActionId, outcome: Outcome) {
        self.put(Input::ActionEnded { id, outcome });
    }

    fn conflict(&mut self, input: Input) -> ReasonCode {
        match self.put(input) {
            Some(Reply::Conflict(reason)) => reason.code,
            reply => panic!("{reply:?}"),
        }
    }
}

#[test]
fn the_table_of_a_nodes_life() {
    let mut table = String::new();
    for order in LifeOrder::ALL {
        let leads = |from: Phase| {
            Some(format!(
                "{}>{}",
                from.as_str(),
                order.leads_to(from)?.as_str()
            ))
        };
        let row: Vec<String> = Phase::ALL.into_iter().filter_map(leads).collect();
        table.push_str(&format!("{}: {}\n", order.as_str(), row.join(" ")));
    }
    expect_test::expect![[r#"
        drain: ready>draining suspect>draining
        quarantine: enrolled>quarantined ordered>quarantined booting>quarantined checking>quarantined planned>quarantined provisioning>quarantined erasing>quarantined handed-over>quarantined ready>quarantined suspect>quarantined draining>quarantined held>quarantined rescue>quarantined
        repair: enrolled>in-repair suspect>in-repair draining>in-repair quarantined>in-repair held>in-repair rescue>in-repair
        release: draining>suspect quarantined>suspect in-repair>suspect rescue>suspect retired>suspect
        retire: enrolled>retired suspect>retired draining>retired quarantined>retired in-repair>retired held>retired rescue>retired
        rescue: enrolled>rescue ready>rescue suspect>rescue draining>rescue quarantined>rescue in-repair>rescue held>rescue
    "#]]
    .assert_eq(&table);
}

#[test]
fn out_of_use_repaired_and_given_back() {
    let (mut world, plan) = World::ready();
    assert_eq!(world.life(LifeOrder::Quarantine), Some(Reply::Accepted));
    assert_eq!(world.code(), Some(ReasonCode::Quarantined));
    // Neither its host nor time nor an order of a run brings it out.
    world.put(beat(&plan.id, BOOT_B));
    world.later(Millis::secs(1_000_000));
    assert_eq!(world.conflict(ordered(2, true)), ReasonCode::Quarantined);
    assert_eq!(world.phase(), Phase::Quarantined);
    world.life(LifeOrder::Repair);
    assert_eq!(world.phase(), Phase::InRepair);
    world.put(register(&plan, BOOT_A));
    assert_eq!(world.phase(), Phase::InRepair);
    assert!(matches!(
        world.life(LifeOrder::Quarantine),
        Some(Reply::Conflict(_))
    ));
    world.life(LifeOrder::Release);
    assert_eq!(world.phase(), Phase::Suspect);
    world.beat_with(&plan.id, |beat| beat.boot_id = BOOT_A.parse().unwrap());
    assert_eq!(world.phase(), Phase::Ready);
    world.check_replay();
}

#[test]
fn a_quarantine_in_the_middle_of_a_run_ends_it() {
    let (mut world, plan) = World::deploying(1);
    world.life(LifeOrder::Quarantine);
    assert!(matches!(
        world.node().instruction(&plan.run),
        Instruction::Hold { .. }
    ));
    world.put(progress(&plan.run, 1, Step::Wipe, StepState::Started));
    assert_eq!(world.phase(), Phase::Quarantined);
    assert_eq!(
        world.refused(enrol(BOOT_A, "key-2")),
        ReasonCode::NothingOrdered
    );
}

#[test]
fn a_host_drains_once_and_waits_for_an_order() {
    let (mut world, plan) = World::ready();
    assert_eq!(world.life(LifeOrder::Drain), Some(Reply::Accepted));
    assert_eq!(world.phase(), Phase::Draining);
    let Some(Reply::Host(HostInstruction::Act { action, act })) = world.put(beat(&plan.id, BOOT_B))
    else {
        panic!()
    };
    assert_eq!(act, HostAct::Drain);
    assert!(
        world.carried.is_empty(),
        "the host's own work is not the shell's"
    );
    let acted = HostActed {
        action,
        facts: vec!["12 guests moved".into()],
        done: true,
    };
    let reply = world.beat_with(&plan.id, |beat| beat.ended = Some(acted.clone()));
    // The answer is from before the end is durable: it comes again, and the agent knows that it has done it.
    assert!(matches!(reply, Some(Reply::Host(_))));
    assert_eq!(
        world.put(beat(&plan.id, BOOT_B)),
        Some(Reply::Host(HostInstruction::CarryOn))
    );
    let reason = world.node().view().reason.unwrap();
    assert_eq!(reason.what, "the host has given its work away");
    assert!(reason.evidence.contains(&"12 guests moved".to_string()));
    world.later(Millis::secs(1_000_000));
    assert_eq!(world.phase(), Phase::Draining, "nothing happens by itself");
    let ends = world
        .journal
        .iter()
        .filter(|e| matches!(e.what, Happened::ActionEnded { .. }));
    assert_eq!(ends.count(), 1);
    assert_eq!(world.put(ordered(2, true)), Some(Reply::Accepted));
}

#[test]
fn a_drain_that_takes_too_long_says_so_and_the_node_goes_on() {
    let (mut world, _) = World::ready();
    world.put(beat(&plan(&run_id(1)).id, BOOT_B));
    world.life(LifeOrder::Drain);
    world.later(Millis::secs(30 * 60));
    let reason = world.node().view().reason.unwrap();
    assert!(reason.what.contains("failed or took too long"), "{reason}");
    assert_eq!(world.node().deadline(), None);
}

#[test]
fn a_retired_node_boots_nothing_and_only_an_order_takes_it_back() {
    let mut world = World::new();
    world.life(LifeOrder::Retire);
    assert_eq!(world.code(), Some(ReasonCode::Retired));
    assert_eq!(world.conflict(ordered(1, false)), ReasonCode::Retired);
    assert_eq!(
        world.refused(enrol(BOOT_A, "key-1")),
        ReasonCode::NothingOrdered
    );
    world.life(LifeOrder::Release);
    assert_eq!(world.phase(), Phase::Enrolled);
}

#[test]
fn a_rescue_needs_keys_and_writes_nothing() {
    let mut world = World::new();
    assert!(matches!(
        world.life(LifeOrder::Rescue),
        Some(Reply::Conflict(_))
    ));
    let mut with_keys = site();
    with_keys.rescue.keys = vec!["ssh-ed25519 AAAA ana".into()];
    let mut world = World::of(with_keys);
    world.life(LifeOrder::Rescue);
    assert_eq!(world.boot(Firmware::UefiPxe), BootAnswer::MaintenanceOs);
    assert_eq!(world.put(enrol(BOOT_A, "key-1")), Some(Reply::Rescue));
    assert_eq!(world.phase(), Phase::Rescue);
    world.later(Millis::secs(1_000_000));
    assert_eq!(world.phase(), Phase::Rescue);
    world.life(LifeOrder::Release);
    assert_eq!(world.phase(), Phase::Enrolled);
}

#[test]
fn a_plan_waits_to_be_approved_and_then_for_its_place() {
    let mut crowded = site();
    crowded.policy.runs_at_once = Some(0);
    let mut world = World::of(crowded);
    let terms = OrderTerms {
        approve: true,
        ..OrderTerms::default()
    };
    world.put(Input::Ordered {
        run: run_id(1),
        hand_over: None,
        again: false,
        terms,
    });
    world.put(enrol(BOOT_A, "key-1"));
    world.take_inventory();
    world.put(Input::PlanMade {
        run: run_id(1),
        plan: Ok(Box::new(plan(&run_id(1)))),
    });
    assert_eq!(
        (world.phase(), world.code()),
        (Phase::Planned, Some(ReasonCode::WaitsForApproval))
    );
    assert!(
        matches!(world.node().instruction(&run_id(1)), Instruction::Wait { reason } if reason.code == ReasonCode::WaitsForApproval)
    );
    let by = || "fabric:fc-1".to_string();
    assert_eq!(
        world.conflict(Input::PlanApproved {
            run: run_id(2),
            by: by()
        }),
        ReasonCode::PlanRefused
    );
    assert_eq!(
        world.put(Input::PlanApproved {
            run: run_id(1),
            by: by()
        }),
        Some(Reply::Accepted)
    );
    assert_eq!(
        (world.phase(), world.code()),
        (Phase::Planned, Some(ReasonCode::WaitsForPlace))
    );
    world.own();
    let reason = world.node().view().reason.unwrap();
    assert!(
        reason.evidence.contains(&"1st of 1 that wait".to_string()),
        "{reason}"
    );
    // The site gives a place.
    world.site.policy.runs_at_once = Some(1);
    let site = world.site.clone();
    world.fleet.reconcile(&site, world.now);
    world.own();
    assert_eq!(world.phase(), Phase::Provisioning);
    world.check_replay();
}

#[test]
fn an_erase_is_a_phase_of_its_own() {
    let mut world = World::new();
    let erase = groundstate_api::erase::EraseTerms {
        level: groundstate_api::erase::EraseClass::Clear,
        serials: vec!["S".into()],
        ordered_by: "operator:ana".into(),
    };
    let terms = OrderTerms {
        erase: Some(erase),
        ..OrderTerms::default()
    };
    world.put(Input::Ordered {
        run: run_id(1),
        hand_over: None,
        again: false,
        terms,
    });
    world.put(enrol(BOOT_A, "key-1"));
    world.take_inventory();
    let made = plan(&run_id(1));
    world.put(Input::PlanMade {
        run: run_id(1),
        plan: Ok(Box::new(made)),
    });
    assert_eq!(world.phase(), Phase::Erasing);
    assert!(matches!(
        world.node().instruction(&run_id(1)),
        Instruction::CarryOut { .. }
    ));
    world.put(progress(&run_id(1), 1, Step::Erase, StepState::Started));
    world.put(progress(
        &run_id(1),
        2,
        Step::Erase,
        StepState::Done { facts: vec![] },
    ));
    assert_eq!(world.phase(), Phase::Enrolled);
}

#[test]
fn a_silent_run_is_tried_again_with_longer_waits_and_then_held_with_all_that_was_tried() {
    let mut patient = site();
    patient.policy.retries = 2;
    let mut world = World::of(patient);
    world.put(ordered(1, false));
    let mut waits = Vec::new();
    for nth in 0..3 {
        assert_eq!(world.phase(), Phase::Ordered, "try {nth}");
        world.put(enrol(BOOT_A, &format!("key-{nth}")));
        world.later(Millis::secs(5 * 60));
        assert_eq!(
            (world.phase(), world.code()),
            (Phase::Held, Some(ReasonCode::NodeSilent))
        );
        let Some(due) = world.node().deadline() else {
            break;
        };
        waits.push(due.since(world.now).0);
        world.put(Input::Restarted);
        world.later(Millis(due.since(world.now).0 - 1));
        assert_eq!(world.phase(), Phase::Held, "not before its time");
        world.later(Millis(1));
    }
    assert_eq!(waits.len(), 2);
    assert!(waits[0] >= 30_000 && waits[1] >= 2 * waits[0], "{waits:?}");
    let reason = world.reason();
    assert_eq!(reason.deadline, None);
    assert_eq!(
        reason
            .evidence
            .iter()
            .filter(|line| line.contains("try, run"))
            .count(),
        2,
        "{reason}"
    );
    assert_eq!(world.node().runs, 3);
    let ids: std::collections::BTreeSet<_> = world
        .journal
        .iter()
        .filter_map(|event| match &event.what {
            Happened::RunOrdered { run, .. } => Some(run.clone()),
            _ => None,
        })
        .collect();
    assert_eq!(ids.len(), 3, "each try is a run of its own");
    world.check_replay();
}

#[test]
fn what_a_person_must_decide_is_never_tried_again() {
    let mut patient = site();
    patient.policy.retries = 2;
    let mut world = World::of(patient);
    let run = run_id(1);
    world.put(ordered(1, false));
    world.put(enrol(BOOT_A, "key-1"));
    world.take_inventory();
    world.put(Input::PlanMade {
        run: run.clone(),
        plan: Ok(Box::new(plan(&run))),
    });
    let mut reason = Reason::new(ReasonCode::DiskError, "w", "n");
    // What a machine says of deadlines is not believed.
    reason.deadline = Some(world.now);
    world.put(progress(&run, 1, Step::Wipe, StepState::Failed { reason }));
    assert_eq!(
        (world.phase(), world.node().deadline()),
        (Phase::Held, None)
    );
    world.later(Millis::secs(1_000_000));
    assert_eq!((world.phase(), world.node().runs), (Phase::Held, 1));
}

#[test]
fn actions_are_ordered_one_of_a_kind_and_end_once() {
    let (mut world, plan) = World::ready_of(site_with_bmc(0));
    let act = |act: Act| Input::ActionWanted {
        act,
        by: "operator:ana".into(),
        because: None,
    };
    let Some(Reply::Action(action)) = world.put(act(Act::Power { to: PowerTo::Cycle })) else {
        panic!()
    };
    assert_eq!(action.id, ActionId(world.journal.len() as u64));
    assert_eq!(world.carried.last(), Some(&*action));
    assert!(matches!(
        world.put(act(Act::Power { to: PowerTo::Off })),
        Some(Reply::Conflict(_))
    ));
    assert!(matches!(
        world.put(act(Act::Identify { on: true })),
        Some(Reply::Action(_))
    ));
    world.ends(action.id, done());
    let events = world.journal.len();
    world.ends(action.id, failed(ReasonCode::BmcIgnored));
    assert_eq!(world.journal.len(), events, "the first end counts");
    // A host that calls restarts itself; in another boot it has.
    world.put(beat(&plan.id, BOOT_B));
    let Some(Reply::Action(reboot)) = world.put(act(Act::RebootHost)) else {
        panic!()
    };
    assert_eq!(reboot.act, Act::RebootHost);
    let acted = HostActed {
        action: reboot.id,
        facts: vec![],
        done: true,
    };
    world.beat_with(&plan.id, |beat| beat.ended = Some(acted));
    assert!(
        world
            .node()
            .actions
            .iter()
            .any(|d| d.action.id == reboot.id && d.is_open())
    );
    world.put(register(&plan, BOOT_A));
    assert!(
        world
            .node()
            .actions
            .iter()
            .all(|d| d.action.id != reboot.id || !d.is_open())
    );
    world.check_replay();

    let mut bare = World::new();
    assert_eq!(
        bare.conflict(act(Act::Power { to: PowerTo::On })),
        ReasonCode::PowerNeeded
    );
    assert_eq!(
        bare.conflict(act(Act::RestartServices)),
        ReasonCode::HostSilent
    );
}

#[test]
fn a_host_that_cannot_restart_is_restarted_by_its_bmc_and_not_for_ever() {
    let (mut world, plan) = World::ready_of(site_with_bmc(0));
    world.put(beat(&plan.id, BOOT_B));
    let by = || "operator:ana".to_string();
    world.put(Input::ActionWanted {
        act: Act::RebootHost,
        by: by(),
        because: None,
    });
    for _ in 0..100 {
        world.put(beat(&plan.id, BOOT_B));
        world.later(Millis::secs(10 * 60));
        world.put(beat(&plan.id, BOOT_B));
    }
    let cycles = world
        .carried
        .iter()
        .filter(|action| action.act == Act::Power { to: PowerTo::Cycle });
    assert_eq!(cycles.count(), 1);
    assert!(world.node().actions.iter().all(|doing| !doing.is_open()));
}

#[test]
fn ghosts_are_fenced_off_and_make_nothing_ready() {
    let (mut world, first) = World::ready();
    let code = |reply: Option<Reply>| match reply {
        Some(Reply::Conflict(reason)) => reason.code,
        reply => panic!("{reply:?}"),
    };
    // The same host in a boot that another one has followed.
    world.put(register(&first, BOOT_A));
    assert_eq!(code(world.put(beat(&first.id, BOOT_B))), ReasonCode::Fenced);
    assert_eq!(
        code(world.put(register(&first, BOOT_B))),
        ReasonCode::Fenced
    );
    // An epoch that is not its own.
    let early = world.beat_with(&first.id, |beat| {
        beat.boot_id = BOOT_A.parse().unwrap();
        beat.epoch = 7;
    });
    assert_eq!(code(early), ReasonCode::Fenced);
    let alarms = world
        .node()
        .alarms
        .iter()
        .filter(|alarm| alarm.code == ReasonCode::Fenced);
    assert_eq!(alarms.count(), 1, "one alarm a minute");
    // The host of the run before.
    let second = world.deploy(2, true);
    world.hand_over(&second);
    for ghost in [register(&first, BOOT_A), beat(&first.id, BOOT_A)] {
        assert_eq!(code(world.put(ghost)), ReasonCode::Fenced);
        assert_eq!(world.phase(), Phase::HandedOver);
    }
    world.put(register(&second, "33333333-3333-3333-3333-333333333333"));
    assert_eq!(
        (world.phase(), world.node().host.as_ref().unwrap().epoch),
        (Phase::Ready, 2)
    );
    world.check_replay();
}
