// SPDX-License-Identifier: Apache-2.0
//! Whose key it is, and what is refused.

use crate::world::*;
use prov_core::deadline::*;

#[test]
fn the_same_key_is_enrolled_again_and_a_second_one_never() {
    let mut world = World::new();
    world.put(ordered(1, false));
    assert!(matches!(
        world.put(enrol(BOOT_A, "first")),
        Some(Reply::Enrolled { .. })
    ));
    let events = world.journal.len();
    assert!(matches!(
        world.put(enrol(BOOT_A, "first")),
        Some(Reply::Enrolled { .. })
    ));
    assert_eq!(world.journal.len(), events, "a retry is not an event");
    for boot in [BOOT_A, BOOT_B] {
        let Some(Reply::NotEnrolled { reason, .. }) = world.put(enrol(boot, "second")) else {
            panic!()
        };
        assert_eq!(reason.code, ReasonCode::SecondKey);
    }
    // The first key in another boot is not that enrolment either.
    assert!(matches!(
        world.put(enrol(BOOT_B, "first")),
        Some(Reply::NotEnrolled { .. })
    ));
    assert!(
        world
            .node()
            .alarms
            .iter()
            .any(|a| a.code == ReasonCode::SecondKey)
    );
    assert_eq!(
        world.node().run.as_ref().unwrap().key.as_ref().unwrap().key,
        "first"
    );
}

#[test]
fn a_refusal_that_repeats_itself_does_not_fill_the_journal() {
    let mut world = World::new();
    for _ in 0..100 {
        world.now = world.now.plus(Millis(100));
        let Some(Reply::NotEnrolled { reason, .. }) = world.put(enrol(BOOT_A, "k")) else {
            panic!()
        };
        assert_eq!(reason.code, ReasonCode::NothingOrdered);
    }
    assert!(world.journal.len() < 4, "{}", world.journal.len());
}

#[test]
fn every_part_of_the_identity_must_match() {
    type Change = fn(&mut EnrolRequest);
    let changes: [(&str, Change); 4] = [
        ("UUID", |r| r.uuid = None),
        ("UUID", |r| {
            r.uuid = Some("00000000-5678-9abc-def0-123456789abc".parse().unwrap())
        }),
        ("serial", |r| r.serial = "GS2".into()),
        ("MAC", |r| r.macs = vec![MacAddr([2, 0, 0, 0, 0, 9])]),
    ];
    for (names, change) in changes {
        let mut world = World::new();
        world.put(ordered(1, false));
        let mut request = request(BOOT_A);
        change(&mut request);
        let reply = world.put(Input::EnrolAsked {
            request: Box::new(request),
            key: "k".into(),
        });
        let Some(Reply::NotEnrolled { reason, .. }) = reply else {
            panic!("{reply:?}")
        };
        assert_eq!(reason.code, ReasonCode::IdentityMismatch);
        assert!(
            reason.evidence.iter().any(|line| line.contains(names)),
            "{reason:?}"
        );
        assert_eq!(world.node().alarms.len(), 1);
        assert_eq!(world.phase(), Phase::Ordered);
    }
}

#[test]
fn a_window_closes_and_only_an_order_opens_another() {
    let mut world = World::new();
    world.put(ordered(1, false));
    world.now = world.now.plus(ENROLMENT_WINDOW_MAX);
    // Before the timer has fired the answer is the same.
    let Some(Reply::NotEnrolled { reason, .. }) = world.put(enrol(BOOT_A, "k")) else {
        panic!()
    };
    assert_eq!(reason.code, ReasonCode::EnrolmentExpired);
    world.put(Input::Timeout);
    assert_eq!(
        (world.phase(), world.code()),
        (Phase::Held, Some(ReasonCode::EnrolmentExpired))
    );
    let Some(Reply::NotEnrolled { reason, .. }) = world.put(enrol(BOOT_A, "k")) else {
        panic!()
    };
    assert_eq!(reason.code, ReasonCode::EnrolmentExpired);
    world.deploy(2, true);
}

