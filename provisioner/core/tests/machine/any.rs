// SPDX-License-Identifier: Apache-2.0
//! Whatever comes in, in any order.

use crate::world::*;
use proptest::prelude::*;
use prov_core::deadline::RETURNS_MAX;

/// Any input in any order, with time running.
fn any_input() -> impl Strategy<Value = (u64, u8, u64, bool)> {
    (0u64..400_000, 0u8..24, 1u64..4, any::<bool>())
}

#[allow(clippy::too_many_lines, reason = "one arm for each kind of input")]
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
        12..=15 => life_or_action(kind, number, flag, world),
        16 => Input::HealthReported {
            by: format!("fabric:fc-{number}"),
            troubles: if flag { vec![trouble(number)] } else { vec![] },
        },
        17 => Input::MeasureWanted {
            measure: measure(number, flag),
            because: Reason::new(ReasonCode::HostTrouble, "w", "n"),
            by: if flag { "policy" } else { "fabric:fc-1" }.into(),
        },
        18 => Input::PlanApproved {
            run,
            by: "fabric:fc-1".into(),
        },
        19 => Input::PlaceGiven,
        20 => Input::MeasureStarted {
            id: an_action(world, number),
        },
        21 => Input::Vetoed {
            action: an_action(world, number),
            by: "fabric:fc-1".into(),
            why: String::new(),
        },
        _ => Input::Timeout,
    }
}

fn life_or_action(kind: u8, number: u64, flag: bool, world: &World) -> Input {
    let by = "operator:ana".to_string();
    match kind {
        12 => {
            let order =
                LifeOrder::ALL[usize::try_from(number).unwrap() * 2 - 2 + usize::from(flag)];
            Input::Life {
                order,
                by,
                why: String::new(),
            }
        }
        13 => {
            let acts = [
                Act::RebootHost,
                Act::Drain,
                Act::Power { to: PowerTo::Cycle },
                Act::RestartServices,
            ];
            let act = acts[usize::try_from(number).unwrap() % 4].clone();
            Input::ActionWanted {
                act,
                by,
                because: None,
            }
        }
        14 => Input::ActionEnded {
            id: an_action(world, number),
            outcome: Outcome::Done { by, facts: vec![] },
        },
        _ => Input::ActionEnded {
            id: an_action(world, number),
            outcome: Outcome::Failed {
                reason: Reason::new(a_failure(number), "w", "n"),
            },
        },
    }
}

/// A cause that lets the next way be tried, two that let the same be asked again, and one that ends it.
fn a_failure(number: u64) -> ReasonCode {
    match number % 4 {
        0 => ReasonCode::BmcIgnored,
        1 => ReasonCode::CredentialMissing,
        2 => ReasonCode::BmcUnreachable,
        _ => ReasonCode::BmcRefused,
    }
}

/// One of the node's actions, or one that never was.
fn an_action(world: &World, number: u64) -> ActionId {
    let back = usize::try_from(number).unwrap();
    let mut newest = world.node().actions.iter().rev();
    newest
        .nth(back - 1)
        .map_or(ActionId(number), |doing| doing.action.id)
}

fn trouble(number: u64) -> Trouble {
    Trouble {
        kind: TroubleKind::Other,
        what: format!("trouble {number}"),
        evidence: vec![],
    }
}

fn measure(number: u64, flag: bool) -> Measure {
    match (number, flag) {
        (1, true) => Measure::Watch,
        (1, false) => Measure::RestartServices,
        (2, true) => Measure::Reboot,
        (2, false) => Measure::CollectDiagnostics,
        (_, true) => Measure::Reprovision,
        (_, false) => Measure::Quarantine,
    }
}

