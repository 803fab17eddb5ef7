// SPDX-License-Identifier: Apache-2.0
//! A snapshot never changes what is true: whatever happened to a fleet, its fold after an event, written and opened again, and
//! the events behind that make the same fleet as all events do.

use crate::world::*;
use groundstate_api::machine::{Left, Machine};
use proptest::prelude::*;
use prov_core::Note;
use prov_core::snapshot::NotRestored;

const NODES: u8 = 4;
const BEGAN: Millis = Millis(1_000);

fn fleet_site() -> site::Site {
    let mut site = site();
    let pattern = site.nodes[0].clone();
    let named = |number: u8| site::Node {
        name: named(number),
        mac: MacAddr([0x52, 0x54, 0, 0, 1, number]),
        ..pattern.clone()
    };
    site.nodes = (0..NODES).map(named).collect();
    site
}

fn named(number: u8) -> NodeId {
    format!("n{number}").parse().unwrap()
}

fn reason(code: ReasonCode) -> Reason {
    Reason::new(code, "w", "n")
}

fn machine(number: u8) -> Happened {
    let machine = Machine {
        mac: MacAddr([2, 0, 0, 0, 0, number]),
        macs: vec![],
        uuid: None,
        serial: Some(format!("S{number}")),
        model: None,
        address: None,
        firmware: None,
        relay: None,
        rack: None,
        profile: None,
        first_seen: Millis(1),
        last_seen: Millis(2),
    };
    Happened::MachineSeen {
        machine: Box::new(machine),
    }
}

fn phase(number: u8) -> Phase {
    Phase::ALL[usize::from(number) % Phase::ALL.len()]
}

/// An event about a node, or about none; most fit nothing that was before.
#[allow(clippy::too_many_lines, reason = "one arm for each kind of event")]
fn happening(kind: u8, number: u8, flag: bool, at: u64) -> (bool, Happened) {
    let run = run_id(u64::from(number % 3));
    let step = Step::ALL[usize::from(number) % 10];
    let made = plan(&run);
    let what = match kind {
        0 => Happened::NodeAdded,
        1 => Happened::RunOrdered {
            run,
            hand_over: HandOver::Reboot,
            window_closes: Millis(at + 5),
            terms: groundstate_api::plan::OrderTerms {
                by: if flag { "policy" } else { "operator:ana" }.into(),
                ..Default::default()
            },
        },
        2 => Happened::Enrolled {
            run,
            boot_id: BOOT_A.parse().unwrap(),
            key: format!("key-{number}"),
        },
        3 => {
            let mut inventory = inventory();
            inventory.system.serial = format!("S{number}");
            let finding = Finding {
                gravity: Gravity::Stop,
                reason: reason(ReasonCode::DimmMissing),
            };
            Happened::InventoryTaken {
                inventory: Box::new(inventory),
                findings: if flag { vec![finding] } else { vec![] },
            }
        }
        4 => Happened::Planned {
            plan: Box::new(made),
        },
        5 => Happened::StepMoved {
            run,
            number: u64::from(number),
            step,
            state: if flag {
                StepState::Started
            } else {
                StepState::Done {
                    facts: vec![format!("fact {number}")],
                }
            },
            peak_memory: Bytes(at),
        },
        6 => Happened::HostCredentialIssued {
            plan: made.id,
            key: format!("host {number}"),
        },
        7 => Happened::HostRegistered {
            plan: made.id,
            boot_id: if flag { BOOT_A } else { BOOT_B }.parse().unwrap(),
            os: format!("os {number}"),
            changes: vec![],
        },
        8 | 9 => Happened::PhaseChanged {
            from: phase(number + 1),
            to: phase(number),
            reason: flag.then(|| reason(ReasonCode::HostSilent)),
        },
        10 => Happened::HealthReported {
            by: format!("fabric:fc-{}", number % 2),
            troubles: if flag {
                vec![Trouble {
                    kind: TroubleKind::Disk,
                    what: format!("w{number}"),
                    evidence: vec![],
                }]
            } else {
                vec![]
            },
        },
        11 => Happened::ActionBegun {
            action: Box::new(Action {
                id: ActionId(0),
                node: named(number % NODES),
                act: if flag {
                    Act::Heal {
                        measure: Measure::Reboot,
                    }
                } else {
                    Act::RebootHost
                },
                by: "operator:ana".into(),
                because: None,
                attempt: 1,
                began: Millis(at),
                deadline: Millis(at + 9),
            }),
        },
        12 => Happened::ActionEnded {
            id: ActionId(u64::from(number)),
            outcome: Outcome::Failed {
                reason: reason(ReasonCode::BmcIgnored),
            },
        },
        13 => Happened::EnrolRefused {
            reason: reason(ReasonCode::SecondKey),
            alarm: flag,
        },
        14 => Happened::CameBack {
            run,
            boot_id: BOOT_B.parse().unwrap(),
            key: format!("key-b{number}"),
            boot: u32::from(number),
        },
        15 => Happened::ActionStarted {
            id: ActionId(u64::from(number)),
        },
        16 => {
            return (
                false,
                Happened::Braked {
                    on: flag,
                    by: "operator:ana".into(),
                    reason: flag.then(|| reason(ReasonCode::HostTrouble)),
                },
            );
        }
        17 | 18 => return (false, machine(number)),
        _ => {
            return (
                false,
                Happened::MachineLeft {
                    mac: MacAddr([2, 0, 0, 0, 0, number]),
                    left: Left::Forgotten,
                    by: "operator:ana".into(),
                },
            );
        }
    };
    (true, what)
}

