// SPDX-License-Identifier: Apache-2.0
//! A host that runs already: who may become a node with which token, what the node is then, and what it can be asked.

use crate::world::*;
use groundstate_api::action::NextBoot;
use groundstate_api::adopt::{ADOPTED_RUN, AdoptRequest, AdoptToken};
use groundstate_api::host::HostAct;
use prov_core::adopt::{Adoptee, TOKENS_MAX};
use prov_core::deadline::READY_SILENCE_MAX;

const KEY: &str = "agent-key";

fn digest(token: &str) -> Digest {
    Digest::of(token.as_bytes())
}

fn make(world: &mut World, token: &str, minutes: u64) {
    let made = AdoptToken {
        token: digest(token),
        node: node(),
        expires: world.now.plus(Millis::secs(minutes * 60)),
        by: "operator:ana".into(),
        mac: None,
        serial: None,
    };
    let mut wishes = Vec::new();
    world.fleet.adopt_token(world.now, made, &mut wishes);
    let first = u64::try_from(world.journal.len()).unwrap() + 1;
    for event in settle(first, world.now, None, wishes).events {
        world.fleet.apply(&event);
        world.journal.push(event);
    }
}

fn adoptee(token: &str, key: Option<&str>) -> Adoptee {
    Adoptee {
        request: AdoptRequest {
            schema: SCHEMA,
            macs: vec![MAC],
            boot_mac: MAC,
            uuid: request(BOOT_A).uuid,
            serial: "GS1".into(),
            boot_id: BOOT_A.parse().unwrap(),
            uefi: true,
            os: "Fedora".into(),
            inventory: Box::new(inventory()),
            csr_pem: None,
            dry_run: false,
        },
        token: digest(token),
        key: key.map(Into::into),
    }
}

fn asked(world: &mut World, token: &str, key: Option<&str>) -> Option<Reply> {
    world.put(Input::AdoptAsked(Box::new(adoptee(token, key))))
}

fn adopted(world: &mut World, token: &str) -> PlanId {
    make(world, token, 30);
    match asked(world, token, Some(KEY)) {
        Some(Reply::Adopted(adoption)) => adoption,
        other => panic!("{other:?}"),
    }
}

fn calls(adoption: &PlanId, boot: &str) -> Input {
    Input::HostRegistered {
        plan: adoption.clone(),
        key: KEY.into(),
        register: Box::new(Register {
            schema: SCHEMA,
            node: node(),
            run: ADOPTED_RUN.parse().unwrap(),
            plan: adoption.clone(),
            boot_id: boot.parse().unwrap(),
            os: "Fedora".into(),
            kernel: "6".into(),
            uptime_secs: 1,
            changes: vec![],
            disk_serials: vec![],
        }),
    }
}

fn beats(adoption: &PlanId, boot: &str, boots_next: bool) -> Input {
    let Input::HostBeat { plan, mut beat, .. } = beat(adoption, boot) else {
        panic!("a heartbeat is one")
    };
    beat.boots_next = boots_next;
    let key = KEY.into();
    Input::HostBeat { plan, key, beat }
}

/// An adopted node whose agent calls.
fn ready() -> (World, PlanId) {
    let mut world = World::new();
    let adoption = adopted(&mut world, "t");
    world.put(calls(&adoption, BOOT_A));
    assert_eq!(world.phase(), Phase::Ready);
    (world, adoption)
}

#[test]
fn a_token_is_good_for_a_while_for_one_key_and_not_for_ever() {
    let mut world = World::new();
    make(&mut world, "old", 1);
    world.later(Millis::secs(60));
    assert!(matches!(
        asked(&mut world, "old", Some(KEY)),
        Some(Reply::Conflict(_))
    ));
    assert!(!world.fleet.has_token(world.now, &digest("old")));
    let adoption = adopted(&mut world, "new");
    assert_eq!(world.phase(), Phase::Suspect);
    // Its answer was lost: the same key is answered alike. Another key, or none, is not.
    assert_eq!(
        asked(&mut world, "new", Some(KEY)),
        Some(Reply::Adopted(adoption))
    );
    for key in [Some("another"), None] {
        assert!(matches!(
            asked(&mut world, "new", key),
            Some(Reply::Conflict(_))
        ));
    }
    world.check_replay();
}

#[test]
fn without_an_agent_a_token_is_good_once_and_the_node_waits_for_nobody() {
    let mut world = World::new();
    make(&mut world, "t", 30);
    assert!(matches!(
        asked(&mut world, "t", None),
        Some(Reply::Adopted(_))
    ));
    assert!(matches!(
        asked(&mut world, "t", None),
        Some(Reply::Conflict(_))
    ));
    assert_eq!(world.phase(), Phase::Enrolled);
    assert!(world.node().last_good.is_some() && !world.node().is_adopted());
    assert!(world.node().deadline().is_none());
    world.check_replay();
}

#[test]
fn tokens_are_bounded_and_the_old_ones_make_room() {
    let mut world = World::new();
    for number in 0..TOKENS_MAX {
        make(&mut world, &format!("t{number}"), 10);
    }
    let events = world.journal.len();
    make(&mut world, "one more", 10);
    assert_eq!(world.journal.len(), events, "it is refused");
    world.later(Millis::secs(600));
    make(&mut world, "one more", 10);
    assert!(world.fleet.has_token(world.now, &digest("one more")));
}