/// What a node's life promises, whatever came in between these two moments.
fn promises(
    before: &prov_core::Node,
    by_order: bool,
    world: &World,
    seen: usize,
) -> Result<(), TestCaseError> {
    let node = world.node();
    let waits = matches!(
        node.phase,
        Phase::Ordered
            | Phase::Booting
            | Phase::Planned
            | Phase::Held
            | Phase::Suspect
            | Phase::Draining
            | Phase::Quarantined
            | Phase::InRepair
            | Phase::Rescue
            | Phase::Retired
    );
    prop_assert!(
        !waits || node.view().reason.is_some(),
        "{} without a reason",
        node.phase.as_str()
    );
    let out = matches!(
        before.phase,
        Phase::Quarantined | Phase::InRepair | Phase::Retired
    );
    prop_assert!(
        !out || node.phase == before.phase || by_order,
        "{} left by itself",
        before.phase.as_str()
    );
    let mut open = before.run_is_open();
    for event in &world.journal[seen..] {
        match &event.what {
            Happened::RunOrdered { .. } => {
                prop_assert!(!open, "two open runs");
                open = true;
            }
            Happened::PhaseChanged { to, .. } => {
                open = matches!(
                    to,
                    Phase::Ordered
                        | Phase::Booting
                        | Phase::Checking
                        | Phase::Planned
                        | Phase::Provisioning
                        | Phase::Erasing
                );
            }
            _ => {}
        }
    }
    let kind = |act: &Act| match act {
        Act::Power { .. } => 0,
        Act::BootNext { .. } => 1,
        Act::Identify { .. } => 2,
        Act::Heal { .. } => 3,
        _ => 4,
    };
    let going: Vec<u8> = node
        .actions
        .iter()
        .filter(|d| d.is_open())
        .map(|d| kind(&d.action.act))
        .collect();
    let kinds: std::collections::BTreeSet<&u8> = going.iter().collect();
    prop_assert_eq!(
        kinds.len(),
        going.len(),
        "an action doubled: {:?}",
        node.actions
    );
    Ok(())
}

/// Each action ends once, and none ends that was never begun.
fn each_action_ends_once(world: &World) -> Result<(), TestCaseError> {
    let mut open = std::collections::BTreeSet::new();
    for event in &world.journal {
        match &event.what {
            Happened::ActionBegun { action } => {
                prop_assert_eq!(action.id, ActionId(event.number));
                open.insert(action.id);
            }
            Happened::ActionEnded { id, .. } => prop_assert!(open.remove(id), "{} ended twice", id),
            _ => {}
        }
    }
    Ok(())
}

/// A site where everything that may happen by itself does.
fn busy_site() -> site::Site {
    let mut site = site();
    site.policy.retries = 2;
    site.policy.runs_at_once = Some(1);
    site.healing = HealingPolicy {
        enabled: true,
        ask_fabric: true,
        ..HealingPolicy::default()
    };
    site.rescue.keys = vec!["ssh-ed25519 AAAA ana".into()];
    site.nodes[0].bmc = Some(groundstate_api::site_parts::BmcSite {
        address: "10.0.0.9".into(),
        protocol: None,
        credential: "bmc".into(),
        certificate: None,
        system: None,
    });
    site
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
                    Some(plan) => prop_assert_eq!(&host.id, &plan.id),
                    None => prop_assert!(run.key.is_none()),
                }
                prop_assert_eq!(&host.seen.as_ref().unwrap().plan, &host.id);
            }
        }
        world.check_replay();
    }

    /// Beside runs: nothing waits without a reason, nothing is open twice, nobody leaves what only an order leaves.
    #[test]
    fn whatever_is_ordered(inputs in proptest::collection::vec(any_input(), 1..120), busy: bool) {
        let mut world = if busy { World::of(busy_site()) } else { World::new() };
        for (wait, kind, number, flag) in inputs {
            world.now = world.now.plus(Millis(wait));
            let (before, seen) = (world.node().clone(), world.journal.len());
            let input = make(kind, number, flag, &world);
            let by_order = matches!(input, Input::Life { .. });
            world.put(input);
            promises(&before, by_order, &world, seen)?;
            if flag {
                let (before, seen) = (world.node().clone(), world.journal.len());
                for own in world.fleet.own(world.now) {
                    if let Own::Node(_, input) = own {
                        world.put(input);
                    }
                }
                promises(&before, false, &world, seen)?;
            }
        }
        each_action_ends_once(&world)?;
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
