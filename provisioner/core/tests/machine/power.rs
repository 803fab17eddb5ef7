// SPDX-License-Identifier: Apache-2.0
//! Machines that their BMC brings to boot, and those that a person powers on.

use crate::life::{done, failed, site_with_bmc};
use crate::world::*;
use groundstate_api::site_parts::Slot;

#[test]
fn a_machine_with_a_bmc_is_brought_to_boot_and_without_one_a_person_is_asked() {
    let mut world = World::new();
    world.put(ordered(1, false));
    assert_eq!(world.code(), Some(ReasonCode::PowerNeeded));

    let mut world = World::of(site_with_bmc(0));
    world.put(ordered(1, false));
    assert_eq!(world.code(), Some(ReasonCode::UnderWay));
    let mut acts = Vec::new();
    for _ in 0..7 {
        world.later(Millis(0));
        let (id, act) = world.last_carried();
        acts.push(act.says());
        // The same again after a restart of ours, by the same number; nothing beside it.
        let before = world.carried.len();
        world.put(Input::Restarted);
        assert_eq!(world.carried.len(), before + 1);
        assert_eq!(world.carried.last().unwrap().id, id);
        world.later(Millis(0));
        assert_eq!(world.carried.len(), before + 1, "never two at a time");
        world.ends(id, done());
        world.ends(id, done());
        if matches!(
            act,
            Act::Power {
                to: PowerTo::Cycle | PowerTo::On
            }
        ) {
            world.later(Millis::secs(5 * 60));
        }
    }
    assert_eq!(
        acts,
        [
            "boot from the network once",
            "power cycle",
            "boot from the network once",
            "power off at once",
            "power on",
            "boot from the network once",
            "power cycle",
        ]
    );
    assert_eq!(world.phase(), Phase::Held);
    assert_eq!(world.code(), Some(ReasonCode::EnrolmentExpired));
    assert!(
        world
            .reason()
            .evidence
            .iter()
            .any(|line| line.contains("3rd try: power cycle: done by"))
    );
    world.check_replay();
}

#[test]
fn a_bmc_that_refuses_is_not_hammered_and_a_person_hears_of_it() {
    let mut world = World::of(site_with_bmc(0));
    world.put(ordered(1, false));
    world.later(Millis(0));
    let (id, _) = world.last_carried();
    world.ends(id, failed(ReasonCode::BmcRefused));
    world.later(Millis::secs(6 * 60));
    assert_eq!(world.carried.len(), 1);
    let reason = world.node().view().reason.unwrap();
    assert_eq!(reason.code, ReasonCode::PowerNeeded);
    assert!(
        reason
            .evidence
            .iter()
            .any(|line| line.contains("bmc-refused")),
        "{reason}"
    );
    // It enrols all the same, by hand.
    world.put(enrol(BOOT_A, "key-1"));
    assert_eq!(world.phase(), Phase::Checking);
}

/// Its BMC fails like this whenever it is asked, for so long. When it was asked, in seconds since the order, and for what.
fn asked_while(world: &mut World, code: ReasonCode, secs: u64) -> Vec<(u64, &'static str)> {
    let mut asked = Vec::new();
    for second in 0..secs {
        let before = world.carried.len();
        world.later(Millis::secs(u64::from(second > 0)));
        if world.carried.len() > before {
            let (id, act) = world.last_carried();
            asked.push((second, act.says()));
            world.ends(id, failed(code));
        }
    }
    asked
}

#[test]
fn a_bmc_that_could_not_be_asked_is_asked_again_in_the_window_with_a_growing_pause() {
    const NEXT_BOOT: &str = "boot from the network once";
    for code in [ReasonCode::CredentialMissing, ReasonCode::BmcUnreachable] {
        let mut world = World::of(site_with_bmc(0));
        world.put(ordered(1, false));
        let asked = asked_while(&mut world, code, 300);
        let seconds = [0, 30, 90, 210];
        assert_eq!(asked, seconds.map(|second| (second, NEXT_BOOT)));
        let reason = world.node().view().reason.unwrap();
        assert_eq!(reason.code, code);
        assert_eq!(reason.next_step, "look at it");
        let next = world.now.plus(Millis::secs(330 - 299));
        assert_eq!(reason.deadline, Some(next), "{reason}");
        assert!(
            reason
                .next_automatic
                .contains("asked again at the deadline")
        );
        assert!(
            reason.evidence.iter().any(|line| line.contains("4 times")),
            "{reason}"
        );
        // A restart of ours neither forgets the pause nor shortens it.
        world.check_replay();
        // What ended says when it is asked again, in the history too.
        let ended = world.node().action_views().remove(0).outcome;
        assert!(
            matches!(&ended, Some(Outcome::Failed { reason }) if reason.deadline == Some(next)),
            "{ended:?}"
        );
        // It answers: from here on all goes as if it always had.
        world.later(next.since(world.now));
        let again = world.node().view().reason.unwrap();
        assert!(again.next_automatic.contains("is being asked again"));
        let (id, _) = world.last_carried();
        world.ends(id, done());
        world.later(Millis(0));
        assert_eq!(world.last_carried().1, Act::Power { to: PowerTo::Cycle });
        assert_eq!(world.code(), Some(ReasonCode::UnderWay));
    }
}

