// SPDX-License-Identifier: Apache-2.0
//! Whatever comes in, in any order.

use crate::world::*;
use proptest::prelude::*;
use prov_core::deadline::RETURNS_MAX;

/// Any input in any order, with time running.
fn any_input() -> impl Strategy<Value = (u64, u8, u64, bool)> {
    (0u64..400_000, 0u8..13, 1u64..4, any::<bool>())
}

fn make(kind: u8, number: u64, flag: bool, world: &World) -> Input {
    let run = world
        .node()
        .run
        .as_ref()
        .filter(|_| flag)
        .map_or_else(|| run_id(number), |r| r.id.clone());
    let step = Step::ALL[usize::try_from(number).unwrap() * 3 % 10];
    match kind {
        0 => ordered(100 + world.journal.len() as u64, flag),
        1 => enrol(
            if number == 3 { BOOT_B } else { BOOT_A },
            &format!("key-{number}"),
        ),
        2 => Input::InventoryReceived {
            run,
            inventory: Box::new(inventory()),
            findings: vec![],
        },
        3 => Input::PlanMade {
            run: run.clone(),
            plan: Ok(Box::new(plan(&run))),
        },
        4 => progress(
            &run,
            world.journal.len() as u64 + number,
            step,
            StepState::Started,
        ),
        5 => progress(
            &run,
            world.journal.len() as u64 + number,
            Step::HandOver,
            StepState::Done { facts: vec![] },
        ),
        6 => Input::CredentialAsked {
            run,
            key: HOST_KEY.into(),
        },
        7 => register(&plan(&run), BOOT_B),
        8 => beat(&plan(&run).id, BOOT_B),
        9 => Input::Restarted,
        10 => Input::Sighted(BootSighting::SentToLocalDisk),
        11 => progress(
            &run,
            world.journal.len() as u64 + number,
            step,
            StepState::Failed {
                reason: Reason::new(ReasonCode::DiskError, "w", "n"),
            },
        ),
        _ => Input::Timeout,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Never a panic, never a second key beside a living one, never Ready but by the agent of the newest plan that was handed over.
    #[test]
    fn whatever_comes_in(inputs in proptest::collection::vec(any_input(), 1..120)) {
        let mut world = World::new();
        for (wait, kind, number, flag) in inputs {
            world.now = world.now.plus(Millis(wait));
            let before = world.phase();
            let key = world.node().run.as_ref().and_then(|r| r.key.clone().map(|k| (r.id.clone(), k)));
            let input = make(kind, number, flag, &world);
            let quiet = world.node().key_is_quiet(world.now);
            let boots = world.node().run.as_ref().map_or(0, |run| run.boots);
            let came_back = matches!(&input, Input::EnrolAsked { .. });
            let registers = matches!(&input, Input::HostRegistered { .. } | Input::HostBeat { .. });
            world.put(input);
            if let (Some((run, key)), Some(now)) = (key, world.node().run.as_ref()) && now.id == run {
                let stays = now.key.as_ref() == Some(&key);
                prop_assert!(stays && now.boots == boots || came_back && quiet && now.boots == boots + 1,
                    "the key stays, or the machine came back in its silence");
                prop_assert!(now.boots <= RETURNS_MAX + 1);
            }
            if world.phase() == Phase::Ready && before != Phase::Ready {
                prop_assert!(registers);
                let node = world.node();
                let host = node.host.as_ref().unwrap();
                // Of the newest run's plan; or the order lapsed, and that run never had a key.
                let run = node.run.as_ref().unwrap();
                match &run.plan {
                    Some(plan) => prop_assert_eq!(&host.plan.id, &plan.id),
                    None => prop_assert!(run.key.is_none()),
                }
                prop_assert_eq!(&host.seen.as_ref().unwrap().plan, &host.plan.id);
            }
        }
        world.check_replay();
    }

    /// A journal of any order, whole or not, folds without a panic.
    #[test]
    fn any_order_of_events_folds(order in proptest::collection::vec(0usize..40, 0..80)) {
        let (world, _) = World::ready();
        let mut fleet = Fleet::new(&site(), Millis(0));
        for index in order {
            if let Some(event) = world.journal.get(index) {
                fleet.apply(event);
            }
        }
        let node = fleet.node(&node()).unwrap();
        let _ = (node.report(), node.deadline(), node.host_instruction(Millis(0)), node.instruction(&run_id(1)));
    }
}
