// SPDX-License-Identifier: Apache-2.0
//! The node machine, driven as the shell drives it: decide, number, fold.

#![allow(
    clippy::unwrap_used,
    reason = "a test that unwraps what is not there has failed"
)]

use groundstate_api::boot::{BootAnswer, BootQuestion, BootSighting, Firmware};
use groundstate_api::enrol::EnrolRequest;
use groundstate_api::event::{Event, Happened};
use groundstate_api::host::{Heartbeat, HostInstruction, Register};
use groundstate_api::image::ImageRef;
use groundstate_api::inventory::{Finding, Gravity, Inventory, MemoryInfo, SystemInfo};
use groundstate_api::limits::{ENROLMENT_WINDOW_MAX, HEARTBEAT};
use groundstate_api::plan::{HandOver, Plan, Step};
use groundstate_api::run::{Instruction, Progress, StepState};
use groundstate_api::site;
use groundstate_api::view::Phase;
use groundstate_api::{
    Bytes, Digest, MacAddr, Millis, NodeId, PlanId, Reason, ReasonCode, RunId, SCHEMA,
};
use proptest::prelude::*;
use prov_core::deadline::{DEPLOYING_SILENCE_MAX, HOST_START_MAX};
use prov_core::{Fleet, Input, Reply, Wish};

const MAC: MacAddr = MacAddr([0x52, 0x54, 0, 0, 0, 1]);
const BOOT_A: &str = "11111111-1111-1111-1111-111111111111";
const BOOT_B: &str = "22222222-2222-2222-2222-222222222222";

/// A fleet of one node with its journal.
struct World {
    fleet: Fleet,
    now: Millis,
    journal: Vec<Event>,
    plans_asked: usize,
}

fn site() -> site::Site {
    site::Site {
        name: "lab".into(),
        network: site::Network {
            address: "10.77.0.1".parse().unwrap(),
            prefix: 24,
            pool_first: "10.77.0.100".parse().unwrap(),
            pool_last: "10.77.0.200".parse().unwrap(),
            router: None,
            dns: vec![],
            lease_secs: 3_600,
            http_port: 80,
            https_port: 8443,
        },
        policy: site::Policy {
            image: "debian".into(),
            hand_over: HandOver::Kexec,
            closed: true,
            vhds: vec![],
        },
        nodes: vec![site::Node {
            name: node(),
            mac: MAC,
            uuid: "564d1234-5678-9abc-def0-123456789abc".parse().unwrap(),
            serial: "GS1".into(),
            hand_over: None,
            os_disk: None,
            keep: vec![],
            hardware: None,
        }],
    }
}

fn node() -> NodeId {
    "node-1".parse().unwrap()
}

fn run_id(number: u64) -> RunId {
    format!("run-{number}").parse().unwrap()
}

fn request(boot: &str) -> EnrolRequest {
    EnrolRequest {
        schema: SCHEMA,
        macs: vec![MAC],
        boot_mac: MAC,
        uuid: Some("564d1234-5678-9abc-def0-123456789abc".parse().unwrap()),
        serial: "GS1".into(),
        boot_id: boot.parse().unwrap(),
        uefi: true,
        csr_pem: String::new(),
    }
}

fn inventory() -> Inventory {
    Inventory {
        schema: SCHEMA,
        boot_id: BOOT_A.parse().unwrap(),
        first_line_after: Millis(300),
        complete_after: Millis(2_000),
        system: SystemInfo {
            manufacturer: "m".into(),
            product: "p".into(),
            serial: "GS1".into(),
            uuid: None,
            firmware_version: "1".into(),
            firmware: None,
            uefi: true,
            cpus: 1,
            cpu_model: "c".into(),
        },
        memory: MemoryInfo {
            available: Bytes::gib(1),
            configured: Bytes::gib(1),
            dimms: vec![],
        },
        disks: vec![],
        nics: vec![],
        could_not_look: vec![],
    }
}

fn plan(run: &RunId) -> Plan {
    Plan {
        schema: SCHEMA,
        id: Digest::of(run.as_str().as_bytes()).hex().parse().unwrap(),
        run: run.clone(),
        node: node(),
        machine: "564d1234-5678-9abc-def0-123456789abc".parse().unwrap(),
        hand_over: HandOver::Kexec,
        uefi: true,
        boot_mac: MAC,
        image: ImageRef {
            name: "debian".into(),
            version: "1".into(),
            manifest: Digest::of(b"m"),
            size: Bytes::gib(1),
            sector_size: 512,
        },
        disks: vec![],
    }
}