#[test]
fn an_adopted_host_is_silent_comes_back_and_is_never_replaced_by_the_policy() {
    let (mut world, adoption) = ready();
    let code = |world: &World| world.node().report().view.reason.unwrap().code;
    assert_eq!(code(&world), ReasonCode::Adopted);
    world.later(READY_SILENCE_MAX);
    assert_eq!(
        (world.phase(), code(&world)),
        (Phase::Suspect, ReasonCode::HostSilent)
    );
    // Whatever comes of the policy's steps, none of them is to provision it anew.
    let policy = HealingPolicy::default();
    let mut node = world.node().clone();
    for _ in 0..20 {
        let Some(next) = prov_core::healing::ladder::next(&node, &policy, world.now) else {
            break;
        };
        assert_ne!(next.measure, Measure::Reprovision);
        if let Some(episode) = &mut node.episode {
            episode.tried.push((next.measure, world.now, false));
        }
    }
    world.put(calls(&adoption, BOOT_B));
    assert_eq!(
        (world.phase(), code(&world)),
        (Phase::Ready, ReasonCode::Adopted)
    );
    // The boot before is a ghost.
    assert!(matches!(
        world.put(calls(&adoption, BOOT_A)),
        Some(Reply::Conflict(_))
    ));
    world.check_replay();
}

#[test]
fn an_agent_that_was_never_started_brings_no_measure_upon_its_host() {
    let mut world = World::new();
    adopted(&mut world, "t");
    for _ in 0..4 {
        world.later(Millis::secs(900));
        assert_eq!(world.phase(), Phase::Suspect);
        assert_eq!(world.code(), Some(ReasonCode::Adopted));
    }
    let policy = HealingPolicy::default();
    assert!(prov_core::healing::ladder::next(world.node(), &policy, world.now).is_none());
}

#[test]
fn it_is_taken_out_of_use_and_given_back_and_then_let_go() {
    let (mut world, adoption) = ready();
    let life = |order| Input::Life {
        order,
        by: "operator:ana".into(),
        why: String::new(),
    };
    for (order, phase) in [
        (LifeOrder::Quarantine, Phase::Quarantined),
        (LifeOrder::Repair, Phase::InRepair),
        (LifeOrder::Release, Phase::Suspect),
    ] {
        assert_eq!(world.put(life(order)), Some(Reply::Accepted));
        assert_eq!(world.phase(), phase);
    }
    world.put(calls(&adoption, BOOT_A));
    assert_eq!(world.phase(), Phase::Ready);
    let unadopt = || Input::Unadopted {
        by: "operator:ana".into(),
        why: "sold".into(),
    };
    assert_eq!(world.put(unadopt()), Some(Reply::Accepted));
    assert_eq!(world.phase(), Phase::Enrolled);
    let alarms = world.node().alarms.len();
    for input in [calls(&adoption, BOOT_A), beats(&adoption, BOOT_A, false)] {
        let Some(Reply::Conflict(reason)) = world.put(input) else {
            panic!("it is believed")
        };
        assert_eq!(reason.code, ReasonCode::NotAllowed);
    }
    assert_eq!(world.node().alarms.len(), alarms, "it is no ghost");
    assert!(matches!(world.put(unadopt()), Some(Reply::Conflict(_))));
    world.check_replay();
}

#[test]
fn firmware_finds_an_adopted_host_by_itself_also_on_bios() {
    let (world, _) = ready();
    for firmware in [Firmware::Bios, Firmware::UefiPxe] {
        let answer = world.boot(firmware);
        assert!(matches!(answer, BootAnswer::LocalDisk { .. }), "{answer:?}");
    }
}

#[test]
fn a_host_that_can_sets_its_next_boot_once_and_says_how() {
    let (mut world, adoption) = ready();
    let wanted = || Input::ActionWanted {
        act: Act::BootNext {
            to: NextBoot::Network,
        },
        by: "operator:ana".into(),
        because: None,
    };
    world.put(beats(&adoption, BOOT_A, false));
    assert!(
        matches!(world.put(wanted()), Some(Reply::Conflict(_))),
        "it cannot"
    );
    world.put(beats(&adoption, BOOT_A, true));
    let Some(Reply::Action(action)) = world.put(wanted()) else {
        panic!("it can")
    };
    let to = NextBoot::Network;
    assert_eq!(action.act, Act::HostBootNext { to });
    let act = HostAct::BootNext { to };
    let asked = world.put(beats(&adoption, BOOT_A, true));
    let action = action.id;
    let instruction = HostInstruction::Act { action, act };
    assert_eq!(asked, Some(Reply::Host(instruction)));
    let Input::HostBeat {
        plan,
        key,
        mut beat,
    } = beats(&adoption, BOOT_A, true)
    else {
        panic!("a heartbeat is one")
    };
    beat.ended = Some(groundstate_api::host::HostActed {
        action,
        facts: vec!["BootNext is Boot0004; it was read back".into()],
        done: true,
    });
    world.put(Input::HostBeat { plan, key, beat });
    let heard = world.put(beats(&adoption, BOOT_A, true));
    assert_eq!(heard, Some(Reply::Host(HostInstruction::CarryOn)));
    let ended = world.node().actions.last().unwrap().ended.clone();
    let Some((_, Outcome::Done { by, facts })) = ended else {
        panic!("{ended:?}")
    };
    assert_eq!((by.as_str(), facts.len()), ("in-os-boot-next", 1));
    world.check_replay();
}
