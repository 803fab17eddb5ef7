// SPDX-License-Identifier: Apache-2.0
//! Health and healing at one node: the ladder, approval, veto, the brake.

use crate::world::*;
use groundstate_api::healing::{HealingRule, HealingStep};
use groundstate_api::host::{HostAct, HostActed};

fn healing(change: impl FnOnce(&mut HealingPolicy)) -> site::Site {
    let mut site = site();
    site.healing.enabled = true;
    change(&mut site.healing);
    site
}

fn trouble(kind: TroubleKind, what: &str) -> Trouble {
    Trouble {
        kind,
        what: what.into(),
        evidence: vec!["nginx.service: failed".into()],
    }
}

impl World {
    fn pass(&mut self, secs: u64) {
        for _ in 0..secs {
            self.later(Millis::secs(1));
            self.own();
        }
    }

    /// The host of this plan calls every second.
    fn calls(&mut self, plan: &PlanId, secs: u64) {
        for _ in 0..secs {
            self.later(Millis::secs(1));
            self.beat_with(plan, |_| {});
            self.own();
        }
    }

    /// What the fleet thought of for its nodes happens.
    fn happens(&mut self, own: Vec<Own>) {
        for one in own {
            let Own::Node(_, input) = one else {
                panic!("{one:?}")
            };
            self.put(input);
        }
    }

    /// Somebody sets the brake, or lets it go.
    fn brake(&mut self, on: bool) {
        let event = Event {
            number: self.journal.len() as u64 + 1,
            at: self.now,
            node: None,
            what: Happened::Braked {
                on,
                by: "operator:ana".into(),
                reason: None,
            },
        };
        self.fleet.apply(&event);
        self.journal.push(event);
    }

    /// How many measures have begun.
    fn started(&self) -> usize {
        let started = |event: &&Event| matches!(event.what, Happened::ActionStarted { .. });
        self.journal.iter().filter(started).count()
    }

    fn measures(&self) -> Vec<Measure> {
        let measure = |event: &Event| match &event.what {
            Happened::ActionBegun { action } => match action.act {
                Act::Heal { measure } => Some(measure),
                _ => None,
            },
            _ => None,
        };
        self.journal.iter().filter_map(measure).collect()
    }
}

#[test]
fn without_a_policy_nothing_is_done_by_itself() {
    let (mut world, _) = World::ready();
    world.pass(3_600);
    assert_eq!(world.phase(), Phase::Suspect);
    assert_eq!(world.measures(), []);
}

#[test]
fn a_silent_node_without_a_bmc_climbs_the_ladder_to_quarantine() {
    let (mut world, _) = World::ready_of(healing(|_| {}));
    world.pass(4 * 3_600);
    assert_eq!(
        world.measures(),
        [
            Measure::Watch,
            Measure::Reboot,
            Measure::Reboot,
            Measure::Reprovision,
            Measure::Quarantine
        ]
    );
    assert_eq!(world.phase(), Phase::Quarantined);
    let reason = world.reason();
    assert!(
        reason
            .evidence
            .iter()
            .any(|line| line.contains("tried: provision the node anew, which failed")),
        "{reason}"
    );
    assert_eq!(world.node().runs, 2);
    world.check_replay();
}

#[test]
fn a_service_that_comes_back_ends_the_trouble_and_the_next_one_soon_after_goes_on_in_the_ladder() {
    let (mut world, plan) = World::ready_of(healing(|_| {}));
    let ill = vec![trouble(TroubleKind::Service, "nginx.service has failed")];
    let mut asked = Vec::new();
    for second in 0..100u64 {
        world.later(Millis::secs(1));
        let troubles = if second < 80 { ill.clone() } else { vec![] };
        let ended = asked.last().map(|(action, _)| HostActed {
            action: *action,
            facts: vec![],
            done: true,
        });
        let reply = world.beat_with(&plan.id, |beat| {
            beat.troubles = troubles;
            beat.ended = ended;
        });
        if let Some(Reply::Host(HostInstruction::Act { action, act })) = reply
            && asked.last() != Some(&(action, act))
        {
            asked.push((action, act));
        }
        world.own();
    }
    let acts: Vec<HostAct> = asked.iter().map(|(_, act)| *act).collect();
    assert_eq!(
        acts,
        [
            HostAct::RestartServices,
            HostAct::RestartServices,
            HostAct::CollectDiagnostics
        ]
    );
    assert_eq!(world.phase(), Phase::Ready);
    assert!(world.node().troubles.is_empty());
    // A minute later it is the same trouble.
    for _ in 0..60 {
        world.later(Millis::secs(1));
        world.beat_with(&plan.id, |beat| beat.troubles = ill.clone());
        world.own();
    }
    let next = world.node().view().reason.unwrap();
    assert!(next.next_automatic.contains("restart the node"), "{next}");
    world.check_replay();
}