fn history() -> impl Strategy<Value = Vec<Event>> {
    let one = (0..NODES, 0u8..20, 0u8..12, any::<bool>(), 0u64..90_000);
    prop::collection::vec(one, 0..90).prop_map(|all| {
        let mut at = 2_000;
        let event = |(number, (node, kind, value, flag, wait)): (u64, (u8, u8, u8, bool, u64))| {
            at += wait;
            let (of_node, what) = happening(kind, value, flag, at);
            Event {
                number,
                at: Millis(at),
                node: of_node.then(|| named(node)),
                what,
            }
        };
        (1..).zip(all).map(event).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_fold_goes_on_from_a_snapshot_as_if_there_were_none(
        events in history(),
        cut in 0usize..90,
        notes in prop::collection::vec((0..NODES, 0u64..9), 0..6),
    ) {
        let site = fleet_site();
        let mut all = Fleet::new(&site, BEGAN);
        events.iter().for_each(|event| all.apply(event));
        let (before, after) = events.split_at(cut.min(events.len()));
        let mut fleet = Fleet::new(&site, BEGAN);
        for event in before {
            fleet.apply(event);
            // What is only remembered goes on beside it.
            for (node, number) in &notes {
                let node = fleet.node_mut(&named(*node)).unwrap();
                node.note(event.at, Note::Heard);
                node.note(event.at, Note::Running(*number, Step::Image, StepState::Started));
            }
        }
        let mut restored = again(&fleet, &site, BEGAN);
        after.iter().for_each(|event| restored.apply(event));
        prop_assert!(restored == all);
        // A snapshot of what a snapshot brought is the same again.
        prop_assert!(again(&restored, &site, BEGAN) == all);
    }

    #[test]
    fn bytes_that_are_no_snapshot_are_refused_and_nothing_breaks(
        events in history(),
        at in any::<prop::sample::Index>(),
        flip in 1u8..=255,
        noise in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let site = fleet_site();
        let mut fleet = Fleet::new(&site, BEGAN);
        events.iter().for_each(|event| fleet.apply(event));
        let taken = fleet.take();
        for bytes in taken.chunks() {
            let mut bytes = bytes.unwrap();
            let place = at.index(bytes.len());
            let _ = snapshot::open(&bytes[..place]);
            bytes[place] ^= flip;
            // Whether it opens or not: whoever keeps the bytes has a digest of them.
            let _ = snapshot::open(&bytes);
        }
        let _ = snapshot::open(&noise);
        let _ = Fleet::restored(&site, BEGAN, &noise, Vec::new());
    }
}

#[test]
fn a_node_that_the_site_has_not_is_named() {
    let site = fleet_site();
    let mut fleet = Fleet::new(&site, BEGAN);
    fleet.apply(&Event {
        number: 1,
        at: Millis(2_000),
        node: Some(named(2)),
        what: Happened::NodeAdded,
    });
    let taken = fleet.take();
    assert_eq!(taken.nodes(), 1, "nothing is known of the others");
    let chunks: Vec<_> = taken
        .chunks()
        .map(|bytes| snapshot::open(&bytes.unwrap()).unwrap())
        .collect();
    let mut other = site.clone();
    other.nodes.truncate(2);
    let refused = Fleet::restored(&other, BEGAN, &taken.rest().unwrap(), chunks);
    assert_eq!(refused.unwrap_err(), NotRestored::Node(named(2)));
}

#[test]
fn who_looks_at_a_fleet_for_long_sees_it_as_it_was() {
    let site = fleet_site();
    let mut fleet = Fleet::new(&site, BEGAN);
    let added = |number, node| Event {
        number,
        at: Millis(2_000 + number),
        node: Some(named(node)),
        what: Happened::NodeAdded,
    };
    fleet.apply(&added(1, 0));
    let (taken, looked) = (fleet.take(), fleet.behind(None).next().unwrap().clone());
    let then = taken.chunks().next().unwrap().unwrap();
    fleet.apply(&added(2, 0));
    assert_eq!(
        (looked.version, fleet.node(&named(0)).unwrap().version),
        (1, 2)
    );
    assert_eq!(taken.chunks().next().unwrap().unwrap(), then);
    let first = named(1);
    let behind: Vec<_> = fleet
        .behind(Some(&first))
        .map(|node| node.id().clone())
        .collect();
    assert_eq!(behind, [named(2), named(3)]);
}
