// SPDX-License-Identifier: Apache-2.0
//! A thousand nodes in twenty-five racks, with hosts that hang, disks that lose their host, machines that break, a rack that
//! loses its switch and an image that does not start: never more is disturbed than the limits say, and nobody is forgotten.

use crate::world::*;
use groundstate_api::site_parts::{BmcSite, Rack, Slot};
use std::collections::{BTreeMap, BTreeSet};

const NODES: usize = 1_000;
const PER_RACK: usize = 40;
const STEP: Millis = Millis::secs(10);
const NODES_AT_ONCE: u32 = 6;
const DOMAINS_AT_ONCE: u32 = 2;

/// What is wrong with a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ill {
    No,
    /// A restart helps.
    Hangs,
    /// A new host helps.
    LostHost,
    /// Only a person helps.
    Broken,
    /// Its switch is gone until then.
    Cut(Millis),
}

struct Machine {
    id: NodeId,
    ill: Ill,
    /// Its host's boot, and when it calls first in it.
    boot: u64,
    calls_from: Option<Millis>,
    plan: Option<Plan>,
    /// When its maintenance OS enrols.
    enrols_at: Option<Millis>,
}

struct Sim {
    fleet: Fleet,
    machines: BTreeMap<NodeId, Machine>,
    now: Millis,
    number: u64,
    random: u64,
    bad_image: bool,
    /// Who is disturbed, as the events say: counted here by itself.
    disturbed: BTreeSet<NodeId>,
    most: (usize, usize),
    brakes: u32,
    begun: BTreeMap<ActionId, Measure>,
    ended: BTreeSet<ActionId>,
}

fn name(number: usize) -> NodeId {
    format!("r{:02}-{:02}", number / PER_RACK, number % PER_RACK)
        .parse()
        .unwrap()
}

fn rack(id: &NodeId) -> &str {
    id.as_str().split('-').next().unwrap()
}

fn fleet_site() -> site::Site {
    let mut site = site();
    let one = site.nodes.remove(0);
    site.healing = HealingPolicy {
        enabled: true,
        nodes_at_once: NODES_AT_ONCE,
        domains_at_once: DOMAINS_AT_ONCE,
        ..HealingPolicy::default()
    };
    for number in 0..NODES {
        let mut node = one.clone();
        node.name = name(number);
        let [high, low] = u16::try_from(number).unwrap().to_be_bytes();
        node.mac = MacAddr([2, 0, 0, 0, high, low]);
        node.slot = Some(Slot {
            rack: rack(&node.name).into(),
            unit: 1,
            height: 1,
            ..Slot::default()
        });
        node.bmc = (number % 5 != 0).then(|| BmcSite {
            address: "10.0.0.9".into(),
            protocol: None,
            credential: "bmc".into(),
            certificate: None,
            system: None,
        });
        site.nodes.push(node);
    }
    site.racks = (0..NODES / PER_RACK)
        .map(|number| Rack {
            name: format!("r{number:02}"),
            fault_domain: None,
            units: 42,
            place: String::new(),
            relay: None,
        })
        .collect();
    site
}

impl Sim {
    fn new(seed: u64) -> Self {
        let site = fleet_site();
        let mut sim = Self {
            fleet: Fleet::new(&site, Millis(1_000)),
            machines: BTreeMap::new(),
            now: Millis(1_000),
            number: 0,
            random: seed | 1,
            bad_image: false,
            disturbed: BTreeSet::new(),
            most: (0, 0),
            brakes: 0,
            begun: BTreeMap::new(),
            ended: BTreeSet::new(),
        };
        for node in &site.nodes {
            let machine = Machine {
                id: node.name.clone(),
                ill: Ill::No,
                boot: 0,
                calls_from: None,
                plan: None,
                enrols_at: None,
            };
            sim.machines.insert(node.name.clone(), machine);
            sim.put(&node.name, Input::Added);
            sim.provision(&node.name, 1);
        }
        sim
    }

    fn chance(&mut self, one_in: u64) -> bool {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random.is_multiple_of(one_in)
    }