fn register(plan: &Plan, boot: &str) -> Input {
    Input::HostRegistered {
        plan: plan.id.clone(),
        register: Box::new(Register {
            schema: SCHEMA,
            node: node(),
            run: plan.run.clone(),
            plan: plan.id.clone(),
            boot_id: boot.parse().unwrap(),
            os: "Debian".into(),
            kernel: "6.1".into(),
            uptime_secs: 5,
            changes: vec![],
            disk_serials: vec![],
        }),
    }
}

fn beat(plan: &PlanId, boot: &str) -> Input {
    Input::HostBeat {
        plan: plan.clone(),
        beat: Heartbeat {
            node: node(),
            plan: plan.clone(),
            boot_id: boot.parse().unwrap(),
            number: 1,
            uptime_secs: 9,
        },
    }
}

fn progress(run: &RunId, number: u64, step: Step, state: StepState) -> Input {
    Input::ProgressReceived(Progress {
        run: run.clone(),
        number,
        step,
        state,
        at: Millis(0),
        peak_memory: Bytes(1),
    })
}

fn enrol(boot: &str, key: &str) -> Input {
    Input::EnrolAsked {
        request: Box::new(request(boot)),
        key: key.into(),
    }
}

fn ordered(number: u64, again: bool) -> Input {
    Input::Ordered {
        run: run_id(number),
        hand_over: None,
        again,
    }
}

impl World {
    fn new() -> Self {
        let mut world = Self {
            fleet: Fleet::new(&site(), Millis(1_000)),
            now: Millis(1_000),
            journal: vec![],
            plans_asked: 0,
        };
        world.put(Input::Added);
        world
    }

    fn put(&mut self, input: Input) -> Option<Reply> {
        let mut wishes = Vec::new();
        self.fleet.decide(self.now, &node(), input, &mut wishes);
        let mut reply = None;
        for wish in wishes {
            match wish {
                Wish::Append(what) => {
                    let number = self.journal.len() as u64 + 1;
                    let event = Event {
                        number,
                        at: self.now,
                        node: Some(node()),
                        what,
                    };
                    self.fleet.apply(&event);
                    self.journal.push(event);
                }
                Wish::Note(note) => self.fleet.node_mut(&node()).unwrap().note(self.now, note),
                Wish::MakePlan(_) => self.plans_asked += 1,
                Wish::Reply(answer) => reply = Some(answer),
            }
        }
        reply
    }

    fn node(&self) -> &prov_core::Node {
        self.fleet.node(&node()).unwrap()
    }

    fn phase(&self) -> Phase {
        self.node().phase
    }

    fn code(&self) -> Option<ReasonCode> {
        self.node().reason.as_ref().map(|r| r.code)
    }

    fn later(&mut self, by: Millis) {
        self.now = self.now.plus(by);
        self.put(Input::Timeout);
    }

    fn boot(&self, firmware: Firmware) -> BootAnswer {
        self.fleet.boot(&BootQuestion {
            mac: MAC,
            uuid: None,
            firmware: Some(firmware),
        })
    }

    /// Until the plan is given out.
    fn deploying(number: u64) -> (Self, Plan) {
        let mut world = Self::new();
        let plan = world.deploy(number, false);
        (world, plan)
    }

    fn deploy(&mut self, number: u64, again: bool) -> Plan {
        let run = run_id(number);
        assert_eq!(self.put(ordered(number, again)), Some(Reply::Accepted));
        let key = format!("key-{number}");
        assert!(matches!(
            self.put(enrol(BOOT_A, &key)),
            Some(Reply::Enrolled { .. })
        ));
        assert_eq!(self.node().instruction(&run), Instruction::SendInventory);
        self.put(Input::InventoryReceived {
            run: run.clone(),
            inventory: Box::new(inventory()),
            findings: vec![],
        });
        assert!(matches!(
            self.node().instruction(&run),
            Instruction::Wait { .. }
        ));
        let plan = plan(&run);
        self.put(Input::PlanMade {
            run: run.clone(),
            plan: Ok(Box::new(plan.clone())),
        });
        assert_eq!(
            self.node().instruction(&run),
            Instruction::CarryOut {
                plan: Box::new(plan.clone())
            }
        );
        plan
    }