#[test]
fn a_bmc_that_never_answers_is_left_alone_when_the_window_closes() {
    let mut world = World::of(site_with_bmc(0));
    world.put(ordered(1, false));
    let asked = asked_while(&mut world, ReasonCode::BmcUnreachable, 15 * 60 - 60);
    let seconds: Vec<u64> = asked.iter().map(|(second, _)| *second).collect();
    assert_eq!(seconds, [0, 30, 90, 210, 330, 450, 570, 690, 810]);
    let reason = world.node().view().reason.unwrap();
    assert_eq!(reason.code, ReasonCode::PowerNeeded);
    assert!(reason.next_step.contains("(serial number GS1)"), "{reason}");
    world.later(Millis::secs(2 * 60));
    assert_eq!(world.code(), Some(ReasonCode::EnrolmentExpired));
    world.later(Millis::secs(10 * 60));
    assert_eq!(world.carried.len(), 9);

    // A rescue has no window, and ends as soon.
    let mut site = site_with_bmc(0);
    site.rescue.keys.push("ssh-ed25519 AAAA ana".into());
    let mut world = World::of(site);
    world.put(Input::Life {
        order: LifeOrder::Rescue,
        by: "operator:ana".into(),
        why: "lost".into(),
    });
    assert_eq!(world.phase(), Phase::Rescue);
    let asked = asked_while(&mut world, ReasonCode::CredentialMissing, 60 * 60);
    assert_eq!(asked.len(), 9);
    world.check_replay();
}

#[test]
fn a_restart_whose_answer_was_lost_has_its_time_before_anything_is_done_again() {
    let mut world = World::of(site_with_bmc(0));
    world.put(ordered(1, false));
    world.later(Millis(0));
    let (id, _) = world.last_carried();
    world.ends(id, done());
    world.later(Millis(0));
    let (id, cycle) = world.last_carried();
    assert_eq!(cycle, Act::Power { to: PowerTo::Cycle });
    world.ends(id, failed(ReasonCode::BmcUnreachable));
    world.later(Millis::secs(5 * 60 - 1));
    assert_eq!(world.carried.len(), 2);
    world.later(Millis::secs(1));
    assert_eq!(world.last_carried().1.says(), "boot from the network once");
    assert_eq!(world.carried.last().unwrap().attempt, 2);
    // Off and on may be asked as often as it takes: what is so already is not done twice.
    let (id, _) = world.last_carried();
    world.ends(id, done());
    world.later(Millis(0));
    let (id, off) = world.last_carried();
    world.ends(id, failed(ReasonCode::CredentialMissing));
    world.later(Millis::secs(29));
    assert_eq!(world.carried.len(), 4);
    world.later(Millis::secs(1));
    assert_eq!((world.last_carried().1, world.carried.len()), (off, 5));
    world.check_replay();
}

#[test]
fn a_machine_that_a_person_powers_on_is_said_with_its_place() {
    let mut site = site();
    site.nodes[0].slot = Some(Slot {
        rack: "r1".into(),
        unit: 7,
        height: 1,
        bay: None,
        power: vec![],
        port: None,
    });
    let mut world = World::of(site);
    let place = "rack r1, unit 7, serial number GS1";
    world.put(ordered(1, false));
    let reason = world.node().view().reason.unwrap();
    assert_eq!(reason.code, ReasonCode::PowerNeeded);
    assert!(
        reason.next_step.ends_with(&format!("({place})")),
        "{reason}"
    );
    let wanted = Input::ActionWanted {
        act: Act::Power { to: PowerTo::On },
        by: "operator:ana".into(),
        because: None,
    };
    match world.put(wanted) {
        Some(Reply::Conflict(reason)) => assert!(reason.next_step.contains(place), "{reason}"),
        reply => panic!("{reply:?}"),
    }
}

#[test]
fn a_window_without_boot_is_tried_again_where_a_bmc_can_do_something() {
    let mut world = World::of(site_with_bmc(1));
    world.put(ordered(1, false));
    world.later(ENROLMENT_WINDOW_MAX);
    for _ in 0..2 {
        world.later(Millis::secs(60));
    }
    assert_eq!((world.phase(), world.node().runs), (Phase::Ordered, 2));
}