    fn put(&mut self, id: &NodeId, input: Input) -> Option<Reply> {
        let mut wishes = Vec::new();
        self.fleet.decide(self.now, id, input, &mut wishes);
        let settled = settle(self.number + 1, self.now, Some(id), wishes);
        for event in settled.events {
            self.number = event.number;
            self.saw(id, &event);
            self.fleet.apply(&event);
        }
        for note in settled.notes {
            self.fleet.node_mut(id).unwrap().note(self.now, note);
        }
        for action in settled.carry {
            self.carry(&action);
        }
        settled.reply
    }

    /// Counts who is disturbed, by events alone.
    fn saw(&mut self, id: &NodeId, event: &Event) {
        match &event.what {
            Happened::ActionBegun { action } => {
                if let Act::Heal { measure } = action.act {
                    self.begun.insert(ActionId(event.number), measure);
                }
            }
            Happened::ActionStarted { id: action } if self.begun[action].disturbs() => {
                self.disturbed.insert(id.clone());
            }
            Happened::ActionEnded { id: action, .. } => {
                assert!(self.ended.insert(*action), "{action} ends once");
                if self.begun.get(action) == Some(&Measure::Reboot) {
                    self.disturbed.remove(id);
                }
            }
            Happened::PhaseChanged {
                to: Phase::Ready | Phase::InRepair,
                ..
            } => {
                self.disturbed.remove(id);
            }
            _ => {}
        }
        let domains: BTreeSet<&str> = self.disturbed.iter().map(rack).collect();
        self.most = (
            self.most.0.max(self.disturbed.len()),
            self.most.1.max(domains.len()),
        );
    }

    /// The BMC does what it is told.
    fn carry(&mut self, action: &Action) {
        let now = self.now;
        let open_run = self.fleet.node(&action.node).unwrap().run_is_open();
        let machine = self.machines.get_mut(&action.node).unwrap();
        if let Act::Power {
            to: PowerTo::Cycle | PowerTo::On,
        } = action.act
        {
            machine.boot += 1;
            machine.calls_from = None;
            match (machine.ill, open_run) {
                (Ill::Broken | Ill::Cut(_), _) => {}
                (_, true) => machine.enrols_at = Some(now.plus(Millis::secs(90))),
                (Ill::No | Ill::Hangs, false) => {
                    machine.ill = Ill::No;
                    machine.calls_from = Some(now.plus(Millis::secs(180)));
                }
                (Ill::LostHost, false) => {}
            }
        }
        let facts = vec![];
        let outcome = Outcome::Done {
            by: "redfish-once".into(),
            facts,
        };
        self.put(
            &action.node.clone(),
            Input::ActionEnded {
                id: action.id,
                outcome,
            },
        );
    }

    /// A whole run of an order that was given, up to its host's start.
    fn provision(&mut self, id: &NodeId, number: u64) {
        let run: RunId = format!("{id}-by-hand-{number}-{}", self.now.0)
            .parse()
            .unwrap();
        let again = number > 1;
        self.put(
            id,
            Input::Ordered {
                run,
                hand_over: None,
                again,
                terms: groundstate_api::plan::OrderTerms::default(),
            },
        );
        self.carry_out(id);
    }

    fn carry_out(&mut self, id: &NodeId) {
        let node = self.fleet.node(id).unwrap();
        let (run, site) = (node.run.as_ref().unwrap().id.clone(), node.site.clone());
        let mut request = request(BOOT_A);
        request.macs = vec![site.mac];
        request.boot_mac = site.mac;
        let key = format!("key-{}", self.number);
        self.put(
            id,
            Input::EnrolAsked {
                request: Box::new(request),
                key,
            },
        );
        self.put(
            id,
            Input::InventoryReceived {
                run: run.clone(),
                inventory: Box::new(inventory()),
                findings: vec![],
            },
        );
        let mut made = plan(&run);
        made.node = id.clone();
        self.put(
            id,
            Input::PlanMade {
                run: run.clone(),
                plan: Ok(Box::new(made.clone())),
            },
        );
        self.put(
            id,
            Input::CredentialAsked {
                run: run.clone(),
                key: HOST_KEY.into(),
            },
        );
        for (number, step) in (1..).zip(Step::ALL) {
            self.put(
                id,
                progress(&run, number, step, StepState::Done { facts: vec![] }),
            );
        }
        assert_eq!(self.fleet.node(id).unwrap().phase, Phase::HandedOver);
        let (now, bad) = (self.now, self.bad_image);
        let machine = self.machines.get_mut(id).unwrap();
        machine.plan = Some(made);
        machine.boot += 1;
        machine.enrols_at = None;
        machine.ill = if bad { Ill::LostHost } else { Ill::No };
        machine.calls_from = (!bad).then(|| now.plus(Millis::secs(120)));
    }