    fn hand_over(&mut self, plan: &Plan) {
        for (number, step) in (1..).step_by(2).zip(Step::ALL) {
            self.put(progress(&plan.run, number, step, StepState::Started));
            self.put(progress(
                &plan.run,
                number + 1,
                step,
                StepState::Done {
                    facts: vec!["done".into()],
                },
            ));
        }
        assert_eq!(self.phase(), Phase::HandedOver);
    }

    fn ready() -> (Self, Plan) {
        let (mut world, plan) = Self::deploying(1);
        world.hand_over(&plan);
        world.put(register(&plan, BOOT_B));
        assert_eq!(world.phase(), Phase::Ready);
        (world, plan)
    }

    /// The state is the fold of the journal, and of nothing else.
    fn check_replay(&self) {
        let mut replayed = Fleet::new(&site(), Millis(1_000));
        self.journal.iter().for_each(|event| replayed.apply(event));
        let mut replayed = replayed.node(&node()).unwrap().clone();
        replayed.live = self.node().live.clone();
        assert_eq!(&replayed, self.node());
    }
}

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
        known -> ordered
        ordered -> checking
        checking -> deploying
        deploying -> handed-over
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
    assert_eq!(world.phase(), Phase::Deploying);
    world.put(Input::Spoke { run: run_id(1) });
    world.later(Millis(DEPLOYING_SILENCE_MAX.0 - 1));
    assert_eq!(
        world.phase(),
        Phase::Deploying,
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
    assert_eq!(world.phase(), Phase::Silent);
    world.put(beat(&plan.id, BOOT_B));
    assert_eq!(world.phase(), Phase::Ready);
}

#[test]
fn only_the_agent_of_this_plan_makes_a_node_ready() {
    let (mut world, ours) = World::deploying(1);
    assert!(
        matches!(world.put(register(&ours, BOOT_B)), Some(Reply::Conflict(_))),
        "too early"
    );
    world.hand_over(&ours);
    let other = plan(&run_id(9));
    assert!(matches!(
        world.put(register(&other, BOOT_B)),
        Some(Reply::Conflict(_))
    ));
    let mut wrong_run = ours.clone();
    wrong_run.run = run_id(9);
    assert!(matches!(
        world.put(register(&wrong_run, BOOT_B)),
        Some(Reply::Conflict(_))
    ));
    assert!(
        matches!(world.put(beat(&ours.id, BOOT_B)), Some(Reply::Conflict(_))),
        "not registered"
    );
    assert_eq!(world.phase(), Phase::HandedOver);
    assert_eq!(
        world.put(register(&ours, BOOT_B)),
        Some(Reply::Host(HostInstruction::CarryOn))
    );
    assert_eq!(world.phase(), Phase::Ready);
}

#[test]
fn a_host_speaks_for_a_hand_over_that_was_not_heard() {
    let (mut world, plan) = World::deploying(1);
    world.put(progress(&plan.run, 1, Step::HandOver, StepState::Started));
    world.put(register(&plan, BOOT_B));
    assert_eq!(world.phase(), Phase::Ready);
    world.check_replay();
}

#[test]
fn again_replaces_the_host_and_the_old_one_is_refused() {
    let (mut world, first) = World::ready();
    assert!(
        matches!(world.put(ordered(2, false)), Some(Reply::Conflict(_))),
        "provision replaces no host"
    );
    assert_eq!(world.put(ordered(2, true)), Some(Reply::Accepted));
    world.later(Millis(4 * HEARTBEAT.0));
    assert_eq!(
        world.phase(),
        Phase::Ordered,
        "an order that waits is not silence"
    );
    assert_eq!(
        world.put(beat(&first.id, BOOT_B)),
        Some(Reply::Host(HostInstruction::RebootToNetwork))
    );
    assert!(
        matches!(world.put(ordered(3, true)), Some(Reply::Conflict(_))),
        "a run is under way"
    );
    assert!(matches!(
        world.put(enrol(BOOT_A, "key-2")),
        Some(Reply::Enrolled { .. })
    ));
    world.put(Input::InventoryReceived {
        run: run_id(2),
        inventory: Box::new(inventory()),
        findings: vec![],
    });
    let second = plan(&run_id(2));
    world.put(Input::PlanMade {
        run: run_id(2),
        plan: Ok(Box::new(second.clone())),
    });
    world.hand_over(&second);
    assert!(matches!(
        world.put(register(&first, BOOT_B)),
        Some(Reply::Conflict(_))
    ));
    world.put(register(&second, BOOT_B));
    assert_eq!(world.phase(), Phase::Ready);
    world.check_replay();
}