/// The policy wants to provision a silent node anew, and asks the fabric controller each time.
fn asking() -> site::Site {
    let step = HealingStep {
        measure: Measure::Reprovision,
        after_secs: 10,
        times: 2,
    };
    healing(|policy| {
        policy.ask_fabric = true;
        policy.rules = vec![HealingRule {
            trouble: TroubleKind::Silent,
            steps: vec![step],
        }];
    })
}

#[test]
fn each_measure_waits_for_the_fabric_controller_and_a_veto_stops_the_ladder() {
    let (mut world, _) = World::ready_of(asking());
    world.pass(60);
    let view = world.fleet.measures().remove(0);
    let reason = view.waits.clone().unwrap();
    assert_eq!(
        (view.measure, reason.code),
        (Measure::Reprovision, ReasonCode::WaitsForApproval)
    );
    assert_eq!(world.node().runs, 1);
    let id = view.action.unwrap();
    assert_eq!(world.fleet.action_node(id), Some(&node()));
    let word = |id| ("fabric:fc-1".to_string(), "not now".to_string(), id);
    let (by, why, action) = word(id);
    assert_eq!(
        world.put(Input::Vetoed { action, by, why }),
        Some(Reply::Accepted)
    );
    world.pass(3_600);
    let view = world.fleet.measures().remove(0);
    assert_eq!(view.waits.unwrap().code, ReasonCode::Vetoed);
    assert_eq!(world.measures().len(), 1, "a veto stops the ladder");

    // A program may want one by itself; it has then approved it.
    let by = "fabric:fc-1".to_string();
    let act = Act::Heal {
        measure: Measure::Reprovision,
    };
    world.put(Input::ActionWanted {
        act,
        by,
        because: None,
    });
    world.own();
    assert_eq!((world.phase(), world.node().runs), (Phase::Ordered, 2));
    let reply = world.put(Input::Approved {
        action: id,
        by: "fabric:fc-1".into(),
        why: String::new(),
    });
    assert!(matches!(reply, Some(Reply::Conflict(_))), "it has ended");
}

#[test]
fn a_veto_holds_while_the_same_trouble_comes_and_goes() {
    let (mut world, plan) = World::ready_of(asking());
    world.pass(60);
    let action = world.fleet.measures().remove(0).action.unwrap();
    let (by, why) = ("fabric:fc-1".to_string(), "its guests move".to_string());
    world.put(Input::Vetoed { action, by, why });
    // The host calls for a minute, and falls silent again.
    world.calls(&plan.id, 60);
    assert_eq!(world.phase(), Phase::Ready);
    world.pass(300);
    assert_eq!(world.phase(), Phase::Suspect);
    let view = world.fleet.measures().remove(0);
    assert_eq!(view.waits.unwrap().code, ReasonCode::Vetoed);
    assert_eq!(world.measures().len(), 1, "it was forbidden");
    // It is well for so long that the next trouble is another one.
    world.calls(&plan.id, 31 * 60);
    world.pass(60);
    assert_eq!(world.measures().len(), 2);
    world.check_replay();
}

#[test]
fn a_person_who_takes_the_node_over_ends_the_trouble_and_what_was_forbidden_about_it() {
    let (mut world, _) = World::ready_of(asking());
    world.pass(60);
    let action = world.fleet.measures().remove(0).action.unwrap();
    let (by, why) = ("fabric:fc-1".to_string(), String::new());
    world.put(Input::Vetoed { action, by, why });
    for order in [LifeOrder::Quarantine, LifeOrder::Release] {
        assert_eq!(world.life(order), Some(Reply::Accepted), "{order:?}");
    }
    assert_eq!(world.phase(), Phase::Suspect);
    world.pass(60);
    assert_eq!(world.measures().len(), 2);
    world.check_replay();
}