    /// What machines say in one step.
    fn machines_speak(&mut self) {
        let ids: Vec<NodeId> = self.machines.keys().cloned().collect();
        for id in ids {
            let machine = self.machines.get_mut(&id).unwrap();
            if let Ill::Cut(until) = machine.ill
                && until <= self.now
            {
                machine.ill = Ill::No;
            }
            if machine.enrols_at.is_some_and(|at| at <= self.now) {
                if self.fleet.node(&id).unwrap().run_is_open() {
                    self.carry_out(&id);
                }
                continue;
            }
            let calls =
                machine.ill == Ill::No && machine.calls_from.is_some_and(|at| at <= self.now);
            let Some(made) = machine.plan.clone().filter(|_| calls) else {
                continue;
            };
            let boot = format!("00000000-0000-0000-0000-{:012x}", machine.boot);
            let beats = Input::HostBeat {
                plan: made.id.clone(),
                key: HOST_KEY.into(),
                beat: Heartbeat {
                    node: machine.id.clone(),
                    plan: made.id.clone(),
                    boot_id: boot.parse().unwrap(),
                    number: 1,
                    uptime_secs: 9,
                    epoch: 0,
                    troubles: Vec::new(),
                    ended: None,
                    boots_next: false,
                },
            };
            if let Some(Reply::Conflict(_)) = self.put(&id, beats) {
                let Input::HostRegistered {
                    plan,
                    key,
                    mut register,
                } = register(&made, &boot)
                else {
                    unreachable!()
                };
                register.node = id.clone();
                self.put(
                    &id,
                    Input::HostRegistered {
                        plan,
                        key,
                        register,
                    },
                );
            }
        }
    }

    fn step(&mut self) {
        self.now = self.now.plus(STEP);
        self.machines_speak();
        for id in self.fleet.due(self.now) {
            self.put(&id, Input::Timeout);
        }
        for own in self.fleet.own(self.now) {
            match own {
                Own::Node(id, input) => {
                    self.put(&id, input);
                }
                Own::Site(what) => {
                    self.brakes += 1;
                    self.site(what);
                }
            }
        }
        assert!(
            self.most.0 <= usize::try_from(NODES_AT_ONCE).unwrap(),
            "{:?}",
            self.most
        );
        assert!(
            self.most.1 <= usize::try_from(DOMAINS_AT_ONCE).unwrap(),
            "{:?}",
            self.most
        );
    }

    fn site(&mut self, what: Happened) {
        self.number += 1;
        let event = Event {
            number: self.number,
            at: self.now,
            node: None,
            what,
        };
        self.fleet.apply(&event);
    }

    fn run(&mut self, secs: u64, one_in: u64) {
        for _ in 0..secs * 1_000 / STEP.0 {
            if one_in > 0 && self.chance(one_in) {
                let number = usize::try_from(self.random % 1_000).unwrap();
                let ill = [Ill::Hangs, Ill::LostHost, Ill::Broken][number % 3];
                let machine = self.machines.get_mut(&name(number)).unwrap();
                if machine.ill == Ill::No {
                    machine.ill = ill;
                }
            }
            self.step();
        }
    }