#[test]
fn what_a_machine_boots() {
    let unknown = BootQuestion {
        mac: MacAddr([2, 0, 0, 0, 0, 7]),
        uuid: None,
        firmware: Some(Firmware::Bios),
    };
    let world = World::new();
    assert!(
        matches!(world.fleet.boot(&unknown), BootAnswer::Refuse { reason } if reason.code == ReasonCode::UnknownMachine)
    );
    let mut open = site();
    open.policy.closed = false;
    assert_eq!(
        Fleet::new(&open, Millis(0)).boot(&unknown),
        BootAnswer::LocalDisk
    );
    for firmware in [Firmware::Bios, Firmware::UefiPxe, Firmware::UefiHttp] {
        assert_eq!(
            World::new().boot(firmware),
            BootAnswer::LocalDisk,
            "nothing is ordered"
        );
        let (mut world, plan) = World::deploying(1);
        assert_eq!(world.boot(firmware), BootAnswer::MaintenanceOs);
        world.hand_over(&plan);
        let host = if firmware.is_uefi() {
            BootAnswer::LocalDisk
        } else {
            BootAnswer::MaintenanceOs
        };
        assert_eq!(world.boot(firmware), host);
        world.put(register(&plan, BOOT_B));
        assert_eq!(world.boot(firmware), host);
        assert_eq!(
            world.put(enrol(BOOT_A, "new")),
            Some(Reply::BootLocal(Box::new(plan)))
        );
    }
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
fn sightings_move_an_ordered_node_and_spare_the_journal() {
    let mut world = World::new();
    world.put(ordered(1, false));
    let os_lease = BootSighting::Leased {
        address: "10.77.0.100".into(),
        firmware: None,
    };
    world.put(Input::Sighted(os_lease));
    assert_eq!(
        world.phase(),
        Phase::Ordered,
        "an operating system's lease is not a network boot"
    );
    let lease = BootSighting::Leased {
        address: "10.77.0.100".into(),
        firmware: Some(Firmware::UefiHttp),
    };
    world.put(Input::Sighted(lease));
    assert_eq!(world.phase(), Phase::Booting);
    let events = world.journal.len();
    for done in 0..200 {
        let sighting = BootSighting::FileProgress {
            file: "groundstate.efi".into(),
            done: Bytes(done),
            length: Bytes(200),
        };
        world.put(Input::Sighted(sighting));
    }
    assert_eq!(world.journal.len(), events + 1);
    assert!(matches!(
        world.node().view().boot,
        Some(BootSighting::FileProgress {
            done: Bytes(199),
            ..
        })
    ));
    assert_eq!(world.node().firmware, Some(Firmware::UefiHttp));
}

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
        1 => enrol(BOOT_A, &format!("key-{number}")),
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
            key: format!("host-{number}"),
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

    /// Never a panic, never a second key, never Ready but by the agent of the newest plan that was handed over.
    #[test]
    fn whatever_comes_in(inputs in proptest::collection::vec(any_input(), 1..120)) {
        let mut world = World::new();
        for (wait, kind, number, flag) in inputs {
            world.now = world.now.plus(Millis(wait));
            let before = world.phase();
            let key = world.node().run.as_ref().and_then(|r| r.key.clone().map(|k| (r.id.clone(), k)));
            let input = make(kind, number, flag, &world);
            let registers = matches!(&input, Input::HostRegistered { .. } | Input::HostBeat { .. });
            world.put(input);
            if let (Some((run, key)), Some(now)) = (key, world.node().run.as_ref()) && now.id == run {
                prop_assert_eq!(now.key.as_ref(), Some(&key), "the first key stays");
            }
            if world.phase() == Phase::Ready && before != Phase::Ready {
                prop_assert!(registers);
                let node = world.node();
                let host = node.host.as_ref().unwrap();
                prop_assert_eq!(&host.plan.id, &node.run.as_ref().unwrap().plan.as_ref().unwrap().id);
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
        let _ = (node.report(), node.deadline(), node.host_instruction(), node.instruction(&run_id(1)));
    }
}