#[test]
fn a_measure_that_is_about_to_begin_when_the_brake_is_set_does_not_begin() {
    let (mut world, _) = World::ready_of(healing(|policy| {
        policy.rules = vec![HealingRule {
            trouble: TroubleKind::Silent,
            steps: vec![HealingStep {
                measure: Measure::Reboot,
                after_secs: 10,
                times: 1,
            }],
        }];
    }));
    let thought = loop {
        world.later(Millis::secs(1));
        let own = world.fleet.own(world.now);
        let begins = |own: &Own| matches!(own, Own::Node(_, Input::MeasureStarted { .. }));
        if own.iter().any(begins) {
            break own;
        }
        world.happens(own);
    };
    world.brake(true);
    world.happens(thought);
    assert_eq!((world.started(), world.measures().len()), (0, 1));
    world.pass(60);
    assert_eq!(world.started(), 0, "nor later");
    world.brake(false);
    world.pass(1);
    assert_eq!(world.started(), 1);
}

#[test]
fn a_node_that_the_journal_has_not_heard_of_is_added_by_itself_and_once() {
    let mut world = World::new();
    let mut more = site();
    let second: NodeId = "node-2".parse().unwrap();
    more.nodes.push(site::Node {
        name: second.clone(),
        mac: MacAddr([0x52, 0x54, 0, 0, 0, 2]),
        ..more.nodes[0].clone()
    });
    world.fleet.reconcile(&more, world.now);
    let own = world.fleet.own(world.now);
    assert_eq!(own, [Own::Node(second.clone(), Input::Added)]);
    let mut wishes = Vec::new();
    let (now, added) = (world.now, Happened::NodeAdded);
    world.fleet.decide(now, &second, Input::Added, &mut wishes);
    assert_eq!(wishes, [Wish::Append(added.clone())]);
    world.fleet.apply(&Event {
        number: 9,
        at: now,
        node: Some(second.clone()),
        what: added,
    });
    assert_eq!(world.fleet.own(now), []);
    wishes.clear();
    world.fleet.decide(now, &second, Input::Added, &mut wishes);
    assert_eq!(wishes, []);
}

#[test]
fn one_host_that_comes_and_goes_does_not_stop_the_whole_fleet() {
    let (mut world, plan) = World::ready_of(healing(|policy| policy.brake_failures = 3));
    for _ in 0..6 {
        world.pass(20);
        assert_eq!(world.phase(), Phase::Suspect);
        world.calls(&plan.id, 5);
        assert_eq!(world.phase(), Phase::Ready);
    }
    assert!(!world.fleet.brake().on);
}

#[test]
fn the_brake_stops_everything_and_only_an_order_lets_it_go() {
    let (mut world, _) = World::ready_of(healing(|policy| policy.brake_failures = 1));
    world.pass(20);
    assert!(world.fleet.brake().on);
    world.pass(3_600);
    assert!(world.fleet.brake().on, "it does not let itself go");
    assert_eq!(world.measures(), [Measure::Watch]);
    let view = world.fleet.measures().remove(0);
    assert_eq!(view.waits.unwrap().code, ReasonCode::Brake);
    world.brake(false);
    world.pass(150);
    assert!(world.measures().contains(&Measure::Reboot));
    assert!(
        world.fleet.brake().on,
        "the restart that nobody could do failed, and one failure is one too many"
    );
}

#[test]
fn a_reporter_with_words_without_end_is_cut_and_does_not_fill_the_journal() {
    let (mut world, plan) = World::ready();
    let before = world.journal.len();
    for number in 0..600u32 {
        world.later(Millis(100));
        world.beat_with(&plan.id, |beat| {
            let one = trouble(
                TroubleKind::Other,
                &format!("{number} {}", "\u{1f600}".repeat(10_000)),
            );
            beat.troubles = vec![one; 100];
        });
    }
    assert_eq!(world.phase(), Phase::Suspect);
    assert!(
        world.journal.len() - before <= 8,
        "{}",
        world.journal.len() - before
    );
    let said = &world.node().troubles["host-agent"].troubles;
    assert!(said.len() == 16 && said.iter().all(|trouble| trouble.what.len() <= 512));
}