    /// A person repairs what is in quarantine, and lets the brake go.
    fn person(&mut self) {
        let by = || "technician:ana".to_string();
        if self.fleet.brake().on {
            self.site(Happened::Braked {
                on: false,
                by: by(),
                reason: None,
            });
        }
        // A run that a person ordered, and that failed, is that person's.
        let mine = |n: &&prov_core::Node| n.phase == Phase::Held && !n.held_by_policy();
        let held: Vec<NodeId> = self
            .fleet
            .nodes()
            .filter(mine)
            .map(|n| n.id().clone())
            .collect();
        for id in held {
            self.machines.get_mut(&id).unwrap().ill = Ill::No;
            self.provision(&id, 2);
        }
        let out: Vec<NodeId> = self
            .fleet
            .nodes()
            .filter(|n| n.phase == Phase::Quarantined)
            .map(|n| n.id().clone())
            .collect();
        for id in out {
            for order in [LifeOrder::Repair, LifeOrder::Release] {
                let reply = self.put(
                    &id,
                    Input::Life {
                        order,
                        by: by(),
                        why: String::new(),
                    },
                );
                assert_eq!(reply, Some(Reply::Accepted));
            }
            self.machines.get_mut(&id).unwrap().ill = Ill::No;
            self.provision(&id, 2);
        }
    }

    fn count(&self, phase: Phase) -> usize {
        self.fleet
            .nodes()
            .filter(|node| node.phase == phase)
            .count()
    }

    fn nobody_is_forgotten(&self) {
        for node in self.fleet.nodes() {
            let says = node.view().reason.is_some();
            assert!(
                node.phase == Phase::Ready || node.run_is_open() || says,
                "{} is {}",
                node.id(),
                node.phase.as_str()
            );
        }
    }
}

#[test]
fn random_failures_are_healed_within_the_limits() {
    let mut sim = Sim::new(0x5eed);
    sim.run(300, 0);
    assert_eq!(sim.count(Phase::Ready), NODES);
    for _ in 0..2 {
        sim.run(20 * 60, 12);
        sim.nobody_is_forgotten();
        sim.person();
    }
    let before = sim.count(Phase::Ready);
    for _ in 0..8 {
        sim.run(10 * 60, 0);
        sim.nobody_is_forgotten();
        sim.person();
    }
    // The limits let few at a time be healed; the others wait, and say for what.
    let after = sim.count(Phase::Ready);
    assert!(after > before && after > NODES - 40, "{before}, {after}");
    assert!(sim.most.0 >= 4, "the limits were reached: {:?}", sim.most);
    assert!(sim.begun.len() > 20, "{}", sim.begun.len());
}

#[test]
fn a_rack_without_its_switch_sets_the_brake_and_comes_back_untouched() {
    let mut sim = Sim::new(7);
    sim.run(300, 0);
    let back = sim.now.plus(Millis::secs(20 * 60));
    for number in 0..PER_RACK {
        sim.machines.get_mut(&name(number)).unwrap().ill = Ill::Cut(back);
    }
    sim.run(40 * 60, 0);
    assert_eq!(sim.brakes, 1);
    assert!(sim.fleet.brake().on);
    assert_eq!(sim.most.0, 0, "nothing was disturbed");
    assert_eq!(sim.count(Phase::Ready), NODES);
}

#[test]
fn a_bad_image_stops_at_the_brake_and_not_at_the_last_node() {
    let mut sim = Sim::new(99);
    sim.run(300, 0);
    sim.bad_image = true;
    // One after the other, slower than the brake counts silent nodes.
    for number in 0..25 {
        sim.machines.get_mut(&name(number * 7)).unwrap().ill = Ill::LostHost;
        sim.run(120, 0);
        sim.nobody_is_forgotten();
    }
    sim.run(2_400, 0);
    let lost = NODES - sim.count(Phase::Ready);
    assert!(lost <= 25, "{lost}");
    sim.nobody_is_forgotten();
    let waits = sim
        .fleet
        .measures()
        .iter()
        .filter(|view| view.waits.is_some())
        .count();
    assert!(waits > 0, "those that wait say for what");
}