#[test]
fn what_a_machine_says_in_detail_does_not_fill_the_journal() {
    let mut world = World::new();
    world.put(ordered(1, false));
    let events = world.journal.len();
    for number in 0..500 {
        world.now = world.now.plus(Millis(100));
        let mut request = request(BOOT_A);
        request.serial = format!("serial-{number}");
        let input = Input::EnrolAsked {
            request: Box::new(request),
            key: format!("key-{number}"),
        };
        assert_eq!(world.refused(input), ReasonCode::IdentityMismatch);
    }
    assert_eq!(world.journal.len(), events + 1);
    assert_eq!(world.node().alarms.len(), 1);
    world.now = world.now.plus(REFUSAL_AGAIN);
    let mut request = request(BOOT_A);
    request.serial = "x".into();
    world.put(Input::EnrolAsked {
        request: Box::new(request),
        key: "k".into(),
    });
    assert_eq!(world.journal.len(), events + 2);
    // Another kind is news at once.
    world.put(enrol(BOOT_A, "first"));
    assert_eq!(
        world.refused(enrol(BOOT_A, "second")),
        ReasonCode::SecondKey
    );
    assert_eq!(world.node().alarms.len(), 3);
}

#[test]
fn any_address_finds_the_node_and_two_nodes_addresses_find_neither() {
    let (second, stranger) = (MacAddr([2, 0, 0, 0, 0, 2]), MacAddr([2, 0, 0, 0, 0, 9]));
    let mut site = site();
    let mut other = site.nodes[0].clone();
    other.name = "node-2".parse().unwrap();
    other.mac = second;
    site.nodes.push(other);
    let fleet = Fleet::new(&site, Millis(0));
    let named = |name: &str| Found::Node(name.parse().unwrap());
    assert_eq!(fleet.find(MAC, &[]), named("node-1"));
    assert_eq!(fleet.find(stranger, &[stranger, second]), named("node-2"));
    assert_eq!(fleet.find(MAC, &[second]), named("node-1"));
    assert!(matches!(fleet.find(stranger, &[]), Found::Nobody(_)));

    let mut both = request(BOOT_A);
    both.macs.push(second);
    let mut out = vec![];
    let input = Input::EnrolAsked {
        request: Box::new(both),
        key: "k".into(),
    };
    fleet.decide(Millis(0), &node(), input, &mut out);
    let refused = out.iter().any(|wish| {
        matches!(wish, Wish::Reply(Reply::NotEnrolled { reason, .. })
            if reason.code == ReasonCode::IdentityMismatch
                && reason.evidence == ["MAC 02:00:00:00:00:02 belongs to node-2"])
    });
    assert!(refused, "{out:?}");
}

#[test]
fn an_order_is_picked_up_by_the_maintenance_os_that_is_still_there() {
    let mut world = World::checking();
    let reason = Reason::new(ReasonCode::DimmMissing, "gone", "put it back");
    world.put(Input::InventoryReceived {
        run: run_id(1),
        inventory: Box::new(inventory()),
        findings: vec![Finding {
            gravity: Gravity::Stop,
            reason,
        }],
    });
    world.later(Millis::secs(3_600));
    world.put(Input::Spoke { run: run_id(1) });
    world.later(Millis::secs(59));
    assert_eq!(world.put(ordered(2, true)), Some(Reply::Accepted));
    assert!(world.reason().next_step.contains("goes on by itself"));
    assert_eq!(
        world.node().instruction(&run_id(1)),
        Instruction::EnrolAgain
    );
    // The key of that boot is the first one of the new run.
    assert_eq!(
        world.put(enrol(BOOT_A, "key-1")),
        Some(Reply::Enrolled {
            run: run_id(2),
            firmware: None,
            boot: 1
        })
    );
    assert_eq!(
        world.node().instruction(&run_id(2)),
        Instruction::SendInventory
    );
    assert!(matches!(
        world.node().instruction(&run_id(1)),
        Instruction::Hold { .. }
    ));
    world.check_replay();

    // Nobody was heard for a minute: a person has to come.
    let mut world = World::checking();
    world.later(CHECKING_SILENCE_MAX);
    assert_eq!(world.phase(), Phase::Held);
    world.put(ordered(2, true));
    assert!(world.reason().next_step.contains("power the machine on"));
    // It asks for nothing as long as nothing is ordered, and is heard all the same.
    let mut world = World::new();
    assert_eq!(
        world.refused(enrol(BOOT_A, "k")),
        ReasonCode::NothingOrdered
    );
    world.put(ordered(1, false));
    assert!(world.reason().next_step.contains("goes on by itself"));
}
